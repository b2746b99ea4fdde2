"""What a codec is judged by while it learns: mel spectra and compressed complex spectra."""

from __future__ import annotations

from functools import lru_cache

import torch
import torchaudio.functional
from torch import Tensor

TRAINING_SCALES = ((64, 10), (128, 20), (256, 40), (512, 80), (1024, 160), (2048, 320), (4096, 320))
"""Windows in samples and mel bands of the training loss."""

EVALUATION_SCALES = TRAINING_SCALES[:-1]
"""Windows and bands of the mel error that model cards state."""


def stft(samples: Tensor, n_fft: int) -> Tensor:
    """Complex spectrum with a Hann window and hop n_fft / 4: (batch, n_samples) -> (batch, bins, frames)."""
    window = torch.hann_window(n_fft, device=samples.device)
    return torch.stft(samples, n_fft, n_fft // 4, window=window, center=True, pad_mode="constant", return_complex=True)


@lru_cache
def _mel_filters(n_fft: int, n_mels: int, sample_rate: int) -> Tensor:
    filters: Tensor = torchaudio.functional.melscale_fbanks(
        n_fft // 2 + 1, 0.0, sample_rate / 2, n_mels, sample_rate, norm=None, mel_scale="slaney"
    )
    return filters


def log_mel(samples: Tensor, n_fft: int, n_mels: int, sample_rate: int) -> Tensor:
    """log10 of the mel magnitudes, floored at 1e-5: (batch, n_samples) -> (batch, n_mels, frames)."""
    filters = _mel_filters(n_fft, n_mels, sample_rate).to(samples.device)
    return (filters.T @ stft(samples, n_fft).abs()).clamp(min=1e-5).log10()


def mel_error(
    made: Tensor, target: Tensor, sample_rate: int, scales: tuple[tuple[int, int], ...] = EVALUATION_SCALES
) -> Tensor:
    """Mean absolute difference of log-mel spectra, mean over scales.

    Args:
        made: float32 (batch, n_samples).
        target: float32 (batch, n_samples).
        sample_rate: in Hz.
        scales: window length in samples and number of mel bands of each scale.

    Returns:
        A scalar, in units of 20 dB.
    """
    errors = [
        (log_mel(made, n_fft, n_mels, sample_rate) - log_mel(target, n_fft, n_mels, sample_rate)).abs().mean()
        for n_fft, n_mels in scales
    ]
    return torch.stack(errors).mean()


def complex_error(made: Tensor, target: Tensor, windows: tuple[int, ...] = (1024, 4096)) -> Tensor:
    """L1 between square-root-compressed complex spectra: envelopes alone leave harmonics smeared."""

    def compressed(samples: Tensor, n_fft: int) -> Tensor:
        spectrum = stft(samples, n_fft) / n_fft**0.5
        root = spectrum * (spectrum.real**2 + spectrum.imag**2 + 1e-6) ** -0.25
        return torch.view_as_real(root)

    errors = [(compressed(made, n) - compressed(target, n)).abs().mean() for n in windows]
    return torch.stack(errors).mean()


def spectral_convergence(made: Tensor, target: Tensor, n_fft: int = 4096) -> Tensor:
    """Norm of the difference of magnitude spectra over the target's norm (Arik et al., arXiv 1808.06719)."""
    a, b = stft(made, n_fft).abs(), stft(target, n_fft).abs()
    return (a - b).square().sum().sqrt() / b.square().sum().sqrt().clamp(min=1e-9)


def si_sdr(made: Tensor, target: Tensor) -> Tensor:
    """Scale-invariant signal-to-distortion ratio in dB, mean over the batch: (batch, n_samples) -> scalar."""
    scale = (made * target).sum(-1, keepdim=True) / (target**2).sum(-1, keepdim=True).clamp(min=1e-9)
    signal = scale * target
    ratio = (signal**2).sum(-1) / ((made - signal) ** 2).sum(-1).clamp(min=1e-9)
    return 10 * ratio.clamp(min=1e-9).log10().mean()
