"""The codec of the published VampNet models: sample-rate convolutions, 14 codebooks."""

from __future__ import annotations

import math
from abc import abstractmethod

import torch
from torch import Tensor, nn

from vampcli.codec.base import Codec
from vampcli.codec.config import DECODER_DILATIONS, DECODER_KERNELS, DILATIONS, LacConfig
from vampcli.codec.rvq import ResidualVectorQuantizer
from vampcli.codec.stft import Stft


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
            nn.Sequential(*(ResidualLayer(width, kernel, d, kernel) for d in DECODER_DILATIONS))
            for kernel in DECODER_KERNELS
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

    def residual_layers(self, width: int) -> list[nn.Module]:
        """One mean of parallel stacks."""
        return [Mean(width)]
