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

DISTANCE = "frechet"
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
        figures: by name.
    """

    name: str
    label: str
    swept: dict[str, Any] = field(default_factory=dict)
    n_excerpts: int = 0
    figures: dict[str, Estimate] = field(default_factory=dict)


def summarised(records: Sequence[Record], conditions: Sequence[Condition]) -> list[Row]:
    """One row a condition, those without records left out; first the originals, whose distance is the floor.

    Distances are to the reference where there is one, else to the originals. They fall as sets grow: only those of as
    many patches can be compared, so the floor is that of the originals, cut like the takes.
    """
    by_condition: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        by_condition[record["condition"]].append(record)
    target = _embeddings(by_condition[REFERENCE] or by_condition[ORIGINAL])
    rows = []
    if by_condition[REFERENCE] and by_condition[ORIGINAL]:
        floor = {DISTANCE: _distance(by_condition[ORIGINAL], target)}
        rows.append(Row(ORIGINAL, ORIGINAL, {}, len(by_condition[ORIGINAL]), floor))
    for condition in conditions:
        own = by_condition[condition.key]
        if own:
            figures = dict(_figures(own))
            if len(target) > 1 and len(_embeddings(own)) > 1:
                figures[DISTANCE] = _distance(own, target)
            rows.append(Row(condition.name, condition.label, condition.swept, len(own), figures))
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


def _distance(records: Sequence[Record], target: npt.NDArray[np.float64]) -> Estimate:
    parts = [(record["piece"], _embeddings([record])) for record in records]
    pieces = [piece for piece, part in parts for _ in part]
    stacked = np.concatenate([part for _, part in parts])
    return _resampled(pieces, stacked, lambda chosen: frechet_distance(target, chosen))


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


def _embeddings(records: Sequence[Record]) -> npt.NDArray[np.float64]:
    """Of all patches of all takes: (n_patches, n_dims)."""
    found = [patch for record in records for take in record["takes"] for patch in take.get(EMBEDDING, [])]
    return np.array(found, dtype=np.float64).reshape(len(found), -1 if found else 0)


def write_tables(rows: Sequence[Row], folder: Path, about: dict[str, Any]) -> list[Path]:
    """Write table.csv and table.json."""
    names = list(dict.fromkeys(name for row in rows for name in row.figures))
    paths = [folder / "table.csv", folder / "table.json"]
    with paths[0].open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file)
        out.writerow(["condition", "excerpts", *(head for name in names for head in (name, f"{name}_error"))])
        for row in rows:
            cells = [row.figures.get(name, (None, None)) for name in names]
            out.writerow([row.label, row.n_excerpts, *(value for cell in cells for value in cell)])
    table = [
        {
            "condition": row.label,
            "swept": row.swept,
            "n_excerpts": row.n_excerpts,
            "figures": {name: estimate._asdict() for name, estimate in row.figures.items()},
        }
        for row in rows
    ]
    paths[1].write_text(json.dumps({**about, "rows": table}, indent=1) + "\n", encoding="utf-8")
    return paths
