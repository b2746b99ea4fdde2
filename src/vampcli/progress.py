"""Progress callbacks."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[int, int], None]
"""Called with the number of steps done and their total."""


def part_of(progress: Progress, i: int, n: int) -> Progress:
    """Return the progress callback for part i of n equal parts of some work."""
    return lambda step, total: progress(i * total + step, n * total)
