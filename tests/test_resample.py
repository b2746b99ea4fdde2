"""Resampling keeps sound, place and length, and hears no further than it says."""

from __future__ import annotations

import math

import numpy as np
import pytest

from conftest import quiet, sine
from vampcli.audio.resample import resample, resample_range, resample_reach

RATES = [8000, 16000, 22050, 48000, 96000]


@pytest.mark.parametrize("rate", [*RATES, 44099])
@pytest.mark.parametrize("back", [False, True])
def test_a_sine_stays_a_sine(rate: int, back: bool) -> None:
    from_rate, to_rate = (44100, rate) if back else (rate, 44100)
    made = resample(sine(997, from_rate, from_rate // 4), from_rate, to_rate)
    edge = to_rate // 40
    error = np.abs(made - sine(997, to_rate, made.shape[1]))[:, edge:-edge]
    assert error.max() < 1e-4


@pytest.mark.parametrize("rate", RATES)
def test_resampling_there_and_back_is_the_same_sound(rate: int) -> None:
    x = sine(440, 44100, 11025) + 0.5 * sine(3000, 44100, 11025)
    back = resample(resample(x, 44100, rate), rate, 44100)
    np.testing.assert_allclose(back[:, 1500:9500], x[:, 1500:9500], atol=2e-4)


def test_what_the_new_rate_cannot_hold_is_gone() -> None:
    assert np.abs(resample(sine(30000, 96000, 24000), 96000, 44100)[:, 1000:-1000]).max() < 1e-4


@pytest.mark.parametrize(("from_rate", "to_rate"), [(r, 44100) for r in RATES] + [(44100, r) for r in RATES])
@pytest.mark.parametrize("n", [1, 2, 999, 4410])
def test_the_new_length_is_rounded_up(from_rate: int, to_rate: int, n: int) -> None:
    made = resample(np.zeros((2, n)), from_rate, to_rate)
    assert made.shape == (2, math.ceil(n * to_rate / from_rate))
    assert made.dtype == np.float32


def test_an_equal_rate_changes_nothing() -> None:
    x = quiet(2).samples
    assert np.array_equal(resample(x, 44100, 44100), x)


def test_channels_are_resampled_apart() -> None:
    x = quiet(2).samples
    both = resample(x, 22050, 44100)
    for channel in range(2):
        np.testing.assert_allclose(both[channel], resample(x[channel : channel + 1], 22050, 44100)[0], atol=1e-7)


@pytest.mark.parametrize(("from_rate", "to_rate"), [(r, 44100) for r in RATES] + [(44100, r) for r in [44100, *RATES]])
def test_a_range_is_that_part_of_the_whole(from_rate: int, to_rate: int) -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, 5000)).astype(np.float32)
    whole = resample(x, from_rate, to_rate)
    n = whole.shape[1]
    for start, stop in [(0, n), (0, 1), (n - 1, n), *(sorted(rng.integers(0, n + 1, 2)) for _ in range(15))]:
        part = resample_range(x, from_rate, to_rate, int(start), int(stop))
        np.testing.assert_allclose(part, whole[:, start:stop], atol=1e-5)


def test_a_range_at_an_odd_rate_is_that_part_of_the_whole() -> None:
    x = np.random.default_rng(0).standard_normal((1, 60000)).astype(np.float32)
    whole = resample(x, 44099, 44100)
    for start, stop in [(0, 500), (45000, 59000)]:
        np.testing.assert_allclose(resample_range(x, 44099, 44100, start, stop), whole[:, start:stop], atol=1e-5)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("first", [1, 333, 2000, 4000])
def test_a_piece_lies_where_it_says_between_silence(rate: int, first: int) -> None:
    rng = np.random.default_rng(first)
    piece = rng.standard_normal((1, 700)).astype(np.float32)
    whole = resample(np.pad(piece, ((0, 0), (first, 6000 - first))), rate, 44100)
    for _ in range(8):
        start, stop = sorted(rng.integers(0, whole.shape[1], 2).tolist())
        part = resample_range(piece, rate, 44100, start, stop, first)
        np.testing.assert_allclose(part, whole[:, start:stop], atol=1e-5)


@pytest.mark.parametrize(("from_rate", "to_rate"), [(r, 44100) for r in RATES] + [(44100, r) for r in RATES])
def test_resampling_hears_no_further_than_its_reach(from_rate: int, to_rate: int) -> None:
    click = np.zeros((1, 4000))
    click[0, 2000] = 1
    heard = np.nonzero(np.abs(resample(click, from_rate, to_rate)[0]) > 1e-9)[0]  # below lies rounding
    place = 2000 * to_rate / from_rate
    assert np.abs(heard - place).max() <= resample_reach(from_rate, to_rate)
