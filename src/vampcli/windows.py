"""A model with a fixed context, run over clips of any length through overlapping windows."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

Predict = Callable[[Tensor, Tensor], Iterator[tuple[int, Tensor]]]
"""Tokens (n_takes, n_codebooks, n_frames) and which frames hide something, bool (n_takes, n_frames), to
pieces from left to right: first frame and logits (n_takes, n_predicted, n, classes). All frames that hide
something are in exactly one piece; logits of other frames mean nothing."""


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
        cut.extend(zip(edges[:-1], edges[1:], strict=True))
    return cut


def windowed(model: Callable[[Tensor], Tensor], context: int) -> Predict:
    """Make a model of one context predict clips of any length.

    Log-probabilities of overlapping windows are averaged with triangular weights, flat at the ends of
    the clip, and normalised again; an average of log-probabilities does not sum to one. A clip within
    one context is a single pass. Windows that hide nothing in a take are not run for it.

    On the CPU every window of every take is a forward of its own, which makes the result independent
    of its neighbours to the bit; elsewhere the takes of a window are one batch.

    Args:
        model: tokens (batch, n_codebooks, n_frames) -> logits (batch, n_predicted, n_frames, classes).
        context: frames in a window.
    """

    def predict(tokens: Tensor, hidden: Tensor) -> Iterator[tuple[int, Tensor]]:
        n_frames = tokens.shape[-1]
        starts = window_starts(n_frames, context)
        fused = _Fusion(starts, min(context, n_frames))
        for start, following in zip(starts, [*starts[1:], n_frames], strict=True):
            window = slice(start, start + fused.length)
            busy = hidden[:, window].any(1)
            if busy.any():
                fused.add(start, _run(model, tokens[:, :, window], busy))
            yield from fused.finished(following)

    return predict


def _run(model: Callable[[Tensor], Tensor], tokens: Tensor, busy: Tensor) -> Tensor:
    """Logits of the takes that are busy, zeros for the others."""
    chosen = torch.nonzero(busy)[:, 0]
    if tokens.device.type == "cpu":
        logits = torch.cat([model(tokens[i : i + 1]) for i in chosen.tolist()])
    else:
        logits = model(tokens[chosen])
    if len(chosen) == len(tokens):
        return logits
    return logits.new_zeros(len(tokens), *logits.shape[1:]).index_copy_(0, chosen, logits)


class _Fusion:
    """The weighted sum of log-probabilities of frames that more windows may still add to."""

    def __init__(self, starts: list[int], length: int) -> None:
        self.first, self.last, self.length = starts[0], starts[-1], length
        self.start = 0
        self.total: Tensor | None = None
        self.weight = torch.zeros(0)

    def add(self, start: int, logits: Tensor) -> None:
        if self.first == self.last:
            self.total, self.weight = logits, torch.ones(self.length)
            return
        weight = self._window_weight(start)
        log_p = logits.log_softmax(-1) * weight.to(logits.device)[:, None]
        if self.total is None:
            self.start, self.total, self.weight = start, log_p, weight
            return
        overlap = self.start + self.total.shape[2] - start
        shared = slice(start - self.start, None)
        self.total[:, :, shared] += log_p[:, :, :overlap]
        self.weight[shared] += weight[:overlap]
        self.total = torch.cat([self.total, log_p[:, :, overlap:]], dim=2)
        self.weight = torch.cat([self.weight, weight[overlap:]])

    def finished(self, end: int) -> Iterator[tuple[int, Tensor]]:
        """What no window from frame `end` on will change; it is given out once and forgotten."""
        n = end - self.start
        if self.total is None or n <= 0:
            return
        total, weight = self.total[:, :, :n], self.weight[:n].to(self.total.device)
        if self.first == self.last:
            yield 0, total
        elif total.shape[2]:
            yield self.start, (total / weight[:, None]).log_softmax(-1)
        rest = self.total[:, :, n:]
        self.total, self.weight = (rest.clone(), self.weight[n:]) if rest.shape[2] else (None, self.weight[:0])
        self.start += n

    def _window_weight(self, start: int) -> Tensor:
        place = torch.arange(self.length) + 0.5
        rising, falling = place, self.length - place
        if start == self.first:
            rising = torch.full_like(place, self.length / 2)
        if start == self.last:
            falling = torch.full_like(place, self.length / 2)
        return torch.minimum(rising, falling) / (self.length / 2)
