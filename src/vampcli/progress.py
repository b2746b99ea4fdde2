"""Progress callbacks."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[int, int], None]
"""Called with steps done and steps in all."""


def part_of(progress: Progress, i: int, n: int) -> Progress:
    """Turn the progress of part i of n equal parts into that of the whole."""
    return lambda step, total: progress(i * total + step, n * total)
