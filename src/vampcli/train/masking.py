"""Random masks of training excerpts."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Points = npt.NDArray[np.float64]

HIDDEN_SHARES: dict[str, Callable[[Points], Points]] = {
    "cosine": lambda r: np.cos(np.pi * r / 2),
    "uniform": lambda r: 1 - r,
    "half": lambda r: np.full_like(r, 0.5),
    "beta": lambda r: _beta(1 - r),
}
"""Distributions of the share of hidden tokens, as decreasing functions of points uniform in (0, 1).

`cosine` is the paper's (section 3.1): mean 0.64, mode 1. `beta` is Beta(4, 2): mean 0.67, mode 0.75, hardly ever near
0 or 1.
"""

_GOLDEN = 0x9E3779B97F4A7C15  # 2^64 over the golden ratio


def _beta(quantile: Points) -> Points:
    from scipy.stats import beta  # a second to import

    found: Points = beta.ppf(quantile, 4, 2)
    return found


def even_points(seed: int, first: int, n: int) -> Points:
    """Return points of a low-discrepancy sequence in (0, 1): any consecutive points fill the interval evenly.

    Each is the one before plus the golden ratio, modulo 1 (an additive recurrence); the seed shifts all.

    Args:
        seed: of the run.
        first: number of the first point, from 0.
        n: number of points.

    Returns:
        float64 (n,).

    Source: Niederreiter, "Random Number Generation and Quasi-Monte Carlo Methods", 1992, section 3.1.
    """
    start = int(np.random.default_rng(seed).integers(2**63))
    whole = [(start + (first + i) * _GOLDEN) % 2**64 for i in range(n)]
    return np.array([((value >> 11) + 0.5) / 2**53 for value in whole])


def draw_masks(shape: tuple[int, ...], n_conditioning: int, shares: Points, rng: np.random.Generator) -> Tensor:
    """Hide each token of clip i with probability shares_i.

    Args:
        shape: (batch, n_codebooks, n_frames).
        n_conditioning: the first codebooks, never hidden.
        shares: float64 (batch,), 0 to 1; see `HIDDEN_SHARES`.
        rng: source of randomness.

    Returns:
        bool of that shape, at least one token of a clip hidden.

    Source: Garcia et al., "VampNet" (arXiv 2307.04686), section 3.1.
    """
    hidden = rng.random(shape) < shares[:, None, None]
    hidden[:, :n_conditioning] = False
    for i in np.flatnonzero(~hidden.any((1, 2))):
        hidden[i, rng.integers(n_conditioning, shape[1]), rng.integers(shape[2])] = True
    return torch.from_numpy(hidden)
