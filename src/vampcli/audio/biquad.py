"""Second-order filters, in NumPy alone.

Source: Bristow-Johnson, "Audio EQ cookbook".
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

Coefficients = tuple[list[float], list[float]]
"""Three coefficients of the input and three of the output."""


def high_shelf(rate: int, hz: float, q: float, gain_db: float) -> Coefficients:
    """Return the coefficients of a filter that amplifies high frequencies."""
    a, cos, alpha = 10 ** (gain_db / 40), math.cos(math.tau * hz / rate), math.sin(math.tau * hz / rate) / (2 * q)
    up, down, root = (a + 1) + (a - 1) * cos, (a + 1) - (a - 1) * cos, 2 * math.sqrt(a) * alpha
    zeros = [a * (up + root), -2 * a * ((a - 1) + (a + 1) * cos), a * (up - root)]
    return zeros, [down + root, 2 * ((a - 1) - (a + 1) * cos), down - root]


def highpass(rate: int, hz: float, q: float) -> Coefficients:
    """Return the coefficients of a high-pass filter; with q = 1/sqrt(2) it is a Butterworth filter."""
    cos, alpha = math.cos(math.tau * hz / rate), math.sin(math.tau * hz / rate) / (2 * q)
    return [(1 + cos) / 2, -1 - cos, (1 + cos) / 2], [1 + alpha, -2 * cos, 1 - alpha]


def apply(samples: npt.NDArray[np.float64], coefficients: Coefficients) -> npt.NDArray[np.float64]:
    """Filter short sounds, sample by sample, from rest: float64 (n_channels, n_samples) -> the same shape."""
    (b0, b1, b2), (_, a1, a2) = ([x / coefficients[1][0] for x in part] for part in coefficients)
    filtered = np.empty_like(samples)
    for channel, out in zip(samples, filtered, strict=True):
        one = two = 0.0
        made = []
        for x in channel.tolist():
            y = b0 * x + one
            one, two = b1 * x - a1 * y + two, b2 * x - a2 * y
            made.append(y)
        out[:] = made
    return filtered
