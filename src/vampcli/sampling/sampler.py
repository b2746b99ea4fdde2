"""The sampler: fills hidden tokens in parallel over a few steps; `vampcli.sampling.order` says in which order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import torch
from torch import Tensor

from vampcli.config import SamplingConfig
from vampcli.progress import Progress
from vampcli.sampling.order import ORDERS, Hidden, due, hidden_tokens, schedule, stay_hidden
from vampcli.sampling.windows import Predict
from vampcli.tokens.noise import Stage, Stream, draw_noise, hide_noise, take_words, token_words

_DRAWN_TOGETHER = 2**18, 2**25  # logits on a CPU, whose caches hold them, and elsewhere


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

    Schedules run per take and region (`vampcli.sampling.windows.regions`), so a take does not depend on others,
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
    mask = mask.expand(len(seeds), -1, -1)
    shown = tokens.expand(len(seeds), -1, -1).masked_fill(mask, mask_id)
    hidden, sizes = hidden_tokens(mask, context, ORDERS[config.sampler])
    for step, (n_now, n_after) in enumerate(pairwise(schedule(sizes, n_steps))):
        drawn = due(hidden, sizes, n_now, n_after)
        drawing, hiding = (
            token_words(of_takes[hidden.takes], hidden.frames + first_frame, hidden.levels)
            for of_takes in (take_words(seeds, stage, stream, step, tokens.device) for stream in Stream)
        )
        ids, sure = torch.zeros_like(hidden.takes), torch.zeros(len(hidden), device=tokens.device)
        for piece, logits in _pieces(predict, shown, hidden, drawn, n_conditioning):
            ids[piece], sure[piece] = _draw(logits, drawing[piece], hiding[piece], step, n_steps, config)
        shown[hidden.takes, hidden.levels, hidden.frames] = ids
        hidden = hidden[stay_hidden(hidden, sure, n_now, n_after)]
        shown[hidden.takes, hidden.levels, hidden.frames] = mask_id
        if progress is not None:
            progress(step + 1, n_steps)
    return shown


def _pieces(
    predict: Predict, shown: Tensor, hidden: Hidden, drawn: Tensor, n_conditioning: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Indices of hidden tokens, those that are drawn, some at a time, and their logits (n_tokens, classes)."""
    n_takes, _, n_frames = shown.shape
    place = hidden.takes[drawn] * n_frames + hidden.frames[drawn]
    counts = torch.bincount(place, minlength=n_takes * n_frames).cpu().view(n_takes, n_frames)
    ends = counts.flatten().cumsum(0).view_as(counts)
    for rows, start, logits in predict(shown, counts > 0):
        n, n_levels, n_classes = logits.shape[2], logits.shape[1], logits.shape[3]
        flat = logits.transpose(1, 2).flatten(0, 2)
        first, last = ends[rows, start] - counts[rows, start], ends[rows, start + n - 1]
        inside = torch.cat([drawn[a:b] for a, b in zip(first.tolist(), last.tolist(), strict=True)])
        nth_frame = (hidden.takes[inside] - rows.start) * n + hidden.frames[inside] - start
        nth = nth_frame * n_levels + hidden.levels[inside] - n_conditioning
        size = max(1, _DRAWN_TOGETHER[logits.device.type != "cpu"] // n_classes)
        for i in range(0, len(inside), size):
            yield inside[i : i + size], flat.index_select(0, nth[i : i + size])


def _draw(
    logits: Tensor,
    draw_words: Tensor,
    hide_words: Tensor,
    step: int,
    n_steps: int,
    config: SamplingConfig,
) -> tuple[Tensor, Tensor]:
    """Draw a class and its confidence for each token: (n_tokens, classes) -> (n_tokens,), (n_tokens,)."""
    log_p = filtered(logits.float(), config).log_softmax(-1)
    if step / n_steps <= config.sample_cutoff and config.temperature > 0:
        ids = draw_noise(draw_words, logits.shape[-1]).add_(log_p).argmax(-1)
    else:
        ids = log_p.argmax(-1)
    sure = log_p.gather(-1, ids[:, None])[:, 0]
    chance = config.mask_temperature * (1 - (step + 1) / n_steps)
    if chance > 0:
        sure = sure + chance * hide_noise(hide_words)
    return ids, sure


def filtered(logits: Tensor, config: SamplingConfig) -> Tensor:
    """Typical filter, then top-p, both on the raw distribution, then temperature: (..., classes) -> same."""
    kept = logits
    if config.typical_mass < 1:
        keep = typical_classes(logits.softmax(-1), config.typical_mass, config.typical_min_tokens)
        kept = kept.masked_fill(~keep, -torch.inf)
    if config.top_p < 1:
        kept = kept.masked_fill(~top_p_classes(kept.softmax(-1), config.top_p), -torch.inf)
    return kept if config.temperature in (0, 1) else kept / config.temperature


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
