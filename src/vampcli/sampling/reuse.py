"""Choose the frames that a forward pass computes; keys and values of the others are kept from earlier passes.

Most frames of a window are known and stay, so their keys and values hardly change from step to step. The first pass
over a window computes all frames. Later ones compute the range of frames that are ever hidden, with a margin; where
that is most of the window, those that are drawn now and those whose tokens have changed. Every `refresh` steps all
frames are computed again.

Source: Wu et al., "Fast-dLLM" (arXiv 2505.22618), for text.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from vampcli.model.batching import Input
from vampcli.model.transformer import Frames, KeyValueCache
from vampcli.sampling.placement import LARGEST_SHARE, MOST_REUSED, ROUNDING, near_frames

_SCATTERED_REFRESH = 4  # steps, at most, where most of a window is hidden


Windows = tuple[int, int, tuple[int, ...]]


class Job(NamedTuple):
    """Windows of some rows that run in one batch, and the frames in them that get logits."""

    rows: slice
    starts: tuple[int, ...]
    wanted: slice

    @property
    def windows(self) -> Windows:
        """Rows and windows, as a key."""
        return self.rows.start, self.rows.stop, self.starts


class Reuse:
    """Keys and values of the windows of one call of the sampler.

    Args:
        refresh: steps from one pass over all frames to the next; 0 = all passes.
        n_windows: of each row; rows with many are computed whole.
        length: frames in a window.
    """

    def __init__(self, refresh: int, n_windows: Sequence[int], length: int) -> None:
        self.refresh, self.n_windows, self.length = refresh, n_windows, length
        self._caches: dict[Windows, KeyValueCache] = {}
        self._step = -1

    def plan(self, jobs: Sequence[Job], tokens: Sequence[Tensor], now: Tensor) -> list[Input | int]:
        """Plan the passes of a step.

        Args:
            jobs: of the step.
            tokens: of each job, int64 (batch, n_codebooks, n_frames).
            now: frames that get tokens in this step, bool (n_rows, n_frames).

        Returns:
            For each job its pass, or the number of an earlier job whose first pass has the same tokens.
        """
        self._step += 1
        passes: list[Input | int] = []
        for job, seen in zip(jobs, tokens, strict=True):
            due = torch.stack([now[job.rows, start : start + self.length].any(0) for start in job.starts]).any(0)
            cache = self._caches.get(job.windows)
            if cache is not None:
                passes.append(Input(seen, job.wanted, cache, self._frames(job, seen, cache, due)))
            elif not self._pays(job, due):
                passes.append(Input(seen, job.wanted))
            elif (twin := self._find_twin(job, seen, jobs, passes)) is not None:
                passes.append(twin)
            else:
                self._caches[job.windows] = KeyValueCache.empty()
                passes.append(Input(seen, job.wanted, self._caches[job.windows]))
        return passes

    def share(self, jobs: Sequence[Job], passes: Sequence[Input | int], done: Iterator[Tensor]) -> Iterator[Tensor]:
        """Yield the logits of each job.

        Args:
            jobs: of a step.
            passes: from `plan`.
            done: logits of those that are passes.
        """
        shared = {one: torch.empty(0) for one in passes if isinstance(one, int)}
        for i, (job, one) in enumerate(zip(jobs, passes, strict=True)):
            if isinstance(one, int):
                self._caches[job.windows] = self._caches[jobs[one].windows].copy()
                yield shared[one]
                continue
            logits = next(done)
            if i in shared:
                shared[i] = logits
            yield logits

    def _pays(self, job: Job, due: Tensor) -> bool:
        """Say whether later passes over a window will leave out enough frames."""
        if not self.refresh or max(self.n_windows[job.rows]) > MOST_REUSED:
            return False
        return self._is_small(self._range(job)) or int(due.sum()) <= LARGEST_SHARE * self.length

    def _find_twin(self, job: Job, seen: Tensor, jobs: Sequence[Job], passes: Sequence[Input | int]) -> int | None:
        """Find an earlier job of the step whose first pass has the same windows and tokens."""
        for i, one in enumerate(passes):
            is_first = isinstance(one, Input) and one.cache is not None and not one.cache.layers
            if is_first and jobs[i][1:] == job[1:] and torch.equal(one.tokens, seen):  # type: ignore[union-attr]
                return i
        return None

    def _frames(self, job: Job, seen: Tensor, cache: KeyValueCache, due: Tensor) -> Frames | None:
        """Choose the frames that a later pass computes; None = all."""
        near = self._range(job)
        if self._is_small(near):
            return None if self._step % self.refresh == 0 else near
        if self._step % min(self.refresh, _SCATTERED_REFRESH) == 0:
            return None
        needed = due | (cache.tokens != seen).any(1).any(0).cpu()
        n = -(-int(needed.sum()) // ROUNDING) * ROUNDING
        if n > LARGEST_SHARE * self.length:
            return None
        others = torch.nonzero(~needed)[: n - int(needed.sum()), 0]
        return torch.cat([torch.nonzero(needed)[:, 0], others]).sort().values.to(seen.device)

    def _range(self, job: Job) -> slice:
        """Return the frames that are ever hidden in a window, with a margin; see `near_frames`."""
        return near_frames(job.wanted.start, job.wanted.stop, self.length)

    def _is_small(self, frames: slice) -> bool:
        return bool(frames.stop - frames.start <= LARGEST_SHARE * self.length)
