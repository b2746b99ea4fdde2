"""Published files of every odd kind: fine-tunes in pieces, damaged ones, ones that want to run code."""

import os
import pickle
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from published import FILES, OFFICIAL, Edit, coarse_tokens, edited, imported, ours
from vampcli.checkpoints.convert import vampnet
from vampcli.checkpoints.convert.vampnet import open_transformer
from vampcli.errors import ExitCode, ModelError

NAMES = tuple(path.name for path in FILES.values())


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """The published files in a folder of their own, to be damaged."""
    return Path(shutil.copytree(OFFICIAL, tmp_path / "published"))


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


@pytest.mark.parametrize("halves", [("lora_A",), ("lora_B",), ("lora_A", "lora_B")], ids=str)
def test_missing_lora_halves_count_as_zero(
    files: Path, tmp_path: Path, halves: tuple[str, ...], expected: dict[str, Tensor]
) -> None:
    def without_halves(content: dict[str, Any]) -> None:
        state = content["state_dict"]
        for name in [n for n in state if n.endswith(halves)]:
            del state[name]

    shutil.copy(files / "coarse_lora.pth", files / "coarse.pth")
    edited(files / "coarse.pth", without_halves)
    logits = imported(files, tmp_path / "out").coarse(coarse_tokens(expected))
    torch.testing.assert_close(logits, ours(expected["coarse_logits"], 4), atol=1e-4, rtol=0)


@pytest.mark.parametrize("place", ["{}", "transformer.{}"])
def test_prefix_of_compiled_models_is_stripped(files: Path, out: Path, place: str, expected: dict[str, Tensor]) -> None:
    def compiled(content: dict[str, Any]) -> None:
        inner = place.format("")
        content["state_dict"] = {
            f"{inner}_orig_mod.{name.removeprefix(inner)}" if name.startswith(inner) else name: tensor
            for name, tensor in content["state_dict"].items()
        }

    edited(files / "coarse.pth", compiled)
    logits = imported(files, out).coarse(coarse_tokens(expected))
    torch.testing.assert_close(logits, ours(expected["coarse_logits"], 4), atol=1e-4, rtol=0)


def pairs_alone(path: Path, prefix: str = "") -> Path:
    """The LoRA pairs of the official fine-tune, as a bare dict."""
    state = torch.load(OFFICIAL / "coarse_lora.pth", weights_only=True)["state_dict"]
    torch.save({prefix + name: tensor for name, tensor in state.items() if "lora_" in name}, path)
    return path


@pytest.mark.parametrize("prefix", ["", "_orig_mod."])
def test_pairs_alone_go_with_their_base(tmp_path: Path, out: Path, prefix: str, expected: dict[str, Tensor]) -> None:
    pairs = pairs_alone(tmp_path / "lora.pth", prefix)
    logits = imported({**FILES, "coarse_lora": pairs}, out).coarse(coarse_tokens(expected))
    torch.testing.assert_close(logits, ours(expected["coarse_lora_logits"], 4), atol=1e-4, rtol=0)


def test_pairs_in_place_of_weights(tmp_path: Path, out: Path) -> None:
    with pytest.raises(ModelError, match="LoRA pairs alone"):
        vampnet.import_published({**FILES, "coarse": pairs_alone(tmp_path / "lora.pth")}, out)
    with pytest.raises(ModelError, match="more than LoRA pairs"):
        vampnet.import_published({**FILES, "coarse_lora": OFFICIAL / "coarse_lora.pth"}, out)
    assert not out.exists()


def test_half_precision_and_old_format(files: Path, out: Path, expected: dict[str, Tensor]) -> None:
    content = torch.load(files / "coarse.pth", weights_only=True)
    content["state_dict"] = {name: tensor.half() for name, tensor in content["state_dict"].items()}
    torch.save(content, files / "coarse.pth", _use_new_zipfile_serialization=False)
    logits = imported(files, out).coarse(coarse_tokens(expected))
    torch.testing.assert_close(logits, ours(expected["coarse_logits"], 4), atol=0.02, rtol=0)


