"""The worker of the editor: order, cancelling, remaining time, and errors that do not end it."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from vampcli.errors import InputError
from vampcli.progress import Progress
from vampcli.ui.order import Made
from vampcli.ui.worker import Run, Worker


@dataclass
class Fake:
    """An order that calls functions in its steps."""

    steps: list[Callable[[], Any]]
    command: str = "vamp inpaint"
    verb: str = "inpaint"
    seeds: tuple[int, ...] = (0,)
    spans: tuple[tuple[int, int], ...] = ()
    n_samples: int = 1

    def make(self, progress: Progress) -> Iterator[Made | str]:
        for i, step in enumerate(self.steps):
            step()
            progress(i + 1, len(self.steps))
        yield "a note"
        yield Made(Path("take.wav"), 0)

    def measure(self, made: Made) -> dict[str, Any]:
        return {}


def run(*steps: Callable[[], Any], made: list[str] | None = None, name: str = "run") -> Run:
    return Run(name, Fake(list(steps)), lambda run, _: made.append(run.id) if made is not None else None)


def ended(runs: list[Run]) -> list[str]:
    for _ in range(400):
        if all(one.state not in ("queued", "running") for one in runs):
            break
        time.sleep(0.01)
    return [one.state for one in runs]


def fail() -> None:
    raise InputError("no disk", "buy one")


def test_runs_in_order_and_after_errors() -> None:
    made: list[str] = []
    measured: list[str] = []
    runs = [run(made=made, name="a"), run(fail), run(lambda: 1 / 0), run(made=made, name="b")]
    worker = Worker(lambda: None)
    for one in runs:
        one.on_done = lambda run: measured.append(run.id)
        worker.submit(one)
    worker.start()
    assert ended(runs) == ["done", "failed", "failed", "done"]
    assert (runs[1].error, made, runs[0].notes) == (("no disk", "buy one"), ["a", "b"], ["a note"])
    assert runs[2].error is not None
    assert runs[2].error[0] == "ZeroDivisionError: division by zero"
    for _ in range(100):
        if measured[-1:] != ["b"]:
            time.sleep(0.01)
    assert measured[-1] == "b"


def test_a_cancelled_run_ends_after_its_step() -> None:
    stepped, go, steps = Event(), Event(), list[int]()

    def first() -> None:
        stepped.set()
        go.wait(10)
        steps.append(1)

    running, waiting = run(first, lambda: steps.append(2), lambda: steps.append(3)), run(lambda: steps.append(4))
    worker = Worker(lambda: None)
    worker.submit(running)
    worker.submit(waiting)
    worker.start()
    assert stepped.wait(10)
    assert worker.ahead(waiting) == 1
    running.cancel()
    waiting.cancel()
    assert waiting.state == "cancelled"
    go.set()
    assert ended([running, waiting]) == ["cancelled", "cancelled"]
    assert steps == [1]


def test_remaining_time_is_that_of_the_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s, told = [100.0], list[float | None]()
    monkeypatch.setattr("vampcli.ui.worker.time.monotonic", lambda: now_s[0])

    def step() -> None:
        told.append(one.remaining_s)
        now_s[0] += 2.0

    one = run(*[step] * 6)
    one.tail_s = 1.0
    one.carry_out()
    assert told == [None, None, None, 7.0, 5.0, 3.0]  # steps of 2 s, and 1 s after the last


def test_model_that_cannot_be_loaded() -> None:
    one = run()
    worker = Worker(fail)
    worker.start()
    worker.submit(one)
    assert ended([one]) == ["done"]
    assert (worker.model, worker.error) == ("failed", ("no disk", "buy one"))
