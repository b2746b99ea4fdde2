"""A model folder: what is saved is loaded, and whatever is damaged is named."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

import vampcli
from conftest import tiny_parts
from vampcli.checkpoints import adapter_file, registry
from vampcli.checkpoints.folder import PARTS, read_config, read_metadata
from vampcli.checkpoints.registry import ModelPaths
from vampcli.checkpoints.weights import Parts, load_parts, save_parts
from vampcli.errors import ExitCode, ModelError

CPU = torch.device("cpu")


@pytest.fixture
def folder(tiny_folder: Path, tmp_path: Path) -> Path:
    """A copy of the tiny model, to be damaged."""
    return Path(shutil.copytree(tiny_folder, tmp_path / "copy"))


def load(folder: Path) -> Parts:
    return load_parts(folder, CPU, torch.float32)


def refused(folder: Path, *facts: str) -> None:
    """Loading fails with exit code 4, and the message names all facts."""
    with pytest.raises(ModelError) as caught:
        load(folder)
    assert caught.value.exit_code == ExitCode.MODEL
    assert caught.value.hint
    assert "\n" not in caught.value.message
    message = caught.value.message.replace(str(folder.parent), "")  # whose name has the name of the test
    assert all(fact in message for fact in facts), message


def edit_tensors(path: Path, edit: Callable[[dict[str, Tensor]], Any]) -> None:
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    tensors = load_file(path)
    edit(tensors)
    save_file(tensors, path, metadata)


def edit_config(folder: Path, edit: Callable[[dict[str, Any]], Any]) -> None:
    path = folder / "config.json"
    config = json.loads(path.read_text())
    edit(config)
    path.write_text(json.dumps(config))


def stored_hash(folder: Path, part: str) -> str:
    with safe_open(folder / f"{part}.safetensors", framework="pt") as file:
        return str(file.metadata()["codec_hash"])


def test_float32_round_trip_is_exact(tmp_path: Path) -> None:
    parts = tiny_parts()
    save_parts(tmp_path / "model", "magnitude", parts, torch.float32)
    loaded = load(tmp_path / "model")
    assert loaded.provenance == parts.provenance
    for name in PARTS:
        before, after = getattr(parts, name), getattr(loaded, name)
        assert after.config == before.config
        assert after.state_dict().keys() == before.state_dict().keys()
        assert all(torch.equal(after.state_dict()[k], t) for k, t in before.state_dict().items())


def test_default_storage_is_mostly_float16(tiny_folder: Path) -> None:
    loaded = load(tiny_folder)
    assert loaded.coarse is not None
    for name, before in tiny_parts().coarse.state_dict().items():  # type: ignore[union-attr]
        exact = name in ("codebooks", "mask_rows")
        assert torch.equal(loaded.coarse.state_dict()[name], before if exact else before.half().float())
    dtypes = {name: t.dtype for name, t in load_file(tiny_folder / "codec.safetensors").items()}
    precise = {name for name, dtype in dtypes.items() if dtype == torch.float32}
    assert precise == {n for n in dtypes if n.startswith(("quantizer.", "decoder.head."))}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_precision_of_loaded_weights(tiny_folder: Path, dtype: torch.dtype) -> None:
    loaded = load_parts(tiny_folder, CPU, dtype)
    assert loaded.coarse is not None
    assert loaded.coarse.layers[0].query.weight.dtype == dtype
    assert loaded.coarse.codebooks.dtype == loaded.coarse.mask_rows.dtype == torch.float32
    assert {t.dtype for t in loaded.codec.state_dict().values()} == {torch.float32}  # type: ignore[attr-defined]


def test_loaded_models_are_for_inference(tiny_folder: Path) -> None:
    loaded = load(tiny_folder)
    for module in (loaded.codec, loaded.coarse, loaded.fine):
        assert isinstance(module, torch.nn.Module)
        assert not module.training
        assert not any(p.requires_grad for p in module.parameters())


def test_codec_alone_is_no_model(tmp_path: Path) -> None:
    whole = tiny_parts()
    save_parts(tmp_path / "codec", "magnitude", Parts(whole.codec, None, None, whole.provenance))
    assert load(tmp_path / "codec").coarse is None
    with pytest.raises(ModelError, match="codec only"):
        vampcli.load(tmp_path / "codec", device="cpu")
    with pytest.raises(ModelError, match="no coarse"):
        read_metadata(tmp_path / "codec")


@pytest.mark.parametrize("umask", [0o022, 0o027, 0o077])
def test_file_modes_follow_the_umask(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        save_parts(tmp_path / "model", "magnitude", tiny_parts())
    finally:
        os.umask(before)
    modes = {file.name: file.stat().st_mode & 0o777 for file in (tmp_path / "model").iterdir()}
    assert modes == dict.fromkeys(("config.json", *(f"{part}.safetensors" for part in PARTS)), 0o666 & ~umask)


def test_metadata_without_weights(folder: Path) -> None:
    seen = read_metadata(folder)
    codec, context = seen.codec, seen.context_frames
    assert codec.grid == load(folder).codec.grid
    assert context == 80
    (folder / "fine.safetensors").unlink()
    with pytest.raises(ModelError, match="fine"):
        read_metadata(folder)


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize(
    ("edit", "fact"),
    [
        (lambda tensors, name: tensors.pop(name), "has no tensor"),
        (lambda tensors, name: tensors.update({f"{name}.extra": torch.zeros(1)}), "has an unknown tensor"),
        (lambda tensors, name: tensors.update({name: tensors[name][:-1].clone()}), "has a wrong shape for"),
    ],
    ids=["missing", "extra", "shape"],
)
def test_wrong_tensor_is_named(folder: Path, part: str, edit: Callable[..., Any], fact: str) -> None:
    path = folder / f"{part}.safetensors"
    name = sorted(load_file(path))[3]
    edit_tensors(path, lambda tensors: edit(tensors, name))
    refused(folder, f"{part}.safetensors", fact, name)


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("n_bytes", [None, 0, 4, 1000, -1])
def test_missing_or_truncated_file(folder: Path, part: str, n_bytes: int | None) -> None:
    path = folder / f"{part}.safetensors"
    content = path.read_bytes()
    path.unlink()
    if n_bytes is not None:
        path.write_bytes(content[:n_bytes])
    refused(folder, f"{part}.safetensors is missing" if n_bytes is None else f"{part}.safetensors is damaged")


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"\xff\xfe\x00", b"null", b"3", b"[]", b'["format", "codec", "provenance"]', b"{}"],
    ids=repr,
)
def test_garbage_config(folder: Path, content: bytes) -> None:
    (folder / "config.json").write_bytes(content)
    refused(folder, "config.json")
    with pytest.raises(ModelError):
        read_metadata(folder)


@pytest.mark.parametrize(
    "edit",
    [
        lambda config: config.pop("codec"),
        lambda config: config.update(codec=[]),
        lambda config: config.update(coarse=[]),
        lambda config: config["coarse"].update(brand_new=1),
        lambda config: config["coarse"].pop("width"),
        lambda config: config["coarse"].update(n_layers="2"),
        lambda config: config["coarse"].update(width=-2),
        lambda config: config["coarse"].update(width=None),
        lambda config: config.update(provenance=[]),
        lambda config: config["provenance"].update(brand_new=1),
        lambda config: config["provenance"].pop("name"),
    ],
)
def test_bad_values_in_config(folder: Path, edit: Callable[[dict[str, Any]], Any]) -> None:
    edit_config(folder, edit)
    refused(folder, "config.json")


@pytest.mark.parametrize(
    "edit",
    [
        lambda codec: codec.update(kind="unheard-of"),
        lambda codec: codec.update(kind=[]),
        lambda codec: codec.pop("kind"),
        lambda codec: codec.update(brand_new=1),
        lambda codec: codec.update(frame_width="16"),
        lambda codec: codec.update(frame_width=-16),
    ],
)
def test_bad_codec_sizes(folder: Path, edit: Callable[[dict[str, Any]], Any]) -> None:
    edit_config(folder, lambda config: edit(config["codec"]))
    refused(folder, "codec")
    with pytest.raises(ModelError, match="codec"):
        read_metadata(folder)


def test_newer_format_asks_for_an_update(folder: Path) -> None:
    edit_config(folder, lambda config: config.update(format=2))
    with pytest.raises(ModelError, match="format 2, not 1") as caught:
        load(folder)
    assert "update" in caught.value.hint


@pytest.mark.parametrize("part", ["coarse", "fine"])
def test_transformer_of_another_codec_is_refused(folder: Path, tmp_path: Path, part: str) -> None:
    other = tiny_parts()
    other.codec.encoder.rotation.weight.data += 1  # type: ignore[attr-defined]
    save_parts(tmp_path / "other", "magnitude", other)
    shutil.copy(tmp_path / f"other/{part}.safetensors", folder)
    refused(folder, f"{part}.safetensors", "another codec")


@pytest.mark.parametrize(
    ("tensor", "changes"),
    [
        ("encoder.rotation.weight", True),
        ("quantizer.codebooks", True),
        ("quantizer.out_proj.2.bias", True),
        ("decoder.head.bias", False),
        ("decoder.up.weight", False),
    ],
)
def test_hash_covers_encoder_and_quantiser(tmp_path: Path, tensor: str, changes: bool) -> None:
    parts = tiny_parts()
    save_parts(tmp_path / "before", "magnitude", parts)
    parts.codec.state_dict()[tensor].view(-1)[0] += 1  # type: ignore[attr-defined]
    save_parts(tmp_path / "after", "magnitude", parts)
    before, after = (stored_hash(tmp_path / name, "codec") for name in ("before", "after"))
    assert (before != after) == changes
    assert stored_hash(tmp_path / "after", "coarse") == stored_hash(tmp_path / "after", "fine") == after


def test_unknown_model_lists_the_known(tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "homes", lambda: [tiny_folder.parent])
    with pytest.raises(ModelError, match="'nonesuch'") as caught:
        registry.find("nonesuch")
    assert "tiny" in caught.value.hint
    with pytest.raises(ModelError, match=r"no config\.json"):
        registry.find(tmp_path)


@pytest.mark.parametrize(
    ("variable", "models"),
    [("VAMP_HOME", "models"), ("XDG_DATA_HOME", "vamp/models"), ("HOME", ".local/share/vamp/models")],
)
def test_names_in_the_users_folder(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, models: str
) -> None:
    for name in ("VAMP_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(variable, str(tmp_path))
    shutil.copytree(tiny_folder, tmp_path / models / "mine")
    assert registry.find("mine") == registry.installed()["mine"] == tmp_path / models / "mine"


def test_precedence_of_model_folders(tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAMP_HOME", str(tmp_path / "vamp"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "xdg"))
    for home in ("vamp", "xdg/vamp"):
        shutil.copytree(tiny_folder, tmp_path / home / "models/mine")
    assert registry.find("mine") == tmp_path / "vamp/models/mine"
    assert registry.find(str(tiny_folder)) == tiny_folder


def test_model_hash_covers_every_file(folder: Path, tiny_folder: Path, tmp_path: Path) -> None:
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    (adapter / adapter_file.FILE).write_bytes(b"pairs")
    bare, adapted = ModelPaths(folder), ModelPaths(folder, adapter)
    hashes = [registry.model_hash(bare), registry.model_hash(adapted)]
    assert hashes[0] == registry.model_hash(ModelPaths(tiny_folder))
    (folder / "README.md").write_text("about")
    assert registry.model_hash(bare) == hashes[0]
    for path in (
        adapter / adapter_file.FILE,
        folder / "config.json",
        *(folder / f"{part}.safetensors" for part in PARTS),
    ):
        content = bytearray(path.read_bytes())
        content[-1] ^= 1
        path.write_bytes(content)
        hashes.append(registry.model_hash(adapted))
    assert len(set(hashes)) == len(hashes) == 7
    (folder / "fine.safetensors").unlink()
    with pytest.raises(ModelError, match=r"cannot read .*fine\.safetensors"):
        registry.model_hash(bare)


def test_loading_imports_no_heavy_library(tiny_folder: Path) -> None:
    script = (
        f"import sys, vampcli; vampcli.load({str(tiny_folder)!r}, device='cpu')\n"
        "print([m for m in ('torch._dynamo', 'dac', 'librosa', 'vampcli.train') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_temperature_of_a_model(tmp_path: Path) -> None:
    save_parts(tmp_path / "cool", "magnitude", replace(tiny_parts(), temperature=0.7))
    assert load_parts(tmp_path / "cool", torch.device("cpu"), torch.float32).temperature == 0.7
    config = json.loads((tmp_path / "cool/config.json").read_text())
    del config["temperature"]
    (tmp_path / "cool/config.json").write_text(json.dumps(config))
    assert load_parts(tmp_path / "cool", torch.device("cpu"), torch.float32).temperature == 1
    (tmp_path / "cool/config.json").write_text(json.dumps(config | {"temperature": "warm"}))
    with pytest.raises(ModelError, match="'warm'"):
        read_config(tmp_path / "cool")
