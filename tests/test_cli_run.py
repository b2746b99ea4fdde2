"""The runner that the five commands share: many recordings, names, seeds, failures."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from conftest import Ran
from vampcli import read
from vampcli.audio.find import find
from vampcli.cli import main
from vampcli.cli.console import Console
from vampcli.cli.jobs.inputs import sources
from vampcli.errors import InputError

Vamp = Callable[..., Ran]
Song = Callable[..., Path]


@pytest.fixture
def quick(vamp: Vamp, tiny_folder: Path) -> Vamp:
    """`vamp inpaint` of half a second with the tiny model in one step."""
    return lambda *args: vamp("inpaint", "-m", tiny_folder, "--span", "0.3-0.6", "--steps", 1, "--fine-steps", 1, *args)


@pytest.fixture
def songs(song: Song, tmp_path: Path) -> Path:
    """A folder: `a.wav`, `b.flac`, and `deep/er/c.wav`."""
    folder = tmp_path / "songs"
    (folder / "deep/er").mkdir(parents=True)
    for i, name in enumerate(("songs/a.wav", "songs/b.flac", "songs/deep/er/c.wav")):
        song(name, seconds=1, seed=i)
    return folder


@pytest.fixture
def no_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vampcli.api.load", lambda *_: pytest.fail("a model was loaded"))


def names(ran: Ran, folder: Path) -> list[str]:
    """Written paths, below a folder."""
    return [Path(line).relative_to(folder).as_posix() for line in ran.out.splitlines()]


def listing(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_a_folder_without_its_folders(quick: Vamp, songs: Path) -> None:
    ran = quick(songs)
    assert (ran.code, names(ran, songs)) == (0, ["a.inpaint.0.wav", "b.inpaint.0.wav"])
    assert "2 of 2 done" in ran.err


def test_a_folder_to_its_depths_is_mirrored(quick: Vamp, songs: Path, tmp_path: Path) -> None:
    made = tmp_path / "made"
    ran = quick(songs, "-r", "-o", made)
    assert names(ran, made) == ["a.inpaint.0.wav", "b.inpaint.0.wav", "deep/er/c.inpaint.0.wav"]
    assert listing(made) == names(ran, made)


@pytest.mark.parametrize("named", ["folder", "pattern", "list", "shell"])
def test_a_second_run_does_nothing(quick: Vamp, songs: Path, tmp_path: Path, named: str) -> None:
    def inputs() -> list[str]:
        (tmp_path / "list.txt").write_text(f"{songs}/a.wav\n\n{songs}/b.flac\n")
        if named == "shell":  # it names the results of the first run, too
            return sorted(str(path) for path in songs.iterdir() if path.is_file())
        return [{"folder": str(songs), "pattern": f"{songs}/*", "list": f"@{tmp_path}/list.txt"}[named]]

    first = quick(*inputs(), "--skip-existing")
    assert (first.code, names(first, songs)) == (0, ["a.inpaint.0.wav", "b.inpaint.0.wav"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("vampcli.api.load", lambda *_: pytest.fail("a model was loaded"))
        second = quick(*inputs(), "--skip-existing")
    assert (second.code, second.out) == (0, "")
    assert "nothing to do" in second.err


def test_a_second_run_under_names_of_ones_own_does_nothing(quick: Vamp, songs: Path, no_model: None) -> None:
    """No pattern of ours tells that `a-new.wav` is a result: that `a.wav` would become it does."""
    for name in ("a", "b"):
        (songs / f"{name}-new.wav").write_bytes(b"made before")
    ran = quick(songs, "--skip-existing", "--name", "{stem}-new.wav")
    assert (ran.code, ran.out) == (0, "")


def test_outputs_in_the_folder_that_is_searched_are_no_inputs(quick: Vamp, songs: Path, no_model: None) -> None:
    (songs / "made").mkdir()
    for name in ("a.wav", "b.wav", "deep.wav"):
        (songs / "made" / name).write_bytes(b"made before")
    found = sources([str(songs)], True, out=str(songs / "made")).found
    assert [one.path.name for one in found] == ["a.wav", "b.flac", "c.wav"]
    everything = sources([str(songs)], True, out=str(songs)).found  # results lie among the recordings
    assert len(everything) == 6


def test_results_are_found_when_they_are_named(songs: Path) -> None:
    (songs / "a.loop.-3.wav").write_bytes(b"")
    (songs / "a.vamp.wav").write_bytes(b"")  # no seed: not ours
    assert [one.path.name for one in sources([str(songs)], False).found] == ["a.vamp.wav", "a.wav", "b.flac"]
    assert sources([str(songs / "a.loop.-3.wav")], False).found[0].path.name == "a.loop.-3.wav"


def test_a_folder_of_nothing_but_results_is_named(songs: Path, tmp_path: Path) -> None:
    (tmp_path / "done").mkdir()
    (tmp_path / "done/a.vamp.0.wav").write_bytes(b"")
    with pytest.raises(InputError, match="nothing but results"):
        sources([str(tmp_path / "done")], False)


def test_patterns_find_sound_only(songs: Path) -> None:
    (songs / "cover.jpg").write_bytes(b"")
    (songs / "x.wav").mkdir()
    assert [one.path.name for one in find([f"{songs}/*"], False)] == ["a.wav", "b.flac"]
    assert [one.path.name for one in find([f"{songs}/**"], False)] == ["a.wav", "b.flac", "c.wav"]
    with pytest.raises(InputError, match="nothing matches"):
        find([f"{songs}/*.jpg"], False)


def test_a_name_with_brackets_is_no_pattern(songs: Path) -> None:
    bracketed = (songs / "a.wav").rename(songs / "a [live].wav")
    assert [one.path for one in find([str(bracketed)], False)] == [bracketed]


def test_each_file_once(songs: Path) -> None:
    assert len(find([str(songs), f"{songs}/a.wav", f"{songs}/*.wav"], False)) == 2


def test_one_broken_file_does_not_stop_the_others(quick: Vamp, songs: Path) -> None:
    (songs / "aa.wav").write_bytes(b"RIFF, or so it says")
    ran = quick(songs)
    assert (ran.code, names(ran, songs)) == (3, ["a.inpaint.0.wav", "b.inpaint.0.wav"])
    said = ran.err.splitlines()
    assert "2 of 3 done, 1 failed:" in said
    assert said[-2].startswith("vamp: ")
    assert "aa.wav" in said[-2]


def test_json_of_takes_and_failures(quick: Vamp, songs: Path) -> None:
    (songs / "aa.wav").write_bytes(b"RIFF, or so it says")
    ran = quick(songs, "--json", "-n", 2)
    objects = [json.loads(line) for line in ran.out.splitlines()]
    assert [Path(one["input"]).name for one in objects] == ["a.wav", "a.wav", "aa.wav", "b.flac", "b.flac"]
    assert [one.get("seed") for one in objects] == [0, 1, None, 0, 1]
    failure = objects[2]
    assert failure.keys() == {"input", "error", "hint", "exit_code"}
    assert failure["exit_code"] == ran.code == 3


def test_a_single_failure_is_json_too(quick: Vamp, song: Song, no_model: None) -> None:
    ran = quick(song(seconds=0.4), "--json")
    failure = json.loads(ran.out)
    assert (ran.code, failure["exit_code"]) == (3, 3)
    assert failure["error"] in ran.err


def test_fail_fast_stops_at_the_first_and_names_it(quick: Vamp, songs: Path, no_model: None) -> None:
    (songs / "0.wav").write_bytes(b"")
    ran = quick(songs, "--fail-fast")
    assert (ran.code, ran.out) == (3, "")
    assert "0.wav" in ran.err


def test_a_short_file_among_others_is_named(quick: Vamp, song: Song, songs: Path) -> None:
    song("songs/0.wav", seconds=0.2)
    ran = quick(songs)
    assert ran.code == 3
    assert f"{songs}/0.wav: the span starts at 0.3 s" in ran.err


def test_the_first_failure_gives_the_exit_code(vamp: Vamp, songs: Path, tiny_folder: Path, tmp_path: Path) -> None:
    """A token file of another model (4) before a broken one (3), and a whole one after both."""
    from vampcli.recipe import token_file

    vamp("compress", songs / "a.wav", "-m", tiny_folder, "-o", songs / "z.vamp")
    whole = token_file.load(songs / "z.vamp")
    foreign = replace(whole.recipe, made_by=replace(whole.recipe.made_by, model_sha256="of another"))
    token_file.save(songs / "x.vamp", replace(whole, recipe=foreign))
    (songs / "y.vamp").write_bytes(b"broken")
    ran = vamp("compress", *(songs / f"{n}.vamp" for n in "xyz"), "-m", tiny_folder, "--seed", 5, "--json")
    assert ran.code == 4
    assert [json.loads(line).get("exit_code", 0) for line in ran.out.splitlines()] == [4, 3, 0]


def test_dry_run_of_a_folder_writes_nothing(quick: Vamp, songs: Path, tmp_path: Path, no_model: None) -> None:
    before = listing(tmp_path)
    ran = quick(songs, "--recursive", "--dry-run", "-n", 2, "-o", tmp_path / "made")
    assert len(ran.out.splitlines()) == 6
    assert "c.wav: would make 20 frames (0.30-0.60 s)" in ran.err
    assert listing(tmp_path) == before


@pytest.mark.parametrize(
    ("inputs", "options", "code", "says"),
    [
        (["a.wav", "a.flac"], [], 2, "would both become"),
        (["a.wav", "b.wav"], ["--name", "same.wav"], 2, "would both become"),
        (["a.wav", "b.wav"], ["-o", "out.wav"], 2, "several inputs"),
        (["."], ["-o", "out.wav"], 2, "several inputs"),
        (["a.wav", "a-1.wav"], ["--name", "{stem}-{n}.wav", "--overwrite"], 3, "would be overwritten"),
        (["a.wav", "nowhere/*.wav"], [], 3, "nothing matches"),
        ([""], [], 3, "has no name"),
        (["a.wav"], ["-o", "out.wav", "--name", "x.wav"], 2, "has no use"),
    ],
)
def test_what_is_in_the_way_is_found_before_any_work(
    quick: Vamp,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    inputs: list[str],
    options: list[str],
    code: int,
    says: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a.wav", "a.flac", "b.wav", "a-1.wav"):
        (tmp_path / name).write_bytes(b"not even read")
    before = listing(tmp_path)
    ran = quick(*inputs, *options)
    assert (ran.code, ran.out) == (code, "")
    assert says in ran.err
    assert listing(tmp_path) == before


def test_the_parents_name_tells_recordings_apart(quick: Vamp, song: Song, tmp_path: Path, no_model: None) -> None:
    for folder in ("x", "y"):
        (tmp_path / folder).mkdir()
        song(f"{folder}/take.wav", seconds=1)
    inputs = tmp_path / "x/take.wav", tmp_path / "y/take.wav"
    refused = quick(*inputs, "-o", tmp_path / "out", "--dry-run")
    assert refused.code == 2
    assert "{parent}" in refused.err
    ran = quick(*inputs, "-o", tmp_path / "out", "--dry-run", "--name", "{parent}/{cmd}-{n}.wav")
    assert names(ran, tmp_path / "out") == ["x/inpaint-1.wav", "y/inpaint-1.wav"]


def test_a_list_of_several_is_several(quick: Vamp, songs: Path, tmp_path: Path, no_model: None) -> None:
    """So seeds are 0, and one file for all is refused."""
    (tmp_path / "list.txt").write_text(f"{songs}/a.wav\n{songs}/b.flac\n")
    assert names(quick(f"@{tmp_path}/list.txt", "--dry-run"), songs) == ["a.inpaint.0.wav", "b.inpaint.0.wav"]
    refused = quick(f"@{tmp_path}/list.txt", "-o", tmp_path / "x.wav")
    assert (refused.code, refused.out) == (2, "")


def test_braces_in_names_stay(quick: Vamp, songs: Path, no_model: None) -> None:
    source = (songs / "a.wav").rename(songs / "{seed} {0}.wav")
    ran = quick(source, "--dry-run", "--seed", 7)
    assert names(ran, songs) == ["{seed} {0}.inpaint.7.wav"]


def test_a_bar_shows_names_as_they_are(
    quick: Vamp, songs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from rich.progress import Progress
    from rich.text import Text

    titles: list[str] = []
    add = Progress.add_task
    monkeypatch.setattr(
        Progress, "add_task", lambda bar, title, **more: titles.append(title) or add(bar, title, **more)
    )
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    source = (songs / "a.wav").rename(songs / "[bold]a[].wav")
    assert quick(source, "--seed", 7).code == 0
    assert [Text.from_markup(title).plain for title in titles] == [source.name]


def test_the_work_goes_on_where_stdout_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout", None)
    Console().result("a.wav")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no such device here")
def test_the_work_goes_on_where_stdout_is_full(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with open("/dev/full", "w") as full:
        monkeypatch.setattr("sys.stdout", full)
        console = Console()
        console.result("a.wav")
        console.result("b.wav")
    assert capsys.readouterr().err == "vamp: nothing more is printed: No space left on device\n"


@pytest.mark.skipif(os.name == "nt", reason="no such signal there")
def test_ctrl_c_in_a_folder_keeps_what_is_done(song: Song, tiny_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "many").mkdir()
    for i in range(30):
        song(f"many/{i:02d}.wav", seconds=1)
    command = [sys.executable, "-m", "vampcli", "inpaint", tmp_path / "many", "--span", "0.2-0.8", "-m", tiny_folder]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        rest, said = process.communicate(timeout=60)
    written = [Path(line) for line in (first + rest).splitlines()]
    assert process.returncode == 130
    assert said.endswith("vamp: interrupted\n")
    assert "Traceback" not in said
    assert 1 <= len(written) < 30
    assert sorted(written) == sorted((tmp_path / "many").glob("*.inpaint.0.wav"))
    assert not list((tmp_path / "many").glob(".*"))
    assert all(read(path).n_samples == 44100 for path in written)


@pytest.mark.parametrize(("before", "then"), [(None, "PASSIVE"), ("ACTIVE", "ACTIVE")])
def test_waiting_threads_sleep_unless_somebody_wants_them_awake(
    monkeypatch: pytest.MonkeyPatch, before: str | None, then: str
) -> None:
    monkeypatch.setattr(sys, "argv", ["vamp", "--version"])
    monkeypatch.setenv("OMP_WAIT_POLICY", before or "")  # so that it is put back
    if before is None:
        monkeypatch.delenv("OMP_WAIT_POLICY")
    with pytest.raises(SystemExit):
        main.main()
    assert os.environ["OMP_WAIT_POLICY"] == then
