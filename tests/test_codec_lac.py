"""The codec of the published models: the encoder of DAC, and exact results."""

import warnings
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from oracles import copy_from_dac
from vampcli.checkpoints.convert.codecs import open_lac
from vampcli.codec.lac import LacCodec, LacConfig

OFFICIAL = Path(__file__).parent / "data/official"


@pytest.fixture(scope="module")
def codec() -> LacCodec:
    codec, tensors = open_lac(OFFICIAL / "codec.pth")
    codec.load_state_dict(dict(tensors), assign=True)
    return codec.eval().requires_grad_(False)


def noise(n_samples: int, seed: int = 1) -> Tensor:
    return 0.1 * torch.randn(n_samples, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("rates", [(2, 6, 8, 8), (2, 4), (3, 5)])
def test_encoder_equals_dac(rates: tuple[int, ...]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pytest.importorskip("dac")
        from dac.model.dac import Encoder

        torch.manual_seed(0)
        theirs = Encoder(4, list(rates), 4 * 2 ** len(rates)).eval()
    config = LacConfig(encoder_dim=4, encoder_rates=rates, decoder_dim=16, decoder_rates=rates[::-1], codebook_size=16)
    ours = LacCodec(config).eval()
    copy_from_dac(ours.encoder, theirs)
    samples = noise(10 * config.hop_length)[None, None]
    torch.testing.assert_close(ours.encoder(samples), theirs(samples), atol=1e-5, rtol=1e-5)


def test_default_sizes_are_the_published_ones() -> None:
    with torch.device("meta"):
        codec = LacCodec(LacConfig())
    assert codec.grid.hop_length == 768
    assert codec.config.latent_dim == 1024
    # Weight norm is folded: every convolution has one number less for each output channel (input, if transposed).
    gains = sum(len(m.weight) for m in codec.modules() if isinstance(m, nn.Conv1d | nn.ConvTranspose1d))
    assert round((sum(p.numel() for p in codec.parameters()) + gains) / 1e6, 2) == 150.18


def test_official_codes(codec: LacCodec, expected: dict[str, Tensor]) -> None:
    assert torch.equal(codec.encode(expected["audio"][0, 0]), expected["codes"][0].long())


def test_official_latents_and_audio(codec: LacCodec, expected: dict[str, Tensor]) -> None:
    codes = expected["codes"].long()
    torch.testing.assert_close(codec.quantizer.decode(codes), expected["encoder_z_q"], atol=1e-4, rtol=0)
    torch.testing.assert_close(codec.decode(codes[0]), expected["decoded"][0, 0], atol=1e-4, rtol=0)
