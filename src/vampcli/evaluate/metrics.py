"""Distances between sounds, accuracy of logits and use of codes: pure functions of tensors."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache, partial

import torch
import torch.nn.functional as F
import torchaudio.functional
from torch import Tensor

Scales = tuple[tuple[int, int], ...]

MEL_SCALES: Scales = ((64, 10), (128, 20), (256, 40), (512, 80), (1024, 160), (2048, 320))
"""Windows in samples and numbers of bands of the mel error in model cards."""

SPECTRAL_SCALES = (512, 1024, 2048, 4096)

_BLOCK = 2**17  # samples of a whole piece that are transformed together


def stft(samples: Tensor, n_fft: int, center: bool = True) -> Tensor:
    """Return the STFT with a Hann window and hop n_fft / 4: (batch, n_samples) -> complex (batch, n_bins, n_frames)."""
    window = torch.hann_window(n_fft, device=samples.device)
    return torch.stft(
        samples, n_fft, n_fft // 4, window=window, center=center, pad_mode="constant", return_complex=True
    )


@lru_cache
def mel_filters(n_fft: int, n_mels: int, sample_rate: int) -> Tensor:
    """Return triangular filters on Slaney's mel scale, with peaks of 1: (n_fft // 2 + 1, n_mels)."""
    with torch.inference_mode(False):  # cached tensors must work in training, too
        filters: Tensor = torchaudio.functional.melscale_fbanks(
            n_fft // 2 + 1, 0.0, sample_rate / 2, n_mels, sample_rate, norm=None, mel_scale="slaney"
        )
    return filters


def log_mel(magnitude: Tensor, n_mels: int, sample_rate: int) -> Tensor:
    """Return log10 of mel magnitudes, floored at 1e-5: (batch, n_bins, n_frames) -> (batch, n_mels, n_frames)."""
    filters = mel_filters(2 * (magnitude.shape[1] - 1), n_mels, sample_rate).to(magnitude.device)
    return (filters.T @ magnitude).clamp(min=1e-5).log10()


def mel_error(made: Tensor, target: Tensor, sample_rate: int, scales: Scales = MEL_SCALES) -> Tensor:
    """Return the mean absolute difference of log-mel spectra over all scales, without matching levels.

    Args:
        made: float32 (batch, n_samples).
        target: float32 (batch, n_samples).
        sample_rate: in Hz.
        scales: window in samples and number of mel bands of each scale.

    Returns:
        A scalar, in units of 20 dB.
    """
    errors = [
        (log_mel(stft(made, n).abs(), n_mels, sample_rate) - log_mel(stft(target, n).abs(), n_mels, sample_rate))
        .abs()
        .mean()
        for n, n_mels in scales
    ]
    return torch.stack(errors).mean()


def piece_mel_error(made: Tensor, target: Tensor, sample_rate: int) -> float:
    """Return the `mel_error` of a whole piece at the target's RMS, in bounded memory.

    Args:
        made: float32 (n_samples,).
        target: float32 (n_samples,).
        sample_rate: in Hz; figures in model cards are at 44,100.

    Returns:
        The mean over `MEL_SCALES`, in units of 20 dB.
    """
    made = match_level(made, target)
    logs = {n_fft: partial(log_mel, n_mels=n_mels, sample_rate=sample_rate) for n_fft, n_mels in MEL_SCALES}
    return sum(_log_error(made, target, n_fft, log) for n_fft, log in logs.items()) / len(logs)


def spectral_distance(made: Tensor, target: Tensor) -> float:
    """Return the mean absolute difference of log magnitude spectra at the target's RMS, windows of 512 to 4096 samples.

    Args:
        made: float32 (n_samples,).
        target: float32 (n_samples,).

    Returns:
        In units of 20 dB; magnitudes are floored at 1e-5.
    """
    made = match_level(made, target)
    return sum(_log_error(made, target, n, _log) for n in SPECTRAL_SCALES) / len(SPECTRAL_SCALES)


def _log(magnitude: Tensor) -> Tensor:
    return magnitude.clamp(min=1e-5).log10()


