"""What codecs have in common: latents of whole frames, quantised, and back."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from vampcli.codec.rvq import ResidualVectorQuantizer
from vampcli.tokens.grid import TokenGrid


class QuantizedCodec(nn.Module):
    """Mono audio <-> tokens, given `analyze` and `synthesize`: the networks before and after the quantiser."""

    grid: TokenGrid
    quantizer: ResidualVectorQuantizer

    @property
    def codebooks(self) -> Tensor:
        """All rows: float32 (n_codebooks, codebook_size, codebook_dim)."""
        return self.quantizer.codebooks

    def analyze(self, samples: Tensor) -> Tensor:
        """Audio -> latents: float32 (batch, n_frames * hop_length) -> (batch, latent_dim, n_frames)."""
        raise NotImplementedError

    def synthesize(self, latents: Tensor, codes: Tensor) -> Tensor:
        """Latents and the codes that they come from -> audio: float32 (batch, n_frames * hop_length)."""
        raise NotImplementedError

    def encode(self, samples: Tensor) -> Tensor:
        """Mono audio -> codes; the last frame is filled up with zeros.

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
