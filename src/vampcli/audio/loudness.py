"""How loud a recording is (ITU-R BS.1770), and the gain to the models' level; a piece at a time, at any length."""

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
_LOUDEST_FILTERED = 0.25  # peak; torchaudio's filters clamp at full scale

Ranges = Sequence[tuple[int, int]]
"""Sample ranges [start, end)."""


def level_gain(samples: Samples, sample_rate: int, spans: Ranges = ()) -> float:
    """Find the gain that brings what is kept to -24 LUFS, or less where peaks would pass full scale.

    Args:
        samples: float (n_channels, n_samples), at most 5 channels.
        sample_rate: in Hz.
        spans: sample ranges [start, end) that must not matter. Where under 0.4 s remain, all matters.

    Returns:
        A factor; 1 for audio under 0.4 s or below -60 LUFS. Undo it with its inverse.
    """
    kept, shortest = _outside(spans, samples.shape[1]), SHORTEST_MEASURED_S * sample_rate
    if _length(kept) < shortest:
        kept = [(0, samples.shape[1])]
    if _length(kept) < shortest:
        return 1.0
    lufs = loudness(samples, sample_rate, kept)
    if not lufs >= QUIETEST_LUFS:
        return 1.0
    return min(10 ** ((TARGET_LUFS - lufs) / 20), 1 / _peak(samples, kept))


def loudness(samples: Samples, sample_rate: int, kept: Ranges | None = None) -> float:
    """Measure the loudness of a recording, or of parts of it laid end to end; nothing of its length is copied.

    Args:
        samples: float (n_channels, n_samples) of any volume, at most 5 channels.
        sample_rate: in Hz.
        kept: what is measured, at least 0.4 s in all; everything by default.

    Returns:
        LUFS; -inf where nothing is louder than -70.

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
    """Mean squares, filtered as the ear does, of gates of 0.4 s, one each 0.1 s: float64 (n_channels, n_gates)."""
    gate = round(SHORTEST_MEASURED_S * sample_rate)
    step = round(gate / 4)
    n_gates = (_length(kept) - gate) // step + 1
    for first in range(0, n_gates, _GATES_AT_ONCE):
        last = min(first + _GATES_AT_ONCE, n_gates) - 1
        begin = max(0, first * step - gate)  # long before: the filters forget within 0.1 s
        piece = torch.from_numpy(_cut(samples, kept, begin, last * step + gate).astype(np.float64) * scale)
        piece = treble_biquad(piece, sample_rate, 4.0, 1500.0, 1 / math.sqrt(2))
        piece = highpass_biquad(piece, sample_rate, 38.0, 0.5)[:, first * step - begin :]
        yield piece.square().unfold(-1, gate, step).mean(-1).numpy()


def _outside(spans: Ranges, n_samples: int) -> list[tuple[int, int]]:
    """What no span covers, in order."""
    kept, place = [], 0
    for start, end in sorted(spans):
        if start > place:
            kept.append((place, start))
        place = max(place, end)
    return [*kept, (place, n_samples)] if place < n_samples else kept


def _length(ranges: Ranges) -> int:
    return sum(end - start for start, end in ranges)


def _peak(samples: Samples, ranges: Ranges) -> float:
    pieces = [samples[:, start:end] for start, end in ranges]
    return float(max(max(piece.max(), -piece.min()) for piece in pieces))


def _cut(samples: Samples, ranges: Ranges, start: int, stop: int) -> Samples:
    """Samples [start, stop) of the ranges laid end to end."""
    pieces, place = [], 0
    for begin, end in ranges:
        pieces.append(samples[:, begin:end][:, max(0, start - place) : max(0, stop - place)])
        place += end - begin
    return np.concatenate(pieces, axis=1)