def _log_error(made: Tensor, target: Tensor, n_fft: int, log: Callable[[Tensor], Tensor]) -> float:
    total, count = 0.0, 0
    for a, b in _magnitudes(made, target, n_fft):
        difference = (log(a) - log(b)).abs()
        total, count = total + float(difference.sum(dtype=torch.float64)), count + difference.numel()
    return total / count


def match_level(made: Tensor, target: Tensor) -> Tensor:
    """Scale float32 (n_samples,) to the target's RMS; silence stays silence."""
    power = made.double().square().sum()
    gain = (target.double().square().sum() / power).sqrt() if power > 0 else torch.ones(())
    return made * gain.float()


def level_difference_db(made: Tensor, target: Tensor) -> float:
    """Return the ratio of RMS levels in dB, each floored at -100 dB: float32 (n_samples,)."""
    a, b = (max(float(x.double().square().mean()), 1e-10) for x in (made, target))
    return float(10 * torch.tensor(a / b, dtype=torch.float64).log10())


def _magnitudes(made: Tensor, target: Tensor, n_fft: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield both magnitude spectra block by block, (1, n_bins, n_frames); all blocks together equal those of `stft`."""
    hop = n_fft // 4
    n_frames = len(target) // hop + 1
    sides = (n_fft // 2, n_fft // 2)
    made, target = F.pad(made, sides), F.pad(target, sides)
    step = _BLOCK // hop
    for first in range(0, n_frames, step):
        block = slice(first * hop, (min(first + step, n_frames) - 1) * hop + n_fft)
        yield stft(made[None, block], n_fft, False).abs(), stft(target[None, block], n_fft, False).abs()


def piece_spectral_convergence(made: Tensor, target: Tensor, n_fft: int = 4096) -> float:
    """Return the `spectral_convergence` of a whole piece, in bounded memory: float32 (n_samples,) each."""
    difference = norm = 0.0
    for a, b in _magnitudes(made, target, n_fft):
        difference += float((a - b).square().sum(dtype=torch.float64))
        norm += float(b.square().sum(dtype=torch.float64))
    return float((difference / max(norm, 1e-18)) ** 0.5)


def spectral_convergence(made: Tensor, target: Tensor, n_fft: int = 4096) -> Tensor:
    """Return the norm of the difference of magnitude spectra over the target's norm: (batch, n_samples) -> scalar.

    Source: Arik et al., arXiv 1808.06719.
    """
    a, b = stft(made, n_fft).abs(), stft(target, n_fft).abs()
    return (a - b).square().sum().sqrt() / b.square().sum().sqrt().clamp(min=1e-9)


def si_sdr(made: Tensor, target: Tensor) -> Tensor:
    """Return the scale-invariant signal-to-distortion ratio in dB, mean over the batch: (batch, n_samples)."""
    scale = (made * target).sum(-1, keepdim=True) / (target**2).sum(-1, keepdim=True).clamp(min=1e-9)
    signal = scale * target
    ratio = (signal**2).sum(-1) / ((made - signal) ** 2).sum(-1).clamp(min=1e-9)
    return 10 * ratio.clamp(min=1e-9).log10().mean()


def guess_sums(logits: Tensor, target: Tensor) -> dict[str, float]:
    """Sum losses and hits of logits over tokens.

    Args:
        logits: float32 (n, classes).
        target: int64 (n,).

    Returns:
        `loss` (cross entropy in nats), `top_1` and `top_25` (number of targets among the 1 or 25 likeliest classes).
    """
    hits = logits.topk(min(25, logits.shape[-1])).indices == target[:, None]
    return {
        "loss": float(F.cross_entropy(logits, target, reduction="sum")),
        "top_1": float(hits[:, 0].sum()),
        "top_25": float(hits.any(1).sum()),
    }


def perplexity(codes: Tensor, n_classes: int) -> Tensor:
    """Return the perplexity of the codes of each codebook.

    Args:
        codes: int64 (n_codebooks, n_frames).
        n_classes: codes in a codebook.

    Returns:
        float64 (n_codebooks,), 1 to n_classes: the exponential of the entropy.
    """
    counts = torch.stack([torch.bincount(row, minlength=n_classes) for row in codes]).double()
    shares = counts / counts.sum(1, keepdim=True)
    entropy: Tensor = torch.special.entr(shares).sum(1)
    return entropy.exp()
