"""Records into a table: means with intervals, and Fréchet distances beside their floor."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
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
class Drawn:
    """A figure, and what it is when recordings are drawn again; two of the same recordings have the same draws.

    Attributes:
        value: over all excerpts.
        pieces: the recordings.
        again: float64 (n_draws,), empty for a single recording.
    """

    value: float
    pieces: tuple[str, ...]
    again: npt.NDArray[np.float64]

    def estimate(self, other: Drawn | None = None) -> Estimate:
        """The figure, or by how much it is above another's, draw by draw; of other recordings there is no error."""
        if other is None:
            return Estimate(self.value, 1.96 * float(self.again.std()) if len(self.again) else None)
        same = self.pieces == other.pieces and len(self.again)
        return Estimate(self.value - other.value, 1.96 * float((self.again - other.again).std()) if same else None)


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
        above: by how much they are above those of the baseline.
    """

    name: str
    label: str
    swept: dict[str, Any] = field(default_factory=dict)
    n_excerpts: int = 0
    n_failed: int = 0
    figures: dict[str, Estimate] = field(default_factory=dict)
    above: dict[str, Estimate] = field(default_factory=dict)


def summarised(records: Sequence[Record], conditions: Sequence[Condition], baseline: str = "") -> list[Row]:
    """One row a condition, those without records left out.

    Distances are to the reference, of one take of each excerpt, and the mean over takes; beside each its floor, that of
    the excerpts themselves, cut in the same places. Both fall as sets grow: they can be compared only with each other,
    and with those of as many patches. The reference stays as it is while recordings are drawn again for their errors.
    Two conditions share what is hard about a recording: their difference is surer than either, see `Row.above`.

    Args:
        records: of all conditions.
        conditions: in the order of the table.
        baseline: label of the condition that others are compared with; empty: they are not.
    """
    by_condition: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        by_condition[record["condition"]].append(record)
    target = _stacked([take[EMBEDDING] for record in by_condition[REFERENCE] for take in record["takes"]])
    found: dict[str, dict[str, Drawn]] = {}
    for condition in conditions:
        own = _made(by_condition[condition.key])
        found[condition.label] = dict(_figures(own)) if own else {}
        if own and len(target) > 1:
            found[condition.label] |= _distances(own, target)
    base, rows = found.get(baseline, {}), []
    for condition in conditions:
        figures, n = found[condition.label], len(by_condition[condition.key])
        n_made = len(_made(by_condition[condition.key]))
        estimates = {name: figure.estimate() for name, figure in figures.items()}
        compared = figures.keys() & base.keys() - {FLOOR} if condition.label != baseline else ()
        above = {name: figures[name].estimate(base[name]) for name in compared}
        if n:
            rows.append(Row(condition.name, condition.label, condition.swept, n_made, n - n_made, estimates, above))
    return rows


def _made(records: Sequence[Record]) -> list[Record]:
    return [record for record in records if "failed" not in record]


def _figures(records: Sequence[Record]) -> Iterator[tuple[str, Drawn]]:
    takes = [take for record in records for take in record["takes"]]
    for name in dict.fromkeys(name for take in takes for name in take if name != EMBEDDING):
        values = [[take[name] for take in record["takes"] if take.get(name) is not None] for record in records]
        yield from _estimated(name, records, values)
    yield from _estimated("diversity", records, [[v] if (v := r.get("diversity")) is not None else [] for r in records])


def _estimated(name: str, records: Sequence[Record], values: Sequence[list[float]]) -> Iterator[tuple[str, Drawn]]:
    """The mean over excerpts of means over takes; nothing where nothing was measured."""
    kept = [(record["piece"], float(np.mean(own))) for record, own in zip(records, values, strict=True) if own]
    if kept:
        pieces, means = zip(*kept, strict=True)
        yield name, _resampled(pieces, np.array(means), lambda chosen: float(chosen.mean()))


def _distances(records: Sequence[Record], target: npt.NDArray[np.float64]) -> dict[str, Drawn]:
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
) -> Drawn:
    """A figure of values, the first axis of which belongs to recordings, and what it is when these are drawn again."""
    names = sorted(set(pieces))
    groups = [np.flatnonzero(np.array(pieces) == name) for name in names]
    if len(names) < 2:
        return Drawn(figure(values), tuple(names), np.zeros(0))
    generator = np.random.default_rng(0)
    draws = generator.integers(len(names), size=(_N_RESAMPLED, len(names)))
    drawn = [figure(values[np.concatenate([groups[i] for i in draw])]) for draw in draws]
    return Drawn(figure(values), tuple(names), np.array(drawn))


def _stacked(parts: Sequence[Sequence[Sequence[float]]]) -> npt.NDArray[np.float64]:
    """Patches of all parts: (n_patches, n_dims)."""
    found = [patch for part in parts for patch in part]
    return np.array(found, dtype=np.float64).reshape(len(found), -1 if found else 0)
