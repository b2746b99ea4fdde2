"""How far sound is from what it should be, and how well codes are used: pure functions of tensors."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import torch
import torch.nn.functional as F
import torchaudio.functional
from torch import Tensor

Scales = tuple[tuple[int, int], ...]

MEL_SCALES: Scales = ((64, 10), (128, 20), (256, 40), (512, 80), (1024, 160), (2048, 320))
"""Windows in samples and bands of the mel error that model cards state."""

SPECTRAL_SCALES = (512, 1024, 2048, 4096)

_BLOCK = 2**17  # how many samples of a whole piece are looked at together


def stft(samples: Tensor, n_fft: int, center: bool = True) -> Tensor:
    """Complex spectrum with a Hann window and hop n_fft / 4: (batch, n_samples) -> (batch, bins, frames)."""
    window = torch.hann_window(n_fft, device=samples.device)
    return torch.stft(
        samples, n_fft, n_fft // 4, window=window, center=center, pad_mode="constant", return_complex=True
    )


@lru_cache
def mel_filters(n_fft: int, n_mels: int, sample_rate: int) -> Tensor:
    """Triangles on Slaney's mel scale, peaks of one: (n_fft // 2 + 1, n_mels)."""
    with torch.inference_mode(False):  # what is kept must serve training, too
        filters: Tensor = torchaudio.functional.melscale_fbanks(
            n_fft // 2 + 1, 0.0, sample_rate / 2, n_mels, sample_rate, norm=None, mel_scale="slaney"
        )
    return filters


def log_mel(magnitude: Tensor, n_mels: int, sample_rate: int) -> Tensor:
    """log10 of mel magnitudes, floored at 1e-5: (batch, bins, frames) -> (batch, n_mels, frames)."""
    filters = mel_filters(2 * (magnitude.shape[1] - 1), n_mels, sample_rate).to(magnitude.device)
    return (filters.T @ magnitude).clamp(min=1e-5).log10()


def mel_error(made: Tensor, target: Tensor, sample_rate: int, scales: Scales = MEL_SCALES) -> Tensor:
    """Mean absolute difference of log-mel spectra, mean over scales; levels are left as they are.

    Args:
        made: float32 (batch, n_samples).
        target: float32 (batch, n_samples).
        sample_rate: in Hz.
        scales: window length in samples and number of mel bands of each scale.

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
    """The mel error of a whole piece, brought to the target's RMS first; memory does not grow with its length.

    Args:
        made: float32 (n_samples,).
        target: the same.
        sample_rate: in Hz; figures in model cards are at 44,100.

    Returns:
        The mean of `mel_error` over `MEL_SCALES`, in units of 20 dB.
    """
    made = level_matched(made, target)
    errors = []
    for n_fft, n_mels in MEL_SCALES:
        total, count = 0.0, 0
        for a, b in _magnitudes(made, target, n_fft):
            difference = (log_mel(a, n_mels, sample_rate) - log_mel(b, n_mels, sample_rate)).abs()
            total, count = total + float(difference.sum(dtype=torch.float64)), count + difference.numel()
        errors.append(total / count)
    return sum(errors) / len(errors)


def level_matched(made: Tensor, target: Tensor) -> Tensor:
    """Scale to the target's RMS; silence stays silence: float32 (n_samples,)."""
    power = made.double().square().sum()
    gain = (target.double().square().sum() / power).sqrt() if power > 0 else torch.ones(())
    return made * gain.float()


def level_difference_db(made: Tensor, target: Tensor) -> float:
    """How much louder (in dB of RMS) one is than the other; both are floored at -100 dB: (n_samples,)."""
    a, b = (max(float(x.double().square().mean()), 1e-10) for x in (made, target))
    return float(10 * torch.tensor(a / b, dtype=torch.float64).log10())


def _magnitudes(made: Tensor, target: Tensor, n_fft: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Both magnitude spectra of a piece, (1, bins, frames) of them at a time, together those of `stft`."""
    hop = n_fft // 4
    n_frames = len(target) // hop + 1
    sides = (n_fft // 2, n_fft // 2)
    made, target = F.pad(made, sides), F.pad(target, sides)
    step = _BLOCK // hop
    for first in range(0, n_frames, step):
        place = slice(first * hop, (min(first + step, n_frames) - 1) * hop + n_fft)
        yield stft(made[None, place], n_fft, False).abs(), stft(target[None, place], n_fft, False).abs()


def spectral_distance(made: Tensor, target: Tensor) -> float:
    """Mean absolute difference of log magnitude spectra of the full band, mean over windows of 512 to 4096 samples.

    Args:
        made: float32 (n_samples,), brought to the target's RMS first.
        target: the same.

    Returns:
        In units of 20 dB; magnitudes are floored at 1e-5.
    """
    made, errors = level_matched(made, target), []
    for n_fft in SPECTRAL_SCALES:
        total, count = 0.0, 0
        for a, b in _magnitudes(made, target, n_fft):
            difference = (a.clamp(min=1e-5).log10() - b.clamp(min=1e-5).log10()).abs()
            total, count = total + float(difference.sum(dtype=torch.float64)), count + difference.numel()
        errors.append(total / count)
    return sum(errors) / len(errors)


def piece_spectral_convergence(made: Tensor, target: Tensor, n_fft: int = 4096) -> float:
    """`spectral_convergence` of a whole piece, block by block: float32 (n_samples,) each."""
    difference = norm = 0.0
    for a, b in _magnitudes(made, target, n_fft):
        difference += float((a - b).square().sum(dtype=torch.float64))
        norm += float(b.square().sum(dtype=torch.float64))
    return float((difference / max(norm, 1e-18)) ** 0.5)


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


def guess_sums(logits: Tensor, target: Tensor) -> dict[str, float]:
    """How well logits guess tokens, summed over these.

    Args:
        logits: float32 (n, classes).
        target: int64 (n,).

    Returns:
        `loss` (cross entropy in nats), `top_1` and `top_25` (how often the target is the likeliest, or among 25).
    """
    hits = logits.topk(min(25, logits.shape[-1])).indices == target[:, None]
    return {
        "loss": float(F.cross_entropy(logits, target, reduction="sum")),
        "top_1": float(hits[:, 0].sum()),
        "top_25": float(hits.any(1).sum()),
    }


def perplexity(codes: Tensor, n_classes: int) -> Tensor:
    """Of how many equally likely codes a codebook's use is worth.

    Args:
        codes: int64 (n_codebooks, n_frames).
        n_classes: rows of a codebook.

    Returns:
        float64 (n_codebooks,), 1 to n_classes: the exponential of the entropy.
    """
    counts = torch.stack([torch.bincount(row, minlength=n_classes) for row in codes]).double()
    shares = counts / counts.sum(1, keepdim=True)
    entropy: Tensor = torch.special.entr(shares).sum(1)
    return entropy.exp()
