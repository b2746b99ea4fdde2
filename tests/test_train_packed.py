"""Training from packed data: pack, unpack, train for minutes, split and join the model."""

import importlib
import json
import runpy
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from conftest import TINY_CODEC
from training import codec_run, token_run
from vampcli.checkpoints.headers import stored_hash
from vampcli.checkpoints.weights import load_parts
from vampcli.errors import InputError, UsageError
from vampcli.evaluate.metrics import piece_mel_error
from vampcli.train.config import CodecRun, TokenRun, load_run
from vampcli.train.data import read_manifest, write_manifest

SCRIPTS = Path(__file__).parents[1] / "scripts"


@pytest.fixture
def scripts(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, ModuleType]]:
    monkeypatch.syspath_prepend(SCRIPTS)
    names = ("pack", "pieces", "train_packed")
    yield {name: importlib.import_module(name) for name in names}
    for name in names:
        sys.modules.pop(name)


def test_audio_survives_packing(
    scripts: dict[str, ModuleType], prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scripts["pack"], "_SHORTEST_S", 1.0)
    packs, work = tmp_path / "packs", tmp_path / "work"
    assert scripts["pack"].main(
        ["audio", "--train", str(prepared), "--validation", str(prepared), "-o", str(packs), "--hours", "0.002"]
    ) == 0  # fmt: skip
    assert scripts["pack"].main(["unpack", str(packs), "-o", str(work)]) == 0
    entries = read_manifest(work / "train")
    assert {(e["author"], e["licence"], e["split"]) for e in entries} == {(a, "CC0-1.0", "train") for a in "AB"}
    assert sum(e["n_samples"] for e in entries) == pytest.approx(0.95 * 0.002 * 3600 * 44100, rel=0.01)
    for entry in entries:
        samples = load_file(work / "train" / entry["file"])["samples"]
        start = round(entry["start_s"] * 44100)
        original = load_file(prepared / entry["file"])["samples"][start : start + len(samples)]
        assert samples.dtype == torch.int16
        assert len(samples) == entry["n_samples"]
        assert piece_mel_error(samples / 32768, original / 32768, 44100) < 0.25  # a sample off is 0.4


def test_tokens_survive_packing(
    scripts: dict[str, ModuleType], packed: Path, tiny_folder: Path, tmp_path: Path
) -> None:
    packs, work = tmp_path / "packs", tmp_path / "work"
    arguments = ["--train", packed, "--validation", packed, "--model", tiny_folder, "-o", packs]
    assert scripts["pack"].main(["tokens", *map(str, arguments)]) == 0
    scripts["pack"].main(["unpack", str(packs), "-o", str(work)])
    for entry in read_manifest(packed):
        one, other = (load_file(f / entry["file"])["codes"] for f in (packed, work / "tokens-train"))
        assert torch.equal(one, other)
    codec = load_parts(work / "frozen", torch.device("cpu"), torch.float32)
    assert codec.coarse is None
    assert read_manifest(work / "tokens-train")[0]["codec_hash"] == stored_hash(work / "frozen/codec.safetensors")


@pytest.mark.parametrize("name", ["../manifest.json", "/tmp/manifest.json", "other/manifest.json"])
def test_paths_outside_are_refused(scripts: dict[str, ModuleType], tmp_path: Path, name: str) -> None:
    with zipfile.ZipFile(tmp_path / "bad.zip", "w") as archive:
        archive.writestr(name, "[]")
    with pytest.raises(InputError, match="holds"):
        scripts["pack"].main(["unpack", str(tmp_path / "bad.zip"), "-o", str(tmp_path / "work")])
    assert [path.name for path in tmp_path.iterdir()] == ["bad.zip"]


