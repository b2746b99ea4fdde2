"""Read the content of JSON, TOML, NPY and safetensors files that may be damaged or forged.

Every reader bounds the size before it parses, and raises only errors that name the file and what is allowed.
"""

from __future__ import annotations

import io
import json
import math
import re
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from vampcli.errors import InputError, UsageError, VampError
from vampcli.files import open_regular, read_bounded
from vampcli.schema import Between, from_table, raising, shown

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

MOST_TEXT = 2**22
"""Bytes of a JSON, TOML or text file, unless its reader says otherwise."""
MOST_DEPTH = 100
"""Tables and lists within each other."""
MOST_DIGITS = 40
"""Digits of a whole number."""
_MOST_HEADER = 2**24  # bytes; of safetensors
_MOST_NPY_HEADER = 2**12
_NPY_HEADER = re.compile(
    rb"\{'descr': '([<>|=]?[A-Za-z]\d{0,4})', 'fortran_order': (?:True|False), "
    rb"'shape': \(((?:\d{1,12}, ?)*(?:\d{1,12})?)\), ?\} *\n?"
)
_ITEM_BYTES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1}


def read_text(path: str | Path, limit: int = MOST_TEXT, cure: str = "name another file") -> str:
    """Read a text file in UTF-8; a byte order mark at its beginning is left out.

    Raises:
        InputError: it cannot be read, is no regular file, has more than `limit` bytes, or is not UTF-8.
    """
    content = read_bounded(path, limit, cure)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not text in UTF-8: see byte {error.start + 1}", "save it as UTF-8") from error


def read_json(path: str | Path, kind: type[VampError] = InputError, cure: str = "", limit: int = MOST_TEXT) -> Any:
    """Read a JSON file; see `parse_json`.

    Raises:
        VampError: of the kind `kind`: it cannot be read, is too large, or is no such JSON.
    """
    try:
        text = read_text(path, limit, cure or "name another file")
    except InputError as error:
        raise kind(error.message, cure or error.hint) from error
    return parse_json(text, str(path), kind, cure)


def parse_json(text: str, where: str, kind: type[VampError] = InputError, cure: str = "", finite: bool = True) -> Any:
    """Parse JSON: finite numbers, no key twice in a table, at most `MOST_DEPTH` levels and `MOST_DIGITS` digits.

    Args:
        text: the JSON.
        where: name of its source in errors.
        kind: of the error.
        cure: hint of the error.
        finite: refuse NaN and infinity, which Python writes into logs.

    Raises:
        VampError: of the kind `kind`: it is not such JSON.
    """
    try:
        found = json.loads(text, parse_constant=float, parse_int=_whole, object_pairs_hook=_table)
        _check(found, finite)
    except RecursionError as error:
        raise kind(f"{where} is damaged: it has more than {MOST_DEPTH} levels", cure) from error
    except ValueError as error:
        raise kind(f"{where} is damaged: {error}", cure) from error
    return found


@dataclass(frozen=True)
class _Digits:
    """Stands for a number of too many digits."""

    n: int

    def __repr__(self) -> str:
        return f"a number of {self.n} digits"


def _whole(text: str) -> Any:
    return int(text) if len(text) <= MOST_DIGITS else _Digits(len(text))


def _table(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) < len(pairs):
        names = Counter(key for key, _ in pairs)
        raise ValueError(f"the key {shown(names.most_common(1)[0][0])} is there twice")
    return table


def _check(value: Any, finite: bool = True) -> None:
    """Raise ValueError if a parsed value is nested too deeply, or holds what our files cannot; it names the key."""
    level = [("it", value)]
    for depth in range(MOST_DEPTH + 1):
        if depth == MOST_DEPTH and any(isinstance(one, dict | list) for _, one in level):
            raise ValueError(f"it has more than {MOST_DEPTH} levels")
        below: list[tuple[str, Any]] = []
        for name, one in level:
            if isinstance(one, dict):
                below += [pair for key, inner in one.items() for pair in ((_name(key), inner), ("a key", key))]
            elif isinstance(one, list):
                below += [(name, inner) for inner in one]
            elif fact := _odd(one, finite):
                raise ValueError(f"{name} is {fact}")
        level = below


def _name(key: str) -> str:
    return key if re.fullmatch(r"[\w-]{1,60}", key) else shown(key)


def _odd(value: Any, finite: bool) -> str:
    """What is wrong with a number or a text, and what is allowed; empty if it is right."""
    if isinstance(value, _Digits) or (type(value) is int and abs(value) >= 10**MOST_DIGITS):
        return f"{value if isinstance(value, _Digits) else 'a longer number'}; {MOST_DIGITS} are allowed"
    if isinstance(value, float):
        return f"{value}; finite numbers are allowed" if finite and not math.isfinite(value) else ""
    if isinstance(value, str) and not value.isascii():
        try:
            value.encode("utf-8", "surrogateescape")  # names of files may be any bytes
        except UnicodeEncodeError:
            return f"{shown(value)}, which holds half a character"
    elif not isinstance(value, str | int | None):
        return f"{value}; write text in quotes"
    return ""


def read_toml(path: str | Path, shown_path: str = "", limit: int = 2**20) -> dict[str, Any]:
    """Read a TOML file, with the limits of `parse_json`.

    Raises:
        InputError: the file cannot be read, or is too large.
        UsageError: it is not such TOML.
    """
    where = shown_path or str(path)
    text = read_text(path, limit, "make it a readable file, or move it away")
    try:
        found = tomllib.loads(text + "\n")  # so that an error at the end has a line
        _check(found)
    except RecursionError as error:
        raise UsageError(f"{where} is not TOML: it has more than {MOST_DEPTH} levels", "nest less") from error
    except ValueError as error:
        fact = f"a number has more than {MOST_DIGITS} digits" if "max_str_digits" in str(error) else error
        raise UsageError(f"{where} is not TOML: {fact}", "write lines such as: temperature = 0.9") from error
    return found


def parse_npy(content: bytes, where: str, cure: str) -> npt.NDArray[np.generic]:
    """Parse the bytes of a NPY file with one array of plain numbers or texts; nothing in it is executed.

    Raises:
        InputError: it is no such array, or its header promises another number of bytes.
    """
    import numpy as np

    length = 2 if content[6:7] == b"\1" else 4
    n_header = int.from_bytes(content[8 : 8 + length], "little")
    start = 8 + length + n_header
    header = _NPY_HEADER.fullmatch(content[8 + length : start]) if n_header <= _MOST_NPY_HEADER else None
    if content[:8] not in (b"\x93NUMPY\1\0", b"\x93NUMPY\2\0", b"\x93NUMPY\3\0") or header is None:
        raise InputError(f"{where} holds no array: its header is not that of a .npy file", cure)
    shape = [int(n) for n in re.findall(rb"\d+", header[2])]
    try:
        dtype = np.dtype(header[1].decode())
    except (TypeError, ValueError) as error:
        raise InputError(f"{where} holds no array: it has no type {shown(header[1].decode())}", cure) from error
    n_bytes = math.prod(shape) * dtype.itemsize
    if dtype.hasobject or len(shape) > 8 or n_bytes != len(content) - start:
        fact = f"{dtype} of the shape {tuple(shape)} in {len(content) - start} bytes"
        raise InputError(f"{where} holds no array: {fact}", cure)
    array: npt.NDArray[np.generic] = np.lib.format.read_array(io.BytesIO(content), allow_pickle=False)
    return array


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
