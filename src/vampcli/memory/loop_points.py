"""Search a recording for loop points: pairs of samples whose surroundings are alike."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vampcli.audio.waveform import Samples
from vampcli.memory.features import Features, Floats
from vampcli.memory.search import cut, exact_lag

Doubles = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

NEAR_S = 0.5
"""Distance of the points from those that are named, at most."""

LONGEST_S = 30.0
"""Length of a loop, at most, if no span is named."""

MOST_FOUND = 5
_SHORTEST_S = 2.0  # likewise, if the recording is twice as long
_POOL = 4  # frames that are one in the search of a whole recording
_AROUND_S = 1.0  # compared on each side
_LEAST_S = 0.25  # of that, which both must have
_SIDE_S = 0.25  # of the waveforms, for the exact length
_WAVEFORM_WEIGHT = 0.1
_LONGER_WEIGHT = 0.02  # a loop of twice the length, if as good, repeats less
_NEARER_WEIGHT = 0.05  # half a second from the named start
_APART_S = 0.25
_GRID_S = 0.040  # distance of a start from a beat and of a length from a whole number of bars, at most
_SILENT = 1e-6  # power relative to the loudest frame
_TRUSTED = 0.5  # correlation of the waveforms; below it they do not tell the exact length
_ATTACK_S = 0.010  # over which the power before and after an attack is measured
_NEAR_BEAT_S = 0.060  # distance of an attack from its beat, at most
_ATTACK = 4.0  # times the power
_BEFORE_ATTACK_S = 0.002


@dataclass(frozen=True)
class LoopPoints:
    """A loop in a recording.

    Attributes:
        start: first sample.
        end: one past the last.
        score: correlation of the features around both, at most 1.
        waveform_score: correlation of the waveforms around both.
    """

    start: int
    end: int
    score: float
    waveform_score: float

    @property
    def rank(self) -> float:
        """The figure that loop points are sorted by."""
        length = np.log2(max(1, self.end - self.start))
        return self.score + _WAVEFORM_WEIGHT * self.waveform_score + _LONGER_WEIGHT * float(length)


@dataclass(frozen=True)
class Meter:
    """Musical time, in samples.

    Attributes:
        starts: beats at which a loop may start.
        unit: length of which a loop has a whole number: of a bar or a beat.
    """

    starts: tuple[float, ...]
    unit: float

    def nearest(self, lengths: npt.ArrayLike) -> Doubles:
        """Return the whole number of units, one or more, that is nearest to each length."""
        return np.maximum(1, np.round(np.asarray(lengths) / self.unit)) * self.unit

    def nearest_beat(self, start: int) -> int:
        """Return the beat that is nearest to a sample; 0 if it is before the recording."""
        nearest: float = min(self.starts, key=lambda beat: abs(beat - start))
        return max(0, round(nearest))


def find_loop_points(
    samples: Samples,
    sample_rate: int,
    features: Features,
    near: tuple[int, int] | None = None,
    meter: Meter | None = None,
) -> list[LoopPoints]:
    """Return the best loop points, best first: at most `MOST_FOUND`, none if nothing is alike.

    Args:
        samples: float (n_channels, n_samples).
        sample_rate: in Hz.
        features: of the samples.
        near: samples [start, end) that the points lie within half a second of; None = anywhere.
        meter: loops start on its beats and have a whole number of its units; None = any start and length.
    """
    n = samples.shape[1]
    if near is None:
        pool, (starts, lags) = _POOL, _whole_ranges(n, sample_rate, features.hop * _POOL)
    else:
        pool, (starts, lags) = 1, _near_ranges(near, n, sample_rate, features.hop, meter)
    hop = features.hop * pool
    around, apart = (max(1, round(seconds * sample_rate / hop)) for seconds in (_AROUND_S, _APART_S))
    values, loud = _pooled(features.values, pool), _loud(samples, hop)
    table = _score_table(values, hop, sample_rate, starts, lags, around, meter)
    table[:, ~loud[np.minimum(starts, len(loud) - 1)]] = -np.inf
    if near is None:
        table += _LONGER_WEIGHT * np.log2(lags)[:, None]
    else:
        table -= _NEARER_WEIGHT * np.abs(starts * hop - near[0]) / (NEAR_S * sample_rate)
    found = [
        _refined(samples, sample_rate, features, int(starts[column] * hop), int(lags[row] * hop), hop, meter)
        for row, column in _peaks(table, apart)
    ]
    alike = {(one.start, one.end): one for one in found if one}
    return sorted(alike.values(), key=lambda one: one.rank, reverse=True)[:MOST_FOUND]


def _score_table(
    values: Floats, hop: int, sample_rate: int, starts: Ints, lags: Ints, around: int, meter: Meter | None
) -> Doubles:
    """Score all lengths and starts, in frames: float64 (n_lags, n_starts), -inf where that is not allowed."""
    table = np.full((len(lags), len(starts)), -np.inf)
    if not table.size:
        return table
    allowed, slack = np.ones(len(starts), bool), _GRID_S * sample_rate + hop / 2
    if meter is not None:
        distances = np.abs(starts[:, None] * hop - np.asarray(meter.starts, np.float64)[None])
        allowed = distances.min(axis=1, initial=np.inf) <= slack
        lags = np.where(np.abs(lags * hop - meter.nearest(lags * hop)) <= slack, lags, 0)
    least = max(1, round(_LEAST_S * sample_rate / hop))
    for row in np.flatnonzero(lags):
        table[row] = np.where(allowed, score_starts(values, int(lags[row]), starts, around, least), -np.inf)
    return table


def score_starts(values: Floats, lag: int, starts: Ints, around: int, least: int) -> Doubles:
    """Correlate what surrounds each start with what surrounds the frame at a lag: float64 (n_starts,).

    With F the features and w weights that fall with the distance from the start s:
    S(s) = sum w F(t) F(t + lag) / sqrt(sum w F(t)^2 * sum w F(t + lag)^2), over the frames t that both have.

    Args:
        values: float32 (n_features, n_frames).
        lag: in frames, above 0.
        starts: frames.
        around: frames on each side.
        least: frames that both must have, or the score is -inf.
    """
    n = values.shape[1] - lag
    first, last = max(0, int(starts[0]) - around), min(n, int(starts[-1]) + around)
    if last - first < least:
        return np.full(len(starts), -np.inf)
    here, there = values[:, first:last], values[:, first + lag : last + lag]
    weights = np.exp(-np.abs(np.arange(-around, around) + 0.5) / (around / 2))
    sums = [
        np.convolve(np.einsum("ij,ij->j", a, b), weights[::-1])
        for a, b in ((here, there), (here, here), (there, there))
    ]
    # Element k of a full convolution is the sum around the frame first + k - around + 1 ...
    at = starts - first + around - 1
    inside = (at >= 0) & (at < len(sums[0]))
    cross, own, other = (np.where(inside, one[np.clip(at, 0, len(one) - 1)], 0.0) for one in sums)
    count = np.minimum(starts + around, last) - np.maximum(starts - around, first)
    score = cross / np.sqrt(np.maximum(own * other, 1e-12))
    return np.where((count >= least) & inside, score, -np.inf)


def _near_ranges(near: tuple[int, int], n: int, sample_rate: int, hop: int, meter: Meter | None) -> tuple[Ints, Ints]:
    """Frames at which a loop near a named one may start, and its lengths in frames."""
    length = near[1] - near[0]
    reach = min(round(NEAR_S * sample_rate), length // 4)  # a short loop stays about as long
    first = reach if meter else reach // 2  # an attack may lie as far from a start that is on no beat
    starts = np.arange(-(-max(0, near[0] - first) // hop), min(n, near[0] + first) // hop + 1)
    return starts, np.arange(max(1, (length - reach) // hop), (length + reach) // hop + 1)


def _whole_ranges(n: int, sample_rate: int, hop: int) -> tuple[Ints, Ints]:
    """Frames at which a loop may start, and its lengths in frames."""
    shortest = min(_SHORTEST_S * sample_rate, n / 4)
    return np.arange(n // hop), np.arange(
        max(1, round(shortest / hop)), int(min(n, LONGEST_S * sample_rate)) // hop + 1
    )


def _pooled(values: Floats, pool: int) -> Floats:
    """Mean of every `pool` frames: float32 (n_features, n_frames // pool)."""
    n = values.shape[1] // pool
    return np.asarray(values[:, : n * pool].reshape(len(values), n, pool).mean(axis=2))


def _loud(samples: Samples, hop: int) -> npt.NDArray[np.bool_]:
    """Return whether a frame has sound: bool (n_frames,), at least one."""
    n = max(1, samples.shape[1] // hop)
    padded = samples[:, : n * hop]
    power = np.zeros(n)
    for channel in padded:
        power += np.add.reduceat(np.square(channel, dtype=np.float64), np.arange(0, len(channel), hop))[:n]
    return np.asarray(power > _SILENT * power.max())


def _peaks(table: Doubles, apart: int) -> list[tuple[int, int]]:
    """Return rows and columns of the highest scores, each `apart` from the others in either."""
    found: list[tuple[int, int]] = []
    while len(found) < 2 * MOST_FOUND and table.size:
        row, column = (int(i) for i in np.unravel_index(table.argmax(), table.shape))
        if not table[row, column] > -np.inf:
            break
        found.append((row, column))
        table[max(0, row - apart) : row + apart + 1, max(0, column - apart) : column + apart + 1] = -np.inf
    return found


def _refined(
    samples: Samples, sample_rate: int, features: Features, start: int, lag: int, reach: int, meter: Meter | None
) -> LoopPoints | None:
    """Refine loop points to the sample; None if they do not lie in the recording.

    Args:
        samples: float (n_channels, n_samples).
        sample_rate: in Hz.
        features: of the samples.
        start: first sample, roughly.
        lag: length, roughly.
        reach: largest change of either.
        meter: a length that the waveforms do not tell is a whole number of its units.
    """
    n, hop, side = samples.shape[1], features.hop, round(_SIDE_S * sample_rate)
    around = max(1, round(_AROUND_S * sample_rate / hop))
    starts = np.arange(max(0, start - reach) // hop, (start + reach) // hop + 1)
    lags = np.arange(max(1, (lag - reach) // hop), (lag + reach) // hop + 1)
    table = _score_table(features.values, hop, sample_rate, starts, lags, around, meter)
    row, column = np.unravel_index(table.argmax(), table.shape)
    score, lag = float(table[row, column]), min(n, int(lags[row]) * hop)
    start = min(n - lag, int(starts[column]) * hop)
    exact, correlation = exact_lag(samples, [(max(0, start - side), min(start + side, n - lag))], lag, hop)
    if meter is not None and correlation < _TRUSTED:
        exact = round(float(meter.nearest(lag)))
    if not np.isfinite(score) or not 0 < exact <= n:
        return None
    within = round(_NEAR_BEAT_S * sample_rate) if meter else min(round(NEAR_S / 2 * sample_rate), exact // 8)
    start = min(meter.nearest_beat(start) if meter else start, n - exact)
    start = _best_start(samples, sample_rate, start, exact, within)
    return LoopPoints(start, start + exact, score, correlation)


def _best_start(samples: Samples, sample_rate: int, start: int, lag: int, reach: int) -> int:
    """Return a start where both points differ least: just before the steepest attack within reach, or near `start`."""
    most = samples.shape[1] - lag
    first, last = max(0, start - reach), min(most, start + reach)
    side, ahead = round(_ATTACK_S * sample_rate), round(_BEFORE_ATTACK_S * sample_rate)
    # Power of the first difference, in which attacks stand out, after and before each sample.
    sound = np.diff(cut(samples, first - side - 1, last + side).astype(np.float64), axis=1)
    power = np.concatenate([[0.0], np.cumsum(np.square(sound).sum(axis=0))])
    means = power[side:] - power[:-side]
    rise = means[side:] / np.maximum(means[:-side], 1e-3 * max(means.max(), 1e-20))
    if rise.max() >= _ATTACK:
        attack = first + int(rise.argmax())
        first, last = max(first, attack - ahead), max(first, attack - ahead // 2)
    else:
        first, last = max(0, start - side), min(most, start + side)
    apart = cut(samples, first - ahead, last + ahead + 1) - cut(samples, first - ahead + lag, last + ahead + 1 + lag)
    error = np.concatenate([[0.0], np.cumsum(np.square(apart, dtype=np.float64).sum(axis=0))])
    window = 2 * ahead + 1
    return first + int((error[window:] - error[:-window]).argmin())
