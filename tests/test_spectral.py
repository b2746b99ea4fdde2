"""The embedded codec: exact transforms, whole frames, and a stated reach in time."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from conftest import TINY_CODEC
from vampcli.codec.spectral import SpectralCodec, SpectralConfig, mix

HOP = TINY_CODEC.hop_length
N_FRAMES = 50


def random_codec(config: SpectralConfig) -> SpectralCodec:
    torch.manual_seed(0)
    codec = SpectralCodec(config).eval().requires_grad_(False)
    for quantizer in codec.quantizers:
        quantizer.codebooks.normal_()
    return codec


@pytest.fixture(scope="module", params=[TINY_CODEC, SpectralConfig()], ids=["tiny", "default"])
def codec(request: pytest.FixtureRequest) -> SpectralCodec:
    return random_codec(request.param)


@pytest.fixture(scope="module")
def tiny_codec() -> SpectralCodec:
    return random_codec(TINY_CODEC)


def noise(n_frames: int = N_FRAMES, seed: int = 1) -> Tensor:
    return 0.1 * torch.randn(n_frames * HOP, generator=torch.Generator().manual_seed(seed))


def random_codes(codec: SpectralCodec, seed: int = 1) -> Tensor:
    shape = (codec.grid.n_codebooks, N_FRAMES)
    return torch.randint(codec.grid.codebook_size, shape, generator=torch.Generator().manual_seed(seed))


def latents(codec: SpectralCodec, samples: Tensor) -> Tensor:
    return codec.encoder(codec.spectrum(samples[None]))[0]


def frames_felt(gradient: Tensor) -> Tensor:
    """Frames with any gradient: float (n, n_frames) -> their indices."""
    return torch.nonzero(gradient.abs().sum(0))[:, 0]


@pytest.mark.parametrize("n_frames", [1, 2, 7])
def test_waveform_inverts_spectrum(tiny_codec: SpectralCodec, n_frames: int) -> None:
    samples = torch.stack([noise(n_frames), noise(n_frames, seed=2)])
    torch.testing.assert_close(tiny_codec.waveform(tiny_codec.spectrum(samples)), samples, atol=1e-6, rtol=0)


def test_spectrum_has_its_subframes_and_bins(tiny_codec: SpectralCodec) -> None:
    shape = (1, TINY_CODEC.n_fft // 2 + 1, 7 * TINY_CODEC.n_subframes)
    assert tiny_codec.spectrum(noise(7)[None]).shape == shape


def test_steady_tone_in_the_middle_of_a_bin_keeps_its_phase_within_a_frame(tiny_codec: SpectralCodec) -> None:
    bin_number = 37
    turns = torch.arange(12 * HOP, dtype=torch.float64) * bin_number / TINY_CODEC.n_fft
    tone = torch.cos(2 * torch.pi * turns).float()
    inner = tiny_codec.spectrum(tone[None])[0, bin_number, 16:32].view(4, TINY_CODEC.n_subframes)
    torch.testing.assert_close(inner, inner[:, :1].expand_as(inner), atol=0.05, rtol=0)


@pytest.mark.parametrize(
    ("n_samples", "n_frames"), [(1, 1), (767, 1), (768, 1), (769, 2), (1536, 2), (1537, 3), (44100, 58)]
)
def test_every_length_fills_whole_frames(tiny_codec: SpectralCodec, n_samples: int, n_frames: int) -> None:
    codes = tiny_codec.encode(noise(60)[:n_samples])
    assert codes.dtype == torch.int64
    assert codes.shape == (TINY_CODEC.n_codebooks, n_frames)
    assert tiny_codec.decode(codes).shape == (n_frames * HOP,)
    assert tiny_codec.grid.n_frames(n_samples) == n_frames


def test_last_frame_is_filled_up_with_zeros(tiny_codec: SpectralCodec) -> None:
    samples = noise(5)
    samples[-100:] = 0
    assert torch.equal(tiny_codec.encode(samples[:-100]), tiny_codec.encode(samples))


def test_silence_gives_finite_audio(tiny_codec: SpectralCodec) -> None:
    assert tiny_codec.decode(tiny_codec.encode(torch.zeros(5 * HOP))).isfinite().all()


def test_audio_beyond_the_encoder_reach_changes_nothing(codec: SpectralCodec) -> None:
    frame, reach = N_FRAMES // 2, codec.encoder_reach
    samples, changed = noise(), noise(seed=2)
    heard = slice((frame - reach) * HOP, (frame + reach + 1) * HOP)
    changed[heard] = samples[heard]
    before, after = latents(codec, samples), latents(codec, changed)
    torch.testing.assert_close(after[:, frame], before[:, frame], atol=1e-5, rtol=0)
    assert torch.equal(codec.encode(changed)[:, frame], codec.encode(samples)[:, frame])


def test_codes_beyond_the_context_change_no_sample(codec: SpectralCodec) -> None:
    frame, reach = N_FRAMES // 2, codec.context_frames
    codes, changed = random_codes(codec), random_codes(codec, seed=2)
    heard = slice(frame - reach, frame + reach + 1)
    changed[:, heard] = codes[:, heard]
    inside = slice(frame * HOP, (frame + 1) * HOP)
    torch.testing.assert_close(codec.decode(changed)[inside], codec.decode(codes)[inside], atol=1e-5, rtol=0)


def test_encoder_reach_is_tight(codec: SpectralCodec) -> None:
    samples = noise().requires_grad_()
    latents(codec, samples)[:, N_FRAMES // 2].square().sum().backward()
    assert samples.grad is not None
    felt = frames_felt(samples.grad.view(N_FRAMES, HOP).T) - N_FRAMES // 2
    for distance in (-int(felt[0]), int(felt[-1])):
        assert codec.encoder_reach - 2 <= distance <= codec.encoder_reach


def test_decoder_context_is_tight(codec: SpectralCodec) -> None:
    z = torch.randn(1, codec.config.latent_dim, N_FRAMES, requires_grad=True)
    frame = N_FRAMES // 2
    codec.waveform(mix(*codec.decoder(z), torch.ones(1), None))[
        0, frame * HOP : (frame + 1) * HOP
    ].square().sum().backward()
    assert z.grad is not None
    felt = frames_felt(z.grad[0]) - frame
    for distance in (-int(felt[0]), int(felt[-1])):
        assert codec.context_frames - 2 <= distance <= codec.context_frames


@pytest.mark.parametrize(("start", "end"), [(20, 23), (0, 4), (46, 50)], ids=["middle", "head", "tail"])
def test_a_range_with_its_context_equals_the_whole(codec: SpectralCodec, start: int, end: int) -> None:
    first, last = max(0, start - codec.context_frames), min(N_FRAMES, end + codec.context_frames)
    samples, codes = noise(), random_codes(codec)
    excerpt, inner = samples[first * HOP : last * HOP], slice(start - first, end - first)
    torch.testing.assert_close(
        latents(codec, excerpt)[:, inner], latents(codec, samples)[:, start:end], atol=1e-4, rtol=0
    )
    assert torch.equal(codec.encode(excerpt)[:, inner], codec.encode(samples)[:, start:end])
    audio = codec.decode(codes[:, first:last])[inner.start * HOP : inner.stop * HOP]
    torch.testing.assert_close(audio, codec.decode(codes)[start * HOP : end * HOP], atol=1e-4, rtol=0)


def test_mixing_keeps_the_power_and_trusts_long_vectors() -> None:
    generator = torch.Generator().manual_seed(0)
    unit = torch.polar(torch.ones(1, 5, 4000), torch.rand(1, 5, 4000, generator=generator) * 2 * torch.pi)
    for length in (0.0, 0.5, 3.0, 1000.0):
        vector = torch.full((1, 5, 4000), length, dtype=torch.complex64)
        mixed = mix(torch.full((1, 5, 4000), 2.0), vector, torch.ones(5, 1), unit)
        assert float(mixed.abs().square().mean().sqrt()) == pytest.approx(2.0, rel=0.05)
    assert float((mixed - 2).abs().max()) < 0.01


def test_low_partials_get_no_noise_and_high_ones_all() -> None:
    codec = SpectralCodec(SpectralConfig())
    hz = (torch.arange(1025) + 1) * 44100 / 2048
    share = codec.noise_share(torch.device("cpu"))[:, 0]
    assert not share[hz <= 300].any()
    assert bool((share[hz >= 2000] == 1).all())
    assert bool((share.diff() >= 0).all())


def test_noise_of_codes_is_white_of_unit_power_and_moves_with_them(codec: SpectralCodec) -> None:
    codes = random_codes(codec)[None]
    spectrum = codec.noise(codes)
    inner = spectrum[..., 8:-8].abs().square().mean(-1)[0, 1:-1]
    assert float(inner.mean()) == pytest.approx(1.0, rel=0.1)
    assert float(inner[: len(inner) // 2].mean() / inner[len(inner) // 2 :].mean()) == pytest.approx(1, rel=0.15)
    later = codec.noise(torch.roll(codes, 3, dims=2))
    n, reach = codec.config.n_subframes, codec.config.n_subframes * 2
    torch.testing.assert_close(
        later[..., 3 * n + reach : -reach], spectrum[..., reach : -3 * n - reach], atol=1e-4, rtol=0
    )


def test_the_first_codebooks_are_blind_to_phase(codec: SpectralCodec) -> None:
    samples = noise()
    codes, inverted = codec.encode(samples), codec.encode(-samples)
    n_blind = codec.config.n_blind
    assert torch.equal(inverted[:n_blind], codes[:n_blind])
    assert not torch.equal(inverted[n_blind:], codes[n_blind:])


def test_the_first_codebooks_alone_can_be_decoded(codec: SpectralCodec) -> None:
    codes = random_codes(codec)
    for n in (1, codec.config.n_blind, codec.config.n_blind + 1):
        assert codec.decode(codes[:n]).shape == (N_FRAMES * HOP,)
