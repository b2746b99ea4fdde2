"""Short recordings in parallel: reported in input order, and the same to the bit as one by one."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf

from conftest import Song, Vamp
from vampcli.audio import write as audio
from vampcli.errors import InputError
from vampcli.model import threads

HOW = ("--span", "0.3-0.6", "--steps", 2, "--fine-steps", 1, "--seed", 3, "-n", 2)

pytestmark = pytest.mark.usefixtures("two_threads")


@pytest.fixture
def parallel_s(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds of the recordings that are made in parallel."""
    seconds: list[float] = []
    ordered_map = threads.ordered_map

    def watch(function: Callable[[Any], object], items: Iterable[Any], *args: Any, **named: Any) -> Iterator[object]:
        def watched() -> Iterator[Any]:
            for item in items:
                seconds.append(round(item.duration_s, 1))
                yield item

        return ordered_map(function, watched(), *args, **named)

    monkeypatch.setattr(threads, "ordered_map", watch)
    return seconds


@pytest.fixture
def folder(song: Song, tmp_path: Path) -> Path:
    """Five recordings of 1 to 2.3 s, and `c.wav`, which is none."""
    folder = tmp_path / "songs"
    folder.mkdir()
    for i, name in enumerate("abdef"):
        song(f"songs/{name}.wav", seconds=1 + i / 3, seed=i)
    (folder / "c.wav").write_text("no sound")
    return folder


@pytest.fixture
def inpaint(vamp: Vamp, folder: Path, tiny_folder: Path) -> Vamp:
    return lambda *args: vamp("inpaint", "-m", tiny_folder, *HOW, folder, *args)


def test_parallel_equals_one_by_one(
    inpaint: Vamp, tmp_path: Path, parallel_s: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vampcli.cli.jobs.run.LONGEST_S", 1.9)
    together = inpaint("--json", "-o", tmp_path / "together")
    assert parallel_s == [1.0, 1.3, 1.7]  # d and e are longer
    assert together.code == 3
    assert "5 of 6 done, 1 failed" in together.err
    results = together.facts
    assert "".join(Path(one["input"]).stem for one in results) == "aabbcddeeff"
    assert "error" in results.pop(4)
    assert [one["seed"] for one in results] == [3, 4] * 5
    notes = [line for line in together.err.splitlines() if "made in" in line]
    assert [note[0] for note in notes] == list("abdef")

    monkeypatch.setattr("vampcli.cli.jobs.run.LONGEST_S", 0.0)
    assert inpaint("-o", tmp_path / "alone").code == 3
    assert len(parallel_s) == 3
    for one in results:
        made = Path(one["output"])
        assert np.array_equal(sf.read(made)[0], sf.read(tmp_path / "alone" / made.name)[0])


def test_fail_fast_names_what_is_written(inpaint: Vamp, tmp_path: Path) -> None:
    ran = inpaint("--fail-fast", "-o", tmp_path / "made")
    assert ran.code == 3
    assert "c.wav" in ran.err
    assert sorted(map(Path, ran.out.splitlines())) == sorted((tmp_path / "made").iterdir())


def test_error_comes_in_its_turn(inpaint: Vamp, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "c.wav").unlink()
    write = audio.write

    def fail(path: Path, *args: Any) -> None:
        if path.name == "b.inpaint.4.wav":
            raise InputError("the disk is full")
        write(path, *args)

    monkeypatch.setattr(audio, "write", fail)
    ran = inpaint("--json", "-o", tmp_path / "made")
    results = ran.facts
    assert "".join(Path(one["input"]).stem for one in results) == "aabbddeeff"
    assert [i for i, one in enumerate(results) if "error" in one] == [3]
    assert "4 of 5 done, 1 failed" in ran.err


@pytest.mark.parametrize(("how", "n"), [(("--keep", 1), 5), (("--skip-existing", "--sidecar"), 10)])
def test_options_of_outputs_hold(inpaint: Vamp, folder: Path, tmp_path: Path, how: tuple[object, ...], n: int) -> None:
    (folder / "c.wav").unlink()
    ran = inpaint(*how, "-o", tmp_path / "made")
    assert ran.code == 0, ran.err
    written = [Path(line) for line in ran.out.splitlines()]
    assert len(written) == n
    assert all(path.is_file() for path in written)


def test_token_files_are_decoded_in_parallel(
    vamp: Vamp, folder: Path, tiny_folder: Path, tmp_path: Path, parallel_s: list[float]
) -> None:
    (folder / "c.wav").unlink()
    small = ("compress", "-m", tiny_folder, "-o", tmp_path / "small", "--name", "{stem}.vamp")
    assert vamp(*small, folder).code == 0
    back = vamp("compress", "-m", tiny_folder, tmp_path / "small", "-o", tmp_path / "back")
    assert back.code == 0, back.err
    assert len(parallel_s) == 10
    again = vamp("replay", *back.out.split(), "-o", tmp_path / "again")
    assert again.code == 0, again.err
