"""What a prompt costs in bits per second, and which prompt a bit rate buys. Asking needs no torch."""

from __future__ import annotations

import itertools

from vampcli.errors import UsageError
from vampcli.tokens.grid import TokenGrid

LEAST = 0.001
"""Bits per second: a token in a few hours."""


def bits_per_token(codebook_size: int) -> int:
    """Bits that tell any class of a codebook from the others."""
    return (codebook_size - 1).bit_length()


def bits_per_second(grid: TokenGrid, n_kept_codebooks: int, period: int) -> float:
    """The bit rate of a prompt, for each channel that is encoded.

    Args:
        grid: of the codec.
        n_kept_codebooks: the first so many codebooks are kept,
        period: of one frame in so many; 0 = of none.
    """
    if period == 0:
        return 0.0
    return grid.frame_rate * bits_per_token(grid.codebook_size) * n_kept_codebooks / period


def choose(grid: TokenGrid, limit: float) -> tuple[int, int]:
    """Find the fullest prompt within a bit rate.

    Args:
        grid: of the codec.
        limit: bits per second, for each channel that is encoded.

    Returns:
        How many codebooks to keep, and the period: as many codebooks of every frame as fit; where not even one
        does, one codebook with the smallest period that fits.

    Raises:
        UsageError: the limit is 0, less, no number, or too small to mean anything.
    """
    if not limit >= LEAST:  # also NaN
        one = bits_per_second(grid, 1, 1)
        raise UsageError(f"a bit rate of {limit:g} bit/s is asked for", f"{one:.0f} bit/s is one codebook; try that")
    n_kept = sum(bits_per_second(grid, k, 1) <= limit for k in range(1, grid.n_codebooks + 1))
    if n_kept:
        return n_kept, 1
    nearly = int(bits_per_second(grid, 1, 1) / limit)  # rounding may have hit the period or stopped short of it
    return 1, next(p for p in itertools.count(max(1, nearly)) if bits_per_second(grid, 1, p) <= limit)
