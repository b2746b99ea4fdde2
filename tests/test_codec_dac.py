"""Sizes of the DAC codec; test_convert_dac compares it with that of descript-audio-codec."""

import pytest
import torch
from torch import nn

from vampcli.codec.dac import DacCodec, DacConfig
from vampcli.codec.kinds import build_codec
from vampcli.errors import ModelError


def test_default_sizes_are_the_published_ones() -> None:
    with torch.device("meta"):
        codec = DacCodec(DacConfig())
    assert (codec.grid.hop_length, codec.config.latent_dim) == (512, 1024)
    # Weight norm is folded: every convolution has one number less for each output channel (input, if transposed).
    gains = sum(len(m.weight) for m in codec.modules() if isinstance(m, nn.Conv1d | nn.ConvTranspose1d))
    assert round((sum(p.numel() for p in codec.parameters()) + gains) / 1e6, 1) == 76.7


def test_mismatched_rates() -> None:
    with pytest.raises(ModelError, match=r"decoder rates \(2, 2\) do not undo \(2, 4\)"):
        build_codec("dac", {"encoder_rates": [2, 4], "decoder_rates": [2, 2]})
