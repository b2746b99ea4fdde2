"""Exact times of attacks near onsets: where the level rises the most."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating[Any]]

_BEFORE_S, _AFTER_S = 0.010, 0.060  # searched around an onset: onsets are found early
_SIDE_S = 0.004  # the levels before and after a sample are those of so much sound
_EQUAL_DB = 0.2  # before a click of one sample, all rises that hold it are equal: the last counts
_FLOOR_DB = -45.0  # below the loudest sound around an onset, the level does not count


def refine(samples: Floats, sample_rate: int, onsets_s: Iterable[float]) -> tuple[float, ...]:
    """Return the attack near each onset, in seconds, ascending; onsets with the same attack give one.

    Args:
        samples: float (n_channels, n_samples).
        sample_rate: in Hz.
        onsets_s: in seconds.
    """
    return tuple(sorted({_attack(samples, sample_rate, onset) for onset in onsets_s}))


def _attack(samples: Floats, rate: int, onset_s: float) -> float:
    """Return the time near an onset at which the level rises the most."""
    n, side = samples.shape[1], max(1, round(_SIDE_S * rate))
    first = min(max(0, round((onset_s - _BEFORE_S) * rate)), n - 1)
    last = min(n, round((onset_s + _AFTER_S) * rate))
    begin = max(0, first - side - 1)
    part = samples[:, begin : last + side].astype(np.float64)
    at = np.arange(first, max(first + 1, last)) - begin
    # Differences between samples weigh high frequencies: attacks have more of these than the notes that ring on. The
    # samples themselves show the attacks that have none. In a low note, one rises when the other falls.
    steps = np.diff(part, axis=1, prepend=part[:, :1] if begin else 0.0)
    rise = sum(_rise_db(x, side)[at] for x in (part, steps))
    if not np.any(rise):
        return onset_s
    return float(first + int(np.flatnonzero(rise >= np.max(rise) - _EQUAL_DB)[-1])) / rate


def _rise_db(samples: Floats, side: int) -> Floats:
    """Return the level after each sample over the level before it, in dB (n_samples,); outside there is silence."""
    energy = np.pad((samples**2).sum(axis=0), side)
    total = np.concatenate([[0.0], np.cumsum(energy)])
    mean = np.maximum(0.0, total[side:] - total[:-side])  # of `side` samples, from i - side on
    floor = 10 ** (_FLOOR_DB / 10) * mean.max()
    if floor == 0:
        return np.zeros(samples.shape[1])
    level: Floats = 10 * np.log10(mean + floor)
    return level[side:][: samples.shape[1]] - level[: samples.shape[1]]
