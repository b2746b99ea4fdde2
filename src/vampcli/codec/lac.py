"""The codec of the published VampNet models: sample-rate convolutions, 14 codebooks."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from torch import Tensor, nn

from vampcli.codec.base import Codec
from vampcli.codec.rvq import ResidualVectorQuantizer
from vampcli.codec.stft import Stft
from vampcli.errors import UsageError
from vampcli.schema import Between
from vampcli.tokens.grid import TokenGrid

DILATIONS = (1, 3, 9)
_DILATIONS_DECODER = (1, 3, 5)
_KERNELS_DECODER = (3, 7, 11)
_WIDEST = 2**16  # channels, and samples per frame

Rates = Annotated[tuple[Annotated[int, Between(1, 64)], ...], Between(1, 12)]
"""Factors of the rate, block by block."""


@dataclass(frozen=True)
class LacConfig:
    """Sizes of a `LacCodec`; the defaults are the published ones."""

    sample_rate: Annotated[int, Between(1000, 1_000_000)] = 44100
    encoder_dim: Annotated[int, Between(1, 2**12)] = 64
    encoder_rates: Rates = (2, 6, 8, 8)
    decoder_dim: Annotated[int, Between(1, 2**14)] = 1536
    decoder_rates: Rates = (6, 4, 4, 2, 2, 2)
    n_codebooks: Annotated[int, Between(1, 64)] = 14
    codebook_size: Annotated[int, Between(2, 2**16)] = 1024
    codebook_dim: Annotated[int, Between(1, 2**12)] = 8

    def __post_init__(self) -> None:
        if math.prod(self.decoder_rates) != self.hop_length:
            raise UsageError(
                f"decoder rates {self.decoder_rates} do not undo {self.encoder_rates}", "their products are equal"
            )
        if not self.hop_length <= _WIDEST >= self.encoder_dim << len(self.encoder_rates):
            raise UsageError(f"encoder_rates is {self.encoder_rates}", f"channels and samples go up to {_WIDEST}")
        if not self.decoder_dim >> len(self.decoder_rates):
            raise UsageError(f"decoder_dim is {self.decoder_dim}", f"it takes {2 ** len(self.decoder_rates)} or more")

    @property
    def hop_length(self) -> int:
        """Samples per frame."""
        return int(math.prod(self.encoder_rates))

    @property
    def latent_dim(self) -> int:
        """Channels of the latents."""
        return self.encoder_dim << len(self.encoder_rates)

    @property
    def grid(self) -> TokenGrid:
        """Token grid of the codec."""
        return TokenGrid(self.sample_rate, self.hop_length, self.n_codebooks, self.codebook_size)


class Snake(nn.Module):
    """x + sin^2(alpha x) / alpha, with an alpha per channel (arXiv 2006.08195)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.ones(1, width, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Float (batch, width, n) -> the same shape."""
        waves = (self.alpha * x).sin_().square_()  # in place, to save memory
        return waves.mul_((self.alpha + 1e-9).reciprocal()).add_(x)


def _conv(width: int, kernel: int, dilation: int = 1) -> nn.Conv1d:
    return nn.Conv1d(width, width, kernel, dilation=dilation, padding=dilation * (kernel - 1) // 2)


class ResidualLayer(nn.Module):
    """x + f(x), f of two convolutions, the first one dilated."""

    def __init__(self, width: int, kernel: int, dilation: int, last_kernel: int) -> None:
        super().__init__()
        self.layer = nn.Sequential(
            Snake(width), _conv(width, kernel, dilation), Snake(width), _conv(width, last_kernel)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Float (batch, width, n) -> the same shape."""
        y: Tensor = self.layer(x)
        return x + y


class Mean(nn.Module):
    """Mean of parallel stacks of residual layers, one stack per kernel size."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.stacks = nn.ModuleList(
            nn.Sequential(*(ResidualLayer(width, kernel, d, kernel) for d in _DILATIONS_DECODER))
            for kernel in _KERNELS_DECODER
        )

    def forward(self, x: Tensor) -> Tensor:
        """Float (batch, width, n) -> the same shape."""
        first, *others = self.stacks
        total: Tensor = first(x)
        for stack in others:
            total = total + stack(x)
        return total / len(self.stacks)


def convolutional_encoder(width: int, rates: tuple[int, ...], latent_dim: int) -> nn.Sequential:
    """Samples (batch, 1, n) -> latents (batch, latent_dim, n / product of rates); the width doubles at each rate."""
    layers: list[nn.Module] = [nn.Conv1d(1, width, 7, padding=3)]
    for rate in rates:
        layers += [ResidualLayer(width, 7, d, 1) for d in DILATIONS]
        layers += [Snake(width), nn.Conv1d(width, 2 * width, 2 * rate, rate, padding=math.ceil(rate / 2))]
        width *= 2
    return nn.Sequential(*layers, Snake(width), nn.Conv1d(width, latent_dim, 3, padding=1))


class ConvolutionalCodec(Codec):
    """A codec of strided convolutions over samples; subclasses state the residual layers of the decoder.

    Source: Kumar et al., "High-Fidelity Audio Compression with Improved RVQGAN" (arXiv 2306.06546).
    """

    config: LacConfig
    residual_reach: ClassVar[int]
    """Reach of `residual_layers` on either side, in samples at their rate."""

    def __init__(self, config: LacConfig) -> None:
        super().__init__()
        self.config = config
        self.grid = config.grid
        step = config.hop_length // (1 if config.hop_length % 2 else 2)
        self.stft = Stft(5 * step, step)
        self.encoder = convolutional_encoder(config.encoder_dim, config.encoder_rates, config.latent_dim)
        self.quantizer = ResidualVectorQuantizer(
            config.latent_dim, config.n_codebooks, config.codebook_size, config.codebook_dim
        )
        self.decoder = self._decoder()

    @abstractmethod
    def residual_layers(self, width: int) -> list[nn.Module]:
        """Layers of the decoder after each transposed convolution."""

    def _decoder(self) -> nn.Sequential:
        width = self.config.decoder_dim
        layers: list[nn.Module] = [nn.Conv1d(self.config.latent_dim, width, 7, padding=3)]
        for rate in self.config.decoder_rates:
            up = nn.ConvTranspose1d(width, width // 2, 2 * rate, rate, math.ceil(rate / 2), output_padding=rate % 2)
            layers += [Snake(width), up, *self.residual_layers(width // 2)]
            width //= 2
        return nn.Sequential(*layers, Snake(width), nn.Conv1d(width, 1, 7, padding=3), nn.Tanh())

    @property
    def encoder_reach(self) -> int:
        """Distance in frames beyond which audio does not change a frame's codes."""
        reach, stride = 3, 1  # in samples
        for rate in self.config.encoder_rates:
            reach += stride * (3 * sum(DILATIONS) + rate)
            stride *= rate
        return math.ceil((reach + stride) / stride)

    @property
    def halo_frames(self) -> int:
        """Frames around a range that determine its codes and its audio."""
        hop = self.config.hop_length
        reach, stride = 3 * hop, hop  # in samples
        for rate in self.config.decoder_rates:
            reach += stride  # the transposed convolution
            stride //= rate
            reach += stride * self.residual_reach
        return max(self.encoder_reach, math.ceil((reach + 3) / hop))

    def analyze(self, samples: Tensor) -> Tensor:
        """Audio -> latents: float32 (batch, n_frames * hop_length) -> (batch, latent_dim, n_frames)."""
        latents: Tensor = self.encoder(samples[:, None])
        return latents.float()

    def synthesize(self, latents: Tensor, codes: Tensor) -> Tensor:
        """Latents -> audio: float32 (batch, n_frames * hop_length); `codes` is not used."""
        samples: Tensor = self.decoder(latents)
        return samples[:, 0]


class LacCodec(ConvolutionalCodec):
    """The codec of the published VampNet models; its decoder has residual stacks of three kernels in parallel.

    Source: the stacks as in HiFi-GAN (arXiv 2010.05646).
    """

    residual_reach = max(_KERNELS_DECODER) // 2 * sum(d + 1 for d in _DILATIONS_DECODER)

    def residual_layers(self, width: int) -> list[nn.Module]:
        """One mean of parallel stacks."""
        return [Mean(width)]
