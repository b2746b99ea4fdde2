"""JSON, TOML, NPY and safetensors that are damaged, forged or endless: errors of ours that name what is wrong."""

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from conftest import Vamp
from training import LOOP, Line
from vampcli.audio import find, markers
from vampcli.checkpoints import listing, registry
from vampcli.checkpoints.folder import read_metadata
from vampcli.checkpoints.origin import read_origin
from vampcli.cli.commands.eval_run import _recorded
from vampcli.cli.console import Console
from vampcli.errors import InputError, ModelError, UsageError, VampError
from vampcli.evaluate.spec import read_experiment
from vampcli.files import read_bounded
from vampcli.reading import parse_json, parse_npy, read_json, read_text, read_toml
from vampcli.schema import Between, from_table
from vampcli.tensor_reading import check_header, open_tensors
from vampcli.tokens import mask_file
from vampcli.train.config import CodecRun, load_run
from vampcli.train.data import MANIFEST, Pool, read_manifest
from vampcli.train.loop import STATE, Trainer
from vampcli.train.pieces import pieces_of_table

JSON = [
    ('{"a": NaN}', "a is nan; finite numbers are allowed"),
    ('{"a": [1, -Infinity]}', "a is -inf"),
    ('{"a": 1e999}', "a is inf"),
    ('{"a": ' + "9" * 5000 + "}", "a is a number of 5000 digits; 40 are allowed"),
    ('{"a": 1, "b": 2, "a": 3}', "the key 'a' is there twice"),
    ("[" * 200_000, "more than 100 levels"),
    ("[" * 101 + "]" * 101, "more than 100 levels"),
    ('{"a": "\\ud800"}', "holds half a character"),
    ('{"a": 1', "line 1 column"),
    ("", "line 1 column"),
]


