"""Read tensors and sizes from foreign weight files, without running their code."""

from __future__ import annotations

import pickle
import re
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vampcli.checkpoints.convert import package
from vampcli.errors import InputError, ModelError, VampError
from vampcli.files import open_regular

_COMPILED = "_orig_mod."  # prefix of torch.compile
_PAIR = (".lora_A", ".lora_B")
_READ_AT_ONCE = 2**26  # bytes


@dataclass(frozen=True)
class Content:
    """Content of a weight file.

    Attributes:
        path: the file.
        state: tensors by foreign name; those of a zip file are read on access.
        kwargs: arguments of the constructor.
        is_random: the file says that its weights are random.
    """

    path: Path
    state: Mapping[str, Tensor]
    kwargs: dict[str, Any]
    is_random: bool = False


def read(path: Path) -> Content:
    """Read a whole model: `{"state_dict", "metadata": {"kwargs"}}`, or the same in a `torch.package` archive.

    Raises:
        ModelError: the file is missing, damaged, of another kind, or holds anything but plain data.
    """
    with blaming(path):
        _require_regular(path)
        if package.is_package(path):
            packed, kwargs = package.read(path)
            return Content(path, _tensors(packed), dict(kwargs))
        content = _load(path)
        if _is_pairs(content):
            raise ModelError(f"{path} holds LoRA pairs alone", "name the full weights that they belong to, too")
        state, metadata = _tensors(content["state_dict"]), content["metadata"]
        mapped = _Mapped(path, state) if zipfile.is_zipfile(path) else state
        return Content(path, mapped, dict(metadata["kwargs"]), metadata.get("random") is True)


def read_pairs(path: Path) -> dict[str, Tensor]:
    """Read a fine-tune that holds only LoRA pairs, a plain dict.

    Raises:
        ModelError: as `read`; or the file holds something else.
    """
    with blaming(path):
        _require_regular(path)
        content = _load(path)
        if not _is_pairs(content):
            raise ModelError(f"{path} holds more than LoRA pairs", "name it as full weights")
        return _tensors(content)


def _require_regular(path: Path) -> None:
    try:
        with open_regular(path):
            pass
    except InputError as error:
        raise ModelError(error.message, "get it from its source") from error


def _load(path: Path) -> Any:
    return torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))


def _is_pairs(content: Any) -> bool:
    return isinstance(content, dict) and bool(content) and all(str(name).endswith(_PAIR) for name in content)


def _tensors(state: Mapping[str, Any]) -> dict[str, Tensor]:
    for name, value in state.items():
        if not isinstance(value, Tensor):
            raise TypeError(f"{name} is no tensor")
    return {name.replace(_COMPILED, ""): tensor for name, tensor in state.items()}


class _Mapped(Mapping[str, Tensor]):
    """Tensors of a memory-mapped file, mapped again at intervals, since pages that were read count as used memory."""

    def __init__(self, path: Path, state: dict[str, Tensor]) -> None:
        self._path, self._state, self._n_read = path, state, 0

    def __getitem__(self, name: str) -> Tensor:
        if self._n_read > _READ_AT_ONCE:
            self._state, self._n_read = _tensors(_load(self._path)["state_dict"]), 0
        self._n_read += self._state[name].nbytes
        return self._state[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._state)

    def __len__(self) -> int:
        return len(self._state)


@contextmanager
def blaming(path: Path) -> Iterator[None]:
    """Turn errors in the content of a file into a `ModelError` that names it."""
    try:
        yield
    except pickle.UnpicklingError as error:
        called = re.search(r"GLOBAL (\S+)", str(error))
        fact = f"would run {called[1]}" if called else "is damaged or holds more than tensors"
        raise ModelError(f"{path} {fact}; not loaded", "get it from its source") from error
    except (VampError, MemoryError):
        raise
    except Exception as error:  # unpickling what anybody may have written raises errors of any kind
        fact = f"{type(error).__name__}: {error}".partition("\n")[0]
        raise ModelError(f"{path} is no published model file ({fact})", "get it from its source") from error
