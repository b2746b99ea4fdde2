"""Losses of codecs: compressed complex spectra, and log magnitudes by bands."""

from __future__ import annotations

import torch
from torch import Tensor

from vampcli.evaluate.metrics import MEL_SCALES, log_mel, stft

TRAINING_SCALES = (*MEL_SCALES, (4096, 320))
"""Windows in samples and mel bands of the training loss."""


def complex_error(made: Tensor, target: Tensor, windows: tuple[int, ...] = (1024, 4096)) -> Tensor:
    """Return the L1 distance of square-root-compressed complex spectra: (batch, n_samples) each.

    Losses of mel spectra alone leave harmonics smeared.
    """

    def compressed(samples: Tensor, n_fft: int) -> Tensor:
        spectrum = stft(samples, n_fft) / n_fft**0.5
        root = spectrum * (spectrum.real**2 + spectrum.imag**2 + 1e-6) ** -0.25
        return torch.view_as_real(root)

    errors = [(compressed(made, n) - compressed(target, n)).abs().mean() for n in windows]
    return torch.stack(errors).mean()


def magnitude_error(made: Tensor, target: Tensor, sample_rate: int) -> Tensor:
    """Return the error of log-magnitudes in fine and wide mel bands, plus that of the loudest partials.

    Args:
        made: float32 (batch, n_frames, n_bins), log10.
        target: the same.
        sample_rate: in Hz.
    """
    a, b = 10 ** made.transpose(1, 2), 10 ** target.transpose(1, 2)
    n_fft = 2 * (made.shape[2] - 1)
    fine, wide = (
        (log_mel(a, n, sample_rate) - log_mel(b, n, sample_rate)).abs().mean() for n in (n_fft // 6, n_fft // 24)
    )
    loud = ((a - b).square().sum((1, 2)) / (b.square().sum((1, 2)) + 1e-3)).sqrt().mean()
    return fine + wide + loud
