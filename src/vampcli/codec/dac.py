"""The Descript audio codec: the encoder and quantiser of `lac` with a decoder of single residual stacks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from torch import nn

from vampcli.codec.lac import DILATIONS, ConvolutionalCodec, LacConfig, Rates, ResidualLayer
from vampcli.schema import Between


@dataclass(frozen=True)
class DacConfig(LacConfig):
    """Sizes of a `DacCodec`; the defaults are those of the published 44.1 kHz model.

    Attributes:
        latent_dim: channels of the latents; 0 for the width of the encoder's last layers.
    """

    encoder_rates: Rates = (2, 4, 8, 8)
    decoder_rates: Rates = (8, 8, 4, 2)
    n_codebooks: Annotated[int, Between(1, 64)] = 9
    latent_dim: Annotated[int, Between(0, 2**16)] = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.latent_dim:
            object.__setattr__(self, "latent_dim", self.encoder_dim << len(self.encoder_rates))


class DacCodec(ConvolutionalCodec):
    """The Descript audio codec.

    Source: Kumar et al., "High-Fidelity Audio Compression with Improved RVQGAN" (arXiv 2306.06546).
    """

    config: DacConfig
    residual_reach = 3 * sum(DILATIONS)

    def residual_layers(self, width: int) -> list[nn.Module]:
        """Residual layers of growing dilation, as in the encoder."""
        return [ResidualLayer(width, 7, dilation, 1) for dilation in DILATIONS]
