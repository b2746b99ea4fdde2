"""Embeddings of 3 s patches of music by musicnn, a network trained to tag music.

`scripts/convert_musicnn.py` made the weights from those of the package `musicnn`, for which TensorFlow is needed.

Source: Pons and Serra, "musicnn" (arXiv 1909.06654); the graph is that of the package's `models.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
import torch.nn.functional as F
import torchaudio.functional
from torch import Tensor

from vampcli.tensor_reading import load_tensors

WEIGHTS = Path(__file__).parent / "weights/musicnn.safetensors"
"""MSD_musicnn, trained on the Million Song Dataset; ISC licence."""

RATE = 16000
PATCH_FRAMES = 187
_N_FFT, _HOP, _N_MELS = 512, 256, 96
PATCH = PATCH_FRAMES * _HOP
"""Samples at 16 kHz of one patch, 2.99 s."""

_TIMBRAL, _TEMPORAL = (0, 1), (2, 3, 4)  # convolutions over time and frequency, and over time alone


def load_weights(path: Path = WEIGHTS) -> dict[str, Tensor]:
    """Return the network's tensors, float32, by their names in TensorFlow."""
    return load_tensors(path)


def log_mel(samples: Tensor) -> Tensor:
    """Return the network's input: float32 (batch, n_samples) at 16 kHz -> (batch, n_samples // 256 + 1, 96).

    Mel powers are rounded to float16, as in the network's training.
    """
    window = torch.hann_window(_N_FFT)
    spectrum = torch.stft(samples, _N_FFT, _HOP, window=window, pad_mode="constant", return_complex=True)
    filters = torchaudio.functional.melscale_fbanks(
        _N_FFT // 2 + 1, 0.0, RATE / 2, _N_MELS, RATE, norm="slaney", mel_scale="slaney"
    )
    mel = spectrum.abs().square().transpose(1, 2) @ filters
    logs: Tensor = (10000 * mel.half().float() + 1).log10()
    return logs


def penultimate(weights: Mapping[str, Tensor], patches: Tensor) -> Tensor:
    """Return the activations before the tags: float32 (batch, n_frames, 96) -> (batch, 200)."""
    x = _norm(weights, patches[:, None], 0)
    # Timbre: patterns over time and most of the frequencies. Rhythm: over time, one frequency each.
    paddings = {0: (3, 3), 1: (3, 3), 2: (63, 64), 3: (31, 32), 4: (15, 16)}  # as TensorFlow pads to "same"
    fronts = [_norm(weights, _conv(weights, x, n, paddings[n]), n + 1).amax(3) for n in _TIMBRAL + _TEMPORAL]
    front = torch.cat(fronts, 1)
    # Three convolutions over time, each but the first with a residual connection.
    first = _middle(weights, front, 5)
    second = first + _middle(weights, first, 6)
    third = second + _middle(weights, second, 7)
    features = torch.cat([front, first, second, third], 1)
    # Maximum and mean over time, interleaved: (batch, 2 * channels).
    pooled = torch.stack([features.amax(2), features.mean(2)], 2).flatten(1)
    dense = _norm(weights, pooled, 9) @ weights["dense/kernel"] + weights["dense/bias"]
    return _norm(weights, dense.relu(), 10)


def _name(kind: str, n: int) -> str:
    return f"{kind}_{n}" if n else kind


def _conv(weights: Mapping[str, Tensor], x: Tensor, n: int, padding: tuple[int, int]) -> Tensor:
    """Convolve (batch, 1, n_frames, width), padded in time: -> (batch, channels, n_frames, remaining width)."""
    name = _name("conv2d", n)
    kernel = weights[f"{name}/kernel"].permute(3, 2, 0, 1)
    return F.conv2d(F.pad(x, (0, 0, *padding)), kernel, weights[f"{name}/bias"]).relu()


def _middle(weights: Mapping[str, Tensor], x: Tensor, n: int) -> Tensor:
    """Convolve over time, all channels at once: (batch, channels, n_frames) -> (batch, 64, n_frames)."""
    return _norm(weights, _conv(weights, x.transpose(1, 2)[:, None], n, (3, 3)), n + 1)[..., 0]


def _norm(weights: Mapping[str, Tensor], x: Tensor, n: int) -> Tensor:
    name = _name("batch_normalization", n)
    mean, variance, gain, shift = (
        weights[f"{name}/{key}"] for key in ("moving_mean", "moving_variance", "gamma", "beta")
    )
    return F.batch_norm(x, mean, variance, gain, shift, eps=1e-3)


def embed(weights: Mapping[str, Tensor], samples: Tensor) -> Tensor:
    """Embed the first patch of each clip.

    Args:
        weights: from `load_weights`.
        samples: float32 (n_clips, `PATCH` or more samples) at 16 kHz; only the first `PATCH_FRAMES` frames count.

    Returns:
        float32 (n_clips, 200).
    """
    with torch.no_grad():
        return torch.cat([penultimate(weights, log_mel(clip[None])[:, :PATCH_FRAMES]) for clip in samples])
