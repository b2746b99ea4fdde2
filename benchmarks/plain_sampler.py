"""The published sampler for one take of one window, over all of it at every step; with the noise of `vamp`."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from vampcli.config import SamplingConfig
from vampcli.tokens.noise import Stage, Stream, draw_noise, hide_noise, take_words, token_words

Logits = Callable[[Tensor], Tensor]
"""Tokens, int64 (n_codebooks, n_frames), to float32 (n_predicted, n_frames, classes)."""


def fill(
    logits_of: Logits,
    tokens: Tensor,
    mask: Tensor,
    seed: int,
    config: SamplingConfig,
    *,
    stage: Stage,
    n_steps: int,
    mask_id: int,
    first_frame: int = 0,
) -> Tensor:
    """Fill what is hidden; neither typical filter nor top-p.

    Args:
        logits_of: the model.
        tokens: int64 (n_codebooks, n_frames); hidden ones may be anything.
        mask: bool (n_codebooks, n_frames), True = generate.
        seed: of the take.
        config: how to draw.
        stage: which model it is, for the noise.
        n_steps: passes of the model.
        mask_id: the id of hidden tokens.
        first_frame: of the window's place in the clip, for the noise.

    Returns:
        int64 (n_codebooks, n_frames).
    """
    n_total, tokens = int(mask.sum()), tokens.clone()
    if not n_total:
        return tokens
    for step in range(n_steps):
        logits = logits_of(tokens.masked_fill(mask, mask_id))
        log_p = (logits / (config.temperature or 1.0)).log_softmax(-1)
        frames, levels = mask.T.nonzero(as_tuple=True)
        places = (levels - (len(tokens) - len(log_p)), frames)
        words = _words(seed, stage, step, frames + first_frame, levels)
        score = log_p[places]
        if step / n_steps <= config.sample_cutoff and config.temperature > 0:
            score = score + draw_noise(words[Stream.DRAW], log_p.shape[-1])
        ids = score.argmax(-1)
        r = (step + 1) / n_steps
        sure = log_p[(*places, ids)]
        sure = sure + config.mask_temperature * (1 - r) * hide_noise(words[Stream.HIDE])
        tokens[levels, frames] = ids
        again = sure.argsort(stable=True)[: _n_hidden(step, n_steps, n_total, len(sure))]
        mask = torch.zeros_like(mask)
        mask[levels[again], frames[again]] = True
    return tokens


def _words(seed: int, stage: Stage, step: int, frames: Tensor, levels: Tensor) -> dict[Stream, Tensor]:
    """What the noise of each token starts from."""
    return {
        stream: token_words(take_words([seed], stage, stream, step, frames.device), frames, levels) for stream in Stream
    }


def _n_hidden(step: int, n_steps: int, n_total: int, n_now: int) -> int:
    """How many tokens are hidden again."""
    if step == n_steps - 1:
        return 0
    r = torch.tensor((step + 1) / n_steps, dtype=torch.float32)
    gamma = torch.cos(math.pi * r / 2).clamp(1e-10, 1)
    return max(1, min(n_now - 1, int(torch.floor(gamma * n_total))))
