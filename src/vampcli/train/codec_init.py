"""Initialize a codec from audio in closed form.

A `MagnitudeCodec` gets the principal axes of its bands and codebooks along them; any codec gets codebooks from k-means.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor, nn

from vampcli.codec.magnitude import MagnitudeCodec, band_sizes
from vampcli.codec.rvq import ResidualVectorQuantizer

_MEL_HZ = 700.0  # above it, the mel scale is nearly logarithmic
_WEIGHT_POWER = 0.75  # 0 would count each band alike, 1 as many mels as it spans
_N_LLOYD = 8
_LEAST_SCALE = 0.3  # of the latents' RMS; axes stretched further would amplify each step of the encoder too much


def fit(codec: MagnitudeCodec, batches: Iterable[Tensor], rng: np.random.Generator) -> None:
    """Set the rotations to principal axes and back, and fill the codebooks with cluster centres.

    Variance is weighted by the mels each band spans, since hearing resolves low frequencies best. The codes of this
    encoder are as good as those of a network trained for an hour, after a minute.

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
        variance, axes = principal_axes(weighted)
        axes, scale = axes[:, : codec.config.latent_dim], variance.sum().sqrt()
        codec.encoder.rotation.weight.copy_((axes * weight[:, None] / scale).T)
        codec.encoder.rotation.bias.copy_(-codec.encoder.rotation.weight @ mean)
        codec.decoder.rotation.weight.copy_(axes / weight[:, None] * scale)
        codec.decoder.rotation.bias.copy_(mean)
        latents = weighted @ axes / scale
        fill_codebooks(codec.quantizer, latents.T[None], rng)


def band_weights(codec: MagnitudeCodec) -> Tensor:
    """Return the weight of each band: float32 (n_bands,), of mean 1."""
    config = codec.config
    sizes = torch.tensor(band_sizes(config.n_bins, config.bandwidth), device=codec.codebooks.device)
    centre_hz = (sizes.cumsum(0) - sizes / 2 - 0.5) * config.sample_rate / config.n_fft
    mels = sizes / (1 + centre_hz / _MEL_HZ)
    weight = mels**_WEIGHT_POWER
    return weight / weight.mean()


def principal_axes(points: Tensor) -> tuple[Tensor, Tensor]:
    """Return the variances, largest first, and principal axes of centred points: (n, dim) -> (dim,), (dim, dim)."""
    variance, axes = torch.linalg.eigh(points.T @ points / len(points))
    return variance.flip(0), axes.flip(1)


def fill_codebooks(quantizer: ResidualVectorQuantizer, latents: Tensor, rng: np.random.Generator) -> None:
    """Set each level's projections to principal axes of the residual, and its rows to centres of k-means there.

    Args:
        quantizer: changed in place.
        latents: float32 (batch, latent_dim, n_frames), some thousands of frames.
        rng: chooses the first centres.
    """
    residual = latents.transpose(1, 2).flatten(0, 1)
    size, dim = quantizer.codebooks.shape[1:]
    with torch.no_grad():
        for level in range(len(quantizer.codebooks)):
            mean = residual.mean(0)
            variance, axes = principal_axes(residual - mean)
            scale, axes = variance[:dim].clamp(min=1e-18).sqrt(), axes[:, :dim]
            if quantizer.by_direction:  # whitened: a dominant axis would leave only two directions
                scale = scale.clamp(min=0.1 * float(scale[0]))
                scale = scale * (_LEAST_SCALE * latents.square().mean().sqrt() / scale[-1]).clamp(min=1)
            else:  # distances stay as they are, but for a common scale
                scale = scale.square().mean().sqrt().expand(dim)
            into, out = quantizer.projections(level)
            _set(into, (axes / scale).T, -(axes.T @ mean) / scale)
            _set(out, axes * scale, mean)
            points = into(residual.T[None])[0].T
            quantizer.codebooks[level] = points[torch.from_numpy(rng.integers(0, len(points), size))]
            for _ in range(_N_LLOYD):
                codes = quantizer.look_up(points.T[None], level)[0]
                counts = torch.bincount(codes, minlength=size)[:, None]
                sums = points.new_zeros(size, dim).index_add_(0, codes, points)
                quantizer.codebooks[level] = torch.where(counts > 0, sums / counts, quantizer.codebooks[level])
            codes = quantizer.look_up(points.T[None], level)
            residual = residual - out(quantizer.rows(codes, level))[0].T


def _set(projection: nn.Conv1d, weight: Tensor, bias: Tensor) -> None:
    projection.load_state_dict({"weight": weight[:, :, None], "bias": bias})
