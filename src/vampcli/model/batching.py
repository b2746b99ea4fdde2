"""Run a network over windows: on a CPU one window on each core in parallel, elsewhere in batches."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import cached_property
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from vampcli.model.transformer import Frames, KeyValueCache


class Forward(Protocol):
    """A forward pass of a model over one context."""

    def __call__(
        self, tokens: Tensor, wanted: slice = ..., cache: KeyValueCache | None = ..., frames: Frames | None = ...
    ) -> Tensor:
        """Map tokens (batch, n_codebooks, n_frames) to logits (batch, n_predicted, n_frames wanted, classes)."""


class Input(NamedTuple):
    """Arguments of a forward pass; see `VampNet.forward`."""

    tokens: Tensor
    wanted: slice
    cache: KeyValueCache | None = None
    frames: Frames | None = None

    def run(self, forward: Forward) -> Tensor:
        """Return the logits of the pass."""
        return forward(self.tokens, self.wanted) if self.cache is None else forward(*self)

    @property
    def shape(self) -> tuple[int, ...]:
        """Numbers that determine the shapes of all products of the pass."""
        frames, n_frames = self.frames, self.tokens.shape[-1]
        n = n_frames if frames is None else len(frames) if isinstance(frames, Tensor) else frames.stop - frames.start
        return (*self.tokens.shape, self.wanted.stop - self.wanted.start, n)


class Batches:
    """Size of batches, and how many of them run in parallel.

    Matrix products are not bit-equal across batch sizes, so on a CPU, which gains little from batches, each holds one
    window. Windows run in parallel there, one on each core, which is faster than one after another on all cores. But a
    sum may depend on the number of threads, and a take must not depend on other takes. So the first pass of each shape
    runs both ways, and if a bit differs, that shape never runs in parallel.

    Attributes:
        size: windows in a batch, at most; reduced when memory runs out.
        n_lanes: batches in parallel, at most.
        whole: all frames of a window get logits: a compiled network needs few shapes.
        exact: every batch was created to hold one window.
    """

    def __init__(self, size: int = 1, n_lanes: int = 1, whole: bool = False) -> None:
        self.size, self.n_lanes, self.whole, self.exact = size, n_lanes, whole, size == 1
        self._same: dict[tuple[int, ...], bool] = {}

    @property
    def n_takes(self) -> int:
        """Number of takes to generate together."""
        return max(self.size, self.n_lanes)

    def halve(self) -> bool:
        """Halve the size of batches; return False if they hold one window each."""
        if self.size == 1:
            return False
        self.size //= 2
        return True

    def run(self, forward: Forward, inputs: Iterator[Input], n_inputs: int) -> Iterator[Tensor]:
        """Yield the logits of each batch, in order.

        Args:
            forward: one pass.
            inputs: consumed a few ahead of the results.
            n_inputs: their number.
        """
        if _thread.one_core:
            return self._run_on_one_core(forward, inputs)
        if self.n_lanes == 1 or n_inputs < self.n_lanes:  # all cores on one after another leave fewer idle
            return (one.run(forward) for one in inputs)
        return self._run_in_parallel(forward, inputs)

    def _run_on_one_core(self, forward: Forward, inputs: Iterator[Input]) -> Iterator[Tensor]:
        with _threads(1) as n_threads:
            for one in inputs:
                logits = self._run_on_all_cores(forward, one, n_threads)
                yield one.run(forward) if logits is None else logits

    def _run_in_parallel(self, forward: Forward, inputs: Iterator[Input]) -> Iterator[Tensor]:
        queue: deque[Future[Tensor]] = deque()
        with _threads(1) as n_threads, _cancel_at_end(queue):  # the caller works on results meanwhile
            for one in inputs:
                logits = self._run_on_all_cores(forward, one, n_threads)
                if logits is None:
                    queue.append(self._pool.submit(_pass, forward, one))
                while len(queue) > (self.n_lanes if logits is None else 0):
                    yield queue.popleft().result()
                if logits is not None:
                    yield logits
            while queue:
                yield queue.popleft().result()

    def _run_on_all_cores(self, forward: Forward, one: Input, n_threads: int) -> Tensor | None:
        """Run a pass on all cores, unless passes of this shape are known to give the same bits on one."""
        shape = (*one.shape, n_threads)
        if self._same.get(shape):
            return None
        # Alone first, so that a cache keeps what the pass on all cores stores, as in later passes of this shape.
        alone = None if shape in self._same else self._pool.submit(_pass, forward, one).result()
        with _threads(n_threads):
            logits = one.run(forward)
        if alone is not None:
            self._same[shape] = torch.equal(alone, logits)
        return logits

    @cached_property
    def _pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(self.n_lanes, "lane", _set_threads, (1,))


class _ThreadState(threading.local):
    one_core = False


_thread = _ThreadState()


def one_core_threads(n: int, name: str) -> ThreadPoolExecutor:
    """Make a pool of threads that each run windows on one core, with bit-identical results."""
    return ThreadPoolExecutor(n, name, _use_one_core, (torch.get_num_threads(),))


def _use_one_core(n_threads: int) -> None:
    _set_threads(n_threads)  # for all other work
    _thread.one_core = True


def _set_threads(n: int) -> None:
    torch.get_num_threads()  # a new thread adopts the number set last in any thread, at its first query
    torch.set_num_threads(n)


def _pass(forward: Forward, one: Input) -> Tensor:
    with torch.inference_mode():  # off in a new thread
        return one.run(forward)


@contextmanager
def _threads(n: int) -> Iterator[int]:
    """Set the number of torch's threads for a while; yield the number before."""
    before = torch.get_num_threads()
    torch.set_num_threads(n)
    try:
        yield before
    finally:
        torch.set_num_threads(before)


@contextmanager
def _cancel_at_end(queue: deque[Future[Tensor]]) -> Iterator[None]:
    """Cancel what is still in the queue on leaving, also by an exception."""
    try:
        yield
    finally:
        for future in queue:
            future.cancel()
