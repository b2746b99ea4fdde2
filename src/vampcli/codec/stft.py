"""A short-time Fourier transform whose frames lie evenly in token frames, and its inverse."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Stft:
    """Short-time Fourier transform with Hann windows.

    Attributes:
        n_fft: window length in samples, a multiple of `hop`.
        hop: samples between frames.
    """

    n_fft: int
    hop: int

    @property
    def overhang(self) -> int:
        """Samples by which the first and the last window exceed the signal."""
        return (self.n_fft - self.hop) // 2

    @property
    def n_overlapping(self) -> int:
        """Number of frames on one side that share samples with a frame."""
        return self.n_fft // self.hop - 1

    def spectrum(self, samples: Tensor) -> Tensor:
        """Short-time spectra.

        Args:
            samples: float32 (batch, n_frames * hop).

        Returns:
            complex64 (batch, n_frames, n_fft / 2 + 1).
        """
        pieces = F.pad(samples, (self.overhang, self.overhang)).unfold(-1, self.n_fft, self.hop)
        result: Tensor = torch.fft.rfft(pieces * _window(self.n_fft, samples.device))
        return result

    def waveform(self, spectrum: Tensor) -> Tensor:
        """Inverse of `spectrum`, by overlap-add.

        Args:
            spectrum: complex64 (batch, n_frames, n_fft / 2 + 1).

        Returns:
            float32 (batch, n_frames * hop).
        """
        pieces = torch.fft.irfft(spectrum, n=self.n_fft) * _window(self.n_fft, spectrum.device)
        inside = slice(self.overhang, -self.overhang)
        weight = _weight(pieces.shape[1], self.n_fft, self.hop, spectrum.device)
        return _overlap_add(pieces, self.hop)[:, inside] / weight[:, inside]


@lru_cache(maxsize=8)
def _window(n: int, device: torch.device) -> Tensor:
    with torch.inference_mode(False):  # the cached tensor must also work in training
        return torch.hann_window(n, device=device)


@lru_cache(maxsize=2)
def _weight(n: int, n_fft: int, hop: int, device: torch.device) -> Tensor:
    """Sum of the squares of `n` overlapping windows: float32 (1, (n - 1) * hop + n_fft)."""
    with torch.inference_mode(False):  # as above
        return _overlap_add(_window(n_fft, device).square().expand(1, n, -1), hop)


def _overlap_add(pieces: Tensor, hop: int) -> Tensor:
    """Overlap-add pieces with a hop of `hop` samples: (batch, n, k * hop) -> (batch, (n + k - 1) * hop)."""
    n_batch, n, length = pieces.shape
    blocks = pieces.view(n_batch, n, length // hop, hop)
    total = pieces.new_zeros(n_batch, n + length // hop - 1, hop)
    for i in range(length // hop):
        total[:, i : i + n] += blocks[:, :, i]
    return total.flatten(1)
