"""Generate hidden tokens in parallel over a few steps: draw all candidates, hide the least confident again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import torch
from torch import Tensor

from vampcli.config import SamplingConfig
from vampcli.model.config import VampNetConfig
from vampcli.progress import Progress
from vampcli.sampling.order import ORDERS, HiddenTokens, list_hidden, schedule, select_candidates, select_remasked
from vampcli.sampling.windows import Predict
from vampcli.tokens.noise import Stage, Stream, draw_noise, hide_noise, take_words, token_words

_MOST_LOGITS = 2**18, 2**25  # drawn from at once: on a CPU (its caches hold so many), and elsewhere


def fill(
    predict: Predict,
    tokens: Tensor,
    mask: Tensor,
    seeds: Sequence[int],
    config: SamplingConfig,
    model: VampNetConfig,
    *,
    first_frame: int = 0,
    progress: Progress | None = None,
) -> Tensor:
    """Generate the hidden tokens of several takes of one clip.

    Each region of each take (`vampcli.sampling.placement.find_regions`) has its own schedule, so a take does not depend
    on other takes, nor a short hole on a long one.

    Args:
        predict: tokens -> logits, for any length.
        tokens: int64 (n_codebooks, n_frames) or (n_takes, n_codebooks, n_frames); values of hidden tokens are ignored.
        mask: bool, shaped as one of these, True = generate; False in all conditioning codebooks.
        seeds: one for each take.
        config: options of sampling.
        model: sizes of the model behind `predict`; one with conditioning codebooks is the fine model.
        first_frame: of the clip in a longer recording; noise depends on the frame in the recording.
        progress: called after each step.

    Returns:
        int64 (n_takes, n_codebooks, n_frames), nothing hidden.

    Source: Garcia et al., "VampNet" (arXiv 2307.04686), section 3.2.
    """
    is_fine, mask_id = model.n_conditioning > 0, model.codebook_size
    stage, n_steps = (Stage.FINE, config.fine_steps) if is_fine else (Stage.COARSE, config.steps)
    mask = mask.expand(len(seeds), -1, -1)  # (n_takes, n_codebooks, n_frames)
    shown = tokens.expand(len(seeds), -1, -1).masked_fill(mask, mask_id)
    hidden, sizes = list_hidden(mask, model.context_frames, ORDERS[config.sampler])
    for step, (n_now, n_after) in enumerate(pairwise(schedule(sizes, n_steps))):
        # A random word for each hidden token and each use of noise: int32 (n_hidden,).
        draw_words, hide_words = (
            token_words(words[hidden.takes], hidden.frames + first_frame, hidden.codebooks)
            for words in (take_words(seeds, stage, stream, step, tokens.device) for stream in Stream)
        )

        # Draw a class for each candidate, with its confidence: (n_hidden,); other tokens keep a dummy.
        candidates = select_candidates(hidden, sizes, n_now, n_after)
        ids, confidence = torch.zeros_like(hidden.takes), torch.zeros(len(hidden), device=tokens.device)
        for part, logits in _candidate_logits(predict, shown, hidden, candidates, model.n_conditioning):
            ids[part], confidence[part] = _draw(logits, draw_words[part], hide_words[part], step, n_steps, config)

        # Show what was drawn, then hide the least confident again, as many as the schedule says.
        shown[hidden.takes, hidden.codebooks, hidden.frames] = ids
        hidden = hidden[select_remasked(hidden, confidence, n_now, n_after)]
        shown[hidden.takes, hidden.codebooks, hidden.frames] = mask_id
        if progress is not None:
            progress(step + 1, n_steps)
    return shown


def _candidate_logits(
    predict: Predict, shown: Tensor, hidden: HiddenTokens, candidates: Tensor, n_conditioning: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the candidates' logits a part at a time: indices of hidden tokens (n,), logits (n, classes)."""
    # Candidates are sorted by take and frame: those of a frame are [ends - counts, ends), int64 (n_takes, n_frames).
    n_takes, _, n_frames = shown.shape
    flat_frames = hidden.takes[candidates] * n_frames + hidden.frames[candidates]
    counts = torch.bincount(flat_frames, minlength=n_takes * n_frames).cpu().view(n_takes, n_frames)
    ends = counts.flatten().cumsum(0).view_as(counts)

    for rows, start, logits in predict(shown, counts > 0):
        # Find the candidates in this piece: in each row, those from its first frame to its last.
        _, n_predicted, n, n_classes = logits.shape
        first, last = ends[rows, start] - counts[rows, start], ends[rows, start + n - 1]
        inside = torch.cat([candidates[a:b] for a, b in zip(first.tolist(), last.tolist(), strict=True)])

        # Find their rows in the logits, flattened to (n_rows * n * n_predicted, classes).
        flat_logits = logits.transpose(1, 2).flatten(0, 2)
        nth_frame = (hidden.takes[inside] - rows.start) * n + hidden.frames[inside] - start
        nth = nth_frame * n_predicted + hidden.codebooks[inside] - n_conditioning

        size = max(1, _MOST_LOGITS[logits.device.type != "cpu"] // n_classes)
        for i in range(0, len(inside), size):
            yield inside[i : i + size], flat_logits.index_select(0, nth[i : i + size])


def _draw(
    logits: Tensor,
    draw_words: Tensor,
    hide_words: Tensor,
    step: int,
    n_steps: int,
    config: SamplingConfig,
) -> tuple[Tensor, Tensor]:
    """Draw a class and its confidence for each token: (n_tokens, classes) -> (n_tokens,), (n_tokens,)."""
    # Draw by the Gumbel-max trick, or take the likeliest class.
    log_p = filter_logits(logits.float(), config).log_softmax(-1)
    if step / n_steps <= config.sample_cutoff and config.temperature > 0:
        ids = draw_noise(draw_words, logits.shape[-1]).add_(log_p).argmax(-1)
    else:
        ids = log_p.argmax(-1)
    # Confidence: the log-probability of that class, and noise that decays to 0 over the steps.
    confidence = log_p.gather(-1, ids[:, None])[:, 0]
    scale = config.mask_temperature * (1 - (step + 1) / n_steps)
    if scale > 0:
        confidence = confidence + scale * hide_noise(hide_words)
    return ids, confidence


def filter_logits(logits: Tensor, config: SamplingConfig) -> Tensor:
    """Apply the typical filter, then top-p, both on the raw distribution, then temperature: (..., classes) -> same."""
    if config.typical_mass < 1:
        keep = typical_classes(logits.softmax(-1), config.typical_mass, config.typical_min_tokens)
        logits = logits.masked_fill(~keep, -torch.inf)
    if config.top_p < 1:
        logits = logits.masked_fill(~top_p_classes(logits.softmax(-1), config.top_p), -torch.inf)
    return logits if config.temperature in (0, 1) else logits / config.temperature


def typical_classes(p: Tensor, mass: float, min_tokens: int) -> Tensor:
    """Select the classes whose surprise is nearest the entropy, as few as hold `mass`, but at least `min_tokens`.

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
    return _select_mass(p, order, mass, min_tokens)


def top_p_classes(p: Tensor, mass: float) -> Tensor:
    """Select the likeliest classes, as few as hold `mass`: float32 (..., classes) -> bool (..., classes).

    Source: Holtzman et al., "The Curious Case of Neural Text Degeneration" (arXiv 1904.09751).
    """
    return _select_mass(p, p.argsort(dim=-1, descending=True, stable=True), mass, 0)


def _select_mass(p: Tensor, order: Tensor, mass: float, min_tokens: int) -> Tensor:
    """Select classes in an order until they hold `mass` and are `min_tokens`: bool (..., classes)."""
    sorted_p = p.gather(-1, order)
    before = sorted_p.cumsum(-1) - sorted_p
    keep = (before < mass) | (torch.arange(p.shape[-1], device=p.device) < min_tokens)
    return torch.zeros_like(p, dtype=torch.bool).scatter(-1, order, keep)
