"""Model folders are written whole or not at all, whatever happens meanwhile."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from conftest import Vamp
from published import OFFICIAL
from vampcli.checkpoints import tensorfile
from vampcli.checkpoints.convert import vampnet
from vampcli.checkpoints.convert.atomic_folder import whole
from vampcli.checkpoints.folder import CONFIG, PARTS, read_metadata
from vampcli.errors import InputError


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model folder with a note in it."""
    out = tmp_path / "models/vampnet"
    vampnet.import_published(OFFICIAL, out)
    (out / "note.txt").write_text("mine")
    return out


def test_existing_model_needs_overwrite(vamp: Vamp, model: Path) -> None:
    before = content(model)
    again = vamp("models", "import", OFFICIAL, "-o", model)
    assert again.code == 3
    assert "--overwrite" in again.err
    assert content(model) == before


def test_replacing_keeps_other_files(model: Path) -> None:
    vampnet.import_published(OFFICIAL, model, torch.float16, overwrite=True)
    assert (model / "coarse.safetensors").stat().st_size < OFFICIAL.joinpath("coarse.pth").stat().st_size * 0.6
    assert (model / "note.txt").read_text() == "mine"
    assert [path.name for path in model.parent.iterdir()] == ["vampnet"]
    with whole(model, overwrite=True) as folder:
        (folder / CONFIG).write_text("{}")
    assert sorted(content(model)) == [CONFIG, "note.txt"]  # old transformers are gone


@pytest.mark.parametrize(("stop", "n_written"), [(OSError, 0), (KeyboardInterrupt, 1), (MemoryError, 2)])
def test_interrupted_import_changes_nothing(
    model: Path, monkeypatch: pytest.MonkeyPatch, stop: type[BaseException], n_written: int
) -> None:
    before, write, left = content(model), tensorfile.save, [None] * n_written

    def writes_some(*args: object) -> None:
        if not left:
            raise stop
        left.pop()
        write(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(tensorfile, "save", writes_some)
    for out in (model, model.with_name("new")):
        left[:] = [None] * n_written
        with pytest.raises(InputError if stop is OSError else stop):
            vampnet.import_published(OFFICIAL, out, overwrite=True)
    assert content(model) == before
    assert [path.name for path in model.parent.iterdir()] == ["vampnet"]


def test_failed_rename_restores_the_model(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before, rename = content(model), Path.rename

    def fails(self: Path, target: Path) -> Path:
        if self.name == "new":
            raise OSError("the disk is gone")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fails)
    with pytest.raises(InputError, match="the disk is gone"):
        vampnet.import_published(OFFICIAL, model, overwrite=True)
    assert content(model) == before


SLOWLY = """
import sys, time
from pathlib import Path
from vampcli.checkpoints import tensorfile
from vampcli.checkpoints.convert import vampnet
save = tensorfile.save
def slow(path, *rest):
    save(path, *rest)
    print("written", flush=True)
    time.sleep(60)
tensorfile.save = slow
vampnet.import_published(Path(sys.argv[1]), Path(sys.argv[2]))
"""


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
@pytest.mark.parametrize("how", ["SIGINT", "SIGKILL"])
def test_killed_import_leaves_no_model(tmp_path: Path, how: str) -> None:
    out = tmp_path / "vampnet"
    with subprocess.Popen(
        [sys.executable, "-c", SLOWLY, str(OFFICIAL), str(out)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"written\n"
        process.send_signal(getattr(signal, how))
        assert process.wait(30) != 0
    assert not out.exists()
    assert list(tmp_path.glob(f"*/{CONFIG}")) == []
    if how == "SIGINT":
        assert list(tmp_path.iterdir()) == []
    vampnet.import_published(OFFICIAL, out)
    assert read_metadata(out).coarse.n_codebooks == 4
    assert list(tmp_path.iterdir()) == [out]


def test_model_moved_by_a_killed_import(model: Path) -> None:
    before, temp = content(model), model.with_name(".vampnet.abcdefgh.partial")
    temp.mkdir()
    model.rename(temp / "old")
    with pytest.raises(InputError, match="holds a model"):
        vampnet.import_published(OFFICIAL, model)
    assert content(model) == before
    assert [path.name for path in model.parent.iterdir()] == ["vampnet"]


def test_earlier_of_two_imports_goes_on(model: Path) -> None:
    with whole(model, overwrite=True) as folder:
        (folder / CONFIG).write_text("{}")
        with pytest.raises(InputError, match="is being written by another process"):
            vampnet.import_published(OFFICIAL, model, overwrite=True)
    assert (model / CONFIG).read_text() == "{}"
    assert [path.name for path in model.parent.iterdir()] == ["vampnet"]


@pytest.mark.parametrize("in_the_way", ["file", "folder"])
def test_other_folders_are_not_replaced(tmp_path: Path, in_the_way: str) -> None:
    out = tmp_path / "out"
    song = out / "song.wav" if in_the_way == "folder" else out
    song.parent.mkdir(exist_ok=True)
    song.write_text("music")
    with pytest.raises(InputError, match="cannot write"):
        vampnet.import_published(OFFICIAL, out, overwrite=True)
    assert song.read_text() == "music"


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    vampnet.import_published(OFFICIAL, tmp_path)
    assert sorted(content(tmp_path)) == sorted([CONFIG, *(f"{p}.safetensors" for p in PARTS)])
