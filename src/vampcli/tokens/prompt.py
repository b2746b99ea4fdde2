"""A prompt drawn: what a `PromptConfig` asks to keep, as a mask of one clip.

Source: Garcia et al., "VampNet" (arXiv 2307.04686), section 4.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from vampcli.config import PromptConfig
from vampcli.tokens import masks
from vampcli.tokens.grid import TokenGrid


def event_ranges(
    times_s: Sequence[float], width_s: float, grid: TokenGrid, first_frame: int, n_frames: int
) -> list[tuple[int, int]]:
    """Find the frames that beats or onsets touch.

    Args:
        times_s: when they begin, in seconds from the start of the file.
        width_s: how long they last.
        grid: of the tokens.
        first_frame: where the clip begins in the file.
        n_frames: of the clip.

    Returns:
        Half-open ranges of frames of the clip, cut to it; events outside are left out.

    Departs from the official code: every frame of [time, time + width) counts, those at the clip's start as well.
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
) -> Tensor:
    """Decide what is kept of a clip.

    Args:
        config: what to keep.
        n_codebooks: of the clip.
        n_frames: of the clip.
        events: frames of beats and onsets, as half-open ranges; all are kept.
        rng: chooses; another call draws another prompt.
        n_earlier: prompts drawn before of the same chances; each moves the period on, so that other frames are kept.

    Returns:
        bool (n_codebooks, n_frames), True = generate.

    Departs from the official code: beats, too, keep only the codebooks asked for, and frames of theirs can be dropped.
    """
    rolls, *chances = rng.spawn(3)  # one each: a change of one prompt leaves the draws of the others alone
    tokens, drops = (chance.spawn(n_earlier)[-1] if n_earlier else chance for chance in chances)
    shape = n_codebooks, n_frames
    period = config.resolved_period
    offset = int(rolls.integers(max(1, period))) + n_earlier * config.width
    mask = masks.random(*shape, config.intensity, tokens)
    mask &= masks.keep_periodic(*shape, period, config.width, offset)
    mask &= ~masks.spans(*shape, events)
    mask = masks.drop_kept(mask, config.dropout, drops)
    if config.n_kept_codebooks is not None:
        mask |= masks.keep_codebooks(*shape, config.n_kept_codebooks)
    return mask


def stretched(mask: Tensor, factor: int) -> Tensor:
    """Keep the same of a clip `factor` times as long: old frame i lies at i * factor, those between are made.

    Args:
        mask: bool (..., n_frames), True = generate.
        factor: 1 or more.

    Returns:
        bool (..., n_frames * factor).
    """
    longer = torch.ones(*mask.shape[:-1], mask.shape[-1] * factor, dtype=torch.bool)
    longer[..., ::factor] = mask
    return longer
