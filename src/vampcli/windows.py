"""A model with a fixed context, run over clips of any length through overlapping windows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Protocol

import torch
from torch import Tensor

Predict = Callable[[Tensor, Tensor], Iterator[tuple[int, Tensor]]]
"""Tokens (n_takes, n_codebooks, n_frames) and which frames hide something, bool (n_takes, n_frames), to
pieces from left to right: first frame and logits (n_takes, n_predicted, n, classes). All frames that hide
something are in exactly one piece; logits of other frames mean nothing."""


class Forward(Protocol):
    """One pass of a model over one context."""

    def __call__(self, tokens: Tensor, wanted: slice = ...) -> Tensor:
        """Tokens (batch, n_codebooks, n_frames) -> logits (batch, n_predicted, n_frames wanted, classes)."""


def window_starts(n_frames: int, context: int) -> list[int]:
    """First frames of the windows: hop half a context, the last one shifted to end with the clip."""
    if n_frames <= context:
        return [0]
    return [*range(0, n_frames - context, max(1, context // 2)), n_frames - context]


def regions(hidden: Tensor, context: int) -> list[tuple[int, int]]:
    """Group hidden frames into regions, each sampled with a schedule of its own.

    Hidden frames less than half a context apart belong together; a region longer than a context is
    cut into equal pieces.

    Args:
        hidden: bool (n_frames,).
        context: of the model, in frames.

    Returns:
        Half-open ranges of frames that begin and end with a hidden one, or with a cut.
    """
    found: list[tuple[int, int]] = []
    for frame in torch.nonzero(hidden)[:, 0].tolist():
        if found and frame - found[-1][1] < context / 2:
            found[-1] = (found[-1][0], frame + 1)
        else:
            found.append((frame, frame + 1))
    cut: list[tuple[int, int]] = []
    for start, end in found:
        n_pieces = -(-(end - start) // context)
        edges = [start + (end - start) * i // n_pieces for i in range(n_pieces + 1)]
        cut.extend(pairwise(edges))
    return cut


def windowed(model: Forward, context: int) -> Predict:
    """Make a model of one context predict clips of any length.

    Log-probabilities of overlapping windows are averaged with triangular weights, flat at the ends of
    the clip, and normalised again; an average of log-probabilities does not sum to one. A clip within
    one context is a single pass. Windows that hide nothing in a take are not run for it, and only
    the frames between the first and the last hidden one get logits.

    On the CPU every window of every take is a forward of its own, which makes the result independent
    of its neighbours to the bit; elsewhere the takes of a window are one batch.

    Args:
        model: one pass over at most a context.
        context: frames in a window.
    """

    def predict(tokens: Tensor, hidden: Tensor) -> Iterator[tuple[int, Tensor]]:
        n_frames = tokens.shape[-1]
        starts = window_starts(n_frames, context)
        fused = _Fusion(min(context, n_frames), n_frames)
        for start, following in zip(starts, [*starts[1:], n_frames], strict=True):
            window = slice(start, start + fused.length)
            if hidden[:, window].any():
                wanted = _extent(hidden[:, window].any(0))
                fused.add(start, wanted, _run(model, tokens[:, :, window], hidden[:, window], wanted))
            yield from fused.finished(following)

    return predict


def _extent(hidden: Tensor) -> slice:
    """From the first hidden frame to the last: bool (n_frames,)."""
    frames = torch.nonzero(hidden)[:, 0]
    return slice(int(frames[0]), int(frames[-1]) + 1)


def _run(model: Forward, tokens: Tensor, hidden: Tensor, wanted: slice) -> Tensor:
    """Logits of the wanted frames, where a take hides something; zeros elsewhere."""
    busy = torch.nonzero(hidden.any(1))[:, 0].tolist()
    if tokens.device.type != "cpu":
        made = {tuple(busy): (wanted, model(tokens[busy], wanted))}
    else:
        extents = {(take,): _extent(hidden[take]) for take in busy}
        made = {take: (own, model(tokens[list(take)], own)) for take, own in extents.items()}
    like = next(iter(made.values()))[1]
    shape = (len(tokens), like.shape[1], wanted.stop - wanted.start, like.shape[3])
    logits = like.new_zeros(shape)
    for takes, (own, part) in made.items():
        logits[list(takes), :, own.start - wanted.start : own.stop - wanted.start] = part
    return logits


class _Fusion:
    """The weighted mean of log-probabilities of frames that more windows may still add to."""

    def __init__(self, length: int, n_frames: int) -> None:
        self.length, self.n_frames = length, n_frames
        self.pending: list[tuple[int, Tensor, Tensor]] = []  # first frame, log-probabilities, weights

    def add(self, start: int, wanted: slice, logits: Tensor) -> None:
        weight = self._window_weight(start)[wanted].to(logits.device)
        self.pending.append((start + wanted.start, logits.log_softmax(-1), weight))

    def finished(self, end: int) -> Iterator[tuple[int, Tensor]]:
        """What no window from frame `end` on will change; it is given out once and forgotten."""
        ready = [(first, p[:, :, : max(0, end - first)], w[: max(0, end - first)]) for first, p, w in self.pending]
        ready = [part for part in ready if part[1].shape[2]]
        rest = [
            (max(first, end), p[:, :, max(0, end - first) :], w[max(0, end - first) :]) for first, p, w in self.pending
        ]
        self.pending = [part for part in rest if part[1].shape[2]]
        if ready and self.length == self.n_frames:  # one window; counting parts would make takes depend on others
            yield ready[0][0], ready[0][1]
        elif ready:
            yield self._mean(ready)

    def _mean(self, parts: list[tuple[int, Tensor, Tensor]]) -> tuple[int, Tensor]:
        first = min(start for start, _, _ in parts)
        n = max(start + p.shape[2] for start, p, _ in parts) - first
        shape = parts[0][1].shape
        total = parts[0][1].new_zeros(shape[0], shape[1], n, shape[3])
        weights = total.new_zeros(n, 1)
        for start, p, w in parts:
            total[:, :, start - first : start - first + p.shape[2]] += p * w[:, None]
            weights[start - first : start - first + p.shape[2]] += w[:, None]
        return first, (total / weights.clamp(min=1e-9)).log_softmax(-1)

    def _window_weight(self, start: int) -> Tensor:
        place = torch.arange(self.length) + 0.5
        rising, falling = place, self.length - place
        if start == 0:
            rising = torch.full_like(place, self.length / 2)
        if start + self.length == self.n_frames:
            falling = torch.full_like(place, self.length / 2)
        return torch.minimum(rising, falling) / (self.length / 2)
