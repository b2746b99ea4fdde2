"""Many recordings in one command: inputs, names, seeds, failures, interruption."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from conftest import Ran, Song, Vamp
from vampcli import read
from vampcli.audio.find import find
from vampcli.cli import main
from vampcli.cli.console import Console
from vampcli.cli.jobs.inputs import find_sources
from vampcli.errors import InputError


@pytest.fixture
def quick(vamp: Vamp, tiny_folder: Path) -> Vamp:
    """`vamp inpaint` of 0.3 s with the tiny model in one step."""
    return lambda *args: vamp("inpaint", "-m", tiny_folder, "--span", "0.3-0.6", "--steps", 1, "--fine-steps", 1, *args)


@pytest.fixture
def songs(song: Song, tmp_path: Path) -> Path:
    """A folder: `a.wav`, `b.flac`, and `deep/er/c.wav`."""
    folder = tmp_path / "songs"
    (folder / "deep/er").mkdir(parents=True)
    for i, name in enumerate(("songs/a.wav", "songs/b.flac", "songs/deep/er/c.wav")):
        song(name, seconds=1, seed=i)
    return folder


def names(ran: Ran, folder: Path) -> list[str]:
    """Printed paths, relative to a folder."""
    return [Path(line).relative_to(folder).as_posix() for line in ran.out.splitlines()]


CAPTURED: Any = {"capture_output": True, "text": True, "check": False, "timeout": 60}


def listing(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def found(*inputs: object, recursive: bool = False, out: Path | None = None) -> list[str]:
    files, *_ = find_sources([str(one) for one in inputs], recursive, out=out and str(out))
    return [file.path.name for file in files]


# --- inputs


@pytest.fixture
def locked(songs: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder beside recordings that cannot be read, for root neither."""
    folder = songs / "locked"
    folder.mkdir()
    access = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != folder and access(path, mode))
    return folder


@pytest.mark.parametrize("dry", [(), ("--dry-run",)])
def test_unreadable_folders_are_failures(quick: Vamp, songs: Path, locked: Path, dry: tuple[str, ...]) -> None:
    options = ("--memory", "off")
    ran = quick(songs, "-r", *options, *dry)
    assert ran.code == 3
    assert len(ran.out.splitlines()) == len(list(songs.rglob("*.inpaint.*"))) or dry
    assert ran.out
    assert ran.err.count(f"the folder cannot be read: {locked}\n") == 1
    facts = quick(songs, "-r", "--skip-existing", "--json", *options, *dry).facts
    assert [one["exit_code"] for one in facts if "error" in one] == [3]
    quick(songs, "-r", "--fail-fast", *options, *dry).refuses(3, f"the folder cannot be read: {locked}")
    assert quick(songs, *options, "--overwrite", *dry).code == 0  # without -r, it is not searched


def test_unreadable_folders_are_warned_of(vamp: Vamp, songs: Path, locked: Path) -> None:
    ran = vamp("info", songs, "-r", "--quick")
    assert ran.code == 0
    assert ran.err == f"the folder cannot be read: {locked}: check the permissions; recordings there are left out\n"
    with pytest.raises(InputError, match="the folder cannot be read"):
        find([str(locked.parent)], True, [".none"])


def test_a_second_run_does_nothing(quick: Vamp, songs: Path, tmp_path: Path) -> None:
    made = ["a.inpaint.0.wav", "b.inpaint.0.wav"]
    first = quick(songs, "--skip-existing")
    assert (first.code, names(first, songs)) == (0, made)
    assert "2 of 2 done" in first.err
    (tmp_path / "list.txt").write_text(f"{songs}/a.wav\n\n{songs}/b.flac\n")
    shell = [songs / name for name in ("a.wav", "b.flac", *made)]  # `*` names the results too
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("vampcli.api.load", lambda *_: pytest.fail("a model was loaded"))
        for inputs in ([songs], [f"{songs}/*"], [f"@{tmp_path}/list.txt"], shell):
            second = quick(*inputs, "--skip-existing")
            assert (second.code, second.out) == (0, "")
            assert "nothing to do" in second.err


def test_results_are_known_by_their_inputs(quick: Vamp, songs: Path, no_model: None) -> None:
    """No pattern tells that `a-new.wav` is a result, but `a.wav` would become it."""
    for name in ("a", "b"):
        (songs / f"{name}-new.wav").write_bytes(b"made before")
    ran = quick(songs, "--skip-existing", "--name", "{stem}-new.wav")
    assert (ran.code, ran.out) == (0, "")


