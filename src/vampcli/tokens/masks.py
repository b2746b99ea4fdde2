"""Prompts as masks: bool tensors (n_codebooks, n_frames), True = generate, False = keep.

They combine with `|` (generate more), `&` (keep more) and `~`.

Source: Garcia et al., "VampNet" (arXiv 2307.04686), section 4.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor


def everything(n_codebooks: int, n_frames: int) -> Tensor:
    """Hide all tokens."""
    return torch.ones(n_codebooks, n_frames, dtype=torch.bool)


def spans(n_codebooks: int, n_frames: int, ranges: Sequence[tuple[int, int]]) -> Tensor:
    """Hide all tokens of the frames in half-open ranges, cut to the clip."""
    mask = torch.zeros(n_codebooks, n_frames, dtype=torch.bool)
    for start, end in ranges:
        mask[:, max(0, start) : max(0, end)] = True
    return mask


def keep_ends(n_codebooks: int, n_frames: int, prefix: int = 0, suffix: int = 0) -> Tensor:
    """Keep the first `prefix` and the last `suffix` frames, hide what is between."""
    frame = torch.arange(n_frames)
    return ((frame >= prefix) & (frame < n_frames - suffix)).expand(n_codebooks, -1).clone()


def keep_periodic(n_codebooks: int, n_frames: int, period: int, width: int = 1, offset: int = 0) -> Tensor:
    """Keep `width` frames around every multiple of `period` frames (shifted by `offset`), hide the rest.

    A period of 0 keeps nothing. Of an even width, the larger part lies before the multiple.

    Departs from the official code: even widths keep exactly `width` frames, not one more.
    """
    if period == 0:
        return everything(n_codebooks, n_frames)
    place = (torch.arange(n_frames) - offset + width // 2) % period
    return (place >= width).expand(n_codebooks, -1).clone()


def keep_codebooks(n_codebooks: int, n_frames: int, n_kept: int) -> Tensor:
    """Keep the first `n_kept` codebooks of every frame, hide the others."""
    level = torch.arange(n_codebooks)[:, None]
    return (level >= n_kept).expand(-1, n_frames).clone()


def keep_sparse(n_codebooks: int, n_frames: int, n_kept: int, period: int) -> Tensor:
    """Keep the first `n_kept` codebooks of frames 0, period, 2 * period, ...; a period of 0 keeps nothing."""
    return keep_codebooks(n_codebooks, n_frames, n_kept) | keep_periodic(n_codebooks, n_frames, period)


def random(n_codebooks: int, n_frames: int, intensity: float, rng: np.random.Generator) -> Tensor:
    """Hide each token with probability `intensity`."""
    return torch.from_numpy(rng.random((n_codebooks, n_frames)) < intensity)


def drop_kept(mask: Tensor, share: float, rng: np.random.Generator) -> Tensor:
    """Hide a share of the frames that keep something, whole and each at most once.

    With the same chance a larger share hides the same frames and more.

    Args:
        mask: bool (n_codebooks, n_frames).
        share: of the frames in which a token is kept, 0 to 1; a fraction of a frame is the chance of one more.
        rng: chooses them.

    Departs from the official code: drawn without replacement, so the share is dropped to within a frame.
    """
    keeps = ~mask.all(0).numpy()
    order = rng.permutation(mask.shape[1])  # of all frames: what is kept elsewhere does not change whose turn is first
    dropped = order[keeps[order]][: int(share * keeps.sum() + rng.random())]
    result = mask.clone()
    result[:, torch.from_numpy(dropped)] = True
    return result
