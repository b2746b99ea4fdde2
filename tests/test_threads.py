"""`ordered_map`: results in order, few items ahead, and an end at once on an exception."""

import threading
import time
from collections.abc import Iterator
from threading import Event

import pytest

from vampcli.model.threads import ordered_map


@pytest.mark.parametrize("n_threads", [1, 2, 3])
def test_results_come_in_order(n_threads: int) -> None:
    def sleep(i: int) -> int:
        time.sleep(0.03 if i % 3 == 0 else 0.001)
        return i

    assert list(ordered_map(sleep, range(8), n_threads)) == list(range(8))


def test_few_items_run_and_wait() -> None:
    running, most, n_read = 0, 0, 0
    lock = threading.Lock()

    def items() -> Iterator[int]:
        nonlocal n_read
        while n_read < 12:
            n_read += 1
            yield n_read

    def work(_: int) -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.02)
        with lock:
            running -= 1

    for i, _ in enumerate(ordered_map(work, items(), 3)):
        assert n_read <= i + 7  # twice three, and the one that found no room
    assert (most, n_read) == (3, 12)


def test_sizes_limit_what_runs_together() -> None:
    running, sizes = [], []

    def work(size: float) -> None:
        running.append(size)
        sizes.append(sum(running))
        time.sleep(0.01)
        running.remove(size)

    assert len(list(ordered_map(work, [2.0, 2.0, 1.0, 9.0, 1.0], 4, size=float, max_size=4.0))) == 5
    assert max(size for size in sizes if size < 9) <= 4
    assert 9 in sizes  # alone


@pytest.mark.parametrize("where", ["function", "items", "consumer"])
def test_an_exception_ends_all_at_once(where: str) -> None:
    stop, begun = Event(), []

    def work(i: int) -> int:
        begun.append(i)
        if i == 0:
            if where == "function":
                raise MemoryError
            return i
        assert stop.wait(10)  # the item that runs when another fails
        return i

    def items() -> Iterator[int]:
        yield from (0, 1, 2, 3)
        if where == "items":
            raise MemoryError
        yield 4

    def consume() -> None:
        for _ in ordered_map(work, items(), 2, stop=stop):
            if where == "consumer":
                raise MemoryError
            time.sleep(0.01)

    with pytest.raises(MemoryError):
        consume()
    assert stop.is_set()
    assert len(begun) <= 3  # those that waited never began


def test_nothing_is_stopped_without_need() -> None:
    stop = Event()
    assert list(ordered_map(str, [1, 2], 2, stop=stop)) == ["1", "2"]
    assert not stop.is_set()
