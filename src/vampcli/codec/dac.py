"""The Descript audio codec: the encoder and quantiser of `lac` with a decoder of single residual stacks."""

from __future__ import annotations

from torch import nn

from vampcli.codec.config import DILATIONS, DacConfig
from vampcli.codec.lac import ConvolutionalCodec, ResidualLayer


class DacCodec(ConvolutionalCodec):
    """The Descript audio codec.

    Source: Kumar et al., "High-Fidelity Audio Compression with Improved RVQGAN" (arXiv 2306.06546).
    """

    config: DacConfig

    def residual_layers(self, width: int) -> list[nn.Module]:
        """Residual layers of growing dilation, as in the encoder."""
        return [ResidualLayer(width, 7, dilation, 1) for dilation in DILATIONS]
