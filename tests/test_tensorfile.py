"""Files written tensor by tensor, against the safetensors library's own reader."""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor

from vampcli.checkpoints import tensorfile

TENSORS = {
    "z": torch.randn(3, 5),
    "odd": torch.randn(7).half(),
    "b": torch.randn(2, 3, 1).bfloat16(),
    "turned": torch.randn(4, 6).T,
    "none": torch.zeros(0, 3),
    "one": torch.tensor(2.5),
}


def layout(tensors: Mapping[str, Tensor]) -> tensorfile.Layout:
    return {name: (tensor.shape, tensor.dtype) for name, tensor in tensors.items()}


def test_the_library_reads_what_was_written(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    tensorfile.write(path, layout(TENSORS), TENSORS, {"codec_hash": "äbc"})
    found = load_file(path)
    assert found.keys() == TENSORS.keys()
    for name, tensor in TENSORS.items():
        assert found[name].dtype == tensor.dtype
        assert torch.equal(found[name], tensor)
    with safe_open(str(path), framework="pt") as file:
        assert file.metadata() == {"codec_hash": "äbc"}


def test_one_tensor_at_a_time_is_in_memory(tmp_path: Path) -> None:
    alive: weakref.WeakSet[Tensor] = weakref.WeakSet()

    class Made(Mapping[str, Tensor]):
        def __getitem__(self, name: str) -> Tensor:
            assert not alive
            made = TENSORS[name].clone()
            alive.add(made)
            return made

        def __iter__(self) -> Iterator[str]:
            return iter(TENSORS)

        def __len__(self) -> int:
            return len(TENSORS)

    tensorfile.write(tmp_path / "x", layout(TENSORS), Made(), {})
    assert load_file(tmp_path / "x").keys() == TENSORS.keys()


def test_a_full_disk_is_an_error_of_the_system(tmp_path: Path) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("no /dev/full")
    with pytest.raises(OSError, match="No space left"):
        tensorfile.write(full, layout(TENSORS), TENSORS, {})