def test_mapping_again_changes_nothing(tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    vampnet.import_published(OFFICIAL, tmp_path / "once")
    monkeypatch.setattr("vampcli.checkpoints.convert.read._READ_AT_ONCE", 50_000)
    vampnet.import_published(OFFICIAL, out)
    for file in sorted(out.iterdir()):
        assert file.read_bytes() == (tmp_path / "once" / file.name).read_bytes()


def test_swapped_files(out: Path) -> None:
    with pytest.raises(ModelError, match="4 of 14") as caught:
        vampnet.import_published({**FILES, "coarse": FILES["c2f"], "c2f": FILES["coarse"]}, out)
    assert "swapped" in caught.value.hint


def test_unknown_constructor_arguments_are_ignored(files: Path, out: Path) -> None:
    for name in NAMES:
        edited(files / name, lambda content: content["metadata"]["kwargs"].update(brand_new=1))
        edited(files / name, lambda content: content.update(optimizer={"lr": 1e-3}))
    imported(files, out)


def shortened(tensor: Tensor) -> Tensor:
    return tensor[:-1].clone()


TENSORS = {
    "codec.pth": ["encoder.block.0.weight_v", "quantizer.quantizers.3.codebook.weight", "decoder.model.7.alpha"],
    "coarse.pth": [
        "embedding.special.MASK",
        "transformer.layers.1.self_attn.w_qs.weight",
        "transformer.layers.1.feed_forward.w_1.lora_B",
        "classifier.layers.0.bias",
    ],
    "c2f.pth": ["embedding.out_proj.weight", "transformer.norm.weight", "classifier.layers.0.weight_g"],
}
EVERY_TENSOR = [(file, name) for file, names in TENSORS.items() for name in names]


@pytest.mark.parametrize(("file", "name"), [t for t in EVERY_TENSOR if "lora" not in t[1]])
def test_missing_tensor_is_named(files: Path, tmp_path: Path, file: str, name: str) -> None:
    edited(files / file, lambda content: content["state_dict"].pop(name))
    with pytest.raises(ModelError) as caught:
        vampnet.import_published(files, tmp_path / "out")
    assert file in caught.value.message
    assert name.removesuffix("_v").removesuffix("_g") in caught.value.message
    assert caught.value.exit_code == ExitCode.MODEL


@pytest.mark.parametrize("file", NAMES)
def test_unknown_tensor_is_named(files: Path, tmp_path: Path, file: str) -> None:
    edited(files / file, lambda content: content["state_dict"].update({"brand.new": torch.zeros(2)}))
    with pytest.raises(ModelError, match=rf"{file}.* brand\.new"):
        vampnet.import_published(files, tmp_path / "out")


@pytest.mark.parametrize(("file", "name"), EVERY_TENSOR)
def test_wrong_shape(files: Path, tmp_path: Path, file: str, name: str) -> None:
    def damage(content: dict[str, Any]) -> None:
        content["state_dict"][name] = shortened(content["state_dict"][name])

    edited(files / file, damage)
    with pytest.raises(ModelError, match=file):
        vampnet.import_published(files, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "edit",
    [
        lambda content: content.pop("metadata"),
        lambda content: content["metadata"]["kwargs"].pop("n_layers"),
        lambda content: content["metadata"]["kwargs"].update(n_layers="3"),
        lambda content: content["metadata"]["kwargs"].update(n_codebooks=20),
        lambda content: content["metadata"].update(kwargs=None),
        lambda content: content.update(state_dict=[]),
        lambda content: content["state_dict"].update({"transformer.norm.weight": 3}),
    ],
)
def test_malformed_content(files: Path, tmp_path: Path, edit: Edit) -> None:
    edited(files / "coarse.pth", edit)
    with pytest.raises(ModelError, match=r"coarse\.pth"):
        vampnet.import_published(files, tmp_path / "out")


def test_absurd_numbers_build_nothing(files: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object) -> None:
        raise AssertionError("built")

    def endless(_: object) -> Iterator[tuple[str, str]]:
        yield "quantizer.in_proj.14.weight", "quantizer.quantizers.14.in_proj.weight"
        raise AssertionError("asked for more")

    edited(files / "c2f.pth", lambda content: content["metadata"]["kwargs"].update(n_layers=10**9))
    monkeypatch.setattr("vampcli.checkpoints.convert.vampnet.VampNet", forbidden)
    with pytest.raises(ModelError, match=r"c2f\.pth: n_layers is 1000000000"):
        open_transformer(files / "c2f.pth", None, torch.zeros(14, 128, 8), 173)
    monkeypatch.setattr("vampcli.checkpoints.convert.keys.quantizer", endless)
    with pytest.raises(ModelError, match=r"codec\.pth has no tensor quantizer\.quantizers\.14\."):
        vampnet.import_published(files, out)


@pytest.mark.parametrize("damage", ["empty", "garbage", "truncated", "zeros inside"])
def test_damaged_file(files: Path, tmp_path: Path, damage: str) -> None:
    path = files / "c2f.pth"
    whole = path.read_bytes()
    path.write_bytes(
        {
            "empty": b"",
            "garbage": b"no tensors here" * 50,
            "truncated": whole[: len(whole) // 2],
            "zeros inside": whole[:2000] + bytes(2000) + whole[4000:],
        }[damage]
    )
    with pytest.raises(ModelError, match=r"c2f\.pth"):
        vampnet.import_published(files, tmp_path / "out")


class Hostile:
    """Unpickled by a careless loader, it makes a folder."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.trace),)


def packed(path: Path, model: object, metadata: object) -> None:
    """An archive as `torch.package` lays them out, of something without tensors."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/.data/extern_modules", "")
        archive.writestr("a/VampNet/VampNet.pth", pickle.dumps(model))
        archive.writestr("a/VampNet/VampNet.metadata", pickle.dumps(metadata))


@pytest.mark.parametrize("file", NAMES)
@pytest.mark.parametrize("kind", ["zip", "old", "package", "package's metadata", "bare pickle"])
def test_hostile_pickle_does_not_run(files: Path, tmp_path: Path, file: str, kind: str) -> None:
    trace = tmp_path / "was-run"
    hostile, path = Hostile(trace), files / file
    if kind.startswith("package"):
        packed(path, *((hostile, {}) if kind == "package" else ({}, hostile)))
    elif kind == "bare pickle":
        path.write_bytes(pickle.dumps(hostile, protocol=2))
    else:
        content = {"state_dict": {}, "metadata": {"kwargs": hostile}}
        torch.save(content, path, _use_new_zipfile_serialization=kind == "zip")
    with pytest.raises(ModelError, match=rf"{file} would run \S*mkdir"):
        vampnet.import_published(files, tmp_path / "out")
    assert not trace.exists()


@pytest.mark.parametrize("file", NAMES)
def test_missing_and_foreign_files_are_named(files: Path, tmp_path: Path, file: str) -> None:
    packed(files / file, {}, {})
    with pytest.raises(ModelError, match=f"{file} is no published model file"):
        vampnet.import_published(files, tmp_path / "out")
    with zipfile.ZipFile(files / file, "w") as archive:
        archive.writestr("songs/one.txt", "la la")
    with pytest.raises(ModelError, match=f"{file} is no published model file"):
        vampnet.import_published(files, tmp_path / "out")
    (files / file).unlink()
    with pytest.raises(ModelError, match=file):
        vampnet.import_published(files, tmp_path / "out")
