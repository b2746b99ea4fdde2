"""Mono audio gets the stereo image of its surroundings."""

import numpy as np
import pytest
import torch

from vampcli.audio import stereo
from vampcli.audio.stereo import REACH, mid_side, stereo_image, widen_along

RATE = 44100


def noise(n_channels: int, n_samples: int = RATE, seed: int = 0) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).standard_normal((n_channels, n_samples))).astype(np.float32)


def widen(mid: np.ndarray, pieces: list[np.ndarray], rate: int) -> np.ndarray:
    return stereo.widen(mid, stereo_image(pieces, rate))


def level_db(stereo: np.ndarray) -> float:
    """Level of the side against the mid, away from the ends."""
    mid, side = (x[:, 4000:-4000].astype(np.float64) for x in mid_side(stereo))
    return float(10 * np.log10((side**2).sum() / (mid**2).sum()))


def correlation(stereo: np.ndarray) -> float:
    """Correlation of side and mid, away from the ends."""
    mid, side = (x[0, 4000:-4000] for x in mid_side(stereo))
    return float(np.corrcoef(mid, side)[0, 1])


def panned(left: float, right: float) -> np.ndarray:
    return np.float32([[left], [right]]) * noise(1, seed=1)


def test_mid_side_is_exact() -> None:
    stereo = (np.random.default_rng(0).integers(-(2**15), 2**15, (2, 5000)) / 2**15).astype(np.float32)
    mid, side = mid_side(stereo)
    assert np.array_equal(np.concatenate([mid + side, mid - side]), stereo)


@pytest.mark.parametrize(
    "surroundings", [[], [noise(1).repeat(2, axis=0)], [np.zeros((2, n), np.float32) for n in (0, RATE)]]
)
def test_no_side_stays_no_side(surroundings: list[np.ndarray]) -> None:
    mid = noise(1, 5000, seed=2)
    assert np.array_equal(widen(mid, surroundings, RATE), np.concatenate([mid, mid]))


def mixed(*rows: list[float]) -> np.ndarray:
    return np.float32(rows) @ noise(2, seed=4)


@pytest.mark.parametrize(
    "around",
    [
        *(panned(left, right) for left, right in ((1.0, 0.3), (0.2, 0.9), (1.0, 0.8), (1.0, 0.0))),
        *(mixed([1, width], [1, -width]) for width in (0.1, 1.0)),  # uncorrelated
        mixed([1.3, 0.4], [0.7, -0.4]),  # partly correlated
    ],
)
def test_level_and_correlation_are_kept(around: np.ndarray) -> None:
    wide = widen(noise(1, seed=3), [around], RATE)
    assert level_db(wide) == pytest.approx(level_db(around), abs=1)
    assert correlation(wide) == pytest.approx(correlation(around), abs=0.1)


def test_bands_have_separate_images() -> None:
    t = np.arange(RATE) / RATE
    low, high = (0.1 * np.sin(2 * np.pi * f * t) for f in (200, 8000))
    wide = widen((low + high)[None].astype(np.float32), [np.float32([low + 0.0 * high, 0.2 * low + high])], RATE)
    spectrum = np.abs(np.fft.rfft(wide[:, :RATE]))
    assert spectrum[0, 200] > 3 * spectrum[1, 200]
    assert spectrum[1, 8000] > 3 * spectrum[0, 8000]


def test_mean_of_channels_is_the_mid() -> None:
    mid = noise(1, seed=8)
    np.testing.assert_allclose(widen(mid, [panned(1, 0.2)], RATE).mean(0), mid[0], atol=1e-7)


@pytest.mark.parametrize("n_samples", [1, 2047, 30001])
@pytest.mark.parametrize("rate", [8000, 44100, 192000, 384000])
def test_any_length_and_rate(n_samples: int, rate: int) -> None:
    wide = widen(noise(1, n_samples), [panned(1, 0.5), panned(0.5, 1)[:, :300]], rate)
    assert wide.shape == (2, n_samples)
    assert wide.dtype == np.float32
    assert np.isfinite(wide).all()


def test_side_without_mid() -> None:
    around = noise(1) * np.float32([[1], [-1]])
    assert np.abs(widen(noise(1, seed=9), [around], RATE)).max() < 5


def test_images_fade_into_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vampcli.audio.stereo._IMAGE_STEP", 2**15)
    mid, n = noise(1, 3 * 2**15, seed=11), 3 * 2**15
    left, right = [panned(1, 0.2)], [panned(0.2, 1)]
    same = widen_along(mid, lambda *_: stereo_image(left, RATE), 0, n, 0)
    np.testing.assert_allclose(same, widen(mid, left, RATE), atol=1e-5)
    both = widen_along(mid, lambda start, _: stereo_image(left if start == 0 else right, RATE), 0, n, 0)
    np.testing.assert_allclose(both[:, : 2**15], same[:, : 2**15], atol=1e-5)
    np.testing.assert_allclose(both[:, 2**16 :], widen(mid, right, RATE)[:, 2**16 :], atol=1e-5)


def test_part_equals_part_of_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vampcli.audio.stereo._IMAGE_STEP", 2**14)
    mid = noise(1, 100_000, seed=11)
    sound = panned(1, 0.2)
    images = {0: [sound], 1: [sound[::-1]], 2: [np.zeros((2, 0), np.float32)]}

    def image(start: int, _stop: int) -> torch.Tensor | None:
        return stereo_image(images[start // 2**14 % 3], RATE)

    whole = widen_along(mid, image, 0, 100_000, 0)
    first = 20_480
    part = widen_along(mid[:, first:70_000], image, REACH, 60_000 - first, first)
    np.testing.assert_allclose(part, whole[:, first + REACH : 60_000], atol=1e-4)
