"""Experiments read from TOML: conditions under which excerpts of recordings are re-made and compared."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from typing import Annotated, Any, Literal

from vampcli.config import SamplingConfig
from vampcli.errors import UsageError
from vampcli.evaluate.measures import FIGURES
from vampcli.old_names import renamed, with_new_names
from vampcli.reading import read_toml
from vampcli.schema import Between, from_table, shown
from vampcli.tasks.base import Task
from vampcli.tasks.inpaint import Inpaint
from vampcli.tasks.registry import TASKS, build_task

_MOST_CONDITIONS = 1000

CODEC = "codec"
"""Command of conditions that only encode and decode."""

Fill = Literal["model", "silence", "repeat"]
"""Content of the spans of `inpaint`: a model's, silence, or the sound before each span."""


@dataclass(frozen=True)
class Decoded:
    """Request of the command CODEC.

    Attributes:
        noise: probability with which each token is replaced by a random one of its codebook.
    """

    noise: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.noise <= 1:
            raise UsageError(f"noise is {self.noise:g}", "it must lie between 0 and 1")


@dataclass(frozen=True)
class Condition:
    """One way of re-making excerpts.

    Attributes:
        name: of the condition in its experiment.
        command: inpaint, outpaint, loop, vamp, compress, or codec.
        request: the fields of the command's request, as recipes have them.
        sampling: fields of a `SamplingConfig`, which override those of the experiment.
        silenced: silence the spans before encoding, so that no token depends on the sound removed.
        untrained: re-make with transformers of random weights.
        fill: what fills the spans of inpaint.
        sweep: lists of values by the dotted names of the fields they are for; each combination is a condition.
        swept: the combination chosen.
    """

    name: str
    command: str = "vamp"
    request: dict[str, Any] = field(default_factory=dict)
    sampling: dict[str, Any] = field(default_factory=dict)
    silenced: bool = False
    untrained: bool = False
    fill: Fill = "model"
    sweep: dict[str, Any] = field(default_factory=dict)
    swept: dict[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """Everything that determines the takes, as JSON."""
        fill = () if self.fill == "model" else (self.fill,)  # keys of earlier records stay as they are
        made = (self.command, self.request, self.sampling, self.silenced, self.untrained, *fill)
        return json.dumps(made, sort_keys=True)

    @property
    def label(self) -> str:
        """Name and swept values."""
        chosen = ", ".join(f"{name.rpartition('.')[2]} {value}" for name, value in self.swept.items())
        return f"{self.name}: {chosen}" if chosen else self.name

    @property
    def task(self) -> Task | Decoded:
        """The request as a dataclass."""
        if self.command == CODEC:
            return from_table(Decoded, self.request, f"{self.label} [request]")
        return build_task(self.command, self.request, self.label)

    @property
    def config(self) -> SamplingConfig:
        """Sampling options."""
        return from_table(SamplingConfig, self.sampling, f"{self.label} [sampling]")

    def expand(self) -> Iterator[Condition]:
        """Yield one condition for each combination of swept values.

        Raises:
            UsageError: a sweep is not a list of values, or its name is not that of a field.
        """
        for name, values in self.sweep.items():
            if not isinstance(values, list) or not values:
                raise UsageError(f"{self.name}: sweep of {name!r} is {shown(values)}", "write a list of values")
        if (n := math.prod(map(len, self.sweep.values()))) > _MOST_CONDITIONS:
            raise UsageError(f"{self.name}: the sweeps have {n} combinations", f"sweep {_MOST_CONDITIONS} at most")
        for chosen in product(*self.sweep.values()):
            swept = dict(zip(self.sweep, chosen, strict=True))
            table: dict[str, Any] = {"request": copy.deepcopy(self.request), "sampling": dict(self.sampling)}
            for name, value in swept.items():
                _set_field(table, name, value, f"{self.name}: sweep")
            yield replace(self, **table, sweep={}, swept=swept)


def _set_field(table: dict[str, Any], name: str, value: Any, where: str) -> None:
    """Set the field with a dotted name in nested tables; missing tables are created."""
    *path, last = name.split(".")
    if not path or path[0] not in table:
        raise UsageError(f"{where} of {name!r}", "begin with request. or sampling.")
    for part in path:
        table = table.setdefault(part, {})
        if not isinstance(table, dict):
            raise UsageError(f"{where} of {name!r}: {part!r} is no table", "sweep it alone")
    table[last] = value


@dataclass(frozen=True)
class Experiment:
    """Conditions to compare, and the excerpts to compare them on.

    Attributes:
        conditions: ways of re-making excerpts.
        excerpt_s: duration of an excerpt.
        excerpts: largest number of excerpts, spread evenly over all recordings.
        takes: of each excerpt under each condition.
        seed: take t of excerpt i is made with seed + 1000 i + t.
        sampling: fields of a `SamplingConfig` for all conditions.
        figures: groups of `vampcli.evaluate.measures.FIGURES` to measure.
        over: figure on the horizontal axis of plots; the swept value by default.
        baseline: label of the condition that the others are compared with, excerpt by excerpt.
    """

    conditions: tuple[Condition, ...]
    excerpt_s: Annotated[float, Between(1, 3600)] = 5.0
    excerpts: Annotated[int, Between(1, 100_000)] = 64
    takes: Annotated[int, Between(1, 1000)] = 1
    seed: int = 0
    sampling: dict[str, Any] = field(default_factory=dict)
    figures: tuple[str, ...] = ("sound", "tokens", "embedding")
    over: str = ""
    baseline: str = ""

    def __post_init__(self) -> None:
        for name, value in (("excerpts", self.excerpts), ("takes", self.takes)):
            if value < 1:
                raise UsageError(f"{name} is {value}", "it must be 1 or more")
        if self.excerpt_s < 1:
            raise UsageError(f"excerpt_s is {self.excerpt_s:g}", "it must be 1 or more")
        unknown = [name for name in self.figures if name not in FIGURES]
        if unknown:
            raise UsageError(f"there is no figure {unknown[0]!r}", f"there are {', '.join(FIGURES)}")

    def seeds(self, i: int) -> range:
        """Seeds of the takes of excerpt i."""
        first = self.seed + 1000 * i
        return range(first, first + self.takes)


def _with_new_names(table: Mapping[str, Any]) -> dict[str, Any]:
    """Return the table of an experiment with the names of today, in its conditions and its baseline, too."""
    new = with_new_names(table)
    if isinstance(conditions := new.get("conditions"), list):
        new["conditions"] = [with_new_names(one) if isinstance(one, Mapping) else one for one in conditions]
    if isinstance(baseline := new.get("baseline"), str):
        new["baseline"] = renamed(baseline)
    return new


def read_experiment(path: Path, changes: Mapping[str, Any] | None = None) -> Experiment:
    """Read an experiment from a TOML file, with its sweeps expanded.

    Args:
        path: of the file.
        changes: values that override fields of the experiment.

    Raises:
        InputError: the file cannot be read.
        UsageError: a key is unknown, a value impossible, or two conditions are the same.
    """
    found = from_table(Experiment, _with_new_names(read_toml(path)), str(path))
    shared = (replace(condition, sampling=found.sampling | condition.sampling) for condition in found.conditions)
    conditions = tuple(choice for condition in shared for choice in condition.expand())
    seen: set[str] = set()
    for condition in conditions:
        if condition.command not in (*TASKS, CODEC):
            raise UsageError(f"{path}: there is no command {condition.command!r}", f"known: {', '.join(TASKS)}, codec")
        condition.task, condition.config  # noqa: B018 (both raise UsageError)
        if (condition.silenced or condition.fill != "model") and condition.command != Inpaint.command:
            what = "silenced" if condition.silenced else f"filled by {condition.fill}"
            raise UsageError(f"{path}: {condition.label} is {what}", "only spans of inpaint can be")
        if condition.label in seen:
            raise UsageError(f"{path}: {condition.label} is there twice", "give one another name, or leave it out")
        seen.add(condition.label)
    if found.baseline and found.baseline not in seen:
        raise UsageError(f"{path}: the baseline {found.baseline!r} is no condition", f"there are {', '.join(seen)}")
    if not conditions:
        raise UsageError(f"{path} has no conditions", "write at least one [[conditions]]")
    return replace(found, conditions=conditions, **(changes or {}))