@pytest.mark.parametrize(("text", "says"), JSON, ids=range(len(JSON)))
def test_bad_json(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(text)
    for kind in (InputError, ModelError):
        with pytest.raises(kind, match=says) as caught:
            read_json(path, kind, "cure")
        assert caught.value.message.startswith(f"{path} is damaged: ")
        assert (caught.value.hint, "\n" in caught.value.message) == ("cure", False)


def test_good_json(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    deep = "[" * 99 + "]" * 99
    path.write_text('{"a": 12345678901234567890, "b": "\\udcff", "c": ' + deep + "}", encoding="utf-8-sig")
    found = read_json(path)
    assert (found["a"], found["b"]) == (12345678901234567890, "\udcff")
    assert parse_json('{"loss": NaN}', "a log", finite=False)["loss"] != 0


TOML = [
    ("a = inf", "a is inf"),
    ("a = 1979-05-27", "a is 1979-05-27; write text in quotes"),
    ("a = " + "[" * 5000, "levels"),
    (".".join("a" * 200) + " = 1", "more than 100 levels"),
    ("a = " + "9" * 5000, "not TOML"),
    ("a = 1\na = 2", "not TOML"),
]


@pytest.mark.parametrize(("text", "says"), TOML, ids=range(len(TOML)))
def test_bad_toml(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "a.toml").write_text(text)
    with pytest.raises(UsageError, match=says) as caught:
        read_toml(tmp_path / "a.toml")
    assert caught.value.message.startswith(f"{tmp_path}/a.toml is not TOML: ")


def test_encodings(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("a = 'ä'", encoding="utf-8-sig")
    assert read_toml(path) == {"a": "ä"}
    path.write_text("a = 1", encoding="utf-16")
    with pytest.raises(InputError, match=r"a\.txt is not text in UTF-8: see byte 1"):
        read_text(path)


@dataclass(frozen=True)
class Sizes:
    n: Annotated[int, Between(1, 64)] = 1
    share: Annotated[float, Between(0, 1)] | None = None
    rates: Annotated[tuple[Annotated[int, Between(1, 8)], ...], Between(1, 3)] = (1,)
    words: dict[str, int] | None = None


@pytest.mark.parametrize(
    ("table", "fact", "cure"),
    [
        ({"n": 0}, "n is 0", "a whole number from 1 to 64"),
        ({"n": 10**30}, f"n is {10**30}", "from 1 to 64"),
        ({"n": "a" * 1000}, "n is '" + "a" * 79 + "…", "from 1 to 64"),
        ({"share": 2}, "share is 2", "a number from 0 to 1 or null"),
        ({"rates": []}, "rates is []", "a list of 1 to 3 elements"),
        ({"rates": [2, 9]}, "rates[1] is 9", "a whole number from 1 to 8"),
        ({"words": {"a": 1, "b": "x"}}, "[words]: 'b' is 'x'", "a whole number"),
    ],
)
def test_ranges(table: dict[str, Any], fact: str, cure: str) -> None:
    with pytest.raises(UsageError) as caught:
        from_table(Sizes, table, "here")
    assert fact in caught.value.message
    assert cure in caught.value.hint


def fifo(path: Path) -> Path:
    os.mkfifo(path)
    return path


ODD_FILES: list[tuple[Callable[[Path], Path], str]] = [
    (lambda _: Path("/dev/zero"), "it is a device or a pipe"),
    (fifo, "it is a device or a pipe"),
    (lambda path: path.parent, "it is a folder"),
    (lambda path: path, "no such file"),
    (lambda path: path.with_name("a\0b"), "cannot read '"),
]
READERS: list[Callable[[Path], object]] = [
    lambda path: read_bounded(path, 100),
    read_json,
    read_toml,
    check_header,
    markers.read_spans,
    mask_file.pin,
    lambda path: find.expand([f"@{path}"]),
    lambda path: pieces_of_table(path, path, "train"),
]


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize(("make", "says"), ODD_FILES)
def test_endless_and_odd_files(tmp_path: Path, make: Callable[[Path], Path], says: str, read: Any) -> None:
    with pytest.raises(InputError) as caught:
        read(make(tmp_path / "odd"))
    assert says in caught.value.message.replace("no file can have the name", "cannot read")


def test_size_is_bounded(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(bytes(101))
    with pytest.raises(InputError, match="has 101 bytes, more than the 100 that are read"):
        read_bounded(path, 100)
    assert len(read_bounded(path, 101)) == 101


def test_lists_in_lists_are_read_once(tmp_path: Path) -> None:
    for i in range(12):
        (tmp_path / f"{i}.txt").write_text(f"@{tmp_path}/{i + 1}.txt\n" * 50)
    (tmp_path / "12.txt").write_text("song.wav\n")
    assert find.expand([f"@{tmp_path}/0.txt"]) == [Path("song.wav")]
    (tmp_path / "12.txt").write_text(f"@{tmp_path}/13.txt\n")
    for i in range(13, 30):
        (tmp_path / f"{i}.txt").write_text(f"@{tmp_path}/{i + 1}.txt\n")
    with pytest.raises(InputError, match="list number 17"):
        find.expand([f"@{tmp_path}/0.txt"])


def npy(header: str, data: bytes = bytes(24), version: bytes = b"\1\0") -> bytes:
    text = header.encode() + b"\n"
    return b"\x93NUMPY" + version + len(text).to_bytes(2 if version == b"\1\0" else 4, "little") + text + data


GOOD = "{'descr': '|b1', 'fortran_order': False, 'shape': (3, 8), }"


@pytest.mark.parametrize("version", [b"\1\0", b"\2\0", b"\3\0"])
def test_npy(version: bytes) -> None:
    assert parse_npy(npy(GOOD, version=version), "m", "").shape == (3, 8)


@pytest.mark.parametrize(
    "content",
    [
        npy(GOOD.replace("(3, 8)", f"(3, {10**11})")),
        npy(GOOD.replace("(3, 8)", f"({'9' * 400},)")),
        npy(GOOD.replace("(3, 8)", "(-3, 8)")),
        npy(GOOD.replace("(3, 8)", f"({'1, ' * 400})")),
        npy(GOOD.replace("|b1", "|O")),
        npy(GOOD.replace("|b1", "|z9")),
        npy(GOOD.replace("'|b1'", "[('a', '<i4')]")),
        npy(GOOD.replace("False", "__import__")),
        npy("(" * 3000),
        npy(GOOD, bytes(25)),
        npy(GOOD, bytes(23)),
        npy(GOOD, version=b"\4\0"),
        b"",
    ],
    ids=range(13),
)
def test_odd_npy_headers(content: bytes) -> None:
    with pytest.raises(InputError, match="holds no array"):
        parse_npy(content, "m.npy", "cure")


def tensors(header: Any, data: bytes = bytes(8)) -> bytes:
    text = json.dumps(header).encode() if not isinstance(header, bytes) else header
    return len(text).to_bytes(8, "little") + text + data


ONE = {"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "its header has 0 bytes"),
        (tensors(ONE, bytes(7)), "counts 8 bytes, and 7 follow"),
        (tensors(ONE, bytes(9)), "counts 8 bytes, and 9 follow"),
        (tensors({"a": ONE["a"] | {"dtype": "F4"}}), "dtype is 'F4'"),
        (tensors({"a": ONE["a"] | {"shape": [-2]}}), r"shape\[0\] is -2"),
        (tensors({"a": ONE["a"] | {"shape": [2**40, 2**40]}}), "from 0 to 8"),
        (tensors({"a": ONE["a"] | {"data_offsets": [4, 12]}}), "from 4 to 12"),
        (tensors({"a": {"dtype": "F32", "shape": [2]}}), "'data_offsets' is missing"),
        (tensors({"a": 1}), "'a' is 1"),
        (tensors(ONE | {"__metadata__": {"x": 1}}), "__metadata__ is"),
        (tensors([]), "is no table"),
        (tensors(b"[" * 10_000), "more than 100 levels"),
        (tensors(b'{"a": 1, "a": 1}'), "there twice"),
        (tensors(b"\xff\xfe{}"), "not UTF-8"),
    ],
    ids=range(14),
)
def test_odd_headers_of_tensors(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=says), open_tensors(path, kind=ModelError):
        pass
    path.write_bytes(tensors(ONE))
    with open_tensors(path) as file:
        assert file.get_tensor("a").tolist() == [0, 0]


CONFIGS: list[tuple[str, str, Any, str]] = [
    ("coarse", "context_frames", 0, "from 1 to 32768"),
    ("coarse", "n_layers", 10**9, "from 1 to 256"),
    ("coarse", "n_layers", -1, "from 1 to 256"),
    ("coarse", "width", 33, "a multiple of n_heads"),
    ("coarse", "n_codebooks", "2", "a whole number"),
    ("coarse", "dropout", 2, "a number from 0 to 1"),
    ("fine", "n_conditioning", 5, "less than 5"),
    ("fine", "n_conditioning", 1, "the other parts need 2"),
    ("fine", "codebook_size", 64, "the other parts need 32"),
    ("codec", "hop_length", 0, "from 1 to 65536"),
    ("codec", "n_subframes", 0, "from 1 to 64"),
    ("codec", "bandwidth", None, "a number"),
    ("codec", "n_fft", 1537, "differs from it by an even number"),
    ("codec", "kind", ["magnitude"], "known: magnitude"),
    ("provenance", "licence", 5, "text"),
    ("provenance", "author", "x", "known here"),
]


@pytest.mark.parametrize(("part", "key", "bad", "allowed"), CONFIGS)
def test_bad_config(tiny_folder: Path, tmp_path: Path, part: str, key: str, bad: Any, allowed: str) -> None:
    folder = Path(shutil.copytree(tiny_folder, tmp_path / "bad"))
    config = json.loads((folder / "config.json").read_text())
    config[part][key] = bad
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError) as caught:
        read_metadata(folder)
    said = f"{caught.value.message} {caught.value.hint}"
    assert str(folder / "config.json") in said
    assert key in said.replace("unknown kind of codec", "kind") or key == "n_fft"
    assert allowed in said


def test_bad_model_hides_no_other(home: Path, tiny_folder: Path, vamp: Vamp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "homes", lambda: [home / "models"])
    for name, text in (("deep", "[" * 200_000), ("huge", '{"format": ' + "1" * 5000 + "}"), ("text", '"config"')):
        shutil.copytree(tiny_folder, home / "models" / name)
        (home / "models" / name / "config.json").write_text(text)
    shutil.copytree(tiny_folder, home / "models/away")
    (home / "models/away/origin.json").write_text(
        json.dumps({"name": "", "address": "", "licence": "", "dtype": "", "downloads": {}, "files": {"../x": ""}})
    )
    names = [entry.name for entry in listing.everything() if not isinstance(entry, VampError) and entry.folder]
    assert names == ["tiny"]
    ran = vamp("models", "list")
    assert (ran.code, ran.out.split("\t")[0]) == (0, "tiny")
    assert [line.split(":")[0] for line in ran.err.splitlines()] == ["away", "deep", "huge", "text"]


def test_part_that_is_null_is_missing(tiny_folder: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_folder, tmp_path / "half"))
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"fine": None}))
    assert listing.facts(str(folder)).keys() >= {"coarse", "codec"}
    with pytest.raises(ModelError, match="has no fine model"):
        read_metadata(folder)


