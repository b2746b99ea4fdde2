"""The DAC codec against that of descript-audio-codec."""

import warnings
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from oracles import copy_from_dac
from vampcli.codec.dac import DacCodec, DacConfig
from vampcli.codec.kinds import build_codec
from vampcli.errors import ModelError

SIZES = {"encoder_dim": 4, "decoder_dim": 16, "n_codebooks": 3, "codebook_size": 16, "codebook_dim": 4}
RATES = [((2, 4, 8, 8), (8, 8, 4, 2)), ((2, 6), (4, 3)), ((3, 5), (5, 3))]
N_FRAMES = 48


def random_codec(rates: tuple[tuple[int, ...], tuple[int, ...]]) -> DacCodec:
    torch.manual_seed(0)
    codec = DacCodec(DacConfig(encoder_rates=rates[0], decoder_rates=rates[1], **SIZES)).eval()  # type: ignore[arg-type]
    codec.quantizer.codebooks.data.normal_()
    return codec.requires_grad_(False)


@pytest.fixture(scope="module", params=RATES, ids=str)
def codec(request: pytest.FixtureRequest) -> DacCodec:
    return random_codec(request.param)


@pytest.fixture(scope="module")
def theirs(codec: DacCodec) -> Any:
    """A `dac.DAC` of the same sizes, whose weights `codec` then has."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pytest.importorskip("dac")
        from dac import DAC

        torch.manual_seed(0)
        c = codec.config
        model = DAC(encoder_rates=list(c.encoder_rates), decoder_rates=list(c.decoder_rates), **SIZES).eval()
    for own, foreign in ((codec.encoder, model.encoder), (codec.decoder, model.decoder)):
        copy_from_dac(own, foreign)
    for i, level in enumerate(model.quantizer.quantizers):
        for own, foreign in zip(codec.quantizer.projections(i), (level.in_proj, level.out_proj), strict=True):
            copy_from_dac(own, foreign)
        codec.quantizer.codebooks[i] = level.codebook.weight
    return model


def noise(codec: DacCodec, seed: int = 1) -> Tensor:
    return 0.1 * torch.randn(N_FRAMES * codec.grid.hop_length, generator=torch.Generator().manual_seed(seed))


def random_codes(codec: DacCodec, seed: int = 1) -> Tensor:
    shape = (codec.grid.n_codebooks, N_FRAMES)
    return torch.randint(codec.grid.codebook_size, shape, generator=torch.Generator().manual_seed(seed))


def test_encoder_and_quantiser_equal_dac(codec: DacCodec, theirs: Any) -> None:
    samples = noise(codec)[None]
    with torch.no_grad():
        latents, codes = theirs.encode(samples[None])[:2]
        torch.testing.assert_close(codec.analyze(samples), theirs.encoder(samples[None]), atol=1e-5, rtol=1e-5)
    assert torch.equal(codec.encode(samples[0]), codes[0])
    torch.testing.assert_close(codec.quantizer.decode(codes), latents, atol=1e-5, rtol=1e-5)


def test_decoder_equals_dac(codec: DacCodec, theirs: Any) -> None:
    """Of odd rates dac makes slightly too few samples; all but the last ones are the same."""
    codes = random_codes(codec)
    with torch.no_grad():
        expected = theirs.decode(theirs.quantizer.from_codes(codes[None])[0])[0, 0]
    made = codec.decode(codes)
    assert made.shape == (N_FRAMES * codec.grid.hop_length,)
    odd = any(rate % 2 for rate in codec.config.decoder_rates)
    assert (len(expected) < len(made)) == odd
    n = (N_FRAMES - codec.halo_frames if odd else N_FRAMES) * codec.grid.hop_length
    torch.testing.assert_close(made[:n], expected[:n], atol=1e-5, rtol=1e-5)


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
