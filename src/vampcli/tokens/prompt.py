"""Draw the mask of a `PromptConfig` for one clip.

Source: Garcia et al., "VampNet" (arXiv 2307.04686), section 4.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vampcli.config import PromptConfig
from vampcli.tokens import masks
from vampcli.tokens.grid import TokenGrid
from vampcli.tokens.masks import Mask


def event_ranges(
    times_s: Sequence[float], width_s: float, grid: TokenGrid, first_frame: int, n_frames: int
) -> list[tuple[int, int]]:
    """Return the frames that beats or onsets touch.

    Args:
        times_s: their times, in seconds from the start of the file.
        width_s: kept after each.
        grid: of the tokens.
        first_frame: of the clip in the file.
        n_frames: of the clip.

    Returns:
        Half-open ranges of frames, clipped to the clip; events outside are left out.

    Departs from the official code: every frame of [time, time + width) is kept, at the clip's start as well.
    """
    ranges = []
    for time in times_s:
        start, end = (round(t * grid.sample_rate) for t in (time, time + width_s))
        first, last = grid.frames_touched(start, max(start + 1, end), grid.sample_rate)
        ranges.append((max(0, first - first_frame), min(n_frames, last - first_frame)))
    return [(start, end) for start, end in ranges if start < end]


def draw(
    config: PromptConfig,
    n_codebooks: int,
    n_frames: int,
    events: Sequence[tuple[int, int]],
    rng: np.random.Generator,
    n_earlier: int = 0,
) -> Mask:
    """Draw a prompt.

    Args:
        config: of the prompt.
        n_codebooks: of the clip.
        n_frames: of the clip.
        events: frames of beats and onsets to keep, as half-open ranges.
        rng: another call draws another prompt.
        n_earlier: prompts drawn before from the same state of `rng`; each shifts the period, so that other frames are
            kept.

    Returns:
        bool (n_codebooks, n_frames), True = generate.

    Departs from the official code: beats, too, keep `keep_codebooks` only, and dropout applies to their frames.
    """
    rolls, *chances = rng.spawn(3)  # independent, so that one setting does not change the draws of another
    tokens, drops = (chance.spawn(n_earlier)[-1] if n_earlier else chance for chance in chances)
    shape = n_codebooks, n_frames
    period = config.resolved_period
    offset = int(rolls.integers(max(1, period))) + n_earlier * config.width
    mask = masks.random(*shape, config.intensity, tokens)
    mask &= masks.keep_periodic(*shape, period, config.width, offset)
    mask &= ~masks.spans(*shape, events)
    mask = masks.drop_kept(mask, config.dropout, drops)
    if config.keep_codebooks is not None:
        mask |= masks.keep_codebooks(*shape, config.keep_codebooks)
    return mask


def stretch(mask: Mask, factor: int) -> Mask:
    """Spread a mask over a clip `factor` times as long: frame i moves to i * factor, frames between are generated.

    Args:
        mask: bool (..., n_frames), True = generate.
        factor: 1 or more.

    Returns:
        bool (..., n_frames * factor).
    """
    wide = np.ones((*mask.shape[:-1], mask.shape[-1] * factor), bool)
    wide[..., ::factor] = mask
    return wide
