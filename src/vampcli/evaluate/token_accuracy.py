"""Accuracy of transformers on hidden tokens, beside baselines that need no training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vampcli.evaluate.metrics import guess_sums
from vampcli.model.config import VampNetConfig
from vampcli.model.transformer import VampNet
from vampcli.tokens import masks

RATIOS = (0.1, 0.3, 0.5, 0.7, 0.9)


def evaluate_tokens(
    model: VampNet,
    pieces: Sequence[Tensor],
    n_windows: int = 4,
    ratios: Sequence[float] = RATIOS,
    seed: int = 0,
    n_frames: int | None = None,
) -> dict[str, Any]:
    """Measure loss and accuracy of a model on randomly hidden tokens.

    Args:
        model: coarse or fine.
        pieces: int64 (n_codebooks or more, n_frames) each; those shorter than a window are skipped.
        n_windows: windows of each piece, spread evenly.
        ratios: shares of the predicted codebooks' tokens to hide.
        seed: of the masks, the same for every ratio.
        n_frames: of a window; the model's context by default.

    Returns:
        For each ratio the model's cross entropy in nats and accuracies; the same for a unigram model, counted on all
        frames of the other pieces with one added to every count; and the accuracy of the nearest kept token of the
        same codebook, the earlier of two equally near.
    """
    config = model.config
    n_frames = n_frames or config.context_frames
    counts = torch.stack([_counts(piece[config.n_conditioning : config.n_codebooks], config) for piece in pieces])
    windows, unigrams = [], []
    for piece, counted in zip(pieces, counts, strict=True):
        found = spread(piece[: config.n_codebooks], n_frames, n_windows)
        others = counts.sum(0) - counted + 1
        windows += found
        unigrams += [(others / others.sum(1, keepdim=True)).log()] * len(found)
    if not windows:
        return {"n_windows": 0, "n_frames": 0, "by_ratio": []}
    rows = [{"ratio": ratio, **_at_ratio(model, windows, unigrams, ratio, seed)} for ratio in ratios]
    return {"n_windows": len(windows), "n_frames": n_frames * len(windows), "by_ratio": rows}


def spread(tokens: Tensor, length: int, n: int) -> list[Tensor]:
    """Cut up to n excerpts, spread evenly and not overlapping: (..., n_frames) -> (..., length) each."""
    n_frames = tokens.shape[-1]
    n = min(n, n_frames // length)
    starts = [round((i + 0.5) * n_frames / n - length / 2) for i in range(n)]
    return [tokens[..., start : start + length] for start in starts]


def _at_ratio(
    model: VampNet, windows: list[Tensor], unigrams: list[Tensor], ratio: float, seed: int
) -> dict[str, float]:
    """Measure one share of hidden tokens: windows (n_codebooks, n_frames), unigrams (n_predicted, n_classes)."""
    config, rng = model.config, np.random.default_rng(seed)
    sums: dict[str, float] = {}
    n_hidden = 0
    for window, unigram in zip(windows, unigrams, strict=True):
        hidden = torch.from_numpy(masks.random(config.n_codebooks, window.shape[-1], ratio, rng)).to(window.device)
        hidden[: config.n_conditioning] = False
        with torch.inference_mode():
            logits = model(window.masked_fill(hidden, config.codebook_size)[None])[0]
        wanted, target = hidden[config.n_conditioning :], window[config.n_conditioning :]
        counted = unigram[:, None].expand(logits.shape)
        figures = {
            **guess_sums(logits[wanted], target[wanted]),
            **{f"unigram_{name}": value for name, value in guess_sums(counted[wanted], target[wanted]).items()},
            "nearest_top_1": float((nearest_kept(target, wanted) == target)[wanted].sum()),
        }
        sums = {name: sums.get(name, 0.0) + value for name, value in figures.items()}
        n_hidden += int(hidden.sum())
    return {name: value / max(1, n_hidden) for name, value in sums.items()}


def _counts(tokens: Tensor, config: VampNetConfig) -> Tensor:
    """Count each class: (n_predicted, n_frames) -> (n_predicted, n_classes)."""
    return torch.stack([torch.bincount(row, minlength=config.codebook_size) for row in tokens])


def nearest_kept(tokens: Tensor, hidden: Tensor) -> Tensor:
    """Replace every hidden token by the nearest kept one of its codebook, the earlier of two equally near.

    Args:
        tokens: int64 (n_codebooks, n_frames).
        hidden: bool (n_codebooks, n_frames), True = hidden.

    Returns:
        int64 of the same shape; -1 where a codebook keeps nothing.
    """
    # The last kept frame before each frame and the first after it; far outside the grid if there is none.
    n_frames = tokens.shape[-1]
    frame = torch.arange(n_frames, device=tokens.device).expand(tokens.shape)
    before = torch.where(hidden, -2 * n_frames, frame).cummax(-1).values
    after = torch.where(hidden, 3 * n_frames, frame).flip(-1).cummin(-1).values.flip(-1)
    nearest = torch.where(frame - before <= after - frame, before, after)
    found = tokens.gather(-1, nearest.clamp(0, n_frames - 1))
    return torch.where(hidden.all(-1, keepdim=True), -1, found)
