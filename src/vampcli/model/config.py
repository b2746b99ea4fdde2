"""Sizes of the transformers. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from vampcli.errors import UsageError
from vampcli.schema import Between


@dataclass(frozen=True)
class VampNetConfig:
    """Sizes of a `VampNet`.

    Attributes:
        n_codebooks: tokens in a frame of the input.
        n_conditioning: the first codebooks, which are never predicted (0 for coarse).
        context_frames: length of training excerpts; longer clips run in windows of it.
        codebook_dim: width of a codebook row.
        dropout: share of activations dropped in training.
    """

    n_codebooks: Annotated[int, Between(1, 64)]
    n_conditioning: Annotated[int, Between(0, 63)]
    n_layers: Annotated[int, Between(1, 256)]
    width: Annotated[int, Between(1, 2**14)]
    n_heads: Annotated[int, Between(1, 256)]
    context_frames: Annotated[int, Between(1, 2**15)]
    codebook_size: Annotated[int, Between(2, 2**16)] = 1024
    codebook_dim: Annotated[int, Between(1, 2**12)] = 8
    dropout: Annotated[float, Between(0, 1)] = 0.1

    def __post_init__(self) -> None:
        if self.n_conditioning >= self.n_codebooks:
            raise UsageError(f"n_conditioning is {self.n_conditioning}", f"it takes less than {self.n_codebooks}")
        if self.width % self.n_heads:
            raise UsageError(f"width is {self.width}", f"it takes a multiple of n_heads, {self.n_heads}")

    @property
    def n_predicted(self) -> int:
        """Number of predicted codebooks."""
        return self.n_codebooks - self.n_conditioning
