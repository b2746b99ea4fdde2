"""In which order hidden tokens are made: how many stay hidden after a step, and which.

A sampler is a *line* in which the tokens of a region stand, from the front to the back; tokens that share a place are
made the surest first.

- `confidence`: all share one place. Source: Garcia et al., "VampNet" (arXiv 2307.04686), section 3.2.
- `halton`: at any moment what is made lies evenly in time, and codebooks take turns. Source: Besnier et al., "Halton
  Scheduler for Masked Generative Image Transformer" (arXiv 2503.17076), for images. In one dimension, time, Halton's
  sequence is van der Corput's: frames in the order of their radical inverses. Each codebook has it shifted digit by
  digit, so that four of them begin with four different quarters of the frames. No two tokens share a place, so each is
  drawn once, in the step that makes it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from vampcli.sampling.windows import regions

UnmaskOrder = Callable[[Tensor, Tensor], Tensor]
"""Frames and codebooks of tokens, int64 (n_tokens,) each, to keys by which they stand in line: int64 (n_tokens,)."""

ORDERS: dict[str, UnmaskOrder] = {
    "confidence": lambda frames, levels: torch.zeros_like(frames),
    "halton": lambda frames, levels: (_bits_reversed(frames ^ levels) << 16) + levels,
}


def n_hidden_after(step: int, n_steps: int, n_total: int, n_hidden: int) -> int:
    """How many tokens are hidden again after a step: a cosine from all to none.

    Args:
        step: from 0.
        n_steps: in all.
        n_total: tokens hidden at the start.
        n_hidden: tokens hidden in this step.

    Source: Garcia et al., "VampNet" (arXiv 2307.04686), section 3.2; float32 as in the official code.
    """
    if step == n_steps - 1 or not n_hidden:
        return 0
    return max(1, min(n_hidden - 1, int(np.float32(_share(step, n_steps) * n_total))))


@lru_cache
def _share(step: int, n_steps: int) -> float:
    r = torch.tensor((step + 1) / n_steps, dtype=torch.float32)
    return float(torch.cos(r * math.pi / 2).clamp(1e-10, 1))


@dataclass(frozen=True)
class Hidden:
    """Tokens still to be made, in one flat list: take by take, frame by frame, the coarsest codebook first.

    Attributes:
        takes: int64 (n_tokens,).
        frames: int64 (n_tokens,).
        levels: int64 (n_tokens,), codebooks.
        regions: int64 (n_tokens,), counted through all takes; each has a schedule of its own.
        places: int64 (n_tokens,), how many tokens of the region stood before it in line at the start.
    """

    takes: Tensor
    frames: Tensor
    levels: Tensor
    regions: Tensor
    places: Tensor

    def __len__(self) -> int:
        return len(self.takes)

    def __getitem__(self, which: Tensor) -> Hidden:
        """Some of them: int64 (n,) -> n tokens."""
        return Hidden(*(part[which] for part in vars(self).values()))


def hidden_tokens(mask: Tensor, context: int, order: UnmaskOrder) -> tuple[Hidden, list[int]]:
    """List what is to be made, and count the tokens of each region (see `vampcli.sampling.windows.regions`).

    Args:
        mask: bool (n_takes, n_codebooks, n_frames), True = generate.
        context: of the model, in frames.
        order: in which it is made.
    """
    n_takes, _, n_frames = mask.shape
    takes, frames, levels = torch.nonzero(mask.transpose(1, 2), as_tuple=True)
    starts = torch.zeros(n_takes, n_frames, dtype=torch.int64)
    for own, busy in zip(starts, mask.any(1).cpu(), strict=True):
        own[[start for start, _ in regions(busy, context)]] = 1
    owner = (starts.flatten().cumsum(0) - 1).to(mask.device)[takes * n_frames + frames]
    sizes = torch.bincount(owner, minlength=int(starts.sum()))
    return Hidden(takes, frames, levels, owner, _places(order(frames, levels), owner, sizes)), sizes.tolist()


def _bits_reversed(x: Tensor) -> Tensor:
    """Read 32 bits from the other end, which sorts numbers as their radical inverses: int64 -> int64."""
    found = torch.zeros_like(x)
    for i in range(32):
        found |= (x >> i & 1) << 31 - i
    return found


def _places(keys: Tensor, owner: Tensor, sizes: Tensor) -> Tensor:
    """Count for each token those of its region with a smaller key: int64 (n_tokens,)."""
    order = keys.argsort(stable=True)
    order = order[owner[order].argsort(stable=True)]
    keys, owner = keys[order], owner[order]
    nth = torch.arange(len(order), device=order.device)
    is_first = torch.ones_like(nth, dtype=torch.bool)
    is_first[1:] = (keys[1:] != keys[:-1]) | (owner[1:] != owner[:-1])
    shared = torch.where(is_first, nth, 0).cummax(0).values - (sizes.cumsum(0) - sizes)[owner]
    return torch.empty_like(nth).scatter_(0, order, shared)


def schedule(sizes: Sequence[int], n_steps: int) -> list[list[int]]:
    """How many tokens of each region are hidden at the start, and after each step: n_steps + 1 lists of these."""
    hidden = [list(sizes)]
    for step in range(n_steps):
        after = (n_hidden_after(step, n_steps, n, now) for n, now in zip(sizes, hidden[-1], strict=True))
        hidden.append(list(after))
    return hidden


def due(hidden: Hidden, sizes: Sequence[int], n_now: Sequence[int], n_after: Sequence[int]) -> Tensor:
    """Which of the hidden tokens may be made in this step: an index of them, ascending.

    Args:
        hidden: tokens.
        sizes: tokens of each region, at the start.
        n_now: those of them that are hidden.
        n_after: those that stay so; where that is all, none is due.
    """
    n_made = [n - after if after < now else 0 for n, now, after in zip(sizes, n_now, n_after, strict=True)]
    reached = torch.tensor(n_made, dtype=torch.int64).to(hidden.regions.device, non_blocking=True)
    return torch.nonzero(hidden.places < reached[hidden.regions])[:, 0]


def stay_hidden(hidden: Hidden, confidence: Tensor, n_now: Sequence[int], n_after: Sequence[int]) -> Tensor:
    """Which of the hidden tokens to hide again: those furthest back in line, and of one place the least sure.

    Ties are broken by place, frame by frame.

    Args:
        hidden: tokens.
        confidence: float32 (n_tokens,); of no meaning where a token is not due.
        n_now: hidden tokens of each region.
        n_after: so many of them stay.

    Returns:
        An index of the hidden tokens, ascending: int64 (sum of n_after,).
    """
    order = confidence.argsort(stable=True)
    order = order[(-hidden.places[order]).argsort(stable=True)]
    order = order[hidden.regions[order].argsort(stable=True)]
    n, kept = torch.tensor(n_now, dtype=torch.int64), torch.tensor(n_after, dtype=torch.int64)
    skipped = (n - kept).cumsum(0) - (n - kept)
    stay = torch.arange(sum(n_after)) + skipped.repeat_interleave(kept)
    return order[stay.to(order.device, non_blocking=True)].sort().values
