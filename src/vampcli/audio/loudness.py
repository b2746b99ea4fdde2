"""Loudness (ITU-R BS.1770) and the gain to the models' level, in blocks: memory does not grow with length."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from vampcli.audio.biquad import high_shelf, highpass
from vampcli.audio.ranges import split_range
from vampcli.audio.waveform import Samples

if TYPE_CHECKING:
    from torch import Tensor

TARGET_LUFS = -24.0
QUIETEST_LUFS = -60.0
SHORTEST_MEASURED_S = 0.4

_GATES_AT_ONCE = 50  # 5 s
_QUIETEST_GATE_LUFS = -70.0
_OFFSET_DB = -0.691
_CHANNEL_WEIGHTS = np.array([1, 1, 1, 1.41, 1.41])
_LOUDEST_FILTERED = 0.25  # peak; torchaudio's filters clip at full scale
_BLOCK = 2**19  # samples mixed at once

Ranges = Sequence[tuple[int, int]]
"""Sample ranges [start, end)."""

Mix = Callable[[Samples], Samples]
"""Mixes channels: float (n_channels, n_samples) -> (n_mixed, n_samples)."""


def level_gain(samples: Samples, sample_rate: int, spans: Ranges = ()) -> float:
    """Return the gain that brings the kept audio to -24 LUFS, or less if peaks would exceed full scale.

    Args:
        samples: float (n_channels, n_samples), at most 5 channels.
        sample_rate: in Hz.
        spans: sample ranges [start, end) to ignore, unless under 0.4 s remain.

    Returns:
        A factor; 1 for audio under 0.4 s or below -60 LUFS.
    """
    kept, shortest = complement(spans, samples.shape[1]), SHORTEST_MEASURED_S * sample_rate
    if _length(kept) < shortest:
        kept = [(0, samples.shape[1])]
    if _length(kept) < shortest:
        return 1.0
    lufs = loudness(samples, sample_rate, kept)
    if not lufs >= QUIETEST_LUFS:
        return 1.0
    return min(10 ** ((TARGET_LUFS - lufs) / 20), 1 / _peak(samples, kept))


def gain_at_any_level(samples: Samples, sample_rate: int, spans: Ranges, mix: Mix) -> float:
    """Return the gain that brings the loudest channel of a mix to -24 LUFS, or less if peaks would exceed full scale.

    Args:
        samples: float (n_channels, n_samples).
        sample_rate: in Hz.
        spans: sample ranges [start, end) to ignore, unless nothing else is there.
        mix: makes the channels whose loudness counts.

    Returns:
        A factor; 1 for silence.
    """
    kept = complement(spans, samples.shape[1]) or [(0, samples.shape[1])]
    peak = _peak(samples, kept, mix)
    if peak == 0.0:
        return 1.0
    powers = _gate_powers(samples, sample_rate, kept, peak, mix)
    loudest = max(_gated(channel[channel > 0]) for channel in powers)
    return float(min(10 ** ((TARGET_LUFS - loudest) / 20), 1 / peak))


def weighted_powers(samples: Samples, sample_rate: int) -> npt.NDArray[np.float64]:
    """Return the mean square of each channel after the K-weighting filters: float (n_channels, n) -> (n_channels,)."""
    return np.array([_weighted_power(channel.astype(np.float64), sample_rate) for channel in samples])


def _weighted_power(channel: npt.NDArray[np.float64], sample_rate: int) -> float:
    peak = float(np.abs(channel).max(initial=0.0))
    if peak == 0.0:
        return 0.0
    scale = _LOUDEST_FILTERED / peak
    return float(_weigh(channel * scale, sample_rate).square().mean()) / scale**2


def loudness(samples: Samples, sample_rate: int, kept: Ranges | None = None, quick: bool = False) -> float:
    """Measure the loudness of a recording, or of ranges of it laid end to end.

    Args:
        samples: float (n_channels, n_samples) of any volume, at most 5 channels.
        sample_rate: in Hz.
        kept: ranges to measure, at least 0.4 s in all; everything by default.
        quick: filter by Fourier transforms, without torch; the last digits differ, so no gain is computed from it.

    Returns:
        LUFS; -inf if nothing is louder than -70.

    Source: ITU-R BS.1770-4, with the filters of torchaudio.functional.loudness.
    """
    kept = [(0, samples.shape[1])] if kept is None else kept
    peak = _peak(samples, kept)
    if peak == 0.0:
        return -math.inf
    energies = _gate_powers(samples, sample_rate, kept, max(peak, _LOUDEST_FILTERED), quick=quick)
    powers = _CHANNEL_WEIGHTS[: len(energies)] @ energies
    return _gated(powers[powers > 10 ** ((_QUIETEST_GATE_LUFS - _OFFSET_DB) / 10)])


def _gated(powers: npt.NDArray[np.float64]) -> float:
    """LUFS of gates above the absolute threshold; -inf if there are none."""
    if not len(powers):
        return -math.inf
    return float(_OFFSET_DB + 10 * np.log10(powers[powers > powers.mean() / 10].mean()))  # 10 dB below the mean


def _gate_powers(
    samples: Samples, sample_rate: int, kept: Ranges, peak: float, mix: Mix | None = None, quick: bool = False
) -> npt.NDArray[np.float64]:
    """Mean squares of the K-weighted audio in all gates: float64 (n_channels, n_gates)."""
    scale = _LOUDEST_FILTERED / peak
    return np.concatenate(list(_gate_energies(samples, sample_rate, kept, scale, mix, quick)), axis=1) / scale**2


def _gate_energies(
    samples: Samples, sample_rate: int, kept: Ranges, scale: float, mix: Mix | None, quick: bool
) -> Iterator[npt.NDArray[np.float64]]:
    """Yield mean squares of the K-weighted audio in gates of 0.4 s every 0.1 s: float64 (n_channels, n_gates).

    Less than 0.4 s is one gate.
    """
    gate = min(round(SHORTEST_MEASURED_S * sample_rate), _length(kept))
    step = max(1, round(gate / 4))
    n_gates = (_length(kept) - gate) // step + 1
    for first in range(0, n_gates, _GATES_AT_ONCE):
        last = min(first + _GATES_AT_ONCE, n_gates) - 1
        begin = max(0, first * step - gate)  # early enough: the filters decay within 0.1 s
        block = _cut(samples, kept, begin, last * step + gate)
        block = (mix(block) if mix else block).astype(np.float64) * scale
        if quick:
            power = np.square(_weigh_by_fft(block, sample_rate, gate)[:, first * step - begin :])
            yield sliding_window_view(power, gate, axis=1)[:, ::step].mean(-1)
            continue
        weighted = _weigh(block, sample_rate)[:, first * step - begin :]
        yield weighted.square().unfold(-1, gate, step).mean(-1).numpy()


def _weigh(samples: npt.NDArray[np.float64], sample_rate: int) -> Tensor:
    """Apply the K-weighting filters: float64 (..., n_samples), whose peak stays below `_LOUDEST_FILTERED`."""
    import torch  # not at the start: plans need no loudness
    from torchaudio.functional import highpass_biquad, treble_biquad

    treble = treble_biquad(torch.from_numpy(samples), sample_rate, 4.0, 1500.0, 1 / math.sqrt(2))
    weighted: Tensor = highpass_biquad(treble, sample_rate, 38.0, 0.5)
    return weighted


def _weigh_by_fft(samples: npt.NDArray[np.float64], sample_rate: int, decay: int) -> npt.NDArray[np.float64]:
    """Apply the K-weighting filters without torch: float64 (..., n_samples); their response ends within `decay`."""
    n = samples.shape[-1]
    size = 1 << (n + decay - 1).bit_length()
    delay = np.exp(-2j * np.pi * np.fft.rfftfreq(size))  # by one sample
    response = np.ones(len(delay), np.complex128)
    for b, a in (high_shelf(sample_rate, 1500.0, 1 / math.sqrt(2), 4.0), highpass(sample_rate, 38.0, 0.5)):
        response = response * np.polyval(b[::-1], delay) / np.polyval(a[::-1], delay)
    return np.fft.irfft(np.fft.rfft(samples, size) * response, size)[..., :n]


def complement(spans: Ranges, n_samples: int) -> list[tuple[int, int]]:
    """Return the ranges of samples that no span covers, in order."""
    kept, covered = [], 0
    for start, end in sorted([*spans, (n_samples, n_samples)]):
        if start > covered:
            kept.append((covered, start))
        covered = max(covered, end)
    return kept


def _length(ranges: Ranges) -> int:
    return sum(end - start for start, end in ranges)


def _peak(samples: Samples, ranges: Ranges, mix: Mix | None = None) -> float:
    blocks = [block for start, end in ranges for block in split_range(start, end, _BLOCK if mix else end - start)]
    parts = (samples[:, start:end] for start, end in blocks)
    return float(max(max(part.max(), -part.min()) for part in (map(mix, parts) if mix else parts)))


def _cut(samples: Samples, ranges: Ranges, start: int, stop: int) -> Samples:
    """Samples [start, stop) of the ranges laid end to end."""
    parts, offset = [], 0
    for begin, end in ranges:
        parts.append(samples[:, begin:end][:, max(0, start - offset) : max(0, stop - offset)])
        offset += end - begin
    return np.concatenate(parts, axis=1)
