"""Records into a table: means with intervals, and Fréchet distances beside their floor."""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from vampcli.evaluate.experiment import Condition
from vampcli.evaluate.figures import EMBEDDING
from vampcli.evaluate.musicnn import frechet_distance
from vampcli.evaluate.trial import ORIGINAL, REFERENCE, Record

DISTANCE, FLOOR = "frechet", "frechet_floor"
_N_RESAMPLED = 100


class Estimate(NamedTuple):
    """A figure.

    Attributes:
        value: over all excerpts.
        error: half of its 95 % interval: 1.96 standard deviations over recordings drawn again with replacement, since
            excerpts of one recording are alike; None of a single recording.
    """

    value: float
    error: float | None

    def __str__(self) -> str:
        return f"{self.value:.3g}" if self.error is None else f"{self.value:.3g} ± {self.error:.2g}"


@dataclass(frozen=True)
class Row:
    """What was found of a condition.

    Attributes:
        name: of the experiment.
        label: with what was chosen.
        swept: what was chosen.
        n_excerpts: how many were made.
        n_failed: how many could not be.
        figures: by name.
    """

    name: str
    label: str
    swept: dict[str, Any] = field(default_factory=dict)
    n_excerpts: int = 0
    n_failed: int = 0
    figures: dict[str, Estimate] = field(default_factory=dict)


def summarised(records: Sequence[Record], conditions: Sequence[Condition]) -> list[Row]:
    """One row a condition, those without records left out.

    Distances are to the reference, of one take of each excerpt, and the mean over takes; beside each its floor, that of
    the excerpts themselves, cut in the same places. Both fall as sets grow: they can be compared only with each other,
    and with those of as many patches. The reference stays as it is while recordings are drawn again for their errors.
    """
    by_condition: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        by_condition[record["condition"]].append(record)
    target = _stacked([take[EMBEDDING] for record in by_condition[REFERENCE] for take in record["takes"]])
    rows = []
    for condition in conditions:
        own = [record for record in by_condition[condition.key] if "failed" not in record]
        figures = dict(_figures(own)) if own else {}
        if own and len(target) > 1:
            figures |= _distances(own, target)
        n_failed = len(by_condition[condition.key]) - len(own)
        if own or n_failed:
            rows.append(Row(condition.name, condition.label, condition.swept, len(own), n_failed, figures))
    return rows


def _figures(records: Sequence[Record]) -> Iterator[tuple[str, Estimate]]:
    takes = [take for record in records for take in record["takes"]]
    for name in dict.fromkeys(name for take in takes for name in take if name != EMBEDDING):
        values = [[take[name] for take in record["takes"] if take.get(name) is not None] for record in records]
        yield from _estimated(name, records, values)
    yield from _estimated("diversity", records, [[v] if (v := r.get("diversity")) is not None else [] for r in records])


def _estimated(name: str, records: Sequence[Record], values: Sequence[list[float]]) -> Iterator[tuple[str, Estimate]]:
    """The mean over excerpts of means over takes; nothing where nothing was measured."""
    kept = [(record["piece"], float(np.mean(own))) for record, own in zip(records, values, strict=True) if own]
    if kept:
        pieces, means = zip(*kept, strict=True)
        yield name, _resampled(pieces, np.array(means), lambda chosen: float(chosen.mean()))


def _distances(records: Sequence[Record], target: npt.NDArray[np.float64]) -> dict[str, Estimate]:
    """The distance of takes and its floor; none of a single patch."""
    n_takes = min(len(record["takes"]) for record in records)
    made = [[record["takes"][i][EMBEDDING] for record in records] for i in range(n_takes)]
    real = [record[ORIGINAL] for record in records]
    pieces = [record["piece"] for record, patches in zip(records, real, strict=True) for _ in patches]
    if len(pieces) < 2 or any(len(a) != len(b) for take in made for a, b in zip(take, real, strict=True)):
        return {}
    stacks = np.stack([_stacked(take) for take in made], axis=1)  # (n_patches, n_takes, n_dims)

    def distance(chosen: npt.NDArray[np.float64]) -> float:
        return float(np.mean([frechet_distance(target, chosen[:, i]) for i in range(chosen.shape[1])]))

    return {
        DISTANCE: _resampled(pieces, stacks, distance),
        FLOOR: _resampled(pieces, _stacked(real)[:, None], distance),
    }


def _resampled(
    pieces: Sequence[str], values: npt.NDArray[np.float64], figure: Callable[[npt.NDArray[np.float64]], float]
) -> Estimate:
    """A figure of values, the first axis of which belongs to recordings, and its error."""
    names = sorted(set(pieces))
    groups = [np.flatnonzero(np.array(pieces) == name) for name in names]
    if len(names) < 2:
        return Estimate(figure(values), None)
    generator = np.random.default_rng(0)
    draws = generator.integers(len(names), size=(_N_RESAMPLED, len(names)))
    drawn = [figure(values[np.concatenate([groups[i] for i in draw])]) for draw in draws]
    return Estimate(figure(values), 1.96 * float(np.std(drawn)))


def _stacked(parts: Sequence[Sequence[Sequence[float]]]) -> npt.NDArray[np.float64]:
    """Patches of all parts: (n_patches, n_dims)."""
    found = [patch for part in parts for patch in part]
    return np.array(found, dtype=np.float64).reshape(len(found), -1 if found else 0)


def write_tables(rows: Sequence[Row], folder: Path, about: dict[str, Any]) -> list[Path]:
    """Write table.csv and table.json."""
    names = list(dict.fromkeys(name for row in rows for name in row.figures))
    paths = [folder / "table.csv", folder / "table.json"]
    with paths[0].open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file)
        out.writerow(["condition", "excerpts", "failed", *(head for name in names for head in (name, f"{name}_error"))])
        for row in rows:
            cells = [row.figures.get(name, (None, None)) for name in names]
            out.writerow([row.label, row.n_excerpts, row.n_failed, *(value for cell in cells for value in cell)])
    table = [
        {
            "condition": row.label,
            "swept": row.swept,
            "n_excerpts": row.n_excerpts,
            "n_failed": row.n_failed,
            "figures": {name: estimate._asdict() for name, estimate in row.figures.items()},
        }
        for row in rows
    ]
    paths[1].write_text(json.dumps({**about, "rows": table}, indent=1) + "\n", encoding="utf-8")
    return paths
