"""Records into a table: means with intervals, and Fréchet distances beside their floor."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from vampcli.evaluate.frechet import Normal
from vampcli.evaluate.measures import EMBEDDING
from vampcli.evaluate.records import ORIGINAL, REFERENCE, Record
from vampcli.evaluate.spec import Condition

DISTANCE, FLOOR, DIVERSITY = "frechet", "frechet_floor", "diversity"
TO_EXCERPTS = "frechet_to_excerpts"
_N_RESAMPLED = 100

Patches = npt.NDArray[np.float64]


class Estimate(NamedTuple):
    """A figure.

    Attributes:
        value: over all excerpts.
        error: half of its 95 % interval over recordings drawn again with replacement, since excerpts of one recording
            are alike; None of a single recording.
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
        above: by how much they are above those of the baseline, over the excerpts that both have.
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
    the excerpts themselves, cut in the same places. The reference stays as it is while recordings are drawn again for
    their errors. The distance to the excerpts themselves is 0 of what is not changed: it tells how near takes are to
    these, not how near to music. All fall as sets grow: they can be compared only with those of as many patches.
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
    made = {c.label: [r for r in by_condition[c.key] if "failed" not in r] for c in conditions}
    base, rows = made.get(baseline, []), []
    for condition in conditions:
        own, n = made[condition.label], len(by_condition[condition.key])
        figures = dict(_figures(own)) | _distances(own, target)
        above = {} if condition.label == baseline else dict(_differences(own, base)) | _further(own, base, target)
        if n:
            rows.append(Row(condition.name, condition.label, condition.swept, len(own), n - len(own), figures, above))
    return rows


def _figures(records: Sequence[Record]) -> Iterator[tuple[str, Estimate]]:
    for name in _names(records):
        means = _means(records, name)
        if means:
            yield name, _over_recordings([(record["piece"], mean) for record, mean in means.values()])


def _differences(records: Sequence[Record], base: Sequence[Record]) -> Iterator[tuple[str, Estimate]]:
    """Excerpt by excerpt, of those that both have."""
    for name in _names(records):
        own, other = _means(records, name), _means(base, name)
        common = [excerpt for excerpt in own if excerpt in other]
        if common:
            yield name, _over_recordings([(own[e][0]["piece"], own[e][1] - other[e][1]) for e in common])


def _names(records: Sequence[Record]) -> list[str]:
    """Of all figures that are numbers."""
    found = dict.fromkeys(name for record in records for take in record["takes"] for name in take if name != EMBEDDING)
    return [*found, DIVERSITY]


def _means(records: Sequence[Record], name: str) -> dict[int, tuple[Record, float]]:
    """By excerpt, means over takes; none where nothing was measured."""
    found = {}
    for record in records:
        values = [record.get(name)] if name == DIVERSITY else [take.get(name) for take in record["takes"]]
        there = [value for value in values if value is not None]
        if there:
            found[record["excerpt"]] = record, float(np.mean(there))
    return found


def _over_recordings(means: Sequence[tuple[str, float]]) -> Estimate:
    pieces, values = zip(*means, strict=True)
    return _resampled(pieces, np.array(values), lambda chosen: float(chosen.mean()))


def _distances(records: Sequence[Record], target: Patches) -> dict[str, Estimate]:
    """The distances of takes and the floor; none of a single patch."""
    patches, pieces = _patches(records)
    if len(pieces) < 2 or len(target) < 2:
        return {}
    return {name: _resampled(pieces, patches, distance) for name, distance in _to(target).items()}


def _further(records: Sequence[Record], base: Sequence[Record], target: Patches) -> dict[str, Estimate]:
    """By how much takes are further away than those of the same excerpts; nothing where patches lie elsewhere."""
    others = {record["excerpt"]: record for record in base}
    common = [record for record in records if record["excerpt"] in others]
    (own, pieces), (other, _) = _patches(common), _patches([others[record["excerpt"]] for record in common])
    if len(target) < 2 or len(pieces) < 2 or len(own) != len(other) or not np.array_equal(own[:, -1], other[:, -1]):
        return {}
    n, both = own.shape[1], np.concatenate([own, other], axis=1)

    def difference(distance: Callable[[Patches], float], chosen: Patches) -> float:
        return distance(chosen[:, :n]) - distance(chosen[:, n:])

    to = {name: distance for name, distance in _to(target).items() if name != FLOOR}
    return {name: _resampled(pieces, both, partial(difference, distance)) for name, distance in to.items()}


def _to(target: Patches) -> dict[str, Callable[[Patches], float]]:
    """Distances of patches of takes and, last, of their excerpts: (n_patches, n_takes + 1, n_dims)."""
    reference = Normal.of(target)
    return {
        DISTANCE: lambda patches: _distance(reference, patches[:, :-1]),
        FLOOR: lambda patches: _distance(reference, patches[:, -1:]),
        TO_EXCERPTS: lambda patches: _distance(Normal.of(patches[:, -1]), patches[:, :-1]),
    }


def _patches(records: Sequence[Record]) -> tuple[Patches, list[str]]:
    """Of takes and, last, of their excerpts (n_patches, n_takes + 1, n_dims), and the recording of each patch.

    Nothing if the takes have more or fewer patches than the excerpts.
    """
    n_takes = min((len(record["takes"]) for record in records), default=0)
    made = [[record["takes"][i].get(EMBEDDING, []) for record in records] for i in range(n_takes)]
    real = [record.get(ORIGINAL, []) for record in records]
    pieces = [record["piece"] for record, patches in zip(records, real, strict=True) for _ in patches]
    if not pieces or any(len(a) != len(b) for take in made for a, b in zip(take, real, strict=True)):
        return np.zeros((0, 0, 0)), []
    return np.stack([_stacked(patches) for patches in (*made, real)], axis=1), pieces


def _distance(target: Normal, made: Patches) -> float:
    """Of each take, in the mean: (n_patches, n_takes, n_dims)."""
    return float(np.mean([target.distance(Normal.of(made[:, i])) for i in range(made.shape[1])]))


def _resampled(pieces: Sequence[str], values: Patches, figure: Callable[[Patches], float]) -> Estimate:
    """A figure of values, the first axis of which belongs to recordings, and its error."""
    names = sorted(set(pieces))
    groups = [np.flatnonzero(np.array(pieces) == name) for name in names]
    if len(names) < 2:
        return Estimate(figure(values), None)
    generator = np.random.default_rng(0)
    draws = generator.integers(len(names), size=(_N_RESAMPLED, len(names)))
    drawn = [figure(values[np.concatenate([groups[i] for i in draw])]) for draw in draws]
    return Estimate(figure(values), _half_width(len(names)) * float(np.std(drawn, ddof=1)))


def _half_width(n: int) -> float:
    """Of a 95 % interval, in standard deviations over n things drawn again.

    That is Student's, of n - 1 degrees of freedom; and what is drawn again varies less than what was drawn anew, by
    the square root of (n - 1) / n (Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 5).
    """
    from scipy.stats import t  # a second to import

    return float(t.ppf(0.975, n - 1)) * math.sqrt(n / (n - 1))


def _stacked(parts: Sequence[Sequence[Sequence[float]]]) -> Patches:
    """Patches of all parts: (n_patches, n_dims)."""
    found = [patch for part in parts for patch in part]
    return np.array(found, dtype=np.float64).reshape(len(found), -1 if found else 0)
