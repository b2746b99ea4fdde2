"""Ordered results of work on several threads, one CPU core each."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future
from math import inf
from threading import Event
from typing import TypeVar

from vampcli.model.batching import one_core_threads

Item = TypeVar("Item")
Result = TypeVar("Result")


def ordered_map(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    n_threads: int,
    *,
    stop: Event | None = None,
    size: Callable[[Item], float] = lambda _: 0.0,
    max_size: float = inf,
) -> Generator[Result, None, None]:
    """Apply a function to items on threads; yield the results in the order of the items.

    An exception, and closing the generator, cancels the queued items and waits for the running ones.

    Args:
        function: runs on the threads; on the current one if `n_threads` is 1.
        items: read on the current thread, at most `2 * n_threads` ahead of the results.
        n_threads: items in work at the same time, at most.
        stop: is set by an exception, and by closing the generator; a long function can check it.
        size: such as the memory that an item takes.
        max_size: of the items read ahead, together; a larger one is alone.
    """
    if n_threads == 1:
        yield from map(function, items)
        return
    waiting: deque[tuple[float, Future[Result]]] = deque()
    with one_core_threads(n_threads, "ordered") as pool:
        try:
            for item in items:
                size_now = size(item)
                while waiting and (
                    waiting[0][1].done()
                    or len(waiting) >= 2 * n_threads
                    or sum(other for other, _ in waiting) + size_now > max_size
                ):
                    yield waiting.popleft()[1].result()
                waiting.append((size_now, pool.submit(function, item)))
            while waiting:
                yield waiting.popleft()[1].result()
        except BaseException:  # also Ctrl-C, and GeneratorExit
            if stop is not None:
                stop.set()
            pool.shutdown(cancel_futures=True)
            raise
