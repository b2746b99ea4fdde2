"""The base class of codecs: mono audio <-> tokens, by a quantiser between two networks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from vampcli.codec.rvq import ResidualVectorQuantizer
from vampcli.tokens.grid import TokenGrid


class Codec(nn.Module, ABC):
    """Mono audio <-> tokens, without resampling or a change of level.

    No operation runs over all time: `halo_frames` of audio or tokens around a range determine its result.

    Attributes:
        config: sizes; a frozen dataclass.
        grid: the token grid that the codec fills.
        quantizer: between the two networks `analyze` and `synthesize`.
    """

    config: Any
    grid: TokenGrid
    quantizer: ResidualVectorQuantizer

    @property
    @abstractmethod
    def encoder_reach(self) -> int:
        """Distance in frames beyond which audio does not change a frame's codes."""

    @property
    @abstractmethod
    def halo_frames(self) -> int:
        """Frames around a range with which its codes and audio equal those of the whole clip, within 1e-4."""

    @abstractmethod
    def analyze(self, samples: Tensor) -> Tensor:
        """Audio -> latents: float32 (batch, n_frames * hop_length) -> (batch, latent_dim, n_frames)."""

    @abstractmethod
    def synthesize(self, latents: Tensor, codes: Tensor) -> Tensor:
        """Latents and the codes that they come from -> audio: float32 (batch, n_frames * hop_length)."""

    @property
    def codebooks(self) -> Tensor:
        """All rows: float32 (n_codebooks, codebook_size, codebook_dim)."""
        return self.quantizer.codebooks

    def encode(self, samples: Tensor) -> Tensor:
        """Mono audio -> codes; zeros complete the last frame.

        Args:
            samples: float32 (n_samples,) at `grid.sample_rate`.

        Returns:
            int64 (n_codebooks, n_frames).
        """
        padded = F.pad(samples, (0, -len(samples) % self.grid.hop_length))
        return self.quantizer.encode(self.analyze(padded[None]))[0]

    def decode(self, codes: Tensor) -> Tensor:
        """Codes -> mono audio: int64 (n_codebooks or fewer, n_frames) -> float32 (n_frames * hop_length,)."""
        return self.synthesize(self.quantizer.decode(codes[None]), codes[None])[0]
