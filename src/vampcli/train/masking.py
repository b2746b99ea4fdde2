"""Which tokens of a training excerpt are hidden."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

_GOLDEN = 0x9E3779B97F4A7C15  # 2^64 over the golden ratio


def spread(seed: int, first: int, n: int) -> npt.NDArray[np.float64]:
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


def draw_masks(
    shape: tuple[int, ...], n_conditioning: int, r: npt.NDArray[np.float64], rng: np.random.Generator
) -> Tensor:
    """Hide each token of clip i with probability cos(pi r_i / 2).

    Args:
        shape: (batch, n_codebooks, n_frames).
        n_conditioning: the first codebooks, never hidden.
        r: float64 (batch,), in (0, 1).
        rng: draws.

    Returns:
        bool of that shape, at least one token of a clip hidden.

    Source: Garcia et al., "VampNet" (arXiv 2307.04686), section 3.1.
    """
    hidden = rng.random(shape) < np.cos(math.pi * r / 2)[:, None, None]
    hidden[:, :n_conditioning] = False
    for i in np.flatnonzero(~hidden.any((1, 2))):
        hidden[i, rng.integers(n_conditioning, shape[1]), rng.integers(shape[2])] = True
    return torch.from_numpy(hidden)
