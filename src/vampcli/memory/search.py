"""Search a recording for places whose surroundings match those of a span."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vampcli.audio.waveform import Samples
from vampcli.config import MOST_PLACES, Place
from vampcli.memory.features import Features, Floats

Doubles = npt.NDArray[np.float64]
Range = tuple[int, int]

QUERY = 115  # frames on each side, 2 s
APART = 8  # frames between two places
_LEAST_QUERY = 29  # frames in all: less says nothing
_FALLOFF = 38  # frames from the edge over which weights fall to 1/e
SIDE_S = 1.0  # of the waveform on each side, for the exact lag and the gain
_WAVEFORM_WEIGHT = 0.1  # of the waveforms' correlation beside the features'
_LEAST_SCORE, _TRUSTED_SCORE, _MOST_TRUST = 0.1, 0.4, 0.9
_MOST_GAIN = 2.0
_AXES_AT_ONCE = 8


def rank(place: Place) -> float:
    """Return the figure that places are sorted by."""
    return place.score + _WAVEFORM_WEIGHT * place.waveform_score


def trust_of(score: float) -> float:
    """Return how far a place of this score may stand for a span: 0 for chance, 0.9 for a repeat."""
    return min(_MOST_TRUST, max(0.0, (score - _LEAST_SCORE) / (_TRUSTED_SCORE - _LEAST_SCORE)))


@dataclass(frozen=True)
class Library:
    """A recording that is searched.

    Attributes:
        samples: float (n_channels, n_samples), at the rate and with the channels of the recording that has the span.
        features: by the basis of that recording.
        unknown: sample ranges that are generated: no place overlaps them.
        file: empty = the recording itself.
    """

    samples: Samples
    features: Features
    unknown: Sequence[Range] = ()
    file: str = ""


def find_places(own: Library, sample_rate: int, span: Range, library: Library | None = None) -> list[Place]:
    """Find places whose surroundings match those of a span, best first.

    Args:
        own: the recording that has the span, which is one of its unknown ranges.
        sample_rate: in Hz.
        span: sample range [start, end).
        library: to search; the recording itself by default.

    Returns:
        At most `MOST_PLACES`, none if too little is known around the span.

    Source: prior art in Perraudin et al., "Inpainting of long audio segments with similarity graphs" (2018).
    """
    library = library or own
    hop, (start, end) = own.features.hop, span
    sides = _sides(span, own.unknown, own.samples.shape[1], round(SIDE_S * sample_rate))
    found = []
    for lag, score in peaks(*_score_span(own, span, library)):
        exact, correlation = exact_lag(own.samples, sides, lag * hop, hop, library.samples)
        if _is_known((start + exact, end + exact), library.unknown, library.samples.shape[1]):
            found.append(_place(own, library, sides, exact, score, correlation))
    return sorted(found, key=rank, reverse=True)


def place_at(own: Library, sample_rate: int, span: Range, lag: int) -> Place:
    """Return the place of a recording at a lag, which must lie in it and outside its unknown ranges.

    Args:
        own: the recording that has the span.
        sample_rate: in Hz.
        span: sample range [start, end).
        lag: in samples.
    """
    lags, scores = _score_span(own, span, own)
    near = np.where(np.isfinite(scores), np.abs(lags - lag / own.features.hop), np.inf)
    score = float(scores[near.argmin()]) if np.isfinite(near).any() else 0.0
    sides = _sides(span, own.unknown, own.samples.shape[1], round(SIDE_S * sample_rate))
    _, correlation = exact_lag(own.samples, sides, lag, 0)
    return _place(own, own, sides, lag, score, correlation)


def _score_span(own: Library, span: Range, library: Library) -> tuple[npt.NDArray[np.int64], Doubles]:
    """Score all lags in a library for what surrounds a span; see `score_lags`."""
    hop = own.features.hop
    frames, hidden = _frames(span, hop), [_frames(one, hop) for one in library.unknown]
    weights = surrounding_weights(own.features.n_frames, frames, [_frames(one, hop) for one in own.unknown])
    return score_lags(own.features.values, weights, frames, library.features.values, hidden)


def _place(own: Library, library: Library, sides: Sequence[Range], lag: int, score: float, correlation: float) -> Place:
    gains = [level_ratio(own.samples, side, lag, library.samples) for side in sides] or [1.0]
    return Place(lag, score, correlation, (gains[0], gains[-1]), trust_of(score), library.file)


def _frames(samples: Range, hop: int) -> Range:
    return samples[0] // hop, -(-samples[1] // hop)


def surrounding_weights(n_frames: int, span: Range, hidden: Sequence[Range] = (), after: bool = True) -> Doubles:
    """Weights of the frames around a span, falling with the distance from it: float64 (n_frames,); 0 if hidden.

    Args:
        n_frames: of the recording.
        span: frame range [start, end).
        hidden: frame ranges whose features are unknown.
        after: count the frames after the span, too.
    """
    positions = np.arange(n_frames)
    distance = np.where(positions < span[0], span[0] - 1 - positions, positions - span[1])
    near = (distance >= 0) & (distance < QUERY) & (after | (positions < span[0]))
    weights = np.where(near, np.exp(-distance / _FALLOFF), 0.0)
    for start, end in hidden:
        weights[max(0, start) : end] = 0
    return weights


def score_lags(
    values: Floats, weights: Doubles, span: Range, there: Floats | None = None, hidden: Sequence[Range] = ()
) -> tuple[npt.NDArray[np.int64], Doubles]:
    """Correlate the frames that have weights with those of a recording at every lag.

    With q the features, w their weights and F the features of the recording at a lag L:
    S(L) = sum w q F / sqrt(sum w q^2 * sum w F^2).

    Args:
        values: float32 (n_features, n_frames).
        weights: float64 (n_frames,).
        span: frame range [start, end), which may lie beyond the values; at a lag, it must lie in the recording.
        there: of the recording, float32 (n_features, n_frames there); `values` by default.
        hidden: frame ranges of the recording that are unknown; at a lag, the span must not overlap them.

    Returns:
        Lags in frames, ascending, and their scores: -inf where a place is not allowed, or the weights are too few.
    """
    there = values if there is None else there
    n = there.shape[1]
    lags = np.arange(-span[0], n - span[1] + 1)
    used = np.flatnonzero(weights)
    if len(used) < _LEAST_QUERY or not len(lags):
        return lags, np.full(len(lags), -np.inf)
    known = np.ones(n, bool)
    for start, end in hidden:
        known[max(0, start) : end] = False
    first, last = int(used[0]), int(used[-1]) + 1
    inside = weights[first:last]

    # Correlate by FFT: index k of a result belongs to the lag k - first, cyclically.
    size = 1 << int(max(n, lags[-1] + first + 1) + 2 * (last - first)).bit_length()
    query = values[:, first:last] * inside.astype(np.float32)
    cross = np.zeros(size // 2 + 1, np.complex128)
    for i in range(0, len(there), _AXES_AT_ONCE):
        block, part = there[i : i + _AXES_AT_ONCE] * known, query[i : i + _AXES_AT_ONCE]
        cross += (np.fft.rfft(block, size) * np.fft.rfft(part, size).conj()).sum(0)
    energy = np.fft.rfft(np.einsum("ij,ij->j", there, there) * known, size) * np.fft.rfft(inside, size).conj()
    products, energies = (np.fft.irfft(spectrum, size)[lags + first] for spectrum in (cross, energy))
    own = float((query * values[:, first:last]).sum())
    scores = products / np.sqrt(np.maximum(energies * own, 1e-12 + 1e-6 * own**2))

    # At a lag, the span must not overlap hidden frames.
    n_hidden = np.concatenate([[0], np.cumsum(~known)])
    scores[n_hidden[lags + span[1]] > n_hidden[lags + span[0]]] = -np.inf
    return lags, scores


def peaks(lags: npt.NDArray[np.int64], scores: Doubles, most: int = MOST_PLACES) -> list[tuple[int, float]]:
    """Return the lags of the highest scores, which are at least `APART` frames apart, with their scores."""
    found: list[tuple[int, float]] = []
    scores = scores.copy()
    while len(found) < most and len(scores):
        best = int(scores.argmax())
        if not np.isfinite(scores[best]):
            break
        found.append((int(lags[best]), float(scores[best])))
        scores[max(0, best - APART) : best + APART + 1] = -np.inf
    return found


def exact_lag(
    samples: Samples, sides: Sequence[Range], lag: int, reach: int, there: Samples | None = None
) -> tuple[int, float]:
    """Return the lag within `reach` samples at which the waveforms agree best, and their correlation there.

    Args:
        samples: float (n_channels, n_samples).
        sides: sample ranges to compare with those at the lag.
        lag: in samples.
        reach: largest change of the lag.
        there: samples of the recording to compare with; `samples` by default.
    """
    n_lags = 2 * reach + 1
    total, own, energies = np.zeros(n_lags), 0.0, np.zeros(n_lags)
    for start, end in sides:
        query = samples[:, start:end].astype(np.float64)
        other = cut(samples if there is None else there, start + lag - reach, end + lag + reach).astype(np.float64)
        size = 1 << int(other.shape[1] - 1).bit_length()
        cross = np.fft.rfft(other, size) * np.fft.rfft(query, size).conj()
        total += np.fft.irfft(cross.sum(0), size)[:n_lags]
        running = np.concatenate([[0], np.cumsum(np.square(other).sum(0))])
        energies += running[end - start :][:n_lags] - running[:n_lags]
        own += float(np.square(query).sum())
    correlation = total / np.sqrt(np.maximum(own * energies, 1e-20))
    best = int(correlation.argmax()) if correlation.any() else reach
    return lag - reach + best, float(correlation[best])


def level_ratio(samples: Samples, side: Range, lag: int, there: Samples | None = None) -> float:
    """Return the RMS level of a range, without offset, over that at a lag, of `there` if given, from 0.5 to 2."""
    other = cut(samples if there is None else there, side[0] + lag, side[1] + lag)
    here, other = (part.var(axis=1, dtype=np.float64).sum() for part in (cut(samples, *side), other))
    return float(np.clip(np.sqrt((here + 1e-18) / (other + 1e-18)), 1 / _MOST_GAIN, _MOST_GAIN))


def cut(samples: Samples, start: int, stop: int) -> Samples:
    """Return samples [start, stop), zeros outside the recording."""
    inside = samples[:, max(0, start) : max(0, stop)]
    before = min(stop - start, max(0, -start))
    return np.pad(inside, ((0, 0), (before, stop - start - before - inside.shape[1])))


def _sides(span: Range, unknown: Sequence[Range], n_samples: int, longest: int) -> list[Range]:
    """Known samples before and after a span, at most `longest` each."""
    begin = max([0, span[0] - longest, *(end for _, end in unknown if end <= span[0])])
    finish = min([n_samples, span[1] + longest, *(start for start, _ in unknown if start >= span[1])])
    return [(start, end) for start, end in ((begin, span[0]), (span[1], finish)) if start < end]


def _is_known(place: Range, unknown: Sequence[Range], n_samples: int) -> bool:
    """Return whether a place lies in the recording and overlaps no unknown range."""
    inside = place[0] >= 0 and place[1] <= n_samples
    return inside and all(place[1] <= start or end <= place[0] for start, end in unknown)