def test_origin_of_wrong_types(tmp_path: Path) -> None:
    table = {"name": "", "address": "", "licence": "", "dtype": "", "downloads": {"a": {"n_bytes": 1.5}}}
    (tmp_path / "origin.json").write_text(json.dumps(table))
    with pytest.raises(ModelError, match=r"'n_bytes' is 1\.5"):
        read_origin(tmp_path)


def test_bad_setup_of_an_evaluation(tmp_path: Path) -> None:
    for text in ('{"model": "mi', "[]"):
        (tmp_path / "setup.json").write_text(text)
        with pytest.raises(InputError, match=r"setup\.json is damaged") as caught:
            _recorded(Console(), tmp_path, {}, *[None] * 4)  # type: ignore[arg-type]
        assert caught.value.hint == "name another folder with -o"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"n_samples": "300"}, "n_samples is '300'"),
        ({"n_samples": 0}, "n_samples is 0"),
        ({"author": None}, "author is None"),
        ({"split": 3}, "split is 3"),
        ({"file": "../a.safetensors"}, "does not lie in its folder"),
    ],
)
def test_bad_manifest(prepared: Path, tmp_path: Path, change: dict[str, Any], says: str) -> None:
    entries = json.loads((prepared / MANIFEST).read_text())
    (tmp_path / MANIFEST).write_text(json.dumps([entries[0], entries[1] | change]))
    with pytest.raises(InputError, match=says):
        read_manifest(tmp_path)
    (tmp_path / MANIFEST).write_text(json.dumps(entries))
    with pytest.raises(InputError, match="piece 1: 'stamp' is missing"):
        read_manifest(tmp_path, "author", "stamp")


