"""What is heard of a sound over time: the levels of bands, and how they change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from vampcli.audio.waveform import Samples, Waveform

Floats = npt.NDArray[np.floating[Any]]

Ranges = Sequence[tuple[int, int]]
"""Sample ranges [start, end), in order and apart."""

N_BANDS = 32
HOPS_PER_WINDOW = 4
_HALF_HOP_S = 0.0058  # a window of 46 ms tells notes apart, and an attack from the next
_HIGHEST_HZ = 16000
_FLOOR_DB = -70  # what is that far below the sound's mean is not heard
_FRAMES_AT_ONCE = 256
_LOUDEST = 1e6  # of samples; squares stay finite


@dataclass(frozen=True)
class Frames:
    """Powers of frames of a sound.

    Attributes:
        starts: int64 (n_frames,), the first sample of each.
        powers: float32 (n_frames, n_bands), the mean of all channels.
        sample_rate: in Hz.
    """

    starts: npt.NDArray[np.int64]
    powers: npt.NDArray[np.float32]
    sample_rate: int

    @property
    def power(self) -> Floats:
        """All bands together: float64 (n_frames,)."""
        total: Floats = self.powers.sum(axis=1, dtype=np.float64)
        return total

    def where(self, chosen: npt.NDArray[np.bool_]) -> Frames:
        """Some of them: bool (n_frames,)."""
        return Frames(self.starts[chosen], self.powers[chosen], self.sample_rate)

    def db(self, level: float) -> Floats:
        """Levels of the bands, floored at 70 dB below `level`, a power above 0: (n_frames, n_bands)."""
        levels: Floats = 10 * np.log10(self.powers.astype(np.float64) + level * 10 ** (_FLOOR_DB / 10))
        return levels

    def jumps(self, level: float) -> Floats:
        """How much sound changes from a window to the next, in dB on average over bands: (n_pairs,)."""
        first, second = self._pairs(HOPS_PER_WINDOW)
        db = self.db(level)
        change: Floats = np.abs(db[second] - db[first]).mean(axis=1)
        return change

    def attacks(self, level: float) -> tuple[Floats, Floats]:
        """When, in seconds, and how much sound rises within half a window, in dB on average over bands: (n_pairs,)."""
        first, second = self._pairs(HOPS_PER_WINDOW // 2)
        db = self.db(level)
        rise: Floats = np.maximum(db[second] - db[first], 0).mean(axis=1)
        return self.starts[first] / self.sample_rate, rise

    def _pairs(self, n_hops: int) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
        """Frames that have another one so many hops later, and those."""
        apart = self.starts[n_hops:] - self.starts[: max(0, len(self.starts) - n_hops)]
        first = np.flatnonzero(apart == n_hops * hop_of(self.sample_rate))
        return first, first + n_hops


def window_of(sample_rate: int) -> int:
    """Samples in a frame."""
    return HOPS_PER_WINDOW * hop_of(sample_rate)


def hop_of(sample_rate: int) -> int:
    """Samples from one frame to the next."""
    return 2 * max(1, round(_HALF_HOP_S * sample_rate))


def frames_in(audio: Waveform, ranges: Ranges) -> Frames:
    """Frames in ranges of samples [start, end); in a short one a single frame, around its middle."""
    window, hop = window_of(audio.sample_rate), hop_of(audio.sample_rate)
    rows = [
        np.arange(start, end - window + 1, hop) if end - start >= window else np.array([(start + end - window) // 2])
        for start, end in ranges
    ]
    return frames_at(audio, np.concatenate(rows) if rows else np.zeros(0, np.int64))


def frames_at(audio: Waveform, starts: npt.ArrayLike) -> Frames:
    """Frames that begin at the samples named; beyond the sound's ends there is silence."""
    rate = audio.sample_rate
    starts = np.asarray(starts, np.int64)
    blocks = range(0, len(starts), _FRAMES_AT_ONCE)
    bank = _bank(rate)
    powers = [_powers(audio.samples, starts[i : i + _FRAMES_AT_ONCE], bank) for i in blocks]
    return Frames(starts, np.concatenate([np.zeros((0, N_BANDS), np.float32), *powers]), rate)


def finite(samples: Samples) -> npt.NDArray[np.float32]:
    """The same in float32, with silence for what is no number, and nothing louder than float32 can square."""
    return np.clip(np.nan_to_num(samples), -_LOUDEST, _LOUDEST).astype(np.float32)


def _powers(samples: Samples, starts: npt.NDArray[np.int64], bank: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    from scipy.fft import rfft

    window = 2 * (len(bank) - 1)
    at = starts[:, None] + np.arange(window)
    outside = (at < 0) | (at >= samples.shape[1])
    hann = np.hanning(window + 2)[1:-1].astype(np.float32)
    powers = np.zeros((len(starts), N_BANDS), np.float32)
    for channel in samples:
        pieces = finite(channel.take(at, mode="clip")) * hann
        pieces[outside] = 0
        powers += np.abs(rfft(pieces, axis=1)) ** 2 @ bank
    return powers / np.float32(len(samples) * window**2)


def _bank(sample_rate: int) -> npt.NDArray[np.float32]:
    """How much each bin counts for each band: float32 (n_bins, n_bands)."""
    from torchaudio.functional import melscale_fbanks

    highest = min(_HIGHEST_HZ, sample_rate / 2)
    n_bins = window_of(sample_rate) // 2 + 1
    bank: npt.NDArray[np.float32] = melscale_fbanks(n_bins, 0.0, highest, N_BANDS, sample_rate).numpy()
    return bank
