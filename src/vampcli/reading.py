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
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vampcli.errors import InputError, UsageError, VampError
from vampcli.files import read_bounded
from vampcli.schema import shown

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
_MOST_NPY_HEADER = 2**12
_NPY_HEADER = re.compile(
    rb"\{'descr': '([<>|=]?[A-Za-z]\d{0,4})', 'fortran_order': (?:True|False), "
    rb"'shape': \(((?:\d{1,12}, ?)*(?:\d{1,12})?)\), ?\} *\n?"
)


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
    """Return what is wrong with a number or a text, and what is allowed; empty if it is right."""
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
