"""Measure the change of a model's distributions when keys and values are kept between steps (`sampling.reuse`)."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from vampcli.config import SamplingConfig
from vampcli.model.transformer import VampNet
from vampcli.sampling.sampler import fill
from vampcli.sampling.windows import Piece, Predict, window_predictor
from vampcli.tokens import masks
from vampcli.tokens.grid import TokenGrid

_SPANS_S = (0.5, 2.0, 5.0)
_PERIODS = (7, 16)


@dataclass(frozen=True)
class ReuseFigures:
    """Figures of a kind of mask, means over excerpts.

    Attributes:
        case: the mask in words.
        n_excerpts: their number.
        time_share: processor time of the passes over that of passes over all frames.
        loss_change: cross entropy of the true tokens in nats, above that of passes over all frames.
        loss_error: standard error of `loss_change`; None of one excerpt.
        kl: Kullback-Leibler divergence from the distributions of passes over all frames, in nats.
        equal_tokens: share of the generated tokens that are the same.
    """

    case: str
    n_excerpts: int
    time_share: float
    loss_change: float
    loss_error: float | None
    kl: float
    equal_tokens: float


def measure_reuse(
    model: VampNet, grid: TokenGrid, excerpts: Sequence[Tensor], config: SamplingConfig
) -> Iterator[ReuseFigures]:
    """Measure reuse for spans in the middle of excerpts, and for prompts of whole excerpts.

    Args:
        model: the coarse model.
        grid: of its codec.
        excerpts: int64 (n_codebooks or more, n_frames) each, of at most a context.
        config: sampling options; `refresh` is measured.
    """
    n, clips = model.config.n_codebooks, [excerpt[: model.config.n_codebooks] for excerpt in excerpts]
    for seconds in _SPANS_S:
        length = round(seconds * grid.frame_rate)
        centred = [((clip.shape[1] - length) // 2, (clip.shape[1] + length) // 2) for clip in clips]
        spans = [
            torch.from_numpy(masks.spans(n, clip.shape[1], [span])) for clip, span in zip(clips, centred, strict=True)
        ]
        yield _measure(f"span of {seconds:g} s", model, clips, spans, config)
    for period in _PERIODS:
        prompts = [torch.from_numpy(masks.keep_periodic(n, clip.shape[1], period)) for clip in clips]
        yield _measure(f"period {period}", model, clips, prompts, config)


@dataclass
class _Watch:
    """Makes both predictions in every step, passes on the exact one, and sums their differences.

    Attributes:
        exact: passes over all frames.
        reused: passes with keys and values from before.
        truth: the true tokens, int64 (n_codebooks, n_frames).
        mask_id: of hidden tokens.
        seconds: processor time of `exact` and of `reused`.
        sums: number of hidden tokens, their added losses, their added divergences.
    """

    exact: Predict
    reused: Predict
    truth: Tensor
    mask_id: int
    seconds: list[float] = field(default_factory=lambda: [0.0, 0.0])
    sums: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])

    def __call__(self, tokens: Tensor, hidden: Tensor) -> Iterator[Piece]:
        pieces = [self._timed(i, predict, tokens, hidden) for i, predict in enumerate((self.exact, self.reused))]
        for whole, part in zip(*pieces, strict=True):
            frames = slice(whole.first_frame, whole.first_frame + whole.logits.shape[2])
            drawn = (tokens[0, :, frames] == self.mask_id) & hidden[0, frames]
            target = self.truth[:, frames][drawn]
            p, q = (one.logits[0][drawn].float().log_softmax(-1) for one in (whole, part))
            losses = [-log_p.gather(-1, target[:, None]).sum() for log_p in (p, q)]
            divergence = (p.exp() * (p - q)).sum()
            for i, value in enumerate((len(target), losses[1] - losses[0], divergence)):
                self.sums[i] += float(value)
            yield whole

    def _timed(self, i: int, predict: Predict, tokens: Tensor, hidden: Tensor) -> list[Piece]:
        began = time.process_time()
        pieces = list(predict(tokens, hidden))
        self.seconds[i] += time.process_time() - began
        return pieces


def _measure(
    case: str, model: VampNet, clips: Sequence[Tensor], hidden: Sequence[Tensor], config: SamplingConfig
) -> ReuseFigures:
    """Measure one kind of mask: bool (n_codebooks, n_frames) for each clip."""
    changes, divergences, equal, seconds = [], [], [], np.zeros(2)
    for seed, (clip, mask) in enumerate(zip(clips, hidden, strict=True)):
        mask = mask.to(clip.device)

        def predictor(refresh: int, mask: Tensor = mask) -> Predict:
            return window_predictor(model, model.config.context_frames, mask.any(0)[None], refresh=refresh)

        def make(predict: Predict, clip: Tensor = clip, mask: Tensor = mask, seed: int = seed) -> Tensor:
            return fill(predict, clip, mask, [seed], config, model.config)[0]

        watch = _Watch(predictor(0), predictor(config.refresh), clip, model.config.codebook_size)
        with torch.inference_mode():
            same = make(watch) == make(predictor(config.refresh))
        n, change, divergence = watch.sums
        changes.append(change / n)
        divergences.append(divergence / n)
        equal.append(float(same[mask].float().mean()))
        seconds += watch.seconds
    error = float(np.std(changes, ddof=1) / len(changes) ** 0.5) if len(changes) > 1 else None
    share, change = float(seconds[1] / seconds[0]), float(np.mean(changes))
    return ReuseFigures(case, len(clips), share, change, error, float(np.mean(divergences)), float(np.mean(equal)))
