"""Place the windows and the regions of a clip longer than a model's context; imports no torch."""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from vampcli.audio.ranges import merge_ranges, split_range

if TYPE_CHECKING:
    from torch import Tensor

    Hidden = npt.NDArray[np.bool_] | Tensor
    """Frames, bool (n_frames,): an array, or a tensor on the CPU."""


MOST_REUSED = 8  # windows of a clip; caches of more would need too much memory
_MARGIN = 8  # frames on both sides of the hidden ones
ROUNDING = 16  # numbers of frames are multiples: few shapes, and whole blocks of the products
LARGEST_SHARE = 0.7  # of a window; more frames cost as much as all


def near_frames(first: int, end: int, length: int) -> slice:
    """Return the frames [first, end) of a window of `length` frames, with a margin, as many as a multiple of 16."""
    start, stop = max(0, first - _MARGIN), min(length, end + _MARGIN)
    n = min(length, -(-(stop - start) // ROUNDING) * ROUNDING)
    start = max(0, min(start, length - n))
    return slice(start, start + n)


def window_starts(hidden: Hidden, context: int) -> list[int]:
    """Choose few windows in which every hidden frame sees an eighth of a context on both sides, within the clip.

    Each window is centred on the frames it serves, so windows of a long run overlap by a quarter of a context. The
    range of these frames is rounded outward to a sixteenth of a context: takes whose prompts differ by a few frames
    then have the same windows and can share batches.

    Args:
        hidden: bool (n_frames,).
        context: frames in a window.

    Returns:
        First frames, ascending; [0] in a clip within one context; empty if nothing is hidden.

    Departs from half-overlapping windows on a grid: fewer passes, as good; see docs/explanation/experiments.md.
    """
    reach, last_start = context // 8, max(0, len(hidden) - context)
    grain = max(1, reach // 2)
    frames, starts = np.flatnonzero(hidden).tolist(), []
    while frames:
        # The rightmost window that shows `reach` frames left of the first hidden frame serves all before `stop`.
        first = frames[0] // grain * grain
        end = min(max(0, first - reach), last_start) + context
        stop = end if end >= len(hidden) else end - reach
        n_served = bisect_left(frames, stop)
        # Centre the window on the frames it serves.
        stop = min(stop, -(-(frames[n_served - 1] + 1) // grain) * grain)
        starts.append(min(max(0, (first + stop - context) // 2), last_start))
        frames = frames[n_served:]
    return starts


def shown_frames(first: int, end: int, n_frames: int, context: int) -> tuple[int, int]:
    """Return the range of frames outside which no window reads, if all hidden frames lie in [first, end).

    Args:
        first: hidden frame at which the range may begin.
        end: one past the last hidden frame.
        n_frames: of the clip.
        context: frames in a window.
    """
    grain = max(1, context // 16)
    # A window is centred on a range that begins at a multiple of `grain` and ends at one, or before.
    start, stop = first // grain * grain - context // 2, -(-end // grain) * grain + context // 2
    start, stop = max(0, start), min(n_frames, stop)
    # A window that would begin before the clip, or end after it, is moved into it.
    moved_right = min(n_frames, context) if start == 0 else 0
    moved_left = max(0, n_frames - context) if stop == n_frames else n_frames
    return min(start, moved_left), max(stop, moved_right)


def find_regions(hidden: Hidden, context: int) -> list[tuple[int, int]]:
    """Group hidden frames into regions; each is sampled with its own schedule.

    Hidden frames less than half a context apart belong together; a region longer than a context is
    cut into equal pieces.

    Args:
        hidden: bool (n_frames,).
        context: of the model, in frames.

    Returns:
        Half-open ranges of frames that begin and end with a hidden one, or with a cut.
    """
    frames = np.flatnonzero(hidden).tolist()
    runs = merge_ranges([(frame, frame + 1) for frame in frames], gap=(context - 1) // 2)
    return [region for run in runs for region in split_range(*run, context)]
