"""Run a model of fixed context over clips of any length, in overlapping windows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

import torch
from torch import Tensor

from vampcli.model.batching import Batches, Forward, Input
from vampcli.sampling.placement import window_starts
from vampcli.sampling.reuse import Job, Reuse


class Piece(NamedTuple):
    """Logits of some rows and some frames."""

    rows: slice
    first_frame: int
    logits: Tensor
    """float (n_rows of the piece, n_predicted, n_frames of the piece, classes)."""


Predict = Callable[[Tensor, Tensor], Iterator[Piece]]
"""Maps tokens (n_rows, n_codebooks, n_frames) and the frames that hide something, bool (n_rows, n_frames), to pieces.

Pieces of a row come from left to right. Every frame that hides something is in exactly one piece; logits of other
frames are undefined.
"""


def window_predictor(
    model: Forward, context: int, ever: Tensor, batches: Batches | None = None, refresh: int = 0
) -> Predict:
    """Make a model of one context predict clips of any length.

    Windows are placed once, around the frames in `ever`; a window in which nothing is hidden any more is skipped. Only
    the frames from the first to the last of `ever` in a window get logits, so all passes over it have one shape.
    Log-probabilities of overlapping windows are averaged with triangular weights (flat at the ends of the clip) and
    normalised again, since an average of log-probabilities does not sum to one. A clip within one context is a single
    pass.

    Args:
        model: one pass over at most a context.
        context: frames in a window.
        ever: bool (n_rows, n_frames), frames that may hide something in any step.
        batches: how many windows run at once; one by default.
        refresh: 0: every pass computes all frames. Otherwise every so many passes do, and those between compute few
            frames, with keys and values of the others from before; see `vampcli.sampling.reuse`.
    """
    batches, ever = batches or Batches(), ever.cpu()
    starts_of_rows = [window_starts(row, context) for row in ever]
    needed = torch.ones_like(ever) if batches.whole else ever
    n_windows = [len(starts) for starts in starts_of_rows]
    reuse = Reuse(0 if batches.whole else refresh, n_windows, min(context, ever.shape[1]))

    def predict(tokens: Tensor, hidden: Tensor) -> Iterator[Piece]:
        n_frames, now = tokens.shape[-1], hidden.cpu()
        if now.shape != ever.shape or (now & ~ever).any():
            raise ValueError("frames are hidden for which no windows were placed")
        length = min(context, n_frames)

        # Cut each job's windows out of its rows and stack them: (n_windows * n_rows, n_codebooks, length).
        jobs = list(_plan_jobs(now, needed, starts_of_rows, length, batches.size))
        stacked = [torch.cat([tokens[job.rows, :, start : start + length] for start in job.starts]) for job in jobs]
        passes = reuse.plan(jobs, stacked, now)
        to_run = [one for one in passes if isinstance(one, Input)]
        done = batches.run(model, iter(to_run), len(to_run))

        # Add window after window; frames left of the next window of the same rows are complete.
        mean = _WindowMean(length, n_frames)
        for i, (job, logits) in enumerate(zip(jobs, reuse.share(jobs, passes, done), strict=True)):
            following = [later.starts[0] for later in jobs[i + 1 : i + 2] if later.rows == job.rows]
            ends = [*job.starts[1:], *(following or [n_frames])]
            for start, end, part in zip(job.starts, ends, logits.chunk(len(job.starts)), strict=True):
                mean.add(start, job.wanted, part)
                yield from (Piece(job.rows, first, log_p) for first, log_p in mean.pop_before(end))

    return predict


def _plan_jobs(
    hidden: Tensor, needed: Tensor, starts_of_rows: Sequence[list[int]], length: int, size: int
) -> Iterator[Job]:
    """Batch the windows that hide something: group of rows by group of rows, from left to right.

    Args:
        hidden: bool (n_rows, n_frames), on the CPU.
        needed: bool (n_rows, n_frames), frames that get logits.
        starts_of_rows: first frames of the windows of each row; neighbouring rows with the same ones run together.
        length: frames in a window.
        size: how many windows of single rows may run at once.
    """
    for rows in _equal_runs(starts_of_rows, size):
        now, any_needed = hidden[rows].any(0), needed[rows].any(0)  # (n_frames,)
        busy = [start for start in starts_of_rows[rows.start] if now[start : start + length].any()]
        n_together = max(1, size // (rows.stop - rows.start))
        for i in range(0, len(busy), n_together):
            starts = tuple(busy[i : i + n_together])
            frames = torch.stack([any_needed[start : start + length] for start in starts]).any(0).nonzero()
            yield Job(rows, starts, slice(int(frames[0]), int(frames[-1]) + 1))


def _equal_runs(items: Sequence[list[int]], longest: int) -> Iterator[slice]:
    """Slices of neighbouring equal items, each at most `longest` long."""
    for _, group in groupby(range(len(items)), key=items.__getitem__):
        indices = list(group)
        for i in range(indices[0], indices[-1] + 1, longest):
            yield slice(i, min(i + longest, indices[-1] + 1))


class _WindowMean:
    """Weighted mean of the log-probabilities of overlapping windows, taken from left to right."""

    def __init__(self, length: int, n_frames: int) -> None:
        self.length, self.n_frames = length, n_frames
        self.pending: list[tuple[int, Tensor, Tensor]] = []  # first frame, log-probabilities, weights

    def add(self, start: int, wanted: slice, logits: Tensor) -> None:
        """Add a window: logits (n_rows, n_predicted, n_frames wanted, classes)."""
        weights = self._triangle(start)[wanted].to(logits.device)
        log_p = logits if self.length == self.n_frames else logits.log_softmax(-1)
        self.pending.append((start + wanted.start, log_p, weights))

    def pop_before(self, end: int) -> Iterator[tuple[int, Tensor]]:
        """Yield first frame and log-probabilities of the frames before `end`, if there are any, and forget them."""
        cuts = [(first, log_p, w, min(max(0, end - first), len(w))) for first, log_p, w in self.pending]
        ready = [(first, log_p[:, :, :n], w[:n]) for first, log_p, w, n in cuts if n > 0]
        self.pending = [(first + n, log_p[:, :, n:], w[n:]) for first, log_p, w, n in cuts if n < len(w)]
        if ready and self.length == self.n_frames:  # one window: its logits as they are
            yield ready[0][0], ready[0][1]
        elif ready:
            yield self._mean(ready)

    def _mean(self, parts: list[tuple[int, Tensor, Tensor]]) -> tuple[int, Tensor]:
        first = min(start for start, _, _ in parts)
        n = max(start + len(w) for start, _, w in parts) - first
        n_rows, n_predicted, _, n_classes = parts[0][1].shape
        total = parts[0][1].new_zeros(n_rows, n_predicted, n, n_classes)
        weights = total.new_zeros(n, 1)
        for start, log_p, w in parts:
            total[:, :, start - first : start - first + len(w)] += log_p * w[:, None]
            weights[start - first : start - first + len(w)] += w[:, None]
        return first, (total / weights.clamp(min=1e-9)).log_softmax(-1)

    def _triangle(self, start: int) -> Tensor:
        """Weights of a window's frames: 1 in the middle, falling to 0 at its ends, but not at those of the clip."""
        x = torch.arange(self.length) + 0.5
        half = torch.full_like(x, self.length / 2)
        rising = half if start == 0 else x
        falling = half if start + self.length == self.n_frames else self.length - x
        return torch.minimum(rising, falling) / (self.length / 2)
