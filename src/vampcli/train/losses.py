"""What a codec is judged by while it learns: mel spectra and compressed complex spectra."""

from __future__ import annotations

import torch
from torch import Tensor

from vampcli.evaluate.metrics import MEL_SCALES, mel_error, mel_filters, si_sdr, spectral_convergence, stft

__all__ = [
    "TRAINING_SCALES",
    "complex_error",
    "magnitude_error",
    "mel_error",
    "si_sdr",
    "spectral_convergence",
    "stft",
]

TRAINING_SCALES = (*MEL_SCALES, (4096, 320))
"""Windows in samples and mel bands of the training loss."""


def complex_error(made: Tensor, target: Tensor, windows: tuple[int, ...] = (1024, 4096)) -> Tensor:
    """L1 between square-root-compressed complex spectra: envelopes alone leave harmonics smeared."""

    def compressed(samples: Tensor, n_fft: int) -> Tensor:
        spectrum = stft(samples, n_fft) / n_fft**0.5
        root = spectrum * (spectrum.real**2 + spectrum.imag**2 + 1e-6) ** -0.25
        return torch.view_as_real(root)

    errors = [(compressed(made, n) - compressed(target, n)).abs().mean() for n in windows]
    return torch.stack(errors).mean()


def magnitude_error(made: Tensor, target: Tensor) -> Tensor:
    """How far log-magnitudes are off: each bin, bands of neighbours, and root-compressed, where partials count most.

    Args:
        made: float32 (batch, n_frames, n_bins), log10.
        target: the same.
    """
    bins = (made - target).abs().mean()
    bands = (_band_log(made) - _band_log(target)).abs().mean()
    root, target_root = 10 ** (made / 2), 10 ** (target / 2)
    roots = (root - target_root).abs().mean() / target_root.mean()
    return bins + 2 * bands + roots


def _band_log(log_magnitude: Tensor) -> Tensor:
    """log10 of mean magnitudes of bands that widen with frequency: (batch, n_frames, n_bins) -> (..., n_bands)."""
    n_bins = log_magnitude.shape[-1]
    filters = mel_filters(2 * (n_bins - 1), n_bins // 8, 44100).to(log_magnitude.device)
    return (10**log_magnitude @ filters).clamp(min=1e-5).log10()