def test_outputs_below_inputs_are_no_inputs(songs: Path) -> None:
    (songs / "made").mkdir()
    for name in ("a.wav", "b.wav", "deep.wav"):
        (songs / "made" / name).write_bytes(b"made before")
    assert found(songs, recursive=True, out=songs / "made") == ["a.wav", "b.flac", "c.wav"]
    assert len(found(songs, recursive=True, out=songs)) == 6  # results lie among the recordings


def test_renamed_results_are_known_by_their_recipes(quick: Vamp, songs: Path) -> None:
    made = quick(songs / "a.wav", "--seed", 0).path
    renamed = made.rename(songs / "renamed.wav")
    again = quick(songs, "--dry-run")
    assert names(again, songs) == ["a.inpaint.0.wav", "b.inpaint.0.wav"]
    assert "1 file left out: 1 made by vamp" in again.err
    assert "renamed.inpaint.0.wav" in names(quick(songs, "--dry-run", "--include-made"), songs)
    assert names(quick(renamed, "--seed", 0, "--dry-run"), songs) == ["renamed.inpaint.0.wav"]


def test_dry_run_says_that_the_seed_changes(quick: Vamp, songs: Path, no_model: None) -> None:
    drawn = quick(songs / "a.wav", "--dry-run")
    seed = drawn.path.name.split(".")[-2]
    assert f"the seed changes from run to run: --seed {seed} keeps it" in drawn.err
    assert "seed changes" not in quick(songs / "a.wav", "--dry-run", "--seed", 3).err
    assert "seed changes" not in quick(songs, "--dry-run").err


def test_results_are_inputs_if_named(songs: Path, tmp_path: Path) -> None:
    (songs / "a.loop.-3.wav").write_bytes(b"")
    (songs / "a.vamp.wav").write_bytes(b"")  # no seed: no result
    assert found(songs) == ["a.vamp.wav", "a.wav", "b.flac"]
    assert found(songs / "a.loop.-3.wav") == ["a.loop.-3.wav"]
    (tmp_path / "done").mkdir()
    (tmp_path / "done/a.vamp.0.wav").write_bytes(b"")
    with pytest.raises(InputError, match="nothing but results"):
        found(tmp_path / "done")


def test_patterns_find_sound_only(songs: Path) -> None:
    (songs / "cover.jpg").write_bytes(b"")
    (songs / "x.wav").mkdir()
    assert [one.path.name for one in find([f"{songs}/*"], False)] == ["a.wav", "b.flac"]
    assert [one.path.name for one in find([f"{songs}/**"], False)] == ["a.wav", "b.flac", "c.wav"]
    assert len(find([str(songs), f"{songs}/a.wav", f"{songs}/*.wav"], False)) == 2  # each once
    with pytest.raises(InputError, match="nothing matches"):
        find([f"{songs}/*.jpg"], False)
    bracketed = (songs / "a.wav").rename(songs / "a [live].wav")  # no pattern
    assert [one.path for one in find([str(bracketed)], False)] == [bracketed]


# --- failures


def test_broken_file_stops_no_other(quick: Vamp, songs: Path, tmp_path: Path) -> None:
    (songs / "aa.wav").write_bytes(b"RIFF, or so it says")
    made = tmp_path / "made"
    ran = quick(songs, "-r", "-o", made)
    assert ran.code == 3
    assert listing(made) == names(ran, made) == ["a.inpaint.0.wav", "b.inpaint.0.wav", "deep/er/c.inpaint.0.wav"]
    lines = ran.err.splitlines()
    assert "3 of 4 done, 1 failed:" in lines
    assert lines[-2].startswith("vamp: ")
    assert "aa.wav" in lines[-2]


