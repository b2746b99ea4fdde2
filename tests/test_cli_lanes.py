"""Recordings side by side: told of in order, called off at once, and the same to the bit as one by one."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import CancelledError
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from conftest import Ran
from vampcli.cli.console import Console
from vampcli.cli.lanes import Lanes, Make
from vampcli.cli.scheme import Results
from vampcli.errors import InputError


def making(name: str, seconds: float = 0.0, fails: bool = False) -> Make:
    """Two takes, a note after each, and then perhaps an error."""

    def make(console: Console) -> Results:
        for i in range(2):
            time.sleep(seconds / 2)
            console.note(f"note {name}{i}")
            yield Path(f"{name}{i}"), i, {}
        if fails:
            raise InputError(f"{name} is broken")

    return make


class Told:
    """Remembers what is told, errors with the rest."""

    def __init__(self) -> None:
        self.words: list[str] = []

    def __call__(self, results: Results) -> None:
        try:
            for path, _, _ in results:
                self.words.append(str(path))
        except InputError as error:
            self.words.append(error.message)


def test_who_is_slow_is_waited_for_and_errors_come_in_their_place(capsys: pytest.CaptureFixture[str]) -> None:
    told = Told()
    with Lanes(Console()) as lanes:
        lanes.start(2, making("a", 0.2), told)
        lanes.start(2, making("b", fails=True), told)
        lanes.start(2, making("c"), told)
    assert told.words == ["a0", "a1", "b0", "b1", "b is broken", "c0", "c1"]
    notes = [f"note {name}{i}" for name in "abc" for i in range(2)]
    assert capsys.readouterr().err.splitlines() == notes


def test_as_many_are_made_at_once_as_asked_for_and_few_wait() -> None:
    running, most, told = 0, 0, Told()
    lock = threading.Lock()

    def make(_console: Console) -> Results:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.02)
        with lock:
            running -= 1
        yield Path("x"), 0, {}

    with Lanes(Console()) as lanes:
        for _ in range(12):
            lanes.start(3, make, told)
            assert len(lanes.waiting) <= 6
    assert (most, len(told.words)) == (3, 12)


def test_who_breaks_off_calls_off_what_is_being_made() -> None:
    steps, stopped, told = 0, threading.Event(), Told()

    def endless(console: Console) -> Results:
        nonlocal steps
        try:
            with console.progress("endless") as progress:
                assert progress is not None
                while True:
                    time.sleep(0.01)
                    steps += 1
                    progress(steps, 1000)
        except CancelledError:
            stopped.set()
            raise
        yield Path("never"), 0, {}

    def written(console: Console) -> Results:
        yield Path("written"), 0, {}
        yield from endless(console)

    def broken_off() -> None:
        with Lanes(Console()) as lanes:
            lanes.start(1, written, told)
            lanes.start(1, making("waits"), told)
            time.sleep(0.05)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        broken_off()
    assert stopped.is_set()
    assert steps < 100
    assert told.words == ["written"]


def test_what_is_no_input_error_ends_it() -> None:
    def make(_console: Console) -> Results:
        raise MemoryError
        yield

    with pytest.raises(MemoryError), Lanes(Console()) as lanes:
        lanes.start(2, make, Told())


@pytest.mark.usefixtures("two_threads")
def test_a_folder_is_what_its_files_are_one_by_one(
    vamp: Callable[..., Ran], song: Callable[..., Path], tiny_folder: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "songs"
    folder.mkdir()
    paths = [song(f"songs/{name}.wav", seconds=1 + i / 3, seed=i) for i, name in enumerate("abcde")]
    (folder / "bad.wav").write_text("no sound")
    how = ("inpaint", "-m", tiny_folder, "--span", "0.3-0.6", "--steps", 2, "--fine-steps", 1, "--seed", 3, "-n", 2)
    together = vamp(*how, folder, "-o", tmp_path / "together")
    assert together.code == 3
    assert "5 of 6 done, 1 failed" in together.err
    for path in paths:
        assert vamp(*how, path, "-o", tmp_path / "alone/").code == 0
    made = [Path(line) for line in together.out.splitlines()]
    assert [path.name for path in made] == [f"{name}.inpaint.{seed}.wav" for name in "abcde" for seed in (3, 4)]
    for path in made:
        assert np.array_equal(sf.read(path)[0], sf.read(tmp_path / "alone" / path.name)[0])
