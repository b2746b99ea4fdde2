"""One thread that makes the takes of all windows, one run after another."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import CancelledError
from dataclasses import dataclass, field
from threading import Condition, Event, Thread
from typing import Literal

from vampcli.errors import VampError, from_os_error
from vampcli.ui.order import Made, Order

log = logging.getLogger(__name__)

State = Literal["queued", "running", "done", "failed", "cancelled"]
_LEAST_STEPS = 2  # of which the time is measured before more is foretold


@dataclass
class Run:
    """An order in the queue, and what has become of it.

    Attributes:
        id: in its window.
        order: what to make.
        on_made: called in the worker with each take.
        on_change: called in the worker or in `cancel` after a change of the other attributes.
        on_done: called in the worker once the run is done and nothing else waits, to measure takes.
        tail_s: seconds from the last step to the take, from an earlier run.
        state: of the run.
        step: steps that are done, of `total`.
        error: why it failed, and what cures it.
        notes: about the takes.
    """

    id: str
    order: Order
    on_made: Callable[[Run, Made], None]
    on_change: Callable[[], None] = lambda: None
    on_done: Callable[[Run], None] = lambda _: None
    tail_s: float = 0.0
    state: State = "queued"
    step: int = 0
    total: int = 0
    error: tuple[str, str] | None = None
    notes: list[str] = field(default_factory=list)
    _cancelled: Event = field(default_factory=Event)
    _first: tuple[int, float] | None = None  # step and time from which the speed is measured
    _last_s: float = 0.0

    @property
    def remaining_s(self) -> float | None:
        """Seconds until the run is done, by the speed of its steps so far; None before that is known."""
        if self.state != "running" or self._first is None or self.step - self._first[0] < _LEAST_STEPS:
            return None
        step, began_s = self._first
        rate_s = (self._last_s - began_s) / (self.step - step)
        left_s = rate_s * (self.total - self.step) - (time.monotonic() - self._last_s)
        return max(0.0, left_s + self.tail_s)

    def cancel(self) -> None:
        """Leave the queue, or end after the next step; takes that are made stay."""
        self._cancelled.set()
        if self.state == "queued":
            self.state = "cancelled"
        self.on_change()

    def carry_out(self) -> None:
        """Make the takes; errors become part of the state."""
        if self._cancelled.is_set():
            self.state = "cancelled"
            return
        self.state = "running"
        self.on_change()
        try:
            for one in self.order.make(self._progress):
                if isinstance(one, Made):
                    self.on_made(self, one)
                else:
                    self.notes.append(one)
                self.on_change()
            self.tail_s = time.monotonic() - self._last_s if self._first else 0.0
            self.state = "done"
        except CancelledError:
            self.state = "cancelled"
        except Exception as error:  # the worker must go on, whatever happens in a run
            self.state, self.error = "failed", words(error)
        self.on_change()

    def _progress(self, step: int, total: int) -> None:
        if self._cancelled.is_set():
            raise CancelledError
        self.step, self.total, self._last_s = step, total, time.monotonic()
        self._first = self._first or (step, self._last_s)
        self.on_change()


class Worker:
    """Loads the model, then carries out runs in the order in which they were asked for.

    Attributes:
        model: whether the model can be used; if it failed, `error` says why.
    """

    def __init__(self, load: Callable[[], None], on_change: Callable[[], None] = lambda: None) -> None:
        self._load, self._on_change = load, on_change
        self._runs: deque[Run] = deque()
        self._later: deque[Callable[[], None]] = deque()
        self._wakes = Condition()
        self._tails_s: dict[str, float] = {}
        self.model: Literal["waiting", "loading", "ready", "failed"] = "waiting"
        self.error: tuple[str, str] | None = None

    def start(self) -> None:
        """Start the thread; it ends with the program."""
        if self.model == "waiting":
            self.model = "loading"
            Thread(target=self._work, name="takes", daemon=True).start()

    def submit(self, run: Run) -> None:
        """Put a run at the end of the queue."""
        run.tail_s = self._tails_s.get(run.order.verb, 0.0)
        with self._wakes:
            self._runs.append(run)
            self._wakes.notify()

    def ahead(self, run: Run) -> int:
        """Return how many runs are carried out before one that waits."""
        waiting = [one for one in tuple(self._runs) if one.state in ("queued", "running")]
        return waiting.index(run) if run in waiting else 0

    def _work(self) -> None:
        try:
            self._load()
            self.model = "ready"
        except Exception as error:
            self.model, self.error = "failed", words(error)
        self._on_change()
        while True:
            self._next()()

    def _next(self) -> Callable[[], None]:
        """Wait for work: runs first, measurements if no run waits."""
        with self._wakes:
            self._wakes.wait_for(lambda: self._runs or self._later)
            if not self._runs:
                return self._later.popleft()
            run = self._runs[0]

        def work() -> None:
            run.carry_out()
            with self._wakes:
                self._runs.popleft()
                if run.state == "done":
                    self._tails_s[run.order.verb] = run.tail_s
                self._later.append(lambda: run.on_done(run))
            self._on_change()

        return work


def words(error: Exception) -> tuple[str, str]:
    """Return an error as a message and its cure."""
    if isinstance(error, OSError):
        error = from_os_error(error)
    if isinstance(error, VampError):
        return error.message, error.hint
    log.error("%s", error, exc_info=error)
    return f"{type(error).__name__}: {error}", "this is a mistake in vamp: the terminal shows more"
