"""Names that were read from files, and atomic writes."""

import json
from pathlib import Path

import pytest

from conftest import Song, Vamp
from vampcli.checkpoints.install import check_hashes
from vampcli.errors import InputError
from vampcli.files import child
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
