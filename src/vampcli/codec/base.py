"""The base class of codecs: mono audio <-> tokens, by a quantiser between two networks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from vampcli.codec.rvq import ResidualVectorQuantizer
from vampcli.codec.stft import Stft
from vampcli.tokens.grid import TokenGrid

_SMOOTHING = 3  # spectra, and bins
_LEAST_POWER = 1e-8


class Codec(nn.Module, ABC):
    """Mono audio <-> tokens, without resampling or a change of level.

    No operation runs over all time: `halo_frames` of audio or tokens around a range determine its result.

    Attributes:
        config: sizes; see `vampcli.codec.config`.
        grid: the token grid that the codec fills.
        quantizer: between the two networks `analyze` and `synthesize`.
        stft: spectra whose frames divide token frames evenly.
    """

    config: Any
    grid: TokenGrid
    quantizer: ResidualVectorQuantizer
    stft: Stft

    @property
    def encoder_reach(self) -> int:
        """See `CodecShape.encoder_reach`."""
        reach: int = self.config.encoder_reach
        return reach

    @property
    def halo_frames(self) -> int:
        """See `CodecShape.halo_frames`."""
        halo: int = self.config.halo_frames
        return halo

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

    def decode_log_magnitude(self, codes: Tensor) -> Tensor:
        """Codes -> log10 magnitudes of `stft`: int64 (n_codebooks or fewer, n_frames) -> float32 (n_spectra, n_bins).

        By default those of the decoded audio, averaged over neighbours: single ones depend on phases.
        """
        power = self.stft.spectrum(self.decode(codes)[None]).abs().square()
        smooth = F.avg_pool2d(power[None], _SMOOTHING, 1, _SMOOTHING // 2)
        return smooth[0, 0].clamp(min=_LEAST_POWER).log10() / 2
