"""Weights out of a `torch.package` archive, as audiotools saves whole models, with none of its code run.

The archive pickles a module and all it consists of. Here every class it names becomes an empty shell that only
holds attributes, and the few functions that rebuild tensors are ours.
"""

from __future__ import annotations

import pickle
import re
import zipfile
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import torch
from torch import Tensor

_DTYPES = {"FloatStorage": torch.float32, "HalfStorage": torch.float16, "BFloat16Storage": torch.bfloat16}


def is_package(path: Path) -> bool:
    """Whether a file is such an archive."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith("/.data/extern_modules") for name in archive.namelist())


def read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read tensors by name and the constructor's arguments.

    Raises:
        pickle.UnpicklingError: the archive wants a function called.
        ValueError: it holds no model of audiotools' making.
    """
    with zipfile.ZipFile(path) as archive:
        models = [found for name in archive.namelist() if (found := re.fullmatch(r"([^/]+)/(\w+)/\2\.pth", name))]
        if len(models) != 1:
            raise ValueError(f"an archive of {len(models)} models")
        top, name = models[0].groups()
        module, metadata = (_Shells(archive, top, f"{name}/{name}.{end}").load() for end in ("pth", "metadata"))
    return dict(_state(module)), metadata["kwargs"]


def _state(module: Any, prefix: str = "") -> Iterator[tuple[str, Tensor]]:
    """Parameters and stored buffers of a module and those inside it."""
    tensors = {**module._parameters, **module._buffers}
    for name, tensor in tensors.items():
        if tensor is not None and name not in module._non_persistent_buffers_set:
            yield prefix + name, tensor
    for name, child in module._modules.items():
        yield from _state(child, f"{prefix}{name}.")


class _NotCalled(type):
    """A pickle makes objects without calling their class; a call would be a function's."""

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        raise pickle.UnpicklingError(f"GLOBAL {cls.__module__}.{cls.__qualname__} is not called")


class _Shells(pickle.Unpickler):
    """Unpickles one record of an archive; everything but tensors and plain data becomes an empty shell."""

    def __init__(self, archive: zipfile.ZipFile, top: str, name: str) -> None:
        file: IO[bytes] = archive.open(f"{top}/{name}")
        super().__init__(file)
        self._archive, self._top = archive, top
        self._known: dict[str, Any] = {
            "collections.OrderedDict": OrderedDict,
            "builtins.set": set,
            "torch._utils._rebuild_tensor_v2": _tensor,
            "torch._utils._rebuild_parameter": _parameter,
            "numpy.dtype": _nothing,
            "numpy.core.multiarray.scalar": _nothing,
            "numpy._core.multiarray.scalar": _nothing,
        }

    def find_class(self, module: str, name: str) -> Any:
        """Stand in for whatever the file names; nothing is imported."""
        if module == "torch" and name.endswith("Storage"):
            return _DTYPES.get(name, name)
        known = self._known.get(f"{module}.{name}")
        return known or _NotCalled(name, (), {"__module__": module})

    def persistent_load(self, key: Any) -> Tensor:
        """Read a storage: float (n,), flat."""
        kind, dtype, name, *_ = key
        if kind != "storage" or not isinstance(dtype, torch.dtype):
            raise ValueError(f"it holds a {kind} of {dtype}")
        return torch.frombuffer(bytearray(self._archive.read(f"{self._top}/.data/{name}.storage")), dtype=dtype)


def _tensor(storage: Tensor, offset: int, shape: tuple[int, ...], stride: tuple[int, ...], *_: Any) -> Tensor:
    return storage.as_strided(shape, stride, offset)


def _parameter(data: Tensor, *_: Any) -> Tensor:
    return data


def _nothing(*_: Any) -> _Nothing:
    return _Nothing()


class _Nothing:
    """A number of numpy's; sizes are in the metadata, as plain ones."""

    def __setstate__(self, state: Any) -> None:
        pass
