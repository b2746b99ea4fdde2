"""The Descript audio codec: encoder and quantiser as in `lac`, a plainer decoder."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor, nn

from vampcli.codec.base import Codec
from vampcli.codec.lac import DILATIONS_ENCODER, LacConfig, ResidualLayer, Snake, convolutional_encoder, encoder_reach
from vampcli.codec.rvq import ResidualVectorQuantizer


@dataclass(frozen=True)
class DacConfig(LacConfig):
    """Sizes of a `DacCodec`; the defaults are those of the published 44.1 kHz model.

    Attributes:
        latent_dim: numbers in a latent frame; 0 for as many as the encoder's last layers have.
    """

    encoder_rates: tuple[int, ...] = (2, 4, 8, 8)
    decoder_rates: tuple[int, ...] = (8, 8, 4, 2)
    n_codebooks: int = 9
    latent_dim: int = 0

    def __post_init__(self) -> None:
        if not self.latent_dim:
            object.__setattr__(self, "latent_dim", self.encoder_dim << len(self.encoder_rates))


def _decoder(config: DacConfig) -> nn.Sequential:
    width = config.decoder_dim
    layers: list[nn.Module] = [nn.Conv1d(config.latent_dim, width, 7, padding=3)]
    for rate in config.decoder_rates:
        up = nn.ConvTranspose1d(width, width // 2, 2 * rate, rate, padding=math.ceil(rate / 2), output_padding=rate % 2)
        layers += [Snake(width), up, *(ResidualLayer(width // 2, 7, d, 1) for d in DILATIONS_ENCODER)]
        width //= 2
    return nn.Sequential(*layers, Snake(width), nn.Conv1d(width, 1, 7, padding=3), nn.Tanh())


class DacCodec(Codec):
    """Mono audio <-> tokens by convolutions over samples.

    Source: Kumar et al., "High-Fidelity Audio Compression with Improved RVQGAN" (arXiv 2306.06546).
    """

    config: DacConfig

    def __init__(self, config: DacConfig) -> None:
        super().__init__()
        if math.prod(config.decoder_rates) != config.hop_length:
            raise ValueError(f"decoder rates {config.decoder_rates} do not undo {config.encoder_rates}")
        self.config = config
        self.grid = config.grid
        self.encoder = convolutional_encoder(config.encoder_dim, config.encoder_rates, config.latent_dim)
        self.quantizer = ResidualVectorQuantizer(
            config.latent_dim, config.n_codebooks, config.codebook_size, config.codebook_dim
        )
        self.decoder = _decoder(config)

    @property
    def encoder_reach(self) -> int:
        """How many frames away audio can still change a frame's codes."""
        return encoder_reach(self.config.encoder_rates)

    @property
    def halo_frames(self) -> int:
        """How many frames around a range determine it, for encoding and for decoding."""
        hop = self.config.hop_length
        reach, stride = 3 * hop, hop
        for rate in self.config.decoder_rates:
            reach += stride  # the transposed convolution
            stride //= rate
            reach += stride * 3 * sum(DILATIONS_ENCODER)
        return max(self.encoder_reach, math.ceil((reach + 3) / hop))

    def analyze(self, samples: Tensor) -> Tensor:
        """Audio -> latents: float32 (batch, n_frames * hop_length) -> (batch, latent_dim, n_frames)."""
        latents: Tensor = self.encoder(samples[:, None])
        return latents.float()

    def synthesize(self, latents: Tensor, codes: Tensor) -> Tensor:
        """Latents -> audio: float32 (batch, n_frames * hop_length); `codes` would tell nothing more."""
        samples: Tensor = self.decoder(latents)
        return samples[:, 0]
