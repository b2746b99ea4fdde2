"""Loudness (ITU-R BS.1770) and the gain to the models' level, in blocks: memory does not grow with length."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torchaudio.functional import highpass_biquad, treble_biquad

from vampcli.audio.waveform import Samples

TARGET_LUFS = -24.0
QUIETEST_LUFS = -60.0
SHORTEST_MEASURED_S = 0.4

_GATES_AT_ONCE = 50  # 5 s
_QUIETEST_GATE_LUFS = -70.0
_OFFSET_DB = -0.691
_CHANNEL_WEIGHTS = np.array([1, 1, 1, 1.41, 1.41])
_LOUDEST_FILTERED = 0.25  # peak; torchaudio's filters clip at full scale

Ranges = Sequence[tuple[int, int]]
"""Sample ranges [start, end)."""


def level_gain(samples: Samples, sample_rate: int, spans: Ranges = ()) -> float:
    """Return the gain that brings the kept audio to -24 LUFS, or less if peaks would exceed full scale.

    Args:
        samples: float (n_channels, n_samples), at most 5 channels.
        sample_rate: in Hz.
        spans: sample ranges [start, end) to ignore, unless under 0.4 s remain.

    Returns:
        A factor; 1 for audio under 0.4 s or below -60 LUFS.
    """
    kept, shortest = _complement(spans, samples.shape[1]), SHORTEST_MEASURED_S * sample_rate
    if _length(kept) < shortest:
        kept = [(0, samples.shape[1])]
    if _length(kept) < shortest:
        return 1.0
    lufs = loudness(samples, sample_rate, kept)
    if not lufs >= QUIETEST_LUFS:
        return 1.0
    return min(10 ** ((TARGET_LUFS - lufs) / 20), 1 / _peak(samples, kept))


def loudness(samples: Samples, sample_rate: int, kept: Ranges | None = None) -> float:
    """Measure the loudness of a recording, or of ranges of it laid end to end.

    Args:
        samples: float (n_channels, n_samples) of any volume, at most 5 channels.
        sample_rate: in Hz.
        kept: ranges to measure, at least 0.4 s in all; everything by default.

    Returns:
        LUFS; -inf if nothing is louder than -70.

    Source: ITU-R BS.1770-4, with the filters of torchaudio.functional.loudness.
    """
    kept = [(0, samples.shape[1])] if kept is None else kept
    peak = _peak(samples, kept)
    if peak == 0.0:
        return -math.inf
    scale = min(1.0, _LOUDEST_FILTERED / peak)
    energies = np.concatenate(list(_gate_energies(samples, sample_rate, kept, scale)), axis=1) / scale**2
    powers = _CHANNEL_WEIGHTS[: len(energies)] @ energies
    powers = powers[powers > 10 ** ((_QUIETEST_GATE_LUFS - _OFFSET_DB) / 10)]
    if not len(powers):
        return -math.inf
    return float(_OFFSET_DB + 10 * np.log10(powers[powers > powers.mean() / 10].mean()))  # 10 dB below the mean


def _gate_energies(samples: Samples, sample_rate: int, kept: Ranges, scale: float) -> Iterator[npt.NDArray[np.float64]]:
    """Yield mean squares of the K-weighted audio in gates of 0.4 s every 0.1 s: float64 (n_channels, n_gates)."""
    gate = round(SHORTEST_MEASURED_S * sample_rate)
    step = round(gate / 4)
    n_gates = (_length(kept) - gate) // step + 1
    for first in range(0, n_gates, _GATES_AT_ONCE):
        last = min(first + _GATES_AT_ONCE, n_gates) - 1
        begin = max(0, first * step - gate)  # early enough: the filters decay within 0.1 s
        block = torch.from_numpy(_cut(samples, kept, begin, last * step + gate).astype(np.float64) * scale)
        block = treble_biquad(block, sample_rate, 4.0, 1500.0, 1 / math.sqrt(2))
        block = highpass_biquad(block, sample_rate, 38.0, 0.5)[:, first * step - begin :]
        yield block.square().unfold(-1, gate, step).mean(-1).numpy()


def _complement(spans: Ranges, n_samples: int) -> list[tuple[int, int]]:
    """Ranges that no span covers, in order."""
    kept, covered = [], 0
    for start, end in sorted([*spans, (n_samples, n_samples)]):
        if start > covered:
            kept.append((covered, start))
        covered = max(covered, end)
    return kept


def _length(ranges: Ranges) -> int:
    return sum(end - start for start, end in ranges)


def _peak(samples: Samples, ranges: Ranges) -> float:
    parts = [samples[:, start:end] for start, end in ranges]
    return float(max(max(part.max(), -part.min()) for part in parts))


def _cut(samples: Samples, ranges: Ranges, start: int, stop: int) -> Samples:
    """Samples [start, stop) of the ranges laid end to end."""
    parts, offset = [], 0
    for begin, end in ranges:
        parts.append(samples[:, begin:end][:, max(0, start - offset) : max(0, stop - offset)])
        offset += end - begin
    return np.concatenate(parts, axis=1)
