"""Features of recordings, by which similar places are found."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from vampcli.audio.waveform import Samples

Floats = npt.NDArray[np.float32]

FRAME_S = 768 / 44100
_WINDOW_FRAMES = 2.5  # length of the Fourier window
_BANDWIDTH = 0.06  # of a band, relative to its frequency; at least one bin
_RANGE_DB = 90.0  # below the loudest band; quieter sound counts as silence
_SILENT_DB = -100.0  # full scale; a recording below it has no features
_LEAST_VARIANCE = 1e-4  # of a principal component, relative to the largest
_BLOCK = 256  # frames transformed at once


@dataclass(frozen=True)
class Features:
    """Features of every frame of a recording.

    Attributes:
        values: float32 (n_features, n_frames), zero on average over the recording that the basis was made from.
        hop: samples between frames.
        mean: float32 (n_bands, 1), of the levels in dB.
        basis: float32 (n_features, n_bands): levels to features.
        floor_db: level that counts as silence.
    """

    values: Floats
    hop: int
    mean: Floats
    basis: Floats
    floor_db: float

    @property
    def n_frames(self) -> int:
        """Number of frames."""
        return int(self.values.shape[1])

    def of(self, samples: Samples) -> Features:
        """Compute the features of another recording of the same rate, by the same basis.

        Args:
            samples: float (n_channels, n_samples).
        """
        levels = _in_db(_band_powers(samples, self.hop), self.floor_db)
        return replace_values(self, self.basis @ (levels - self.mean))

    def backward(self) -> Features:
        """Return the features in reverse order."""
        return replace_values(self, np.ascontiguousarray(self.values[:, ::-1]))


def replace_values(features: Features, values: Floats) -> Features:
    """Return features with other values."""
    return Features(values, features.hop, features.mean, features.basis, features.floor_db)


def compute_features(samples: Samples, sample_rate: int) -> Features:
    """Compute half-whitened spectra in logarithmic bands.

    Channels add their power, so that their phases do not matter. Half-whitening divides each principal component by
    the square root of its deviation: it lies between plain spectra, in which loudness counts most, and whitened ones,
    in which noise does.

    Args:
        samples: float (n_channels, n_samples).
        sample_rate: in Hz.
    """
    hop = max(1, round(FRAME_S * sample_rate))
    powers = _band_powers(samples, hop)
    loudest_db = float(10 * np.log10(max(powers.max(initial=0), 1e-20)))
    floor_db = max(loudest_db - _RANGE_DB, _SILENT_DB)
    centred = _in_db(powers, floor_db)
    mean = centred.mean(axis=1, keepdims=True)
    centred -= mean
    covariance = (centred @ centred.T / max(1, centred.shape[1])).astype(np.float64)
    variances, axes = np.linalg.eigh(covariance)
    # Divide each principal component by variance ** 0.25; leave those out that hardly vary.
    kept = variances > _LEAST_VARIANCE * max(variances[-1], 1e-12)
    basis = (axes[:, kept] * variances[kept] ** -0.25).T.astype(np.float32)
    return Features(basis @ centred, hop, mean, basis, floor_db)


def _in_db(powers: Floats, floor_db: float) -> Floats:
    """Convert powers to dB in place."""
    np.maximum(powers, 10 ** (floor_db / 10), out=powers)
    np.log10(powers, out=powers)
    powers *= 10
    return powers


def _band_powers(samples: Samples, hop: int) -> Floats:
    """Power of each band, 1 for a sine at full scale: float32 (n_bands, n_frames)."""
    n_fft = 2 * round(_WINDOW_FRAMES * hop / 2)
    window = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n_fft) / n_fft)).astype(np.float32)
    sums = _band_matrix(n_fft // 2 + 1)
    n_frames, before = -(-samples.shape[1] // hop), (n_fft - hop) // 2
    powers = np.empty((sums.shape[1], n_frames), np.float32)
    for first in range(0, n_frames, _BLOCK):
        last = min(first + _BLOCK, n_frames)
        start, stop = first * hop - before, (last - 1) * hop - before + n_fft
        inside = samples[:, max(0, start) : stop].astype(np.float32)
        missing = stop - max(0, start) - inside.shape[1]
        block = np.pad(inside, ((0, 0), (max(0, -start), missing)))
        power = np.zeros((last - first, n_fft // 2 + 1), np.float32)
        for channel in block:
            spectrum = np.fft.rfft(sliding_window_view(channel, n_fft)[::hop] * window)
            power += (np.square(spectrum.real) + np.square(spectrum.imag)).astype(np.float32, copy=False)
        powers[:, first:last] = (power @ sums).T / (len(samples) * n_fft**2 / 16)
    return powers


def _band_matrix(n_bins: int) -> Floats:
    """Sum of bins for each band: float32 (n_bins, n_bands) of 0 and 1; without the constant component."""
    edges = [1]
    while edges[-1] < n_bins:
        edges.append(min(n_bins, edges[-1] + max(1, round(edges[-1] * _BANDWIDTH))))
    matrix = np.zeros((n_bins, len(edges) - 1), np.float32)
    for band, (low, high) in enumerate(pairwise(edges)):
        matrix[low:high, band] = 1
    return matrix
