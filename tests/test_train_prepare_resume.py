"""Manifests while preparing many pieces, and resuming of killed runs."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from vampcli.files import LOCK
from vampcli.train import prepare as preparing
from vampcli.train.data import MANIFEST, read_manifest, write_manifest
from vampcli.train.pieces import Piece
from vampcli.train.prepare import Outcome, prepare


def pieces(n: int) -> list[Piece]:
    return [Piece(Path(f"{i}.wav"), f"{i}.wav", str(i)) for i in range(n)]


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Stands in for reading: two files a piece at first, one when it is made anew; names what was made."""
    names: list[str] = []

    def outcome(out: Path, task: tuple[Piece, list[dict[str, Any]]]) -> Outcome:
        piece, old = task
        if old and old[0]["stamp"] == preparing.STAMP and all((out / e["file"]).is_file() for e in old):
            return Outcome(piece, old)
        names.append(piece.name)
        entries = []
        for i in range(2 if preparing.STAMP == "first" else 1):
            name = f"{piece.title}-{i}.safetensors"
            save_file({"samples": torch.zeros(3)}, out / name)
            entries.append({"file": name, "author": "", "package": "", "path": piece.name, "split": "train"})
        return Outcome(piece, [{**entry, "stamp": preparing.STAMP} for entry in entries])

    monkeypatch.setattr(preparing, "_outcome", outcome)
    monkeypatch.setattr(preparing, "STAMP", "first", raising=False)
    return names


def test_manifest_is_written_a_few_times(made: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writes: list[int] = []

    def counted(out: Path, entries: list[Any]) -> None:
        writes.append(len(entries))
        write_manifest(out, entries)

    monkeypatch.setattr(preparing, "write_manifest", counted)
    list(prepare(pieces(200), tmp_path))
    assert len(writes) <= 4
    assert writes[-1] == len(read_manifest(tmp_path)) == 400
    writes.clear()
    list(prepare(pieces(200), tmp_path))
    assert writes == []


@pytest.mark.parametrize("save_every_s", [-1.0, 1e9])
def test_killed_run_resumes(
    made: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, save_every_s: float
) -> None:
    out = tmp_path / "out"
    list(prepare(pieces(3), out))
    monkeypatch.setattr(preparing, "STAMP", "second")  # sources have changed, and give fewer files
    monkeypatch.setattr(preparing, "_SAVE_EVERY_S", save_every_s)
    for i, _ in enumerate(prepare(pieces(5), out)):
        killed = Path(shutil.copytree(out, tmp_path / f"killed-{i}"))
        for entry in read_manifest(killed):  # whole at any time
            load_file(killed / entry["file"])
    for i in range(5):
        killed = tmp_path / f"killed-{i}"
        made.clear()
        list(prepare(pieces(5), killed))
        assert [e["file"] for e in read_manifest(killed)] == [f"{k}-0.safetensors" for k in range(5)]
        assert {e["stamp"] for e in read_manifest(killed)} == {"second"}
        assert {path.name for path in killed.iterdir()} == {MANIFEST, LOCK, *(f"{k}-0.safetensors" for k in range(5))}
        assert len(made) == (4 - i if save_every_s < 0 else 5)


def test_closed_generator_saves_the_manifest(made: list[str], tmp_path: Path) -> None:
    outcomes = prepare(pieces(5), tmp_path)
    next(outcomes)
    next(outcomes)
    outcomes.close()  # type: ignore[attr-defined]
    assert len(read_manifest(tmp_path)) == 4