def test_failures_are_json_too(quick: Vamp, song: Song, songs: Path, no_model: None) -> None:
    song("songs/aa.wav", seconds=0.2)
    ran = quick(songs, "--json", "-n", 2, "--dry-run")
    assert [Path(one["input"]).name for one in ran.facts] == ["a.wav", "a.wav", "aa.wav", "b.flac", "b.flac"]
    assert [one.get("seed") for one in ran.facts] == [0, 1, None, 0, 1]
    failure = ran.facts[2]
    assert failure.keys() == {"input", "error", "hint", "exit_code"}
    assert failure["exit_code"] == ran.code == 3
    assert f"{songs}/aa.wav: the span starts at 0.3 s" in ran.err

    alone = quick(songs / "aa.wav", "--json")
    assert (alone.code, alone.facts[0]["exit_code"]) == (3, 3)
    assert alone.facts[0]["error"] in alone.err

    quick(songs / "aa.wav", songs, "--fail-fast").refuses(3, "aa.wav")


def test_first_failure_gives_the_exit_code(vamp: Vamp, songs: Path, tiny_folder: Path) -> None:
    """A token file of another model (4) before a broken one (3), and a whole one after both."""
    from vampcli.recipe import token_file

    vamp("compress", songs / "a.wav", "-m", tiny_folder, "-o", songs / "z.vamp")
    whole = token_file.load(songs / "z.vamp")
    foreign = replace(whole.recipe, made_by=replace(whole.recipe.made_by, model_sha256="of another"))
    token_file.save(songs / "x.vamp", replace(whole, recipe=foreign))
    (songs / "y.vamp").write_bytes(b"broken")
    ran = vamp("compress", *(songs / f"{n}.vamp" for n in "xyz"), "-m", tiny_folder, "--seed", 5, "--json")
    assert ran.code == 4
    assert [one.get("exit_code", 0) for one in ran.facts] == [4, 3, 0]


