"""Names that were read from files, and atomic writes."""

import json
import os
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from conftest import Song, Vamp
from vampcli.checkpoints.install import check_hashes
from vampcli.errors import InputError
from vampcli.files import LOCK, child, claim, replacing, write_text
from vampcli.train.data import MANIFEST, read_manifest, write_manifest

OUTSIDE = ["../victim.safetensors", "", ".", "..", "a/victim.safetensors", "..\\victim.safetensors", "c:x", "a\0b", 3]


@pytest.mark.parametrize("name", [*OUTSIDE, "/victim.safetensors", None, ["a"]])
def test_names_outside_a_folder_are_refused(tmp_path: Path, name: object) -> None:
    with pytest.raises(InputError, match="does not lie in its folder"):
        child(tmp_path, name, "a list")


@pytest.mark.parametrize("name", ["a.wav", "..a", "a b", "~", "-", "ü\n"])
def test_bare_names_are_taken(tmp_path: Path, name: str) -> None:
    assert child(tmp_path, name, "a list") == tmp_path / name


@pytest.mark.parametrize("name", [*OUTSIDE, "absolute", MANIFEST])
def test_prepare_removes_nothing_outside_its_folder(vamp: Vamp, song: Song, tmp_path: Path, name: object) -> None:
    source, out, victim = song("song.wav", 1), tmp_path / "out", tmp_path / "victim.safetensors"
    assert vamp("prepare", source, "-o", out).code == 0
    victim.write_text("keep me")
    [entry] = read_manifest(out)
    forged = [{**entry, "file": str(victim) if name == "absolute" else name, "stamp": "old"}]
    write_manifest(out, forged)
    before = sorted(tmp_path.rglob("*"))
    ran = vamp("prepare", source, "-o", out)
    assert (ran.code, ran.out) == (3, "")
    assert MANIFEST in ran.err
    assert sorted(tmp_path.rglob("*")) == before
    assert json.loads((out / MANIFEST).read_text()) == forged
    assert victim.read_text() == "keep me"


@pytest.mark.parametrize("name", ["../victim", "/etc/passwd"])
def test_record_of_a_model_names_its_own_files(tmp_path: Path, name: str) -> None:
    record = {"name": "m", "address": "", "licence": "MIT", "dtype": "fp16", "downloads": {}, "files": {name: "0"}}
    (tmp_path / "origin.json").write_text(json.dumps(record))
    with pytest.raises(InputError, match="does not lie in its folder"):
        check_hashes(tmp_path)


# --- writing


def test_file_that_appears_meanwhile_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.txt"

    def write() -> None:
        with replacing(path) as temp:
            temp.write_text("mine")
            path.write_text("theirs")

    for _ in range(2):
        with pytest.raises(InputError, match="exists"):
            write()
        assert [one.read_text() for one in tmp_path.iterdir()] == ["theirs"]
        path.unlink()
        monkeypatch.setattr(os, "link", no_links)


def no_links(*_: object) -> None:
    raise PermissionError(1, "Operation not permitted")


def test_file_systems_without_hard_links_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "link", no_links)
    write_text(tmp_path / "a.txt", "whole", overwrite=False)
    assert [(one.name, one.read_text()) for one in tmp_path.iterdir()] == [("a.txt", "whole")]


@pytest.mark.parametrize("overwrite", [False, True])
def test_empty_file_counts_as_missing(tmp_path: Path, overwrite: bool) -> None:
    path = tmp_path / "a.txt"
    path.touch()
    write_text(path, "whole", overwrite)
    assert [(one.name, one.read_text()) for one in tmp_path.iterdir()] == [("a.txt", "whole")]


@pytest.mark.parametrize("there", [True, False])
def test_link_stays_and_its_target_is_written(tmp_path: Path, there: bool) -> None:
    target, link = tmp_path / "below/real.txt", tmp_path / "link.txt"
    target.parent.mkdir()
    if there:
        target.write_text("old")
    link.symlink_to("below/real.txt")
    write_text(link, "new", overwrite=there)
    assert link.is_symlink()
    assert target.read_text() == "new"
    assert os.listdir(target.parent) == ["real.txt"]


