"""Reduce sound and masks of any length to the columns of a picture, in bounded memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from vampcli.audio.spectra import power_spectra

if TYPE_CHECKING:
    from vampcli.audio.waveform import Waveform

Floats = npt.NDArray[np.floating[Any]]

N_BANDS = 256
"""Bands of a spectrogram."""
SILENT_DB = -120.0
"""Lower bound of a spectrogram."""

_LOW_HZ, _HIGH_HZ = 40.0, 20000.0
_AT_ONCE = 256  # frames computed together


def envelope(samples: Floats, n_columns: int) -> tuple[Floats, Floats]:
    """Return the least and the greatest sample of any channel in each of n equal pieces.

    Args:
        samples: (n_channels, n_samples).
        n_columns: at most n_samples.

    Returns:
        Two arrays (n_columns,).
    """
    edges = np.arange(n_columns) * samples.shape[1] // n_columns
    return np.minimum.reduceat(samples, edges, axis=1).min(0), np.maximum.reduceat(samples, edges, axis=1).max(0)


def density(mask: npt.NDArray[np.bool_], n_columns: int) -> Floats:
    """Return the share of hidden tokens in each of n equal pieces of time.

    Args:
        mask: bool (n_codebooks, n_frames), True = hidden.
        n_columns: at most n_frames.

    Returns:
        0 to 1, (n_codebooks, n_columns).
    """
    edges = np.arange(n_columns + 1) * mask.shape[1] // n_columns
    n_hidden = np.add.reduceat(mask.astype(np.float64), edges[:-1], axis=1)
    share: Floats = n_hidden / np.diff(edges)
    return share


def band_edges(sample_rate: int) -> Floats:
    """Return the edges of the bands in Hz, (N_BANDS + 1,), evenly in octaves from 40 Hz to 20 kHz or half the rate."""
    high = min(_HIGH_HZ, sample_rate / 2)
    return np.geomspace(min(_LOW_HZ, high / 10), high, N_BANDS + 1)


def spectrogram(sound: Waveform, n_columns: int, start: int = 0, end: int | None = None) -> Floats:
    """Return the power in bands even in octaves, averaged over the channels; a full-scale sine is at 0 dB.

    A column is the average of as many frames, at least half overlapping, as cover its time, so every sample counts.
    Memory does not grow with the length.

    Args:
        sound: any length and number of channels.
        n_columns: equal pieces of its time.
        start: first sample of a range, whose edges see the sound around it.
        end: one past its last; None = all.

    Returns:
        dB, `SILENT_DB` or more, (N_BANDS, n_columns), the lowest band first.
    """
    n_fft = 2 ** max(4, round(np.log2(sound.sample_rate / 10)))  # about a tenth of a second
    n_samples = (sound.n_samples if end is None else end) - start
    n_each = -(-2 * n_samples // (n_columns * n_fft))
    weights = _band_weights(sound.sample_rate, n_fft)
    window = np.hanning(n_fft + 1)[:-1] * (2 / np.hanning(n_fft + 1).sum())
    n_at_once = max(1, _AT_ONCE // n_each)
    columns = []
    for first in range(0, n_columns, n_at_once):
        n = min(n_at_once, n_columns - first)
        frames = np.arange(first * n_each, (first + n) * n_each)
        centres = start + (2 * frames + 1) * n_samples // (2 * n_columns * n_each)
        power = power_spectra(sound.samples, centres - n_fft // 2, window)
        columns.append(weights @ power.reshape(n, n_each, -1).mean(1).T)
    decibels: Floats = 10 * np.log10(np.maximum(np.concatenate(columns, 1), 10 ** (SILENT_DB / 10)))
    return decibels


def _band_weights(sample_rate: int, n_fft: int) -> Floats:
    """Return triangular weights of bins, (N_BANDS, n_fft // 2 + 1), as wide as a band, or a bin if that is wider."""
    edges = band_edges(sample_rate) * n_fft / sample_rate
    centres = np.sqrt(edges[:-1] * edges[1:])[:, None]
    reach = np.maximum(1, np.diff(edges))[:, None]
    weights: Floats = np.maximum(0, 1 - np.abs(np.arange(n_fft // 2 + 1) - centres) / reach)
    return weights
