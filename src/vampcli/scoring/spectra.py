"""Power spectra of frames of a sound, in mel bands, and their changes over time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from vampcli.audio.spectra import power_spectra
from vampcli.audio.waveform import Waveform

Floats = npt.NDArray[np.floating[Any]]

Ranges = Sequence[tuple[int, int]]
"""Sample ranges [start, end), in order and disjoint."""

N_BANDS = 32
HOPS_PER_WINDOW = 4
_HALF_HOP_S = 0.0058  # a window of 46 ms resolves notes, and separates consecutive attacks
_HIGHEST_HZ = 16000
_FLOOR_DB = -70  # below the sound's mean, inaudible
_FRAMES_AT_ONCE = 256


@dataclass(frozen=True)
class Frames:
    """Powers of frames in bands.

    Attributes:
        starts: int64 (n_frames,), first samples.
        powers: float32 (n_frames, n_bands), means over channels.
        sample_rate: in Hz.
    """

    starts: npt.NDArray[np.int64]
    powers: npt.NDArray[np.float32]
    sample_rate: int

    @property
    def power(self) -> Floats:
        """Sum over bands: float64 (n_frames,)."""
        total: Floats = self.powers.sum(axis=1, dtype=np.float64)
        return total

    def where(self, chosen: npt.NDArray[np.bool_]) -> Frames:
        """Select frames by a mask: bool (n_frames,)."""
        return Frames(self.starts[chosen], self.powers[chosen], self.sample_rate)

    def db(self, level: float) -> Floats:
        """Return the bands in dB, floored at 70 dB below `level`, a power above 0: (n_frames, n_bands)."""
        levels: Floats = 10 * np.log10(self.powers.astype(np.float64) + level * 10 ** (_FLOOR_DB / 10))
        return levels

    def jumps(self, level: float) -> Floats:
        """Return the change from each window to the next, in dB, mean over bands: (n_pairs,)."""
        n = HOPS_PER_WINDOW
        apart = self.starts[n:] - self.starts[: max(0, len(self.starts) - n)]
        first = np.flatnonzero(apart == n * hop_of(self.sample_rate))  # frames with another right after their window
        db = self.db(level)
        change: Floats = np.abs(db[first + n] - db[first]).mean(axis=1)
        return change


def window_of(sample_rate: int) -> int:
    """Return the length of a frame in samples."""
    return HOPS_PER_WINDOW * hop_of(sample_rate)


def hop_of(sample_rate: int) -> int:
    """Return the distance between frames in samples."""
    return 2 * max(1, round(_HALF_HOP_S * sample_rate))


def frames_in(audio: Waveform, ranges: Ranges) -> Frames:
    """Return the frames inside sample ranges [start, end); a range shorter than a frame gets one around its middle."""
    window, hop = window_of(audio.sample_rate), hop_of(audio.sample_rate)
    rows = [
        np.arange(start, end - window + 1, hop) if end - start >= window else np.array([(start + end - window) // 2])
        for start, end in ranges
    ]
    return frames_at(audio, np.concatenate(rows) if rows else np.zeros(0, np.int64))


def frames_at(audio: Waveform, starts: npt.ArrayLike) -> Frames:
    """Return the frames that start at these samples; beyond the ends of the sound is silence."""
    starts = np.asarray(starts, np.int64)
    bank, n_fft = _bank(audio.sample_rate), window_of(audio.sample_rate)
    window = np.hanning(n_fft + 2)[1:-1] / n_fft
    blocks = range(0, len(starts), _FRAMES_AT_ONCE)
    powers = [power_spectra(audio.samples, starts[i : i + _FRAMES_AT_ONCE], window) @ bank for i in blocks]
    return Frames(starts, np.concatenate([np.zeros((0, N_BANDS), np.float32), *powers]), audio.sample_rate)


def _bank(sample_rate: int) -> npt.NDArray[np.float32]:
    """Return the weights of bins in mel bands: float32 (n_bins, n_bands)."""
    from torchaudio.functional import melscale_fbanks

    highest = min(_HIGHEST_HZ, sample_rate / 2)
    n_bins = window_of(sample_rate) // 2 + 1
    bank: npt.NDArray[np.float32] = melscale_fbanks(n_bins, 0.0, highest, N_BANDS, sample_rate).numpy()
    return bank
