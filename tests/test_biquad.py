"""Filters and predictors without SciPy equal those of SciPy."""

import math

import numpy as np
from scipy.linalg import solve_toeplitz
from scipy.signal import butter, lfilter

from vampcli.audio import biquad
from vampcli.audio.clicks import _predict


def test_butterworth_highpass() -> None:
    x = np.random.default_rng(0).normal(size=(2, 3000))
    made = biquad.apply(x, biquad.highpass(44100, 200, 1 / math.sqrt(2)))
    np.testing.assert_allclose(made, lfilter(*butter(2, 200, "highpass", fs=44100), x), atol=1e-9)


def test_shelf_gains() -> None:
    impulse = np.eye(1, 8192)
    gains = np.abs(np.fft.rfft(biquad.apply(impulse, biquad.high_shelf(44100, 1500, 0.7, 4)))[0])
    np.testing.assert_allclose(20 * np.log10(gains[[0, -1]]), [0, 4], atol=1e-3)


def test_predictor_has_the_bits_of_scipy() -> None:
    x = np.random.default_rng(1).normal(size=4000).cumsum()
    r = np.array([x[: len(x) - lag] @ x[lag:] for lag in range(33)])
    np.testing.assert_array_equal(_predict(r), solve_toeplitz(r[:-1], r[1:]))
