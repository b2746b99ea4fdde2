"""Bit rates of prompts, and the fullest prompt within a bit rate. Imports no torch."""

from __future__ import annotations

import itertools

from vampcli.errors import UsageError
from vampcli.tokens.grid import TokenGrid

LEAST = 0.001
"""Lowest bit rate, in bits per second: a token in a few hours."""


def bits_per_token(codebook_size: int) -> int:
    """Return the bits that encode one class of a codebook."""
    return (codebook_size - 1).bit_length()


def bits_per_second(grid: TokenGrid, n_kept_codebooks: int, period: int) -> float:
    """Return the bit rate of a prompt, for each encoded channel.

    Args:
        grid: of the codec.
        n_kept_codebooks: kept in a kept frame.
        period: distance of kept frames; 0 = no frame is kept.
    """
    if period == 0:
        return 0.0
    return grid.frame_rate * bits_per_token(grid.codebook_size) * n_kept_codebooks / period


def choose(grid: TokenGrid, limit: float) -> tuple[int, int]:
    """Choose the fullest prompt within a bit rate.

    Args:
        grid: of the codec.
        limit: bits per second, for each encoded channel.

    Returns:
        Number of codebooks to keep, and period: as many codebooks of every frame as fit; if not even one
        fits, one codebook with the smallest period that fits.

    Raises:
        UsageError: the limit is below `LEAST`, or NaN.
    """
    if not limit >= LEAST:  # also NaN
        one = bits_per_second(grid, 1, 1)
        raise UsageError(f"a bit rate of {limit:g} bit/s is asked for", f"{one:.0f} bit/s is one codebook; try that")
    n_kept = sum(bits_per_second(grid, k, 1) <= limit for k in range(1, grid.n_codebooks + 1))
    if n_kept:
        return n_kept, 1
    start = int(bits_per_second(grid, 1, 1) / limit)  # the period, or slightly less by rounding
    return 1, next(p for p in itertools.count(max(1, start)) if bits_per_second(grid, 1, p) <= limit)
