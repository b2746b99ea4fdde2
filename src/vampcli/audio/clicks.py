"""Click detection from the LPC prediction residual."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

ORDER = 32
LIMIT = 3.0
"""Highest figure without a click: music does not exceed it, most raw cuts do."""

_AROUND_S = 0.05
_NEAR = 8  # samples


def click_figure(samples: npt.NDArray[np.float32], sample_rate: int, position: int) -> float:
    """Return the largest LPC residual near a position, over the 99th percentile of those within 50 ms of it.

    Args:
        samples: float (n_samples,).
        sample_rate: in Hz.
        position: sample at which there may be a cut.

    Returns:
        Above `LIMIT` there is an audible click; 0 where there is silence.

    Raises:
        ValueError: at most `2 * ORDER` samples lie around the position.
        LinAlgError: the sound is predicted exactly.
    """
    first = max(0, position - round(_AROUND_S * sample_rate))
    x = samples[first : position + round(_AROUND_S * sample_rate)].astype(np.float64)
    if len(x) <= 2 * ORDER:
        raise ValueError(f"{len(x)} samples around position {position} of {len(samples)}")
    # Solve the normal equations of linear prediction: autocorrelation r, lags 0 to ORDER.
    r = np.array([x[: len(x) - lag] @ x[lag:] for lag in range(ORDER + 1)])
    if r[0] == 0:
        return 0.0
    r[0] *= 1 + 1e-9  # pure tones make the equations singular
    predictor = _predict(r)
    # Compare the residual within `_NEAR` samples of the position with that of the whole excerpt.
    residual = np.abs(np.convolve(np.r_[1.0, -predictor], x)[: len(x)])
    residual[:ORDER] = 0.0  # predicted from too few samples
    near = residual[max(0, position - first - _NEAR) : position - first + _NEAR + 1].max()
    return float(near / max(np.percentile(residual[ORDER:], 99), 1e-12))


def _predict(r: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Solve for the linear predictor of an autocorrelation, lags 0 to n: float64 (n + 1,) -> (n,).

    Source: the Levinson recursion, in the order of the sums of SciPy's `solve_toeplitz`, for the same bits.
    """
    a, x, g = r.tolist(), [r[1] / r[0]], [r[1] / r[0]]
    for m in range(1, len(a) - 1):
        above, rest, below = -a[m + 1], -a[0], -a[m + 1]
        for j in range(m):
            above += a[m - j] * x[j]
            rest += a[m - j] * g[m - j - 1]
        if rest == 0:
            raise np.linalg.LinAlgError("singular")
        x.append(above / rest)
        x = [x[j] - x[m] * g[m - j - 1] for j in range(m)] + [x[m]]
        for j in range(m):
            below += a[m - j] * g[j]
        last = below / rest
        g = [g[j] - last * g[m - j - 1] for j in range(m)] + [last]
    return np.array(x)


def junction_figure(samples: npt.NDArray[np.floating[Any]], sample_rate: int, position: int) -> float:
    """Return the largest `click_figure` of any channel at a position in a loop, whose end continues at its start.

    Args:
        samples: float (n_channels, n_samples), the whole loop.
        sample_rate: in Hz.
        position: sample at which two repeats meet; 0 is the wrap.
    """
    reach = min(2 * round(_AROUND_S * sample_rate), samples.shape[1] // 2)
    around = samples.take(range(position - reach, position + reach), axis=1, mode="wrap")
    return max(click_figure(channel, sample_rate, reach) for channel in around)
