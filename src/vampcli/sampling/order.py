"""The order in which hidden tokens are generated: how many stay hidden after each step, and which.

An `UnmaskOrder` gives each token of a region a rank. Tokens of lower rank are generated first; among tokens of equal
rank the most confident.

- `confidence`: all tokens share one rank. Source: Garcia et al., "VampNet" (arXiv 2307.04686), section 3.2.
- `halton`: after any step, the generated tokens lie evenly in time, and codebooks take turns. Source: Besnier et al.,
  "Halton Scheduler for Masked Generative Image Transformer" (arXiv 2503.17076), for images. In one dimension, time,
  Halton's sequence is van der Corput's: frames in the order of their radical inverses. Each codebook has it shifted
  digit by digit, so that four of them begin with four different quarters of the frames. No two tokens share a rank, so
  each is drawn once, in the step that generates it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from vampcli.sampling.placement import find_regions

UnmaskOrder = Callable[[Tensor, Tensor], Tensor]
"""Maps frames and codebooks of tokens, int64 (n_tokens,) each, to sort keys, int64 (n_tokens,)."""

ORDERS: dict[str, UnmaskOrder] = {
    "confidence": lambda frames, codebooks: torch.zeros_like(frames),
    "halton": lambda frames, codebooks: (_reverse_bits(frames ^ codebooks) << 16) + codebooks,
}


def n_hidden_after(step: int, n_steps: int, n_total: int, n_hidden: int) -> int:
    """Count the tokens that stay hidden after a step: a cosine from all to none.

    Args:
        step: from 0.
        n_steps: in all.
        n_total: tokens hidden at the start.
        n_hidden: tokens hidden in this step.

    Source: Garcia et al., "VampNet" (arXiv 2307.04686), section 3.2; float32 as in the official code.
    """
    if step == n_steps - 1 or not n_hidden:
        return 0
    return max(1, min(n_hidden - 1, int(np.float32(_cosine_share(step, n_steps) * n_total))))


@lru_cache
def _cosine_share(step: int, n_steps: int) -> float:
    r = torch.tensor((step + 1) / n_steps, dtype=torch.float32)
    return float(torch.cos(r * math.pi / 2).clamp(1e-10, 1))


@dataclass(frozen=True)
class HiddenTokens:
    """Tokens still to be generated, in one flat list: take by take, frame by frame, the coarsest codebook first.

    Attributes:
        takes: int64 (n_tokens,).
        frames: int64 (n_tokens,).
        codebooks: int64 (n_tokens,).
        regions: int64 (n_tokens,), numbered through all takes; each region has its own schedule.
        ranks: int64 (n_tokens,), how many tokens of the region came before it in the order at the start.
    """

    takes: Tensor
    frames: Tensor
    codebooks: Tensor
    regions: Tensor
    ranks: Tensor

    def __len__(self) -> int:
        return len(self.takes)

    def __getitem__(self, indices: Tensor) -> HiddenTokens:
        """Select tokens: int64 (n,) -> n tokens."""
        return HiddenTokens(*(part[indices] for part in vars(self).values()))


def list_hidden(mask: Tensor, context: int, order: UnmaskOrder) -> tuple[HiddenTokens, list[int]]:
    """List the tokens to generate, and count those of each region (see `vampcli.sampling.placement.find_regions`).

    Args:
        mask: bool (n_takes, n_codebooks, n_frames), True = generate.
        context: of the model, in frames.
        order: in which they are generated.
    """
    n_takes, _, n_frames = mask.shape
    takes, frames, codebooks = torch.nonzero(mask.transpose(1, 2), as_tuple=True)  # (n_tokens,) each

    # Number the regions: a running count of their first frames, over all takes laid end to end.
    is_start = torch.zeros(n_takes, n_frames, dtype=torch.int64)
    for row, hides in zip(is_start, mask.any(1).cpu(), strict=True):
        row[[start for start, _ in find_regions(hides, context)]] = 1
    regions = (is_start.flatten().cumsum(0) - 1).to(mask.device)[takes * n_frames + frames]

    sizes = torch.bincount(regions, minlength=int(is_start.sum()))
    ranks = _rank_in_regions(order(frames, codebooks), regions, sizes)
    return HiddenTokens(takes, frames, codebooks, regions, ranks), sizes.tolist()


def _reverse_bits(x: Tensor) -> Tensor:
    """Reverse the order of 32 bits, which sorts numbers by their radical inverses: int64 -> int64."""
    y = torch.zeros_like(x)
    for i in range(32):
        y |= (x >> i & 1) << 31 - i
    return y


def _rank_in_regions(keys: Tensor, regions: Tensor, sizes: Tensor) -> Tensor:
    """Count for each token those of its region with a smaller key: int64 (n_tokens,)."""
    # Sort by region, then by key.
    order = keys.argsort(stable=True)
    order = order[regions[order].argsort(stable=True)]
    keys, regions = keys[order], regions[order]
    # Tokens of equal key share the position of the first of them, counted from where the region begins.
    nth = torch.arange(len(order), device=order.device)
    is_first = torch.ones_like(nth, dtype=torch.bool)
    is_first[1:] = (keys[1:] != keys[:-1]) | (regions[1:] != regions[:-1])
    ranks = torch.where(is_first, nth, 0).cummax(0).values - (sizes.cumsum(0) - sizes)[regions]
    return torch.empty_like(nth).scatter_(0, order, ranks)


def schedule(sizes: Sequence[int], n_steps: int) -> list[list[int]]:
    """Count the hidden tokens of each region at the start and after each step: n_steps + 1 lists."""
    hidden = [list(sizes)]
    for step in range(n_steps):
        after = (n_hidden_after(step, n_steps, n, now) for n, now in zip(sizes, hidden[-1], strict=True))
        hidden.append(list(after))
    return hidden


def select_candidates(
    hidden: HiddenTokens, sizes: Sequence[int], n_now: Sequence[int], n_after: Sequence[int]
) -> Tensor:
    """Select the hidden tokens that may be generated in this step: their indices, ascending.

    Args:
        hidden: tokens.
        sizes: tokens of each region, at the start.
        n_now: hidden tokens of each region, before the step.
        n_after: hidden tokens of each region, after it; a region where it equals `n_now` has no candidates.
    """
    n_made = [n - after if after < now else 0 for n, now, after in zip(sizes, n_now, n_after, strict=True)]
    first_later = torch.tensor(n_made, dtype=torch.int64).to(hidden.regions.device, non_blocking=True)
    return torch.nonzero(hidden.ranks < first_later[hidden.regions])[:, 0]


def select_remasked(hidden: HiddenTokens, confidence: Tensor, n_now: Sequence[int], n_after: Sequence[int]) -> Tensor:
    """Select the hidden tokens to hide again: those of the highest rank, among equal ranks the least confident.

    Ties are broken by position, frame by frame.

    Args:
        hidden: tokens.
        confidence: float32 (n_tokens,); ignored where a token is no candidate.
        n_now: hidden tokens of each region.
        n_after: how many of them to hide again.

    Returns:
        Indices of hidden tokens, ascending: int64 (sum of n_after,).
    """
    # Sort by region, then by rank (highest first), then by confidence (least first): three stable sorts.
    order = confidence.argsort(stable=True)
    order = order[(-hidden.ranks[order]).argsort(stable=True)]
    order = order[hidden.regions[order].argsort(stable=True)]
    # Take the first `n_after` of each region: skip the n_now - n_after tokens that end every earlier region.
    n, n_kept = torch.tensor(n_now, dtype=torch.int64), torch.tensor(n_after, dtype=torch.int64)
    n_skipped = (n - n_kept).cumsum(0) - (n - n_kept)
    positions = torch.arange(sum(n_after)) + n_skipped.repeat_interleave(n_kept)
    return order[positions.to(order.device, non_blocking=True)].sort().values