def test_pieces_of_another_shape(prepared: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(prepared, tmp_path / "music"))
    save_file({"samples": torch.zeros(2, 300, dtype=torch.int16)}, folder / "0.safetensors")
    with pytest.raises(InputError, match=r"0\.safetensors has no readable samples: I16 \[2, 300\]"):
        Pool(folder, "samples")


@pytest.mark.parametrize("optimizer", ["adamw"])
@pytest.mark.parametrize(
    ("edit", "says"),
    [
        (lambda state, meta: state.pop("optimizer.exp_avg.weight"), None),
        (lambda state, meta: state.pop("optimizer.step.bias"), "the optimizer lacks step of bias"),
        (lambda state, meta: state.update({"optimizer.exp_avg.weight": torch.zeros(2)}), "another size of exp_avg"),
        (lambda state, meta: meta.update(step="-1"), "step is '-1'"),
        (lambda state, meta: meta.update(seconds="nan"), "seconds is 'nan'"),
        (lambda state, meta: meta.pop("step"), "does not say how far"),
    ],
)
def test_damaged_state(tmp_path: Path, optimizer: str, edit: Any, says: str | None) -> None:
    class Two(Line):
        def __init__(self) -> None:
            super().__init__()
            self.bias = torch.nn.Parameter(torch.zeros(3))

        def loss(self, step: int, rng: np.random.Generator) -> tuple[torch.Tensor, dict[str, float]]:
            loss, figures = super().loss(step, rng)
            return loss + self.bias.square().sum(), figures

    trainer = Trainer(Two(), LOOP, tmp_path)
    trainer.advance()
    trainer.save()
    Trainer(Two(), LOOP, tmp_path).resume()
    state = load_file(tmp_path / STATE)
    with open_tensors(tmp_path / STATE) as file:
        meta = dict(file.metadata())
    edit(state, meta)
    save_file(state, tmp_path / STATE, meta)
    with pytest.raises(InputError, match=says or "the optimizer lacks exp_avg of weight"):
        Trainer(Two(), LOOP, tmp_path).resume()


def test_tokens_outside_the_codebook(packed: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(packed, tmp_path / "tokens"))
    tokens = load_file(folder / "0.safetensors")["codes"]
    save_file({"codes": tokens * 0 + 32}, folder / "0.safetensors")
    with pytest.raises(InputError, match=r"0\.safetensors holds 32 to 32, of 32 classes"):
        Pool(folder, "codes").draw(np.random.default_rng(0), 50, 20, n_classes=32)
    save_file({"codes": tokens[:2].contiguous()}, folder / "0.safetensors")
    with pytest.raises(InputError, match="codebooks, others"):
        Pool(folder, "codes").draw(np.random.default_rng(0), 50, 20)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[loop]\nbatch_size = 0", r"\[loop\]: batch_size is 0"),
        ("[loop]\nema_decay = 1.5", "ema_decay is 1.5"),
        ("[discriminators]\nwindows = [0]", r"windows\[0\] is 0"),
        ("[codec]\nhop_length = 0", "hop_length is 0"),
        ('[codec]\nkind = ["a"]', r"kind \['a'\]"),
    ],
)
def test_bad_training_runs(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "a.toml").write_text('data = { train = "a", validation = "b" }\n' + text)
    with pytest.raises(UsageError, match=says):
        load_run(tmp_path / "a.toml", CodecRun)


def test_endless_sweeps(tmp_path: Path) -> None:
    sweep = "".join(f"'sampling.x{i}' = [1, 2, 3, 4]\n" for i in range(20))
    (tmp_path / "a.toml").write_text(f"[[conditions]]\nname = 'a'\n[conditions.sweep]\n{sweep}")
    with pytest.raises(UsageError, match=f"the sweeps have {4**20} combinations"):
        read_experiment(tmp_path / "a.toml")
