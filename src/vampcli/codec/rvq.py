"""Residual vector quantisation with low-dimensional, unit-length look-up."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Quantized(NamedTuple):
    """Outputs of the quantiser in training."""

    latents: Tensor
    """float32 (batch, latent_dim, n_frames), with straight-through gradients."""
    codes: Tensor
    """int64 (batch, n_codebooks, n_frames)."""
    commitment_loss: Tensor
    """Scalar: pulls the encoder towards the chosen codebook rows."""
    codebook_loss: Tensor
    """Scalar: pulls the chosen codebook rows towards the encoder."""


class ResidualVectorQuantizer(nn.Module):
    """A stack of vector quantisers; each codes the residual of the levels before it.

    Every level projects the residual to `codebook_dim` channels, picks the codebook row of the most similar
    direction, or the nearest row, and projects that row back.

    Args:
        latent_dim: channels of the latents.
        n_codebooks: levels.
        codebook_size: rows per level.
        codebook_dim: length of a row.
        by_direction: compare rows by direction only; else by Euclidean distance.

    Source: Kumar et al., "High-Fidelity Audio Compression with Improved RVQGAN" (arXiv 2306.06546),
    section 3.2; equal in its maths to `dac.nn.quantize.ResidualVectorQuantize`.
    """

    def __init__(
        self, latent_dim: int, n_codebooks: int, codebook_size: int, codebook_dim: int, by_direction: bool = True
    ) -> None:
        super().__init__()
        self.by_direction = by_direction
        self.in_proj = nn.ModuleList(nn.Conv1d(latent_dim, codebook_dim, 1) for _ in range(n_codebooks))
        self.out_proj = nn.ModuleList(nn.Conv1d(codebook_dim, latent_dim, 1) for _ in range(n_codebooks))
        self.codebooks = nn.Parameter(torch.zeros(n_codebooks, codebook_size, codebook_dim))

    def projections(self, level: int) -> tuple[nn.Conv1d, nn.Conv1d]:
        """The projections into and out of a level's codebook."""
        into, out = self.in_proj[level], self.out_proj[level]
        assert isinstance(into, nn.Conv1d)
        assert isinstance(out, nn.Conv1d)
        return into, out

    def look_up(self, projected: Tensor, level: int) -> Tensor:
        """Choose the codebook row most similar in direction, or nearest.

        Args:
            projected: float32 (batch, codebook_dim, n_frames).
            level: which codebook.

        Returns:
            int64 (batch, n_frames).
        """
        rows = self.codebooks[level]
        if self.by_direction:
            rows, projected = F.normalize(rows, dim=1), F.normalize(projected, dim=1)
            return torch.einsum("bdf,kd->bfk", projected, rows).argmax(-1)
        return (torch.einsum("bdf,kd->bfk", projected, rows) - rows.square().sum(1) / 2).argmax(-1)

    def rows(self, codes: Tensor, level: int) -> Tensor:
        """Look codebook rows up: int64 (batch, n_frames) -> float32 (batch, codebook_dim, n_frames)."""
        return F.embedding(codes, self.codebooks[level]).transpose(1, 2)

    def encode(self, latents: Tensor) -> Tensor:
        """Quantise: float32 (batch, latent_dim, n_frames) -> int64 (batch, n_codebooks, n_frames)."""
        residual, codes = latents, []
        for level in range(len(self.codebooks)):
            into, out = self.projections(level)
            codes.append(self.look_up(into(residual), level))
            residual = residual - out(self.rows(codes[-1], level))
        return torch.stack(codes, dim=1)

    def decode(self, codes: Tensor) -> Tensor:
        """Sum the levels: int64 (batch, n_codebooks or fewer, n_frames) -> float32 (batch, latent_dim, n_frames)."""
        levels = [self.out_proj[i](self.rows(codes[:, i], i)) for i in range(codes.shape[1])]
        return torch.stack(levels).sum(0)

    def forward(self, latents: Tensor, n_active: Tensor | None = None) -> Quantized:
        """Quantise with straight-through gradients, for training.

        Args:
            latents: float32 (batch, latent_dim, n_frames).
            n_active: int64 (batch,), how many codebooks each clip may use (quantiser dropout); all by default.
        """
        residual, total = latents, torch.zeros_like(latents)
        codes, commitment, codebook = [], latents.new_zeros(()), latents.new_zeros(())
        for level in range(len(self.codebooks)):
            into, out = self.projections(level)
            active = torch.ones_like(latents[:, :1, :1]) if n_active is None else (n_active > level).view(-1, 1, 1)
            projected = into(residual)
            codes.append(self.look_up(projected, level))
            chosen = self.rows(codes[-1], level)
            commitment = commitment + (active * (projected - chosen.detach()) ** 2).mean()
            codebook = codebook + (active * (projected.detach() - chosen) ** 2).mean()
            level_out = out(projected + (chosen - projected).detach())
            total = total + level_out * active
            residual = residual - level_out
        return Quantized(total, torch.stack(codes, dim=1), commitment, codebook)