def test_manifest_of_an_archive_names_bare_files(scripts: dict[str, ModuleType], tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "bad.zip", "w") as archive:
        archive.writestr("train/manifest.json", json.dumps([{"file": "../x.safetensors", "packed": "train/x.opus"}]))
    with pytest.raises(InputError, match="does not lie in its folder"):
        scripts["pack"].main(["unpack", str(tmp_path / "bad.zip"), "-o", str(tmp_path / "work")])
    assert not [path for path in tmp_path.rglob("*.safetensors")]


def test_index_names_bare_pieces(scripts: dict[str, ModuleType], tmp_path: Path) -> None:
    (tmp_path / "pieces.json").write_text(json.dumps({"pieces": ["../x"], "sha256": ""}))
    with pytest.raises(InputError, match="does not lie in its folder"):
        scripts["pieces"].main(["join", str(tmp_path), "-o", str(tmp_path / "out")])


@pytest.mark.parametrize("n_bits", [1, 5, 10])
def test_bits_are_exact(scripts: dict[str, ModuleType], n_bits: int) -> None:
    codes = np.random.default_rng(0).integers(0, 2**n_bits, (3, 7)).astype(np.int16)
    data = scripts["pack"].as_bits(codes, n_bits)
    assert len(data) == -(-21 * n_bits // 8)
    assert np.array_equal(scripts["pack"].from_bits(data, n_bits, (3, 7)).numpy(), codes)


def test_archives_stay_below_the_limit(scripts: dict[str, ModuleType], tmp_path: Path) -> None:
    members = [(f"train/{i}.bits", bytes(8000), {"file": f"{i}"}) for i in range(9)]
    written, left_out = scripts["pack"].write_pieces(members, [("frozen/x", bytes(9000))], tmp_path, 40_000, 2)
    assert (written, left_out) == (2, 9 - 2 - 3)
    assert all(path.stat().st_size <= 40_000 for path in tmp_path.iterdir())


def test_excerpts_fill_the_room(scripts: dict[str, ModuleType]) -> None:
    lengths = np.array([10.0, 3.0, 50.0, 1.0])
    for total in (2.0, 10.0, 30.0, 64.0):
        level = scripts["pack"].level_with_sum(lengths, total)
        assert np.minimum(lengths, level).sum() == pytest.approx(total)
    assert scripts["pack"].level_with_sum(lengths, 1000.0) == 50


def test_few_hours_take_whole_excerpts(
    scripts: dict[str, ModuleType], prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scripts["pack"], "_SHORTEST_S", 3.0)
    members = list(scripts["pack"].audio_members(prepared, prepared, 2.0, 32.0))
    assert [(name.split("/")[0], entry["seconds"]) for name, _, entry in members] == [("validation", 3), ("train", 3)]


def test_held_out_pieces_are_refused(scripts: dict[str, ModuleType], prepared: Path, tmp_path: Path) -> None:
    write_manifest(tmp_path, [{**entry, "split": "test"} for entry in read_manifest(prepared)])
    with pytest.raises(UsageError, match="split test"):
        scripts["pack"].main(["audio", "--train", str(tmp_path), "--validation", str(prepared), "-o", str(tmp_path)])


def test_split_and_join(scripts: dict[str, ModuleType], tiny_folder: Path, tmp_path: Path) -> None:
    home, back = tmp_path / "home", tmp_path / "back"
    assert scripts["pieces"].main(["split", str(tiny_folder), "-o", str(home), "--max-mb", "0.05"]) == 0
    pieces = sorted(home.glob("piece-*"))
    assert len(pieces) > 2
    assert all(piece.stat().st_size <= 50_000 for piece in pieces)
    assert scripts["pieces"].main(["join", str(home), "-o", str(back)]) == 0
    assert {p.name: p.read_bytes() for p in back.iterdir()} == {p.name: p.read_bytes() for p in tiny_folder.iterdir()}
    pieces[1].write_bytes(pieces[0].read_bytes())
    with pytest.raises(InputError, match="damaged"):
        scripts["pieces"].main(["join", str(home), "-o", str(tmp_path / "other")])
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        ("pack.py audio --train gone --validation gone -o packs", 3, "no manifest.json in gone"),
        ("pack.py unpack gone -o work", 3, "gone is missing"),
        ("pack.py unpack empty -o work", 3, "no archives in empty"),
        ("pack.py unpack damaged -o work", 3, "no whole archive"),
        ("pieces.py join gone -o work", 3, "cannot read the pieces in gone"),
        ("pieces.py split gone -o work", 3, "no folder gone"),
        ("train_packed.py empty --work work --out home --device cpu", 3, "no archives in empty"),
        ("train_packed.py empty --work work --out home --device abacus", 2, "abacus"),
        ("promote.py empty --into gone", 4, "gone"),
        ("free_music.py --table gone.tsv --dry-run", 3, "cannot read the table gone.tsv"),
        ("free_music.py --table bad.tsv --dry-run", 3, "no column 'package'"),
    ],
)
def test_errors_of_scripts(
    scripts: dict[str, ModuleType],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: str,
    code: int,
    says: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("empty", "damaged"):
        Path(name).mkdir()
    Path("damaged/piece-000.zip").write_bytes(b"PK no")
    Path("bad.tsv").write_text("path\tsplit\n")
    name, *rest = arguments.split()
    monkeypatch.setattr(sys, "argv", [name, *rest])
    with pytest.raises(SystemExit) as stop:
        runpy.run_path(str(SCRIPTS / name), run_name="__main__")
    assert stop.value.code == code
    fact, cure = capsys.readouterr().err.splitlines()[-2:]
    assert fact.startswith("vamp: ")
    assert says in fact
    assert cure.strip()


@pytest.fixture
def configs(scripts: dict[str, ModuleType], prepared: Path, packed: Path, tiny_folder: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "configs"
    folder.mkdir()
    codec = replace(codec_run(prepared, n_frames=8), codec=replace(TINY_CODEC, n_fft=1920))
    runs = {"codec": codec, "coarse": token_run(packed, tiny_folder), "fine": token_run(packed, tiny_folder, 2)}
    for name, run in runs.items():
        run = replace(run, loop=replace(run.loop, batch_size=4, validate_every=1000 if name == "fine" else 0))
        (folder / f"mini-{name}.toml").write_text(scripts["train_packed"].as_toml(run))
        assert load_run(folder / f"mini-{name}.toml", CodecRun if name == "codec" else TokenRun) == run
    return folder


@pytest.mark.parametrize("what", ["audio", "tokens"])
def test_training_over_several_calls(
    what: str,
    scripts: dict[str, ModuleType],
    configs: Path,
    prepared: Path,
    packed: Path,
    tiny_folder: Path,
    tmp_path: Path,
) -> None:
    packs, work, home = (tmp_path / name for name in ("packs", "work", "home"))
    source = str(prepared if what == "audio" else packed)
    more = [] if what == "audio" else ["--model", str(tiny_folder)]
    scripts["pack"].main([what, "--train", source, "--validation", source, *more, "-o", str(packs)])
    arguments = [str(packs), "--work", str(work), "--out", str(home), "--configs", str(configs), "--device", "cpu"]
    arguments += ["--minutes", "0.02", "--batch-factor", "1", "--max-mb", "0.05"]
    main = scripts["train_packed"].main
    assert main([*arguments, "--call-minutes", "0"]) == 75  # one step, and to be continued
    assert main(arguments) == 0
    assert (work / "codec").exists() == (what == "audio")
    assert set(json.loads((work / "clock.json").read_text())["planned_s"]) >= {"coarse", "fine"}
    scripts["pieces"].main(["join", str(home), "-o", str(tmp_path / "model")])
    parts = load_parts(tmp_path / "model", torch.device("cpu"), torch.float32)
    assert parts.coarse is not None
    assert parts.fine is not None
    assert "CC0-1.0" in (tmp_path / "model/CREDITS.md").read_text()
