"""Files written tensor by tensor, against the safetensors library's reader."""

import weakref
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor

from conftest import full_disk, random_codec
from vampcli.checkpoints import adapter_file, tensorfile
from vampcli.checkpoints.adapter_file import Facts
from vampcli.checkpoints.folder import Provenance
from vampcli.checkpoints.weights import Parts, save_parts
from vampcli.errors import InputError
from vampcli.files import write_text

TENSORS = {
    "z": torch.randn(3, 5, requires_grad=True),
    "odd": torch.randn(7).half(),
    "b": torch.randn(2, 3, 1).bfloat16(),
    "turned": torch.randn(4, 6).T,
    "none": torch.zeros(0, 3),
    "one": torch.tensor(2.5),
    "codes": torch.arange(5, dtype=torch.int16),
    "long": torch.tensor([[1], [-2]]),
    "mask": torch.tensor([True, False]),
}


@pytest.mark.parametrize("metadata", [{"codec_hash": "äbc"}, None])
def test_library_reads_the_file(tmp_path: Path, metadata: dict[str, str] | None) -> None:
    path = tmp_path / "new" / "x.safetensors"
    tensorfile.save(path, TENSORS, metadata)
    found = load_file(path)
    assert found.keys() == TENSORS.keys()
    for name, tensor in TENSORS.items():
        assert found[name].dtype == tensor.dtype
        assert torch.equal(found[name], tensor)
    with safe_open(str(path), framework="pt") as file:
        assert file.metadata() == metadata


def test_one_tensor_in_memory(tmp_path: Path) -> None:
    alive: weakref.WeakSet[Tensor] = weakref.WeakSet()

    class Made(Mapping[str, Tensor]):
        def __getitem__(self, name: str) -> Tensor:
            assert not alive
            made = TENSORS[name].detach().clone()
            alive.add(made)
            return made

        def __iter__(self) -> Iterator[str]:
            return iter(TENSORS)

        def __len__(self) -> int:
            return len(TENSORS)

    layout = {name: (tensor.shape, tensor.dtype) for name, tensor in TENSORS.items()}
    tensorfile.save(tmp_path / "x", Made(), layout=layout)
    assert load_file(tmp_path / "x").keys() == TENSORS.keys()


def save_adapter(folder: Path) -> None:
    pairs = {"coarse": {"layers.0.query": (torch.ones(2, 3), torch.ones(4, 2))}}
    adapter_file.save(folder, Facts("jazz", "mini", "", "", "MIT", 2), pairs)


def save_model(folder: Path) -> None:
    save_parts(folder, "magnitude", Parts(random_codec(), None, None, Provenance("m", "MIT", "here")))


WRITERS = [
    lambda folder: tensorfile.save(folder / "x.safetensors", TENSORS),
    lambda folder: write_text(folder / "x.json", "{}"),
    save_adapter,
    save_model,
]


@pytest.mark.parametrize("write", WRITERS)
def test_file_in_place_of_the_folder(tmp_path: Path, write: Any) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match="cannot write"):
        write(tmp_path / "file")


@pytest.mark.parametrize("write", WRITERS)
@pytest.mark.parametrize("before", [[], ["x.safetensors", "x.json", "adapter.safetensors", "codec.safetensors"]])
def test_full_disk_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Any, before: list[str]
) -> None:
    for name in before:
        (tmp_path / name).write_text("old")
    monkeypatch.setattr("os.replace", full_disk)
    with pytest.raises(InputError, match="No space left"):
        write(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(before)
    assert all((tmp_path / name).read_text() == "old" for name in before)
