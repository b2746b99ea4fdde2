"""Is there a click: does a place surprise a linear predictor more than the sound around it does."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

ORDER = 32
LIMIT = 3.0
"""A place of music as it is never shows more than that; most raw cuts do."""

_AROUND_S = 0.05
_NEAR = 8  # samples


def click_figure(samples: npt.NDArray[np.float32], sample_rate: int, place: int) -> float:
    """The largest LPC residual near a place, over the 99th percentile of those around it.

    Args:
        samples: float (n_samples,).
        sample_rate: in Hz.
        place: sample where something may have been cut.

    Returns:
        Above `LIMIT` a click is heard; 0 where there is silence.

    Raises:
        ValueError: fewer than `ORDER` samples lie around the place.
    """
    from scipy.linalg import solve_toeplitz
    from scipy.signal import lfilter

    first = max(0, place - round(_AROUND_S * sample_rate))
    x = samples[first : place + round(_AROUND_S * sample_rate)].astype(np.float64)
    if len(x) <= 2 * ORDER:
        raise ValueError(f"{len(x)} samples around place {place} of {len(samples)}")
    r = np.array([x[: len(x) - lag] @ x[lag:] for lag in range(ORDER + 1)])
    if r[0] == 0:
        return 0.0
    r[0] *= 1 + 1e-9  # pure tones make the equations singular
    predictor = solve_toeplitz(r[:-1], r[1:])
    residual = np.abs(lfilter(np.r_[1.0, -predictor], 1.0, x))
    residual[:ORDER] = 0.0  # the predictor has no past there
    near = residual[max(0, place - first - _NEAR) : place - first + _NEAR + 1].max()
    return float(near / max(np.percentile(residual[ORDER:], 99), 1e-12))


def junction_figure(samples: npt.NDArray[np.floating[Any]], sample_rate: int, place: int) -> float:
    """The worst channel's figure of a place in a loop, whose end is followed by its beginning.

    Args:
        samples: float (n_channels, n_samples), the whole loop.
        sample_rate: in Hz.
        place: of the junction; 0 is the wrap.
    """
    reach = min(2 * round(_AROUND_S * sample_rate), samples.shape[1] // 2)
    around = samples.take(range(place - reach, place + reach), axis=1, mode="wrap")
    return max(click_figure(channel, sample_rate, reach) for channel in around)
