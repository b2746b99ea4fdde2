"""Which tokens of a training excerpt are hidden."""

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
"""How large a share of an excerpt is hidden, from points that are even in (0, 1), the larger the fewer.

`cosine` is the paper's (section 3.1): 0.64 in the mean, and most often nearly all. `beta` is Beta(4, 2): 0.67 in the
mean, most often 0.75, and hardly ever nothing or all.
"""

_GOLDEN = 0x9E3779B97F4A7C15  # 2^64 over the golden ratio


def _beta(quantile: Points) -> Points:
    from scipy.stats import beta  # a second to import

    found: Points = beta.ppf(quantile, 4, 2)
    return found


def even_points(seed: int, first: int, n: int) -> Points:
    """Points of (0, 1) that fill it evenly, whichever stretch of them one takes.

    Each is the one before plus the golden ratio, modulo 1 (an additive recurrence); the seed shifts all.

    Args:
        seed: of the run.
        first: number of the first point, from 0.
        n: how many.

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
        rng: draws.

    Returns:
        bool of that shape, at least one token of a clip hidden.

    Source: Garcia et al., "VampNet" (arXiv 2307.04686), section 3.1.
    """
    hidden = rng.random(shape) < shares[:, None, None]
    hidden[:, :n_conditioning] = False
    for i in np.flatnonzero(~hidden.any((1, 2))):
        hidden[i, rng.integers(n_conditioning, shape[1]), rng.integers(shape[2])] = True
    return torch.from_numpy(hidden)
