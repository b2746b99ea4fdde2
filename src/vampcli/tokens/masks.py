"""Prompts as masks: bool arrays (n_codebooks, n_frames), True = generate, False = keep.

They combine with `|` (generate more), `&` (keep more) and `~`.

Source: Garcia et al., "VampNet" (arXiv 2307.04686), section 4.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.bool_]


def everything(n_codebooks: int, n_frames: int) -> Mask:
    """Hide all tokens."""
    return np.ones((n_codebooks, n_frames), bool)


def spans(n_codebooks: int, n_frames: int, ranges: Sequence[tuple[int, int]]) -> Mask:
    """Hide all tokens of the frames in half-open ranges, clipped to the grid."""
    mask = np.zeros((n_codebooks, n_frames), bool)
    for start, end in ranges:
        mask[:, max(0, start) : max(0, end)] = True
    return mask


def keep_periodic(n_codebooks: int, n_frames: int, period: int, width: int = 1, offset: int = 0) -> Mask:
    """Keep `width` frames around every multiple of `period` frames (shifted by `offset`), hide the rest.

    A period of 0 keeps nothing. With an even width, one frame more lies before the multiple than after it.

    Departs from the official code: even widths keep exactly `width` frames, not one more.
    """
    if period == 0:
        return everything(n_codebooks, n_frames)
    phase = (np.arange(n_frames) - offset + width // 2) % period
    return np.tile(phase >= width, (n_codebooks, 1))


def keep_codebooks(n_codebooks: int, n_frames: int, n_kept: int) -> Mask:
    """Keep the first `n_kept` codebooks of every frame, hide the others."""
    return np.repeat(np.arange(n_codebooks)[:, None] >= n_kept, n_frames, axis=1)


def keep_sparse(n_codebooks: int, n_frames: int, n_kept: int, period: int) -> Mask:
    """Keep the first `n_kept` codebooks of frames 0, period, 2 * period, ...; a period of 0 keeps nothing."""
    return keep_codebooks(n_codebooks, n_frames, n_kept) | keep_periodic(n_codebooks, n_frames, period)


def random(n_codebooks: int, n_frames: int, intensity: float, rng: np.random.Generator) -> Mask:
    """Hide each token with probability `intensity`."""
    return rng.random((n_codebooks, n_frames)) < intensity


def drop_kept(mask: Mask, share: float, rng: np.random.Generator) -> Mask:
    """Hide a share of the frames that keep something, all their codebooks.

    With the same random state, a larger share hides the same frames and more.

    Args:
        mask: bool (n_codebooks, n_frames).
        share: of the frames in which a token is kept, 0 to 1; a fraction of a frame is a probability.
        rng: selects them.

    Departs from the official code: drawn without replacement, so the share is dropped to within a frame.
    """
    keeps = ~np.logical_and.reduce(mask)
    order = rng.permutation(mask.shape[1])  # of all frames, so that it does not depend on the mask
    dropped = order[keeps[order]][: int(share * keeps.sum() + rng.random())]
    result = mask.copy()
    result[:, dropped] = True
    return result
