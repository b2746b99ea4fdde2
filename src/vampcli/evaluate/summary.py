"""Summarize records in a table: means with intervals and Fréchet distances, as JSON and Markdown."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from vampcli.evaluate.frechet import Normal
from vampcli.evaluate.measures import EMBEDDING
from vampcli.evaluate.run import ORIGINAL, REFERENCE, Record
from vampcli.evaluate.spec import Condition
from vampcli.files import write_text

DISTANCE, FLOOR, DIVERSITY = "frechet", "frechet_floor", "diversity"
TO_EXCERPTS = "frechet_to_excerpts"
_N_RESAMPLED = 100

Patches = npt.NDArray[np.float64]


class Estimate(NamedTuple):
    """A figure with its uncertainty.

    Attributes:
        value: over all excerpts.
        error: half of the 95 % bootstrap interval over recordings (excerpts of one recording are not independent);
            None for a single recording.
    """

    value: float
    error: float | None

    def __str__(self) -> str:
        return f"{self.value:.3g}" if self.error is None else f"{self.value:.3g} ± {self.error:.2g}"


@dataclass(frozen=True)
class Row:
    """Figures of a condition.

    Attributes:
        name: of the condition, without swept values.
        label: name and swept values.
        swept: values by the dotted names of their fields.
        n_excerpts: number of excerpts re-made.
        n_failed: number of excerpts that could not be re-made.
        figures: by name.
        above: differences from the figures of the baseline, over the excerpts that both have.
    """

    name: str
    label: str
    swept: dict[str, Any] = field(default_factory=dict)
    n_excerpts: int = 0
    n_failed: int = 0
    figures: dict[str, Estimate] = field(default_factory=dict)
    above: dict[str, Estimate] = field(default_factory=dict)


def summarize(records: Sequence[Record], conditions: Sequence[Condition], baseline: str = "") -> list[Row]:
    """Return a row for each condition that has records.

    Fréchet distances are to the reference, for one take of each excerpt, averaged over takes; beside each stands its
    floor, the distance of the excerpts themselves, cut at the same positions. The reference is not resampled in the
    bootstrap. The distance to the excerpts themselves is 0 if nothing changes: it measures closeness to these
    excerpts, not to music. All distances shrink as sets grow: compare only distances of equally many patches.
    Recordings differ in difficulty for all conditions alike, so `Row.above` is more precise than two rows.

    Args:
        records: of all conditions.
        conditions: in the order of the table.
        baseline: label of the condition that others are compared with; empty = no comparison.
    """
    by_condition: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        by_condition[record["condition"]].append(record)
    target = _stack([take[EMBEDDING] for record in by_condition[REFERENCE] for take in record["takes"]])
    made = {c.label: [r for r in by_condition[c.key] if "failed" not in r] for c in conditions}
    base, rows = made.get(baseline, []), []
    for condition in conditions:
        here, n = made[condition.label], len(by_condition[condition.key])
        figures = _figures(here) | _distances(here, target)
        above = {}
        if condition.label != baseline:
            above = _figures(here, base) | _distance_differences(here, base, target)
        if n:
            rows.append(Row(condition.name, condition.label, condition.swept, len(here), n - len(here), figures, above))
    return rows


def _figures(records: Sequence[Record], base: Sequence[Record] | None = None) -> dict[str, Estimate]:
    """Return mean figures; with `base`, mean differences from it over the excerpts that both have."""
    pieces, found = {record["excerpt"]: record["piece"] for record in records}, {}
    for name in _names(records):
        means = _means(records, name)
        if base is not None:
            others = _means(base, name)
            means = {excerpt: mean - others[excerpt] for excerpt, mean in means.items() if excerpt in others}
        if means:
            values = np.array(list(means.values()))
            found[name] = _bootstrap([pieces[excerpt] for excerpt in means], values, lambda x: float(x.mean()))
    return found


def _names(records: Sequence[Record]) -> list[str]:
    """Return the names of all figures that are numbers."""
    found = dict.fromkeys(name for record in records for take in record["takes"] for name in take if name != EMBEDDING)
    return [*found, DIVERSITY]


def _means(records: Sequence[Record], name: str) -> dict[int, float]:
    """Return the mean over the takes of each excerpt; excerpts without the figure are left out."""
    found = {}
    for record in records:
        values = [record.get(name)] if name == DIVERSITY else [take.get(name) for take in record["takes"]]
        present = [value for value in values if value is not None]
        if present:
            found[record["excerpt"]] = float(np.mean(present))
    return found


def _distances(records: Sequence[Record], target: Patches) -> dict[str, Estimate]:
    """Return the distances of takes and the floor; none for a single patch."""
    patches, pieces = _patches(records)
    if len(pieces) < 2 or len(target) < 2:
        return {}
    return {name: _bootstrap(pieces, patches, distance) for name, distance in _distance_functions(target).items()}


def _distance_differences(records: Sequence[Record], base: Sequence[Record], target: Patches) -> dict[str, Estimate]:
    """Return differences of distances on common excerpts; none if the patches are at different positions."""
    others = {record["excerpt"]: record for record in base}
    common = [record for record in records if record["excerpt"] in others]
    (a, pieces), (b, _) = _patches(common), _patches([others[record["excerpt"]] for record in common])
    if len(target) < 2 or len(pieces) < 2 or len(a) != len(b) or not np.array_equal(a[:, -1], b[:, -1]):
        return {}
    n, both = a.shape[1], np.concatenate([a, b], axis=1)

    def difference(distance: Callable[[Patches], float], chosen: Patches) -> float:
        return distance(chosen[:, :n]) - distance(chosen[:, n:])

    to = {name: distance for name, distance in _distance_functions(target).items() if name != FLOOR}
    return {name: _bootstrap(pieces, both, partial(difference, distance)) for name, distance in to.items()}


def _distance_functions(target: Patches) -> dict[str, Callable[[Patches], float]]:
    """Return distances as functions of the patches of takes and, last, excerpts: (n_patches, n_takes + 1, n_dims)."""
    reference = Normal.of(target)
    return {
        DISTANCE: lambda patches: _distance(reference, patches[:, :-1]),
        FLOOR: lambda patches: _distance(reference, patches[:, -1:]),
        TO_EXCERPTS: lambda patches: _distance(Normal.of(patches[:, -1]), patches[:, :-1]),
    }


def _patches(records: Sequence[Record]) -> tuple[Patches, list[str]]:
    """Return patches of takes and, last, excerpts: (n_patches, n_takes + 1, n_dims), and the recording of each patch.

    Nothing if the takes have more or fewer patches than the excerpts.
    """
    n_takes = min((len(record["takes"]) for record in records), default=0)
    made = [[record["takes"][i].get(EMBEDDING, []) for record in records] for i in range(n_takes)]
    real = [record.get(ORIGINAL, []) for record in records]
    pieces = [record["piece"] for record, patches in zip(records, real, strict=True) for _ in patches]
    if not pieces or any(len(a) != len(b) for take in made for a, b in zip(take, real, strict=True)):
        return np.zeros((0, 0, 0)), []
    return np.stack([_stack(patches) for patches in (*made, real)], axis=1), pieces


def _distance(target: Normal, made: Patches) -> float:
    """Return the mean distance over takes: (n_patches, n_takes, n_dims)."""
    return float(np.mean([target.distance(Normal.of(made[:, i])) for i in range(made.shape[1])]))


def _bootstrap(pieces: Sequence[str], values: Patches, figure: Callable[[Patches], float]) -> Estimate:
    """Estimate a figure of values (n_values, ...) by resampling the recordings (one name for each value)."""
    names = sorted(set(pieces))
    groups = [np.flatnonzero(np.array(pieces) == name) for name in names]
    if len(names) < 2:
        return Estimate(figure(values), None)
    generator = np.random.default_rng(0)
    draws = generator.integers(len(names), size=(_N_RESAMPLED, len(names)))
    drawn = [figure(values[np.concatenate([groups[i] for i in draw])]) for draw in draws]
    return Estimate(figure(values), _half_width(len(names)) * float(np.std(drawn, ddof=1)))


def _half_width(n: int) -> float:
    """Return half of a 95 % interval in bootstrap standard deviations over n recordings.

    Student's t of n - 1 degrees of freedom, over the square root of (n - 1) / n, by which the bootstrap underestimates
    the standard error (Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 5).
    """
    from scipy.stats import t  # a second to import

    return float(t.ppf(0.975, n - 1)) * math.sqrt(n / (n - 1))


def _stack(parts: Sequence[Sequence[Sequence[float]]]) -> Patches:
    """Concatenate the patches of all parts: (n_patches, n_dims)."""
    found = [patch for part in parts for patch in part]
    return np.array(found, dtype=np.float64).reshape(len(found), -1 if found else 0)


def write_tables(rows: Sequence[Row], folder: Path, about: dict[str, Any]) -> list[Path]:
    """Write table.json and table.md.

    Args:
        rows: of the table.
        folder: to write to.
        about: further entries of the JSON object.

    Returns:
        The paths written.
    """
    paths = [folder / "table.json", folder / "table.md"]
    table = [
        {
            "condition": row.label,
            "swept": row.swept,
            "n_excerpts": row.n_excerpts,
            "n_failed": row.n_failed,
            "figures": {name: estimate._asdict() for name, estimate in row.figures.items()},
            "above_baseline": {name: estimate._asdict() for name, estimate in row.above.items()},
        }
        for row in rows
    ]
    write_text(paths[0], json.dumps({**about, "rows": table}, indent=1) + "\n")
    write_text(paths[1], markdown(rows))
    return paths


def markdown(rows: Sequence[Row]) -> str:
    """Format rows as a Markdown table; n counts excerpts, those that could not be re-made in brackets."""
    heads, cells = table_of(rows)
    ns = [f"{row.n_excerpts} ({row.n_failed})" if row.n_failed else str(row.n_excerpts) for row in rows]
    lines = [f"| {' | '.join([heads[0], 'n', *heads[1:]])} |", "|---|--:|" + "--:|" * len(heads[1:])]
    lines += [f"| {' | '.join([one[0], n, *one[1:]])} |" for one, n in zip(cells, ns, strict=True)]
    return "\n".join(lines) + "\n"


def table_of(rows: Sequence[Row]) -> tuple[list[str], list[list[str]]]:
    """Return the heads and the cells of a table: the condition, then every figure of any row."""
    names = list(dict.fromkeys(name for row in rows for name in row.figures))
    cells = [[row.label, *(_cell(row, name) for name in names)] for row in rows]
    return ["condition", *(name.replace("_", " ") for name in names)], cells


def _cell(row: Row, name: str) -> str:
    """Format a figure, with the difference from the baseline in brackets; empty if the row has no such figure."""
    if name not in row.figures:
        return ""
    above = row.above.get(name)
    if above is None:
        return str(row.figures[name])
    error = "" if above.error is None else f" ± {above.error:.2g}"
    return f"{row.figures[name].value:.3g} ({above.value:+.2g}{error})"
