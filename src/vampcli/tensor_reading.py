"""Read safetensors files that may be damaged or forged; see `vampcli.reading`."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from vampcli.errors import InputError, UsageError, VampError
from vampcli.files import open_regular
from vampcli.reading import parse_json
from vampcli.schema import Between, from_table, raising, shown

_MOST_HEADER = 2**24  # bytes; of safetensors
_ITEM_BYTES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1}


@dataclass(frozen=True)
class _Tensor:
    """Entry of a tensor in the header of a safetensors file."""

    dtype: Literal["F64", "F32", "F16", "BF16", "I64", "I32", "I16", "I8", "U8", "BOOL"]
    shape: Annotated[tuple[Annotated[int, Between(0, 2**40)], ...], Between(0, 8)]
    data_offsets: tuple[Annotated[int, Between(0, 2**48)], Annotated[int, Between(0, 2**48)]]


def check_header(
    path: str | Path,
    kind: type[VampError] = InputError,
    cure: str = "name another file",
    noun: str = "safetensors file",
) -> None:
    """Check the header of a safetensors file: types, shapes, and that the tensors fill the file.

    Args:
        path: of the file.
        kind: of the error.
        cure: hint of the error.
        noun: what the file is, in errors.

    Raises:
        VampError: of the kind `kind`: the file is missing, unreadable or damaged.

    Source: https://github.com/huggingface/safetensors#format.
    """
    try:
        with open_regular(path, cure) as file:
            size = file.seek(0, 2)
            file.seek(0)
            n_header = int.from_bytes(file.read(8), "little")
            if not 2 <= n_header <= min(size - 8, _MOST_HEADER):
                allowed = f"2 to {max(2, min(size - 8, _MOST_HEADER))}"
                raise InputError(
                    f"{path} is damaged, or no {noun}: its header has {n_header} bytes, not {allowed}", cure
                )
            content = file.read(n_header)
        text = content.decode("utf-8")
    except (InputError, UnicodeDecodeError) as error:
        fact = error.message if isinstance(error, InputError) else f"{path} is damaged: its header is not UTF-8"
        raise kind(fact, cure) from error
    table = parse_json(text, f"the header of {path}", kind, cure)
    where = f"{path} is damaged: its header"
    with raising(kind, cure):
        if not text.startswith("{") or not isinstance(table, dict):
            raise UsageError(f"{where} is no table", cure)
        metadata = table.pop("__metadata__", {})
        if not isinstance(metadata, dict) or not all(isinstance(one, str) for one in metadata.values()):
            raise UsageError(f"{where}: __metadata__ is {shown(metadata)}", "it takes a table of texts")
        _check_layout(table, size - 8 - n_header, where)


def _check_layout(table: Mapping[str, Any], n_bytes: int, where: str) -> None:
    end = 0
    entries = {}
    for name, entry in table.items():
        if not isinstance(entry, dict):
            raise UsageError(f"{where}: {shown(name)} is {shown(entry)}", "it takes a table")
        entries[name] = from_table(_Tensor, entry, f"{where} [{shown(name)}]")
    for name, tensor in sorted(entries.items(), key=lambda item: item[1].data_offsets):
        start, stop = tensor.data_offsets
        if start != end or stop - start != math.prod(tensor.shape) * _ITEM_BYTES[tensor.dtype]:
            what = f"{tensor.dtype} {list(tensor.shape)} from {start} to {stop}"
            raise UsageError(f"{where}: {shown(name)} is {what}", f"it begins at {end} and has as many bytes as values")
        end = stop
    if end != n_bytes:
        raise UsageError(f"{where} counts {end} bytes, and {n_bytes} follow", "get the whole file")


@contextmanager
def open_tensors(
    path: str | Path,
    framework: str = "pt",
    kind: type[VampError] = InputError,
    cure: str = "name another file",
    noun: str = "safetensors file",
) -> Iterator[Any]:
    """Open a safetensors file to read its metadata and tensors, after `check_header`, which has the same arguments.

    Yields:
        The library's `safe_open`.

    Raises:
        VampError: of the kind `kind`: the file is missing or damaged, or lacks a tensor that is read.
    """
    from safetensors import SafetensorError, safe_open

    check_header(path, kind, cure, noun)
    try:
        with safe_open(str(path), framework=framework) as file:
            yield file
    except (SafetensorError, OSError) as error:
        raise kind(f"{path} is damaged: {error}", cure) from error


def load_tensors(path: str | Path) -> dict[str, Any]:
    """Read all tensors of a safetensors file, by name.

    Raises:
        InputError: the file is missing or damaged.
    """
    with open_tensors(path) as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
