"""Properties of every codec: whole frames, a bounded reach in time, and ranges that equal the whole."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from conftest import TINY_CODEC, random_codec
from vampcli.checkpoints.convert.codecs import open_lac
from vampcli.codec import chunked
from vampcli.codec.base import Codec
from vampcli.codec.config import DacConfig, LacConfig, MagnitudeConfig, codec_config
from vampcli.codec.dac import DacCodec
from vampcli.codec.lac import LacCodec
from vampcli.codec.magnitude import MagnitudeCodec
from vampcli.errors import ModelError

OFFICIAL = Path(__file__).parent / "data/official"
SIZES = {"encoder_dim": 4, "decoder_dim": 16, "n_codebooks": 3, "codebook_size": 16, "codebook_dim": 4}
N_FRAMES = 60
FRAME = N_FRAMES // 2


def lac() -> Codec:
    codec, tensors = open_lac(OFFICIAL / "codec.pth")
    codec.load_state_dict(dict(tensors), assign=True)
    return codec


def dac(encoder_rates: tuple[int, ...], decoder_rates: tuple[int, ...]) -> Codec:
    torch.manual_seed(0)
    codec = DacCodec(DacConfig(encoder_rates=encoder_rates, decoder_rates=decoder_rates, **SIZES))  # type: ignore[arg-type]
    codec.quantizer.codebooks.data.normal_()
    return codec


CODECS = {
    "tiny magnitude": lambda: random_codec(TINY_CODEC),
    "magnitude": lambda: random_codec(MagnitudeConfig()),
    "lac": lac,
    "dac": lambda: dac((2, 4, 8, 8), (8, 8, 4, 2)),
    "dac of other rates": lambda: dac((2, 6), (4, 3)),
    "dac of odd rates": lambda: dac((3, 5), (5, 3)),
}


@pytest.fixture(scope="module", params=CODECS)
def codec(request: pytest.FixtureRequest) -> Codec:
    made: Codec = CODECS[request.param]()
    return made.eval().requires_grad_(False)


def noise(codec: Codec, seed: int = 1) -> Tensor:
    return 0.1 * torch.randn(N_FRAMES * codec.grid.hop_length, generator=torch.Generator().manual_seed(seed))


def random_codes(codec: Codec, seed: int = 1) -> Tensor:
    shape = (codec.grid.n_codebooks, N_FRAMES)
    return torch.randint(codec.grid.codebook_size, shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("n_whole", "extra", "n_frames"), [(0, 1, 1), (3, -1, 3), (3, 0, 3), (3, 1, 4)])
def test_every_length_fills_whole_frames(codec: Codec, n_whole: int, extra: int, n_frames: int) -> None:
    n_samples = n_whole * codec.grid.hop_length + extra
    codes = codec.encode(noise(codec)[:n_samples])
    assert codes.dtype == torch.int64
    assert codes.shape == (codec.grid.n_codebooks, n_frames)
    assert codec.grid.n_frames(n_samples) == n_frames
    assert codec.decode(codes).shape == (n_frames * codec.grid.hop_length,)


def test_zeros_complete_the_last_frame(codec: Codec) -> None:
    samples = noise(codec)[: 5 * codec.grid.hop_length]
    samples[-10:] = 0
    assert torch.equal(codec.encode(samples[:-10]), codec.encode(samples))


def test_audio_beyond_the_reach_changes_nothing(codec: Codec) -> None:
    hop, reach = codec.grid.hop_length, codec.encoder_reach
    samples, changed = noise(codec), noise(codec, seed=2)
    within = slice((FRAME - reach) * hop, (FRAME + reach + 1) * hop)
    changed[within] = samples[within]
    before, after = (codec.analyze(x[None])[0, :, FRAME] for x in (samples, changed))
    torch.testing.assert_close(after, before, atol=1e-5, rtol=0)
    assert torch.equal(codec.encode(changed)[:, FRAME], codec.encode(samples)[:, FRAME])


def test_codes_beyond_the_halo_change_nothing(codec: Codec) -> None:
    hop, reach = codec.grid.hop_length, codec.halo_frames
    codes, changed = random_codes(codec), random_codes(codec, seed=2)
    within = slice(FRAME - reach, FRAME + reach + 1)
    changed[:, within] = codes[:, within]
    assert not torch.equal(changed, codes)
    inside = slice(FRAME * hop, (FRAME + 1) * hop)
    torch.testing.assert_close(codec.decode(changed)[inside], codec.decode(codes)[inside], atol=1e-5, rtol=0)


@pytest.mark.parametrize("side", ["encoder", "decoder"])
def test_reaches_are_tight(codec: Codec, side: str) -> None:
    if isinstance(codec, MagnitudeCodec):
        pytest.skip("no gradient passes the phases: see test_codec_magnitude")
    hop = codec.grid.hop_length
    if side == "encoder":
        x, reach = noise(codec).requires_grad_(), codec.encoder_reach
        result = codec.analyze(x[None])[0, :, FRAME]
    else:
        x, reach = torch.randn(codec.config.latent_dim, N_FRAMES, requires_grad=True), codec.halo_frames
        result = codec.synthesize(x[None], random_codes(codec)[None])[0, FRAME * hop : (FRAME + 1) * hop]
    (slope,) = torch.autograd.grad(result.square().sum(), x)
    per_frame = slope.view(N_FRAMES, hop).T if side == "encoder" else slope
    distances = torch.nonzero(per_frame.abs().sum(0))[:, 0] - FRAME
    for distance in (-int(distances[0]), int(distances[-1])):
        assert reach - 2 <= distance <= reach


@pytest.mark.parametrize(("start", "end"), [(29, 32), (0, 4), (56, 60)], ids=["middle", "head", "tail"])
def test_range_with_halo_equals_the_whole(codec: Codec, start: int, end: int) -> None:
    hop = codec.grid.hop_length
    first, last = max(0, start - codec.halo_frames), min(N_FRAMES, end + codec.halo_frames)
    samples, codes = noise(codec), random_codes(codec)
    excerpt, inner = samples[first * hop : last * hop], slice(start - first, end - first)
    latents, expected = codec.analyze(excerpt[None])[0, :, inner], codec.analyze(samples[None])[0, :, start:end]
    torch.testing.assert_close(latents, expected, atol=1e-4, rtol=0)
    assert torch.equal(codec.encode(excerpt)[:, inner], codec.encode(samples)[:, start:end])
    audio = codec.decode(codes[:, first:last])[inner.start * hop : inner.stop * hop]
    torch.testing.assert_close(audio, codec.decode(codes)[start * hop : end * hop], atol=1e-4, rtol=0)


@pytest.mark.parametrize("part", [slice(1), slice(-700), slice(None)], ids=["sample", "part", "whole"])
def test_chunks_equal_the_whole(codec: Codec, monkeypatch: pytest.MonkeyPatch, part: slice) -> None:
    monkeypatch.setattr(chunked, "_FRAMES_AT_ONCE", 20)
    samples = noise(codec)[part]
    codes = codec.encode(samples)
    assert (chunked.encode_long(codec, samples) == codes).float().mean() > 0.999
    torch.testing.assert_close(chunked.decode_long(codec, codes), codec.decode(codes), atol=1e-4, rtol=0)


LARGE = {"lac": (lambda: LacCodec(LacConfig()), 768, 150.18), "dac": (lambda: DacCodec(DacConfig()), 512, 76.65)}


@pytest.mark.parametrize(("make", "hop", "millions"), LARGE.values(), ids=LARGE)
def test_default_sizes_are_the_published_ones(make: Callable[[], Any], hop: int, millions: float) -> None:
    with torch.device("meta"):
        codec = make()
    assert (codec.grid.hop_length, codec.config.latent_dim) == (hop, 1024)
    # Weight norm is folded: every convolution has one number less for each output channel (input, if transposed).
    gains = sum(len(m.weight) for m in codec.modules() if isinstance(m, nn.Conv1d | nn.ConvTranspose1d))
    assert round((sum(p.numel() for p in codec.parameters()) + gains) / 1e6, 2) == millions


def test_mismatched_rates() -> None:
    with pytest.raises(ModelError, match=r"decoder rates \(2, 2\) do not undo \(2, 4\)"):
        codec_config({"kind": "dac", "encoder_rates": [2, 4], "decoder_rates": [2, 2]}, "here")
