"""Recordings side by side: told of in order, called off at once, and the same to the bit as one by one."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf

from conftest import Ran
from vampcli.cli.console import Console
from vampcli.cli.jobs.job import Results
from vampcli.cli.jobs.parallel import Make, ParallelFiles
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
    with ParallelFiles(Console()) as lanes:
        lanes.start(2, 1.0, making("a", 0.2), told)
        lanes.start(2, 1.0, making("b", fails=True), told)
        lanes.start(2, 1.0, making("c"), told)
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

    with ParallelFiles(Console()) as lanes:
        for _ in range(12):
            lanes.start(3, 1.0, make, told)
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
        with ParallelFiles(Console()) as lanes:
            lanes.start(1, 1.0, written, told)
            lanes.start(1, 1.0, making("waits"), told)
            time.sleep(0.05)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        broken_off()
    assert stopped.is_set()
    assert steps < 100
    assert told.words == ["written"]


def test_who_breaks_off_while_one_is_begun_is_told_of_what_it_has_made() -> None:
    class Hasty(ThreadPoolExecutor):
        def submit(self, *given: Any, **named: Any) -> Any:
            super().submit(*given, **named).result()
            raise KeyboardInterrupt

    told, lanes = Told(), ParallelFiles(Console())
    lanes._pool, lanes._bar = Hasty(1), lambda title: nullcontext(None)
    with pytest.raises(KeyboardInterrupt), lanes:
        lanes.start(1, 1.0, making("a"), told)
    assert told.words == ["a0", "a1"]


def test_what_is_no_input_error_ends_it() -> None:
    def make(_console: Console) -> Results:
        raise MemoryError
        yield

    with pytest.raises(MemoryError), ParallelFiles(Console()) as lanes:
        lanes.start(2, 1.0, make, Told())


def test_only_so_much_sound_is_made_at_once() -> None:
    told = Told()
    with ParallelFiles(Console()) as lanes:
        for name in "abcd":
            lanes.start(4, 100.0, making(name, 0.05), told)
            assert len(lanes.waiting) <= 2
    assert len(told.words) == 8


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds of the recordings that are made beside others."""
    seconds: list[float] = []
    start = ParallelFiles.start
    monkeypatch.setattr(ParallelFiles, "start", lambda *args: (seconds.append(args[2]), start(*args)))
    return seconds


@pytest.fixture
def folder(song: Callable[..., Path], tmp_path: Path) -> Path:
    """Five recordings of 1 to 2.3 s, and one that is none."""
    folder = tmp_path / "songs"
    folder.mkdir()
    for i, name in enumerate("abdef"):
        song(f"songs/{name}.wav", seconds=1 + i / 3, seed=i)
    (folder / "c.wav").write_text("no sound")
    return folder


HOW = ("--span", "0.3-0.6", "--steps", 2, "--fine-steps", 1, "--seed", 3, "-n", 2)


@pytest.mark.usefixtures("two_threads")
def test_a_folder_is_what_its_files_are_one_by_one(
    vamp: Callable[..., Ran], folder: Path, tiny_folder: Path, tmp_path: Path, started: list[float]
) -> None:
    how = ("inpaint", "-m", tiny_folder, *HOW)
    together = vamp(*how, folder, "-o", tmp_path / "together")
    assert together.code == 3
    assert "5 of 6 done, 1 failed" in together.err
    assert len(started) == 5
    for path in sorted(folder.glob("[!c].wav")):
        assert vamp(*how, path, "-o", tmp_path / "alone/").code == 0
    assert len(started) == 5
    made = [Path(line) for line in together.out.splitlines()]
    assert [path.name for path in made] == [f"{name}.inpaint.{seed}.wav" for name in "abdef" for seed in (3, 4)]
    for path in made:
        assert np.array_equal(sf.read(path)[0], sf.read(tmp_path / "alone" / path.name)[0])


@pytest.mark.usefixtures("two_threads")
def test_long_ones_wait_and_all_is_told_in_order(
    vamp: Callable[..., Ran],
    folder: Path,
    tiny_folder: Path,
    tmp_path: Path,
    started: list[float],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("vampcli.cli.jobs.parallel.LONGEST_S", 1.9)
    ran = vamp("inpaint", "-m", tiny_folder, *HOW, "--json", folder, "-o", tmp_path / "made")
    told = [json.loads(line) for line in ran.out.splitlines()]
    assert [Path(one["input"]).stem for one in told] == ["a", "a", "b", "b", "c", "d", "d", "e", "e", "f", "f"]
    assert "error" in told[4]
    assert [round(seconds, 1) for seconds in started] == [1.0, 1.3, 1.7]


@pytest.mark.usefixtures("two_threads", "started")
def test_fail_fast_stops_and_what_is_written_is_told(
    vamp: Callable[..., Ran], folder: Path, tiny_folder: Path, tmp_path: Path
) -> None:
    ran = vamp("inpaint", "-m", tiny_folder, *HOW, "--fail-fast", folder, "-o", tmp_path / "made")
    assert ran.code == 3
    assert "c.wav" in ran.err
    assert sorted(map(Path, ran.out.splitlines())) == sorted((tmp_path / "made").iterdir())


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize("how", [("--keep", 1), ("--skip-existing",), ("--sidecar",)])
def test_options_that_concern_files_hold_beside_others(
    vamp: Callable[..., Ran], folder: Path, tiny_folder: Path, tmp_path: Path, how: tuple[object, ...]
) -> None:
    (folder / "c.wav").unlink()
    ran = vamp("inpaint", "-m", tiny_folder, *HOW, *how, folder, "-o", tmp_path / "made")
    assert ran.code == 0, ran.err
    written = [Path(line) for line in ran.out.splitlines()]
    assert len(written) == (5 if "--keep" in how else 10)
    assert all(path.is_file() for path in written)


@pytest.mark.usefixtures("two_threads")
def test_token_files_are_brought_back_beside_each_other(
    vamp: Callable[..., Ran], folder: Path, tiny_folder: Path, tmp_path: Path, started: list[float]
) -> None:
    (folder / "c.wav").unlink()
    small = ("compress", "-m", tiny_folder, "-o", tmp_path / "small", "--name", "{stem}.vamp")
    assert vamp(*small, folder).code == 0
    back = vamp("compress", "-m", tiny_folder, tmp_path / "small", "-o", tmp_path / "back")
    assert back.code == 0, back.err
    assert len(started) == 10
    again = vamp("replay", *back.out.split(), "-o", tmp_path / "again")
    assert again.code == 0, again.err
