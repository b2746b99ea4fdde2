"""Half-open ranges [start, end) of samples or frames."""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import pairwise


def merge_ranges(ranges: Iterable[tuple[int, int]], gap: int = 0, longest: float = math.inf) -> list[tuple[int, int]]:
    """Join ranges that overlap, touch or lie at most `gap` apart, unless the result exceeds `longest`."""
    merged: list[tuple[int, int]] = []
    for start, end in sorted(ranges):
        if merged and start <= merged[-1][1] + gap and end - merged[-1][0] <= longest:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def split_range(start: int, end: int, longest: int) -> list[tuple[int, int]]:
    """Cut a range into the fewest equal pieces of at most `longest`; an empty range has none."""
    n = max(1, -(-(end - start) // longest))
    edges = pairwise(start + (end - start) * i // n for i in range(n + 1))
    return [(a, b) for a, b in edges if a < b]
