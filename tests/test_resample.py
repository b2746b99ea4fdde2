"""Resampling keeps tones, times and lengths; ranges equal parts of the whole."""

import math

import numpy as np
import pytest

from conftest import quiet, sine
from vampcli.audio.resample import resample, resample_range, resample_reach

RATES = [8000, 16000, 22050, 48000, 96000]
PAIRS = [(rate, 44100) for rate in RATES] + [(44100, rate) for rate in RATES]


@pytest.mark.parametrize("rate", [*RATES, 44099])
@pytest.mark.parametrize("back", [False, True])
def test_sine_stays_a_sine(rate: int, back: bool) -> None:
    from_rate, to_rate = (44100, rate) if back else (rate, 44100)
    made = resample(sine(997, from_rate, from_rate // 4), from_rate, to_rate)
    edge = to_rate // 40
    error = np.abs(made - sine(997, to_rate, made.shape[1]))[:, edge:-edge]
    assert error.max() < 1e-4


def test_aliases_are_removed() -> None:
    assert np.abs(resample(sine(30000, 96000, 24000), 96000, 44100)[:, 1000:-1000]).max() < 1e-4


@pytest.mark.parametrize(("from_rate", "to_rate"), PAIRS)
@pytest.mark.parametrize("n", [1, 2, 999, 4410])
def test_length_is_rounded_up(from_rate: int, to_rate: int, n: int) -> None:
    made = resample(np.zeros((2, n)), from_rate, to_rate)
    assert made.shape == (2, math.ceil(n * to_rate / from_rate))
    assert made.dtype == np.float32


def test_equal_rates_change_nothing() -> None:
    x = quiet(2).samples
    assert np.array_equal(resample(x, 44100, 44100), x)


def test_channels_are_independent() -> None:
    x = quiet(2).samples
    apart = [resample(x[channel : channel + 1], 22050, 44100)[0] for channel in range(2)]
    np.testing.assert_allclose(resample(x, 22050, 44100), apart, atol=1e-7)


@pytest.mark.parametrize(("from_rate", "to_rate"), [*PAIRS, (44100, 44100), (44099, 44100)])
def test_range_equals_part_of_whole(from_rate: int, to_rate: int) -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, 5000)).astype(np.float32)
    whole = resample(x, from_rate, to_rate)
    n = whole.shape[1]
    n_random = 0 if from_rate == 44099 else 15
    for start, stop in [(n // 3, n), (0, 1), (n - 1, n), *(sorted(rng.integers(0, n + 1, 2)) for _ in range(n_random))]:
        part = resample_range(x, from_rate, to_rate, int(start), int(stop))
        np.testing.assert_allclose(part, whole[:, start:stop], atol=1e-5)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("first", [1, 2000])
def test_piece_between_silence(rate: int, first: int) -> None:
    rng = np.random.default_rng(first)
    piece = rng.standard_normal((1, 700)).astype(np.float32)
    whole = resample(np.pad(piece, ((0, 0), (first, 6000 - first))), rate, 44100)
    for _ in range(4):
        start, stop = sorted(rng.integers(0, whole.shape[1], 2).tolist())
        part = resample_range(piece, rate, 44100, start, stop, first)
        np.testing.assert_allclose(part, whole[:, start:stop], atol=1e-5)


@pytest.mark.parametrize(("from_rate", "to_rate"), PAIRS)
def test_reach_of_a_sample(from_rate: int, to_rate: int) -> None:
    click = np.zeros((1, 4000))
    click[0, 2000] = 1
    changed = np.nonzero(np.abs(resample(click, from_rate, to_rate)[0]) > 1e-9)[0]  # below lies rounding
    assert np.abs(changed - 2000 * to_rate / from_rate).max() <= resample_reach(from_rate, to_rate)
