"""A model with a fixed context, run over clips of any length through overlapping windows."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from vampcli.model.batching import Batches, Forward


class Piece(NamedTuple):
    """Logits of some rows and some frames."""

    rows: slice
    first_frame: int
    logits: Tensor
    """float (n_rows of the piece, n_predicted, n_frames of the piece, classes)."""


Predict = Callable[[Tensor, Tensor], Iterator[Piece]]
"""Tokens (n_rows, n_codebooks, n_frames) and which frames hide something, bool (n_rows, n_frames), to pieces, those of
a row from left to right. All frames that hide something are in exactly one piece; logits of others mean nothing."""


def window_starts(hidden: Tensor, context: int) -> list[int]:
    """Place few windows that let every hidden frame see an eighth of a context on either side, where the clip has it.

    Each lies around what it is there for, so windows of a long run overlap by a quarter of a context. What they lie
    around is rounded outward to a sixteenth: takes whose prompts differ by a few frames have the same windows, and can
    be run together.

    Args:
        hidden: bool (n_frames,), on the CPU.
        context: frames in a window.

    Returns:
        First frames, ascending; [0] in a clip within one context; none where nothing is hidden.

    Departs from the plan of half-overlapping windows on a grid: fewer passes, as good; see docs/experiments.md.
    """
    reach, last = context // 8, max(0, len(hidden) - context)
    grain = max(1, reach // 2)
    frames, starts = torch.nonzero(hidden)[:, 0].tolist(), []
    while frames:
        first = frames[0] // grain * grain
        end = min(max(0, first - reach), last) + context
        stop = end if end >= len(hidden) else end - reach
        n_own = bisect_left(frames, stop)
        stop = min(stop, -(-(frames[n_own - 1] + 1) // grain) * grain)
        starts.append(min(max(0, (first + stop - context) // 2), last))
        frames = frames[n_own:]
    return starts


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


def windowed(model: Forward, context: int, ever: Tensor, batches: Batches | None = None) -> Predict:
    """Make a model of one context predict clips of any length.

    Windows lie around what is hidden at first and stay there; those that hide nothing any more are not run. Of each
    only the frames between the first and the last that ever hide something get logits: a pass over a window has one
    shape, however much of it is done. Log-probabilities of overlapping windows are averaged with triangular weights,
    flat at the ends of the clip, and normalised again; an average of log-probabilities does not sum to one. A clip
    within one context is a single pass.

    Args:
        model: one pass over at most a context.
        context: frames in a window.
        ever: bool (n_rows, n_frames), frames that may hide something in any step.
        batches: how many windows it is given at once; by default one by one.
    """
    batches, ever = batches or Batches(), ever.cpu()
    placed = [window_starts(row, context) for row in ever]
    extents = torch.ones_like(ever) if batches.whole else ever

    def predict(tokens: Tensor, hidden: Tensor) -> Iterator[Piece]:
        n_frames, now = tokens.shape[-1], hidden.cpu()
        if hidden.shape != ever.shape:
            raise ValueError(f"windows were placed for {tuple(ever.shape)} rows and frames, not {tuple(hidden.shape)}")
        if (now & ~ever).any():
            raise ValueError("what is hidden now was not when windows were placed")
        length = min(context, n_frames)
        jobs = list(_jobs(now, extents, placed, length, batches.size))
        inputs = (
            (torch.cat([tokens[job.rows, :, start : start + length] for start in job.starts]), job.wanted)
            for job in jobs
        )
        fused = _Fusion(length, n_frames)
        for i, (job, logits) in enumerate(zip(jobs, batches.run(model, inputs, len(jobs)), strict=True)):
            following = [later.starts[0] for later in jobs[i + 1 : i + 2] if later.rows == job.rows]
            ends = [*job.starts[1:], *(following or [n_frames])]
            for start, end, part in zip(job.starts, ends, logits.chunk(len(job.starts)), strict=True):
                fused.add(start, job.wanted, part)
                yield from (Piece(job.rows, first, made) for first, made in fused.finished(end))

    return predict


class _Job(NamedTuple):
    """Windows of some rows that are run at once, and the frames in them that get logits."""

    rows: slice
    starts: tuple[int, ...]
    wanted: slice


def _jobs(hidden: Tensor, ever: Tensor, placed: Sequence[list[int]], length: int, size: int) -> Iterator[_Job]:
    """Row by row or group by group, the windows that hide something, from left to right.

    Args:
        hidden: bool (n_rows, n_frames), on the CPU, as is `ever`.
        ever: frames that may hide something in any step.
        placed: first frames of the windows of each row; rows that have the same are run together.
        length: frames in a window.
        size: how many windows of single rows may be run at once.
    """
    for rows in _alike(placed, size):
        now, always = hidden[rows].any(0), ever[rows].any(0)
        busy = [start for start in placed[rows.start] if now[start : start + length].any()]
        n_together = max(1, size // (rows.stop - rows.start))
        for i in range(0, len(busy), n_together):
            starts = tuple(busy[i : i + n_together])
            wanted = [_extent(always[start : start + length]) for start in starts]
            yield _Job(rows, starts, slice(min(w.start for w in wanted), max(w.stop for w in wanted)))


def _alike(placed: Sequence[list[int]], longest: int) -> Iterator[slice]:
    """Runs of equal items, up to a length."""
    first = 0
    for i in range(1, len(placed) + 1):
        if i == len(placed) or placed[i] != placed[first] or i - first == longest:
            yield slice(first, i)
            first = i


def _extent(hidden: Tensor) -> slice:
    """From the first hidden frame to the last: bool (n_frames,)."""
    frames = torch.nonzero(hidden)[:, 0]
    return slice(int(frames[0]), int(frames[-1]) + 1)


class _Fusion:
    """The weighted mean of log-probabilities of frames that more windows may still add to."""

    def __init__(self, length: int, n_frames: int) -> None:
        self.length, self.n_frames = length, n_frames
        self.pending: list[tuple[int, Tensor, Tensor]] = []  # first frame, log-probabilities, weights

    def add(self, start: int, wanted: slice, logits: Tensor) -> None:
        weight = self._window_weight(start)[wanted].to(logits.device)
        log_p = logits if self.length == self.n_frames else logits.log_softmax(-1)
        self.pending.append((start + wanted.start, log_p, weight))

    def finished(self, end: int) -> Iterator[tuple[int, Tensor]]:
        """What no window from frame `end` on will change; it is given out once and forgotten."""
        ready = [(first, p[:, :, : max(0, end - first)], w[: max(0, end - first)]) for first, p, w in self.pending]
        ready = [part for part in ready if part[1].shape[2]]
        rest = [
            (max(first, end), p[:, :, max(0, end - first) :], w[max(0, end - first) :]) for first, p, w in self.pending
        ]
        self.pending = [part for part in rest if part[1].shape[2]]
        if ready and self.length == self.n_frames:  # one window
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
