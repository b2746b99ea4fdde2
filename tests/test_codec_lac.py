"""The codec of the published models: DAC's encoder, exact files, and a stated reach in time."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from oracles import copy_from_dac
from vampcli.checkpoints.convert.codecs import open_lac
from vampcli.codec.lac import LacCodec, LacConfig

OFFICIAL = Path(__file__).parent / "data/official"
N_FRAMES = 48


@pytest.fixture(scope="module")
def codec() -> LacCodec:
    codec, tensors = open_lac(OFFICIAL / "codec.pth")
    codec.load_state_dict(dict(tensors), assign=True)
    return codec.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def expected() -> dict[str, Tensor]:
    return load_file(OFFICIAL / "expected.safetensors")


def noise(n_samples: int, seed: int = 1) -> Tensor:
    return 0.1 * torch.randn(n_samples, generator=torch.Generator().manual_seed(seed))


def random_codes(codec: LacCodec, seed: int = 1) -> Tensor:
    shape = (codec.grid.n_codebooks, N_FRAMES)
    return torch.randint(codec.grid.codebook_size, shape, generator=torch.Generator().manual_seed(seed))


def latents(codec: LacCodec, samples: Tensor) -> Tensor:
    out: Tensor = codec.encoder(samples[None, None])[0]
    return out


@pytest.mark.parametrize("rates", [(2, 6, 8, 8), (2, 4), (3, 5)])
def test_encoder_equals_dac(rates: tuple[int, ...]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pytest.importorskip("dac")
        from dac.model.dac import Encoder

        torch.manual_seed(0)
        theirs = Encoder(4, list(rates), 4 * 2 ** len(rates)).eval()
    config = LacConfig(encoder_dim=4, encoder_rates=rates, decoder_dim=8, decoder_rates=(2,), codebook_size=16)
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


def test_codes_equal_the_official_ones(codec: LacCodec, expected: dict[str, Tensor]) -> None:
    assert torch.equal(codec.encode(expected["audio"][0, 0]), expected["codes"][0].long())


def test_latents_and_audio_equal_the_official_ones(codec: LacCodec, expected: dict[str, Tensor]) -> None:
    codes = expected["codes"].long()
    torch.testing.assert_close(codec.quantizer.decode(codes), expected["encoder_z_q"], atol=1e-4, rtol=0)
    torch.testing.assert_close(codec.decode(codes[0]), expected["decoded"][0, 0], atol=1e-4, rtol=0)


@pytest.mark.parametrize(("n_samples", "n_frames"), [(1, 1), (767, 1), (768, 1), (769, 2), (1537, 3)])
def test_every_length_fills_whole_frames(codec: LacCodec, n_samples: int, n_frames: int) -> None:
    codes = codec.encode(noise(n_samples))
    assert codes.dtype == torch.int64
    assert codes.shape == (14, n_frames)
    assert codec.decode(codes).shape == (n_frames * 768,)


def test_audio_beyond_the_encoder_reach_changes_nothing(codec: LacCodec) -> None:
    hop, frame, reach = codec.grid.hop_length, N_FRAMES // 2, codec.encoder_reach
    samples, changed = noise(N_FRAMES * hop), noise(N_FRAMES * hop, seed=2)
    heard = slice((frame - reach) * hop, (frame + reach + 1) * hop)
    changed[heard] = samples[heard]
    before, after = latents(codec, samples), latents(codec, changed)
    torch.testing.assert_close(after[:, frame], before[:, frame], atol=1e-5, rtol=0)
    assert torch.equal(codec.encode(changed)[:, frame], codec.encode(samples)[:, frame])


def test_codes_beyond_the_context_change_no_sample(codec: LacCodec) -> None:
    hop, frame, reach = codec.grid.hop_length, N_FRAMES // 2, codec.halo_frames
    codes, changed = random_codes(codec), random_codes(codec, seed=2)
    heard = slice(frame - reach, frame + reach + 1)
    changed[:, heard] = codes[:, heard]
    assert not torch.equal(changed, codes)
    inside = slice(frame * hop, (frame + 1) * hop)
    torch.testing.assert_close(codec.decode(changed)[inside], codec.decode(codes)[inside], atol=1e-5, rtol=0)


def test_encoder_reach_is_tight(codec: LacCodec) -> None:
    samples = noise(N_FRAMES * 768).requires_grad_()
    latents(codec, samples)[:, N_FRAMES // 2].square().sum().backward()
    assert samples.grad is not None
    felt = torch.nonzero(samples.grad.view(N_FRAMES, 768).abs().sum(1))[:, 0] - N_FRAMES // 2
    for distance in (-int(felt[0]), int(felt[-1])):
        assert codec.encoder_reach - 2 <= distance <= codec.encoder_reach


def test_decoder_context_is_tight(codec: LacCodec) -> None:
    z = torch.randn(1, codec.config.latent_dim, N_FRAMES, requires_grad=True)
    frame = N_FRAMES // 2
    codec.decoder(z)[0, 0, frame * 768 : (frame + 1) * 768].square().sum().backward()
    assert z.grad is not None
    felt = torch.nonzero(z.grad[0].abs().sum(0))[:, 0] - frame
    for distance in (-int(felt[0]), int(felt[-1])):
        assert codec.halo_frames - 2 <= distance <= codec.halo_frames


@pytest.mark.parametrize(("start", "end"), [(22, 25), (0, 4), (44, 48)], ids=["middle", "head", "tail"])
def test_a_range_with_its_context_equals_the_whole(codec: LacCodec, start: int, end: int) -> None:
    hop = codec.grid.hop_length
    first, last = max(0, start - codec.halo_frames), min(N_FRAMES, end + codec.halo_frames)
    samples, codes = noise(N_FRAMES * hop), random_codes(codec)
    excerpt, inner = samples[first * hop : last * hop], slice(start - first, end - first)
    torch.testing.assert_close(
        latents(codec, excerpt)[:, inner], latents(codec, samples)[:, start:end], atol=1e-4, rtol=0
    )
    assert torch.equal(codec.encode(excerpt)[:, inner], codec.encode(samples)[:, start:end])
    audio = codec.decode(codes[:, first:last])[inner.start * hop : inner.stop * hop]
    torch.testing.assert_close(audio, codec.decode(codes)[start * hop : end * hop], atol=1e-4, rtol=0)
