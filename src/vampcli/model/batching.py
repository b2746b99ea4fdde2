"""How a network is given its windows: on a CPU one by one, side by side on its cores; elsewhere many at once."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import cached_property
from typing import Protocol

import torch
from torch import Tensor


class Forward(Protocol):
    """One pass of a model over one context."""

    def __call__(self, tokens: Tensor, wanted: slice = ...) -> Tensor:
        """Tokens (batch, n_codebooks, n_frames) -> logits (batch, n_predicted, n_frames wanted, classes)."""


Input = tuple[Tensor, slice]
"""Tokens (batch, n_codebooks, n_frames), and the frames that get logits."""


class Batches:
    """How many windows a network is given at once, and how many of these batches run at the same time.

    Matrix products are not equal to the bit across batch sizes, so on a CPU, which gains little by them, every window
    is a batch of its own. Windows run side by side there, each on one core, which is faster than one after the other
    on all: but a sum may depend on how many threads share it, and a take must not depend on others. So the first pass
    of each shape is made both ways, and if a bit differs, that shape is never run side by side.

    Attributes:
        size: windows in a batch, at most; it falls when memory runs out.
        n_lanes: batches that run at the same time, at most.
        whole: all frames of a window get logits, so that passes have few shapes, which a compiled network needs.
        exact: every window is a batch of its own, and was from the beginning.
    """

    def __init__(self, size: int = 1, n_lanes: int = 1, whole: bool = False) -> None:
        self.size, self.n_lanes, self.whole, self.exact = size, n_lanes, whole, size == 1
        self._same: dict[tuple[int, ...], bool] = {}

    @property
    def n_takes(self) -> int:
        """How many takes are worth being made at once."""
        return max(self.size, self.n_lanes)

    def halve(self) -> bool:
        """Make batches smaller; False if they hold one window each already."""
        if self.size == 1:
            return False
        self.size //= 2
        return True

    def run(self, forward: Forward, inputs: Iterator[Input], n_inputs: int) -> Iterator[Tensor]:
        """Give the logits of each batch, in order.

        Args:
            forward: one pass.
            inputs: asked for one after another, a few ahead of what is given.
            n_inputs: how many there are.
        """
        if _here.one_core:
            return self._on_one_core(forward, inputs)
        if self.n_lanes == 1 or n_inputs < self.n_lanes:  # then all cores on one after another leave fewer idle
            return (forward(tokens, wanted) for tokens, wanted in inputs)
        return self._side_by_side(forward, inputs)

    def _on_one_core(self, forward: Forward, inputs: Iterator[Input]) -> Iterator[Tensor]:
        with _threads(1) as n_threads:
            for tokens, wanted in inputs:
                is_same, logits = self._compared(forward, tokens, wanted, n_threads)
                if logits is None:
                    with _threads(1 if is_same else n_threads):
                        logits = forward(tokens, wanted)
                yield logits

    def _side_by_side(self, forward: Forward, inputs: Iterator[Input]) -> Iterator[Tensor]:
        waiting: deque[Future[Tensor]] = deque()
        with _threads(1) as n_threads, _cancelled(waiting):  # the caller works on what it is given while the lanes run
            for tokens, wanted in inputs:
                is_same, logits = self._compared(forward, tokens, wanted, n_threads)
                if is_same and logits is None:
                    waiting.append(self._pool.submit(_pass, forward, tokens, wanted))
                    if len(waiting) > self.n_lanes:
                        yield waiting.popleft().result()
                    continue
                while waiting:
                    yield waiting.popleft().result()
                if logits is None:
                    with _threads(n_threads):
                        logits = forward(tokens, wanted)
                yield logits
            while waiting:
                yield waiting.popleft().result()

    def _compared(self, forward: Forward, tokens: Tensor, wanted: slice, n_threads: int) -> tuple[bool, Tensor | None]:
        """Whether a pass of this shape gives the same bits on one core as on all; the first one's logits."""
        shape, logits = (*tokens.shape, wanted.stop - wanted.start, n_threads), None
        if shape not in self._same:
            alone = self._pool.submit(_pass, forward, tokens, wanted).result()
            with _threads(n_threads):
                logits = forward(tokens, wanted)
            self._same[shape] = torch.equal(alone, logits)
        return self._same[shape], logits

    @cached_property
    def _pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(self.n_lanes, "lane", _set_threads, (1,))


class _Here(threading.local):
    one_core = False


_here = _Here()


def one_core_threads(n: int, name: str) -> ThreadPoolExecutor:
    """Threads that run windows on one core each, since the others use the others; with the same results to the bit."""
    return ThreadPoolExecutor(n, name, _use_one_core, (torch.get_num_threads(),))


def _use_one_core(n_threads: int) -> None:
    _set_threads(n_threads)  # for all that is no window
    _here.one_core = True


def _set_threads(n: int) -> None:
    torch.get_num_threads()  # a new thread takes over what any other set last, and not before it is asked
    torch.set_num_threads(n)


def _pass(forward: Forward, tokens: Tensor, wanted: slice) -> Tensor:
    with torch.inference_mode():  # every thread starts without
        return forward(tokens, wanted)


@contextmanager
def _threads(n: int) -> Iterator[int]:
    """Let torch use so many threads for a while; gives how many it had."""
    before = torch.get_num_threads()
    torch.set_num_threads(n)
    try:
        yield before
    finally:
        torch.set_num_threads(before)


@contextmanager
def _cancelled(waiting: deque[Future[Tensor]]) -> Iterator[None]:
    """In the end, whatever ends it, call off what nobody will ask for."""
    try:
        yield
    finally:
        for future in waiting:
            future.cancel()
