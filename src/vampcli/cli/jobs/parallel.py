"""Short recordings made side by side, a core each; each is told of as if they were made one after another."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from threading import Event
from types import TracebackType

from vampcli.cli.console import Bar, Console, Progress
from vampcli.cli.jobs.job import Result, Results

LONGEST_S = 60.0
"""Longer recordings keep all cores busy by themselves, and side by side they would need much memory."""

_MOST_S = 240.0  # of sound at once

Make = Callable[[Console], Results]
"""Makes a recording's takes, and says to a console what there is to say."""

Tell = Callable[[Results], None]
"""Tells of the takes, and of an `InputError` among them."""


@dataclass
class ParallelFiles(AbstractContextManager["ParallelFiles"]):
    """Makes recordings on threads, and tells of them in the order in which they were started.

    Who leaves it by an exception calls off what waits, and what is being made after its next step.

    Attributes:
        console: for people.
        waiting: what has not been told of.
    """

    console: Console
    waiting: deque[_Recording] = field(default_factory=deque)

    def __post_init__(self) -> None:
        self._stop, self._open = Event(), ExitStack()
        self._pool: ThreadPoolExecutor | None = None

    def start(self, n: int, seconds: float, make: Make, tell: Tell) -> None:
        """Make a recording beside others, `n` at a time, and tell of what has been made.

        Args:
            n: cores to use.
            seconds: of sound, as long as which it needs memory.
            make: makes it, on another thread.
            tell: tells of it, on this one.
        """
        if self._pool is None:
            from vampcli.model.batching import one_core_threads

            self._bar = self._open.enter_context(self.console.bars())
            self._pool = self._open.enter_context(one_core_threads(n, "recording"))
        while self.waiting and sum(other.seconds for other in self.waiting) + seconds > _MOST_S:
            self._tell_first()
        recording = _Recording(seconds, tell, _Held(self.console, self._bar, self._stop))
        self.waiting.append(recording)  # first: whoever breaks off from now on is told of what it has made
        recording.done = self._pool.submit(recording.make, make, self._stop)
        while self.waiting and (len(self.waiting) > 2 * n or self.waiting[0].done.done()):
            self._tell_first()

    def finish(self) -> None:
        """Wait for all, and tell of them."""
        while self.waiting:
            self._tell_first()
        self._open.close()
        self._pool = None

    def _tell_first(self) -> None:
        self.waiting[0].told()
        self.waiting.popleft()  # not before: while it is waited for, somebody may break off

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        try:
            if kind is None:
                self.finish()
        finally:
            self._stop.set()
            for recording in self.waiting:
                recording.done.cancel()
            try:
                self._open.close()
            finally:  # somebody may be in a hurry; files that are there are named
                for recording in self.waiting:
                    recording.told(whole=False)


class _Recording:
    """One that is being made."""

    def __init__(self, seconds: float, tell: Tell, console: _Held) -> None:
        self.seconds, self._tell, self._console = seconds, tell, console
        self.done: Future[None] = Future()  # until it is begun
        self._results: deque[Result] = deque()

    def make(self, make: Make, stop: Event) -> None:
        for result in make(self._console):
            self._results.append(result)
            _check(stop)

    def told(self, whole: bool = True) -> None:
        """Wait for it and tell of it, or of as much as there is."""
        self._tell(self._given() if whole else self._rest())

    def _rest(self) -> Results:
        while self._results:
            yield self._results[0]
            self._results.popleft()  # not before it is told: while that goes on, somebody may break off

    def _given(self) -> Results:
        error = self.done.exception()
        self._console.release()
        yield from self._rest()
        if error is not None:
            raise error


class _Held(Console):
    """Keeps what is said of a recording until its turn comes."""

    def __init__(self, console: Console, bar: Bar, stop: Event) -> None:
        self.quiet, self._console, self._bar, self._stop = console.quiet, console, bar, stop
        self._notes: list[str] = []

    def note(self, text: str) -> None:
        self._notes.append(text)

    def release(self) -> None:
        for text in self._notes:
            self._console.note(text)

    @contextmanager
    def progress(self, title: str) -> Iterator[Progress]:
        with self._bar(title) as shown:

            def progress(step: int, total: int) -> None:
                _check(self._stop)
                if shown is not None:
                    shown(step, total)

            yield progress


def _check(stop: Event) -> None:
    if stop.is_set():
        raise CancelledError
