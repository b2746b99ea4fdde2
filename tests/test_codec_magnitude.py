"""The embedded codec: exact transforms, whole frames, consistent phases, and a stated reach in time."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from conftest import TINY_CODEC, music, random_codec
from vampcli.codec.config import MagnitudeConfig, codec_config
from vampcli.codec.magnitude import MagnitudeCodec, band_sizes
from vampcli.errors import ModelError

HOP = TINY_CODEC.hop_length
N_FRAMES = 60


def frozen(config: MagnitudeConfig) -> MagnitudeCodec:
    return random_codec(config).eval().requires_grad_(False)


CORRECTED = replace(TINY_CODEC, correction_blocks=1)


@pytest.fixture(scope="module", params=[TINY_CODEC, MagnitudeConfig(), CORRECTED], ids=["tiny", "default", "corrected"])
def codec(request: pytest.FixtureRequest) -> MagnitudeCodec:
    return frozen(request.param)


@pytest.fixture(scope="module")
def tiny_codec() -> MagnitudeCodec:
    return frozen(TINY_CODEC)


def song(n_frames: int = N_FRAMES, seed: int = 0) -> Tensor:
    return torch.from_numpy(music(n_frames * HOP / 44100, 44100, seed=seed)[0]).float()


def random_codes(codec: MagnitudeCodec, seed: int = 1, n_frames: int = N_FRAMES) -> Tensor:
    shape = (codec.grid.n_codebooks, n_frames)
    return torch.randint(codec.grid.codebook_size, shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("n_frames", [1, 2, 7])
def test_waveform_inverts_spectrum(codec: MagnitudeCodec, n_frames: int) -> None:
    samples = torch.stack([song(n_frames), song(n_frames, seed=2)])
    spectrum = codec.stft.spectrum(samples)
    assert spectrum.shape == (2, codec.config.n_subframes * n_frames, codec.config.n_bins)
    torch.testing.assert_close(codec.stft.waveform(spectrum), samples, atol=1e-6, rtol=0)


def test_spectrum_is_a_windowed_fourier_transform(tiny_codec: MagnitudeCodec) -> None:
    c, samples = TINY_CODEC, song(4)
    around = (c.n_fft - c.stft_hop) // 2
    padded = torch.nn.functional.pad(samples, (around, around))
    expected = torch.stft(
        padded, c.n_fft, c.stft_hop, window=torch.hann_window(c.n_fft), center=False, return_complex=True
    )
    torch.testing.assert_close(tiny_codec.stft.spectrum(samples[None])[0], expected.T, atol=1e-4, rtol=0)


def test_silence(codec: MagnitudeCodec) -> None:
    codes = codec.encode(torch.zeros(5 * HOP))
    assert codec.decode(codes).isfinite().all()
    quietest = codec.log_magnitude(torch.zeros(1, 5 * HOP))
    assert float(codec.sound(quietest, codes[None]).abs().max()) < 2**-16  # half a step of 16 bits


def test_magnitudes_without_power(tiny_codec: MagnitudeCodec) -> None:
    nothing = torch.full((1, 10, TINY_CODEC.n_bins), -float("inf"))
    assert torch.equal(tiny_codec.sound(nothing, random_codes(tiny_codec, n_frames=5)[None]), torch.zeros(1, 5 * HOP))


@pytest.mark.parametrize(("n_bins", "bandwidth"), [(961, 0.01), (769, 0.1), (33, 0.5), (10, 0.0)])
def test_bands_share_out_all_bins(n_bins: int, bandwidth: float) -> None:
    sizes = band_sizes(n_bins, bandwidth)
    assert sum(sizes) == n_bins
    assert min(sizes) >= 1
    for i, size in enumerate(sizes[:-1]):
        assert size == max(1, round(bandwidth * sum(sizes[:i])))


def test_bands_are_root_mean_squares(tiny_codec: MagnitudeCodec) -> None:
    log_magnitude = torch.randn(1, 2, TINY_CODEC.n_bins, generator=torch.Generator().manual_seed(0))
    bands = tiny_codec.bands(log_magnitude)
    first = 0
    for i, size in enumerate(band_sizes(TINY_CODEC.n_bins, TINY_CODEC.bandwidth)):
        powers = [(10 ** float(x)) ** 2 for x in log_magnitude[0, 1, first : first + size]]
        assert float(10 ** bands[0, 1, i]) == pytest.approx((sum(powers) / size) ** 0.5, rel=1e-4)
        first += size


def test_untrained_decoder_repeats_bands(tiny_codec: MagnitudeCodec) -> None:
    fresh = MagnitudeCodec(TINY_CODEC)
    latents = torch.randn(1, TINY_CODEC.latent_dim, 3)
    sizes = torch.tensor(band_sizes(TINY_CODEC.n_bins, TINY_CODEC.bandwidth))
    bands = fresh.decoder.rotation(latents.transpose(1, 2)).view(1, 6, -1)
    torch.testing.assert_close(fresh.decoder(latents), bands.repeat_interleave(sizes, dim=2))


@pytest.mark.parametrize("side", [-1, 1])
def test_encoder_reach(codec: MagnitudeCodec, side: int) -> None:
    frame, reach = N_FRAMES // 2, codec.encoder_reach
    for distance, felt in ((reach, True), (reach + 1, False)):
        changed = song()
        at = slice((frame + side * distance) * HOP, (frame + side * distance + 1) * HOP)
        changed[at] = song(seed=5)[at]
        equal = torch.equal(codec.analyze(changed[None])[0, :, frame], codec.analyze(song()[None])[0, :, frame])
        assert equal != felt


@pytest.mark.parametrize("side", [-1, 1])
def test_halo(codec: MagnitudeCodec, side: int) -> None:
    frame, reach = N_FRAMES // 2, codec.halo_frames
    inside = slice(frame * HOP, (frame + 1) * HOP)
    codes = random_codes(codec)

    def felt(distance: int) -> bool:
        changed = codes.clone()
        changed[:, frame + side * distance] = random_codes(codec, seed=2)[:, 0]
        return not torch.equal(codec.decode(changed)[inside], codec.decode(codes)[inside])

    assert not felt(reach + 1)
    assert any(felt(distance) for distance in (reach, reach - 1, reach - 2))


def test_phase_search_amplifies_rounding_little(codec: MagnitudeCodec) -> None:
    log_magnitude, codes = codec.log_magnitude(song()[None]), random_codes(codec)[None]
    rounding = 5e-7 * torch.randn(log_magnitude.shape, generator=torch.Generator().manual_seed(0))
    before, after = codec.sound(log_magnitude, codes), codec.sound(log_magnitude + rounding, codes)
    torch.testing.assert_close(after, before, atol=1e-4, rtol=0)


def test_decoding_is_shift_invariant(codec: MagnitudeCodec) -> None:
    around = codec.halo_frames
    codes = random_codes(codec, n_frames=2 * around + 4)
    before, after = (random_codes(codec, seed=seed, n_frames=n) for seed, n in ((2, 7), (3, 11)))
    alone = codec.decode(codes)[around * HOP : (around + 4) * HOP]
    among = codec.decode(torch.cat([before, codes, after], dim=1))[(7 + around) * HOP : (11 + around) * HOP]
    torch.testing.assert_close(among, alone, atol=1e-4, rtol=0)


def test_more_phase_steps_reduce_the_error() -> None:
    def off(n_steps: int) -> float:
        codec = frozen(replace(TINY_CODEC, n_phase_steps=n_steps))
        asked = codec.log_magnitude(song()[None])
        made = codec.stft.spectrum(codec.sound(asked, random_codes(codec)[None])).abs()
        return float((made - 10**asked).norm() / (10**asked).norm())

    none, few, many = off(0), off(2), off(6)
    assert many < 0.9 * few < 0.8 * none


def test_a_new_corrector_keeps_magnitudes_and_makes_phases_consistent() -> None:
    plain, corrected = frozen(TINY_CODEC), MagnitudeCodec(CORRECTED).eval()
    assert corrected.corrector
    codes, wanted = random_codes(plain)[None], plain.log_magnitude(song()[None])
    made = plain.stft.spectrum(plain.sound(wanted, codes))
    expected = plain.stft.waveform(10**wanted * torch.sgn(made))
    torch.testing.assert_close(corrected.sound(wanted, codes), expected, atol=1e-5, rtol=0)
    corrected.corrector.head.bias.data[: TINY_CODEC.n_bins] = 0.1  # 2 dB more in every bin
    corrected.corrector.head.bias.data[TINY_CODEC.n_bins :] = math.pi  # the other polarity
    torch.testing.assert_close(corrected.sound(wanted, codes), -(10**0.1) * expected, atol=1e-4, rtol=0)


def test_gradients_skip_the_phases(tiny_codec: MagnitudeCodec) -> None:
    log_magnitude = tiny_codec.log_magnitude(song(5)[None]).requires_grad_()
    codes = random_codes(tiny_codec, n_frames=5)[None]
    sound = tiny_codec.sound(log_magnitude, codes)
    (slope,) = torch.autograd.grad((sound * sound.detach()).sum(), log_magnitude)
    # With phases held, sound is linear in magnitudes: raising all of them by 1 % raises it by 1 %.
    assert float(slope.sum()) == pytest.approx(float(sound.detach().square().sum()) * math.log(10), rel=1e-3)


def test_codes_ignore_polarity(tiny_codec: MagnitudeCodec) -> None:
    assert torch.equal(tiny_codec.encode(-song()), tiny_codec.encode(song()))
    assert not torch.equal(tiny_codec.encode(song(seed=5)), tiny_codec.encode(song()))


def test_first_codebooks_can_be_decoded(codec: MagnitudeCodec) -> None:
    codes = random_codes(codec)
    sounds = [codec.decode(codes[:n]) for n in (1, 3, codec.grid.n_codebooks)]
    assert all(sound.shape == (N_FRAMES * HOP,) and bool(sound.isfinite().all()) for sound in sounds)
    assert not torch.equal(sounds[0], sounds[1])


def test_latents_are_float32_under_autocast(tiny_codec: MagnitudeCodec) -> None:
    """Codes must be the same in training, at whatever precision, as in use."""
    exact = tiny_codec.analyze(song()[None])
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(tiny_codec.analyze(song()[None]), exact)


def test_inference_caches_work_in_training() -> None:
    codec = random_codec(replace(TINY_CODEC, n_fft=1152, bandwidth=0.2))
    with torch.inference_mode():
        codes = codec.encode(song(5))
    codes = codes.clone()
    codec.synthesize(codec.quantizer.decode(codes[None]), codes[None]).square().sum().backward()
    assert codec.decoder.rotation.bias.grad is not None


@pytest.mark.parametrize("sizes", [{"n_fft": 1000}, {"n_subframes": 5}, {"n_fft": 384}])
def test_bad_sizes(sizes: dict[str, int]) -> None:
    with pytest.raises(ModelError, match="here: sizes of a magnitude codec"):
        codec_config({"kind": "magnitude", **sizes}, "here")
