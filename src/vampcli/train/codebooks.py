"""Codebooks: filled from what an encoder gives, and kept in use while it learns."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from vampcli.codec.rvq import ResidualVectorQuantizer

_N_LLOYD = 8
_LEAST_SCALE = 0.3  # of a latent's own; axes stretched further than that would blow up each step of the encoder


def count_codes(codes: Tensor, codebook_size: int) -> Tensor:
    """How often each code was chosen: int64 (batch, n_codebooks, n_frames) -> (n_codebooks, codebook_size)."""
    flat = codes.transpose(0, 1).flatten(1)
    return torch.stack([torch.bincount(level, minlength=codebook_size) for level in flat])


def main_axes(points: Tensor) -> tuple[Tensor, Tensor]:
    """Variances along main axes, from the largest on, and the axes: (n, dim) of mean zero -> (dim,), (dim, dim)."""
    variance, axes = torch.linalg.eigh(points.T @ points / len(points))
    return variance.flip(0), axes.flip(1)


def fill_from(quantizer: ResidualVectorQuantizer, latents: Tensor, rng: np.random.Generator) -> None:
    """Set every level to the main axes of what is left to code, and its rows to centres of clusters found there.

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
            variance, axes = main_axes(residual - mean)
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


def reseed_unused(
    quantizer: ResidualVectorQuantizer, latents: Tensor, unused: Tensor, rng: np.random.Generator
) -> None:
    """Move unused codebook rows to random encoder outputs of their level.

    Args:
        quantizer: changed in place.
        latents: float32 (batch, latent_dim, n_frames).
        unused: bool (n_codebooks, codebook_size).
        rng: chooses the outputs.
    """
    residual = latents
    with torch.no_grad():
        for level in range(len(unused)):
            into, out = quantizer.projections(level)
            projected = into(residual)
            points = projected.transpose(1, 2).flatten(0, 1)
            rows = torch.nonzero(unused[level])[:, 0]
            chosen = rng.integers(0, len(points), len(rows))
            codes = quantizer.look_up(projected, level)
            residual = residual - out(quantizer.rows(codes, level))
            quantizer.codebooks[level, rows] = points[torch.from_numpy(chosen)]