def test_claim_is_held_once(tmp_path: Path) -> None:
    path = tmp_path / "new/folder/a.wav"
    with claim(path) as first, claim(path) as second, claim(path.with_name("b.wav")) as other:
        assert (first, second, other) == (True, False, True)
    assert list(tmp_path.iterdir()) == []
    with claim(path) as again:
        assert again
        path.write_text("made")
    assert os.listdir(path.parent) == ["a.wav"]


def test_claim_of_a_killed_process_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    script = (
        "import os, sys; from pathlib import Path; from vampcli.files import claim, replacing\n"
        "with claim(Path(sys.argv[1])) as held, replacing(Path(sys.argv[1])) as temp:\n"
        "    temp.write_text('half'); os._exit(9)"
    )
    assert subprocess.run([sys.executable, "-c", script, path], check=False, timeout=60).returncode == 9
    assert len(os.listdir(tmp_path)) == 2
    beside = tmp_path / "a.wav.json"
    with pytest.raises(InputError, match="cannot write"), replacing(beside) as temp:
        left = temp.rename(tmp_path / "kept")
    left.rename(temp)
    with claim(path, [beside]) as held:
        assert held
        assert len(os.listdir(tmp_path)) == 1
    assert os.listdir(tmp_path) == []


def test_two_runs_share_the_work(quick: Vamp, song: Song, tmp_path: Path) -> None:
    source, out = song(seconds=1), tmp_path / "made"
    command = "inpaint", source, "--span", "0.3-0.6", "-o", out, "-n", 2
    with claim(out / "song.inpaint.3.wav"):
        quick(*command).refuses(3, "is being made by another process", "--skip-existing")
        ran = quick(*command, "--skip-existing")
        assert (ran.code, ran.out) == (0, f"{out}/song.inpaint.4.wav\n")
        ran = quick(*command, "--skip-existing")
        assert (ran.code, ran.out) == (0, "")
    assert os.listdir(out) == ["song.inpaint.4.wav"]
    assert quick(*command, "--skip-existing").out == f"{out}/song.inpaint.3.wav\n"


def test_takes_that_appear_while_a_recording_is_read_are_skipped(
    quick: Vamp, song: Song, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vampcli.cli.jobs import run

    command, made = ("inpaint", song(seconds=1), "--span", "0.3-0.6"), tmp_path / "song.inpaint.3.wav"

    def late(path: Path, beside: object) -> ExitStack:
        made.write_text("theirs")
        return claim(path)  # type: ignore[return-value]

    monkeypatch.setattr(run, "claim", late)
    ran = quick(*command, "--skip-existing")
    assert (ran.code, ran.out, made.read_text()) == (0, "", "theirs")
    made.unlink()
    quick(*command).refuses(3, f"{made} exists")
    assert made.read_text() == "theirs"


def test_lost_sidecar_is_written_again(quick: Vamp, song: Song) -> None:
    command = "inpaint", song(seconds=1), "--span", "0.3-0.6", "--sidecar", "--skip-existing"
    made = quick(*command).path
    beside = Path(f"{made}.json")
    before = beside.read_text()
    beside.unlink()
    with claim(made):  # another process is about to write it
        quick(*command)
    assert not beside.exists()
    ran = quick(*command)
    assert (ran.code, ran.out, beside.read_text()) == (0, "", before)


def test_prepare_removes_what_a_killed_run_left(vamp: Vamp, song: Song, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    for name, age_s in (("old", 7200), ("new", 60)):
        left = out / f".vamp-0123456789ab-{name}.safetensors"
        left.write_text("half")
        os.utime(left, (time.time() - age_s,) * 2)
    assert vamp("prepare", song("song.wav", 1), "-o", out).code == 0
    assert [path.name for path in out.glob(".vamp-*-*")] == [".vamp-0123456789ab-new.safetensors"]


def test_two_runs_of_prepare_keep_all_pieces(song: Song, tmp_path: Path) -> None:
    from vampcli.train.pieces import pieces_of_files
    from vampcli.train.prepare import prepare

    out = tmp_path / "out"
    runs = [prepare(pieces_of_files([str(song(f"{name}.wav", 1))]), out) for name in "ab"]
    for run in runs:
        next(run)
    for run in runs:
        list(run)
    assert sorted(Path(entry["path"]).name for entry in read_manifest(out)) == ["a.wav", "b.wav"]
    assert sorted(os.listdir(out)) == sorted([LOCK, MANIFEST, *(entry["file"] for entry in read_manifest(out))])
