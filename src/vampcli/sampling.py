"""The sampler: fills hidden tokens in parallel over a few steps, the surest first."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from vampcli.config import SamplingConfig
from vampcli.noise import Stage, draw_noise, hide_noise
from vampcli.windows import Predict, regions

Progress = Callable[[int, int], None]
"""Called with steps done and steps in all."""


def part_of(progress: Progress, i: int, n: int) -> Progress:
    """Turn the progress of part i of n equal parts into that of the whole."""
    return lambda step, total: progress(i * total + step, n * total)


def n_hidden_after(step: int, n_steps: int, n_total: int, n_hidden: int) -> int:
    """How many tokens are hidden again after a step: a cosine from all to none.

    Args:
        step: from 0.
        n_steps: in all.
        n_total: tokens hidden at the start.
        n_hidden: tokens hidden in this step.

    Source: Garcia et al., "VampNet" (arXiv 2307.04686), section 3.2; float32 as in the official code.
    """
    if step == n_steps - 1:
        return 0
    r = torch.tensor((step + 1) / n_steps, dtype=torch.float32)
    gamma = torch.cos(r * math.pi / 2).clamp(1e-10, 1)
    return max(1, min(n_hidden - 1, int(torch.floor(gamma * n_total))))


def fill(
    predict: Predict,
    tokens: Tensor,
    mask: Tensor,
    seeds: Sequence[int],
    config: SamplingConfig,
    *,
    stage: Stage,
    n_steps: int,
    n_conditioning: int,
    context: int,
    mask_id: int,
    first_frame: int = 0,
    progress: Progress | None = None,
) -> Tensor:
    """Generate the hidden tokens of several takes of one clip.

    Schedules run per take and region (`vampcli.windows.regions`), so a take does not depend on others,
    and a short hole not on a long one.

    Args:
        predict: tokens -> logits, for any length.
        tokens: int64 (n_codebooks, n_frames) or (n_takes, n_codebooks, n_frames), what is kept; hidden places
            may hold anything.
        mask: bool, shaped as one of these, True = generate; False in all conditioning codebooks.
        seeds: one for each take.
        config: how to draw.
        stage: which stream of noise.
        n_steps: passes of the model.
        n_conditioning: the first codebooks, which `predict` does not predict.
        context: of the model, in frames.
        mask_id: the id of hidden tokens.
        first_frame: of the clip's place in a longer recording; noise belongs to places in the recording.
        progress: told after each step.

    Returns:
        int64 (n_takes, n_codebooks, n_frames), nothing hidden.
    """
    mask_now = mask.expand(len(seeds), -1, -1).clone()
    open_frames = [regions(own.any(0), context) for own in mask_now]
    totals = [[int(own[:, a:b].sum()) for a, b in parts] for own, parts in zip(mask_now, open_frames, strict=True)]
    filled = tokens.expand(len(seeds), -1, -1).clone()
    for step in range(n_steps):
        confidence = torch.zeros(mask_now.shape, device=tokens.device)
        hidden_tokens = filled.masked_fill(mask_now, mask_id)
        for start, logits in predict(hidden_tokens, mask_now.any(1)):
            for take, seed in enumerate(seeds):
                inside = mask_now[take, n_conditioning:, start : start + logits.shape[2]]
                frames, levels = torch.nonzero(inside.T, as_tuple=True)
                noise = (seed, stage, step, frames + start + first_frame, levels + n_conditioning)
                ids, sure = _draw(logits[take, levels, frames], noise, step, n_steps, config)
                filled[take, levels + n_conditioning, frames + start] = ids
                confidence[take, levels + n_conditioning, frames + start] = sure
        for take in range(len(seeds)):
            for (start, end), n_total in zip(open_frames[take], totals[take], strict=True):
                part = (take, slice(None), slice(start, end))
                mask_now[part] = _least_sure(mask_now[part], confidence[part], step, n_steps, n_total)
        if progress is not None:
            progress(step + 1, n_steps)
    return filled


def _draw(
    logits: Tensor,
    noise: tuple[int, Stage, int, Tensor, Tensor],
    step: int,
    n_steps: int,
    config: SamplingConfig,
) -> tuple[Tensor, Tensor]:
    """Draw a class and its confidence for each token: (n_tokens, classes) -> (n_tokens,), (n_tokens,)."""
    log_p = filtered(logits.float(), config).log_softmax(-1)
    if step / n_steps <= config.sample_cutoff and config.temperature > 0:
        ids = (log_p + draw_noise(*noise, logits.shape[-1])).argmax(-1)
    else:
        ids = log_p.argmax(-1)
    sure = log_p.gather(-1, ids[:, None])[:, 0]
    chance = config.mask_temperature * (1 - (step + 1) / n_steps)
    if chance > 0:
        sure = sure + chance * hide_noise(*noise)
    return ids, sure


def filtered(logits: Tensor, config: SamplingConfig) -> Tensor:
    """Typical filter, then top-p, both on the raw distribution, then temperature: (..., classes) -> same."""
    p = logits.softmax(-1)
    keep = torch.ones_like(logits, dtype=torch.bool)
    if config.typical_mass < 1:
        keep &= typical_classes(p, config.typical_mass, config.typical_min_tokens)
    if config.top_p < 1:
        keep &= top_p_classes(logits.masked_fill(~keep, -torch.inf).softmax(-1), config.top_p)
    temperature = config.temperature if config.temperature > 0 else 1.0
    return (logits / temperature).masked_fill(~keep, -torch.inf)


def typical_classes(p: Tensor, mass: float, min_tokens: int) -> Tensor:
    """The classes whose surprise is nearest the entropy, as few as hold `mass`, but `min_tokens` at least.

    Args:
        p: float32 (..., classes), summing to 1.
        mass: of probability to keep.
        min_tokens: fewest classes to keep.

    Returns:
        bool (..., classes).

    Source: Meister et al., "Locally Typical Sampling" (arXiv 2202.00666).
    """
    surprise = -p.clamp(min=1e-38).log()
    entropy = (p * surprise).sum(-1, keepdim=True)
    order = (surprise - entropy).abs().argsort(dim=-1, stable=True)
    before = p.gather(-1, order).cumsum(-1) - p.gather(-1, order)
    rank = torch.arange(p.shape[-1], device=p.device)
    return torch.zeros_like(p, dtype=torch.bool).scatter(-1, order, (before < mass) | (rank < min_tokens))


def top_p_classes(p: Tensor, mass: float) -> Tensor:
    """The likeliest classes, as few as hold `mass`: float32 (..., classes) -> bool (..., classes).

    Source: Holtzman et al., "The Curious Case of Neural Text Degeneration" (arXiv 1904.09751).
    """
    order = p.argsort(dim=-1, descending=True, stable=True)
    before = p.gather(-1, order).cumsum(-1) - p.gather(-1, order)
    return torch.zeros_like(p, dtype=torch.bool).scatter(-1, order, before < mass)


def _least_sure(mask: Tensor, confidence: Tensor, step: int, n_steps: int, n_total: int) -> Tensor:
    """Which of the tokens hidden in this step to hide again: bool (n_codebooks, n_frames) -> same.

    Ties are broken by place, frame by frame.
    """
    hidden = torch.nonzero(mask.T)
    again = torch.zeros_like(mask)
    if len(hidden) == 0:
        return again
    order = confidence.T[mask.T].argsort(stable=True)
    chosen = hidden[order[: n_hidden_after(step, n_steps, n_total, len(hidden))]]
    again[chosen[:, 1], chosen[:, 0]] = True
    return again
