"""The Descript codec in our lines against that of descript-audio-codec, and its stated reach in time."""

from __future__ import annotations

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


@pytest.mark.parametrize(("extra", "n_frames"), [(-1, 3), (0, 3), (1, 4)])
def test_every_length_fills_whole_frames(codec: DacCodec, extra: int, n_frames: int) -> None:
    codes = codec.encode(noise(codec)[: 3 * codec.grid.hop_length + extra])
    assert codes.shape == (3, n_frames)
    assert codec.decode(codes).shape == (n_frames * codec.grid.hop_length,)


def test_audio_beyond_the_encoder_reach_changes_nothing(codec: DacCodec) -> None:
    hop, frame, reach = codec.grid.hop_length, N_FRAMES // 2, codec.encoder_reach
    samples, changed = noise(codec), noise(codec, seed=2)
    heard = slice((frame - reach) * hop, (frame + reach + 1) * hop)
    changed[heard] = samples[heard]
    before, after = (codec.analyze(x[None])[0, :, frame] for x in (samples, changed))
    torch.testing.assert_close(after, before, atol=1e-6, rtol=0)


def test_codes_beyond_the_context_change_no_sample(codec: DacCodec) -> None:
    hop, frame, reach = codec.grid.hop_length, N_FRAMES // 2, codec.halo_frames
    codes, changed = random_codes(codec), random_codes(codec, seed=2)
    heard = slice(frame - reach, frame + reach + 1)
    changed[:, heard] = codes[:, heard]
    assert not torch.equal(changed, codes)
    inside = slice(frame * hop, (frame + 1) * hop)
    torch.testing.assert_close(codec.decode(changed)[inside], codec.decode(codes)[inside], atol=1e-6, rtol=0)


@pytest.mark.parametrize("side", ["encoder", "decoder"])
def test_reaches_are_tight(codec: DacCodec, side: str) -> None:
    hop, frame = codec.grid.hop_length, N_FRAMES // 2
    if side == "encoder":
        x = noise(codec).requires_grad_()
        codec.analyze(x[None])[0, :, frame].square().sum().backward()
    else:
        x = torch.randn(codec.config.latent_dim, N_FRAMES, requires_grad=True)
        codec.synthesize(x[None], random_codes(codec)[None])[
            0, frame * hop : (frame + 1) * hop
        ].square().sum().backward()
    assert x.grad is not None
    felt = torch.nonzero(
        x.grad.view(-1, N_FRAMES).abs().sum(0) if side == "decoder" else x.grad.view(N_FRAMES, hop).abs().sum(1)
    )
    reach = codec.encoder_reach if side == "encoder" else codec.halo_frames
    for distance in (frame - int(felt[0]), int(felt[-1]) - frame):
        assert reach - 2 <= distance <= reach


@pytest.mark.parametrize(("start", "end"), [(22, 25), (0, 4), (44, 48)], ids=["middle", "head", "tail"])
def test_a_range_with_its_context_equals_the_whole(codec: DacCodec, start: int, end: int) -> None:
    hop = codec.grid.hop_length
    first, last = max(0, start - codec.halo_frames), min(N_FRAMES, end + codec.halo_frames)
    samples, codes = noise(codec), random_codes(codec)
    excerpt, inner = samples[first * hop : last * hop], slice(start - first, end - first)
    assert torch.equal(codec.encode(excerpt)[:, inner], codec.encode(samples)[:, start:end])
    audio = codec.decode(codes[:, first:last])[inner.start * hop : inner.stop * hop]
    torch.testing.assert_close(audio, codec.decode(codes)[start * hop : end * hop], atol=1e-4, rtol=0)


def test_rates_that_do_not_match_are_refused() -> None:
    with pytest.raises(ModelError, match=r"decoder rates \(2, 2\) do not undo \(2, 4\)"):
        build_codec("dac", {"encoder_rates": [2, 4], "decoder_rates": [2, 2]})
