"""What a `MagnitudeCodec` learns in closed form: main axes of its bands, and codebooks along them."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

from vampcli.codec.magnitude import MagnitudeCodec, band_sizes
from vampcli.train.codebooks import fill_from, main_axes

_MEL_HZ = 700.0  # above it, the mel scale is nearly logarithmic
_WEIGHT_POWER = 0.75  # 0 would count each band alike, 1 as many mels as it spans


def fit(codec: MagnitudeCodec, batches: Iterable[Tensor], rng: np.random.Generator) -> None:
    """Find the rotation to main axes and back, and fill the codebooks with cluster centres.

    An axis is main by its variance, each band weighted by the mels it spans: hearing resolves low
    frequencies best. The codes of an encoder like this are worth as much as those of a network that
    has trained for an hour, and are there in a minute.

    Args:
        codec: changed in place.
        batches: float32 (batch, n_frames * hop_length) each, some tens of thousands of frames in all.
        rng: chooses the first centres.
    """
    with torch.no_grad():
        n_inputs = codec.encoder.rotation.in_features
        frames = torch.cat([codec.bands(codec.log_magnitude(clips)).reshape(-1, n_inputs) for clips in batches])
        weight, mean = band_weights(codec).repeat(codec.config.n_subframes), frames.mean(0)
        weighted = (frames - mean) * weight
        variance, axes = main_axes(weighted)
        axes, scale = axes[:, : codec.config.latent_dim], variance.sum().sqrt()
        codec.encoder.rotation.weight.copy_((axes * weight[:, None] / scale).T)
        codec.encoder.rotation.bias.copy_(-codec.encoder.rotation.weight @ mean)
        codec.decoder.rotation.weight.copy_(axes / weight[:, None] * scale)
        codec.decoder.rotation.bias.copy_(mean)
        latents = weighted @ axes / scale
        fill_from(codec.quantizer, latents.T[None], rng)


def band_weights(codec: MagnitudeCodec) -> Tensor:
    """How much each band counts: float32 (n_bands,), of mean 1."""
    config = codec.config
    sizes = torch.tensor(band_sizes(config.n_bins, config.bandwidth), device=codec.codebooks.device)
    centre_hz = (sizes.cumsum(0) - sizes / 2 - 0.5) * config.sample_rate / config.n_fft
    mels = sizes / (1 + centre_hz / _MEL_HZ)
    weight = mels**_WEIGHT_POWER
    return weight / weight.mean()