@pytest.mark.parametrize(
    ("inputs", "options", "code", "says"),
    [
        (["a.wav", "a.flac"], ["--name", "{parent}.wav"], 2, "would both become"),
        (["a.wav", "b.wav"], ["--name", "same.wav"], 2, "would both become"),
        (["a.wav", "b.wav"], ["-o", "out.wav"], 2, "several inputs"),
        (["."], ["-o", "out.wav"], 2, "several inputs"),
        (["@list.txt"], ["-o", "out.wav"], 2, "several inputs"),
        (["a.wav", "a-1.wav"], ["--name", "{stem}-{n}.wav", "--overwrite"], 3, "would be overwritten"),
        (["a.wav", "nowhere/*.wav"], [], 3, "nothing matches"),
        ([""], [], 3, "has no name"),
        (["a.wav"], ["-o", "out.wav", "--name", "x.wav"], 2, "has no use"),
    ],
)
def test_conflicts_are_found_before_any_work(
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
    (tmp_path / "list.txt").write_text("a.wav\nb.wav\n")
    before = listing(tmp_path)
    quick(*inputs, *options).refuses(code, says)
    assert listing(tmp_path) == before


# --- names


def test_dry_runs_only_name_outputs(quick: Vamp, song: Song, songs: Path, tmp_path: Path, no_model: None) -> None:
    (tmp_path / "list.txt").write_text(f"{songs}/a.wav\n{songs}/b.flac\n")
    for folder in ("x", "y"):
        (tmp_path / folder).mkdir()
        song(f"{folder}/{{seed}} {{0}}.wav", seconds=1)
    before, made = listing(tmp_path), tmp_path / "made"
    ran = quick(songs, "--recursive", "--dry-run", "-n", 2, "-o", made)
    assert len(ran.out.splitlines()) == 6
    assert "c.wav: would re-make 0.30-0.60 s" in ran.err
    # the seed of several inputs is 0
    assert names(quick(f"@{tmp_path}/list.txt", "--dry-run"), songs) == ["a.inpaint.0.wav", "b.inpaint.0.wav"]

    one, other = tmp_path / "x/{seed} {0}.wav", tmp_path / "y/{seed} {0}.wav"
    assert names(quick(one, "--dry-run", "--seed", 7), tmp_path / "x") == ["{seed} {0}.inpaint.7.wav"]
    quick(one, other, "-o", made, "--dry-run").refuses(2, "{parent}")
    apart = quick(one, other, "-o", made, "--dry-run", "--name", "{parent}/{cmd}-{n}.wav")
    assert names(apart, made) == ["x/inpaint-1.wav", "y/inpaint-1.wav"]
    assert listing(tmp_path) == before


# --- terminal and signals


def test_bars_show_names_unchanged(
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
    shown = [Text.from_markup(title).plain for title in titles]
    assert [title for title in shown if title != "loading the model"] == [f"reading {source.name}", source.name]


def test_closed_stdout_stops_no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout", None)
    Console().result("a.wav")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no such device here")
def test_full_stdout_stops_no_work(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with open("/dev/full", "w") as full:
        monkeypatch.setattr("sys.stdout", full)
        console = Console()
        console.result("a.wav")
        console.result("b.wav")
    assert capsys.readouterr().err == "vamp: nothing more is printed: No space left on device\n"


@pytest.mark.skipif(os.name == "nt", reason="no such signals there")
@pytest.mark.parametrize(
    ("sent", "code", "says"),
    [
        (signal.SIGINT, 130, b"vamp: interrupted\n"),
        (signal.SIGTERM, 143, b"vamp: ended by SIGTERM\n"),
        (signal.SIGHUP, 129, b"vamp: ended by SIGHUP\n"),
    ],
)
def test_interruption_keeps_finished_recordings(
    song: Song, tiny_folder: Path, tmp_path: Path, sent: signal.Signals, code: int, says: bytes
) -> None:
    (tmp_path / "many").mkdir()
    for i in range(30):
        song(f"many/{i:02d}.wav", seconds=1)
    command = [sys.executable, "-m", "vampcli", "inpaint", tmp_path / "many", "--span", "0.2-0.8", "-m", tiny_folder]
    parallel = {**os.environ, "OMP_NUM_THREADS": "2"}
    pipe = subprocess.PIPE
    as_usual = partial(signal.signal, sent, signal.default_int_handler if sent == signal.SIGINT else signal.SIG_DFL)
    with subprocess.Popen(command, bufsize=0, stdout=pipe, stderr=pipe, env=parallel, preexec_fn=as_usual) as process:
        assert process.stdout is not None
        first = process.stdout.readline()  # without a buffer, which would swallow a second line
        time.sleep(0.05)
        process.send_signal(sent)
        rest, err = process.communicate(timeout=60)
    written = [Path(os.fsdecode(line)) for line in (first + rest).splitlines()]
    assert process.returncode == code
    assert err.endswith(says)
    assert b"Traceback" not in err
    assert 1 <= len(written) < 30
    assert sorted(written) == sorted((tmp_path / "many").glob("*.inpaint.0.wav"))
    assert not list((tmp_path / "many").glob(".*"))
    assert all(read(path).n_samples == 44100 for path in written)


@pytest.mark.skipif(os.name == "nt", reason="no such signal there")
def test_ctrl_c_while_modules_are_imported(tmp_path: Path) -> None:
    (tmp_path / "typer.py").write_text("import os, signal; os.kill(os.getpid(), signal.SIGINT)")
    found = os.pathsep.join([str(tmp_path), *sys.path])
    ran = subprocess.run([sys.executable, "-m", "vampcli"], env={**os.environ, "PYTHONPATH": found}, **CAPTURED)
    assert (ran.returncode, ran.stdout, ran.stderr) == (130, "", "\nvamp: interrupted\n")


def test_names_that_differ_in_suffix_alone(quick: Vamp, songs: Path, no_model: None) -> None:
    (songs / "a.flac").write_bytes((songs / "b.flac").read_bytes())
    ran = quick(songs, "--dry-run")
    assert names(ran, songs) == ["a.flac.inpaint.0.wav", "a.wav.inpaint.0.wav", "b.inpaint.0.wav"]


def test_lists_hold_remarks_and_names_beside_them(songs: Path) -> None:
    (songs / "list.txt").write_text("\ufeff# takes of today\na.wav\n  # and\ndeep/er/c.wav\nmissing.wav\n")
    assert [one.path for one in find([f"@{songs}/list.txt"], False)] == [
        songs / "a.wav",
        songs / "deep/er/c.wav",
        Path("missing.wav"),
    ]


@pytest.mark.parametrize(("before", "then"), [(None, "PASSIVE"), ("ACTIVE", "ACTIVE")])
def test_waiting_threads_sleep_by_default(monkeypatch: pytest.MonkeyPatch, before: str | None, then: str) -> None:
    monkeypatch.setattr(sys, "argv", ["vamp", "--version"])
    monkeypatch.setenv("OMP_WAIT_POLICY", before or "")  # so that it is put back
    if before is None:
        monkeypatch.delenv("OMP_WAIT_POLICY")
    with pytest.raises(SystemExit):
        main.main()
    assert os.environ["OMP_WAIT_POLICY"] == then
