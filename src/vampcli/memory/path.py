"""A path through a recording that continues it: stretches of it, one after the other, that fit where they meet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from vampcli.audio.waveform import Samples
from vampcli.memory.features import Features
from vampcli.memory.search import (
    APART,
    QUERY,
    SIDE_S,
    Doubles,
    exact_lag,
    level_ratio,
    peaks,
    score_lags,
    surrounding_weights,
)

_USED = 0.15  # taken off the score for every time that a place was used before
_RUN_S, _SHORT_RUN = 15.0, 0.15  # a place nearer to the end of the recording loses up to so much of its score


@dataclass(frozen=True)
class Step:
    """One stretch of a path.

    Attributes:
        start: first sample of the recording.
        score: of the place, at the last jump.
        waveform_score: correlation of the waveforms before both, at the last jump.
        gain: factor on the samples where the stretch begins.
    """

    start: int
    score: float
    waveform_score: float
    gain: float


class PathFinder:
    """Finds paths that continue a recording after its end.

    A path plays on from where it is; at the end of the recording, or where a place was used often, it jumps to a place
    before which similar sound lies. Places that were used lose score, so the path spreads over the recording.

    Args:
        samples: float (n_channels, n_samples).
        sample_rate: in Hz.
        features: of the recording.
    """

    def __init__(self, samples: Samples, sample_rate: int, features: Features) -> None:
        self.samples, self.sample_rate, self.features = samples, sample_rate, features
        self._scores = lru_cache(maxsize=256)(self._compute_scores)

    def find(self, lengths: Sequence[int], variant: int = 0) -> list[Step]:
        """Return a path, or nothing if no stretch fits into the recording.

        Args:
            lengths: of the stretches, in samples.
            variant: the first jump goes to the best place, or to the next best ones.
        """
        hop, n_frames = self.features.hop, self.features.n_frames
        used = np.zeros(n_frames + 1)
        path: list[Step] = []
        at, last = self.samples.shape[1], Step(self.samples.shape[1], 0.0, 0.0, 1.0)
        for length in lengths:
            n = -(-length // hop)
            scores = self._values(at, n, used, last.start)
            if not np.isfinite(scores).any():
                return []
            found = peaks(np.arange(len(scores)), scores, 1 if path else variant + 1)
            frame, _ = found[min(variant, len(found) - 1) if not path else 0]
            plays_on = bool(path) and abs(frame - at // hop) < APART and at + length <= self.samples.shape[1]
            last = Step(at, last.score, last.waveform_score, 1.0) if plays_on else self._jump(at, frame, n)
            path.append(last)
            at = last.start + length
            used[last.start // hop : at // hop] += 1
        return path

    def _values(self, at: int, n: int, used: Doubles, before: int) -> Doubles:
        """Scores of all places for a stretch of `n` frames after sample `at`: float64 (n_frames - n + 1,)."""
        hop, n_frames = self.features.hop, self.features.n_frames
        frame = at // hop
        scores = self._scores(frame)[: max(0, n_frames - n + 1)].copy()
        count = np.concatenate([[0], np.cumsum(used[:n_frames])])
        starts = np.arange(len(scores))
        scores -= _USED * (count[starts + n] - count[starts]) / n
        left_s = (n_frames - starts) * hop / self.sample_rate
        scores -= _SHORT_RUN * np.clip(1 - left_s / _RUN_S, 0, 1)
        same = np.abs(starts - before // hop) < max(APART, QUERY // 4)
        if np.isfinite(scores[~same]).any():  # the same place twice in a row only if it is the only one
            scores[same] = -np.inf
        return scores

    def _compute_scores(self, frame: int) -> Doubles:
        """Correlation of what precedes each frame with what precedes a frame, by frame: float64 (n_frames,)."""
        values = self.features.values
        weights = surrounding_weights(self.features.n_frames, (frame, frame), after=False)
        lags, scores = score_lags(values, weights, (frame, frame))
        result = np.full(self.features.n_frames + 1, -np.inf)
        result[lags + frame] = scores
        result[:QUERY] = -np.inf
        return result[:-1]

    def _jump(self, at: int, frame: int, n: int) -> Step:
        """Return the step from sample `at` to a frame, with its exact lag and its gain."""
        hop, n_samples = self.features.hop, self.samples.shape[1]
        side = [(max(0, at - round(SIDE_S * self.sample_rate)), at)]
        lag, correlation = exact_lag(self.samples, side, frame * hop - at, hop)
        start = int(np.clip(at + lag, 0, max(0, n_samples - n * hop)))
        score = float(self._scores(at // hop)[frame])
        return Step(start, score, correlation, level_ratio(self.samples, side[0], start - at))
