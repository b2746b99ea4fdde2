"""Convert tables of TOML and JSON to dataclasses, strictly."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from vampcli.errors import InputError, UsageError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

T = TypeVar("T")

_WANTED = {
    int: "a whole number",
    float: "a number",
    str: "text",
    bool: "true or false",
    NoneType: "null",
    tuple: "a list",
    dict: "a table",
}


def read_table(path: Path) -> dict[str, Any]:
    """Read a TOML file.

    Raises:
        InputError: the file cannot be read.
        UsageError: it is not TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from error
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path} is not TOML: {error}") from error


def from_table(cls: type[T], table: Mapping[str, Any], where: str) -> T:
    """Convert a table to a dataclass.

    Numbers, text and flags must have their field's type (an integer also fits a float); lists become tuples, tables
    become dataclasses.

    Args:
        cls: a dataclass whose fields are such types, optional ones, literals, unions of these, or
            `dict`, whose values are not checked.
        table: the table.
        where: location of the table in errors.

    Raises:
        UsageError: a key is unknown or missing, or a value does not fit its field; the message names it.
    """
    fields = {f.name: f for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
    unknown = sorted(set(table) - set(fields))
    if unknown:
        raise UsageError(f"{where}: unknown key {unknown[0]!r}", f"known here: {', '.join(sorted(fields))}")
    types = get_type_hints(cls)
    values = {name: _value(types[name], value, where, name) for name, value in table.items()}
    needed = [f.name for f in fields.values() if f.default is f.default_factory is dataclasses.MISSING]
    missing = [name for name in needed if name not in table]
    if missing:
        raise UsageError(f"{where}: {missing[0]!r} is missing", "add it")
    try:
        return cls(**values)
    except UsageError as error:
        raise UsageError(f"{where}: {error.message}", error.hint) from error
    except (TypeError, ValueError) as error:
        raise UsageError(f"{where}: {str(error).split(') ')[-1]}") from error


def _value(annotation: Any, value: Any, where: str, name: str) -> Any:
    choices = get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)
    fitting = [choice for choice in choices if _fits(choice, value)]
    if not fitting:
        wanted = " or ".join(dict.fromkeys(_wanted(choice) for choice in choices))
        raise UsageError(f"{where}: {name} is {value!r}", f"it takes {wanted}")
    choice = fitting[0]
    if isinstance(value, Mapping) and get_origin(choice) is not dict:
        return from_table(choice, value, f"{where} [{name}]")
    if isinstance(value, list):
        kinds = _elements(choice, len(value))
        return tuple(_value(k, v, where, f"{name}[{i}]") for i, (k, v) in enumerate(zip(kinds, value, strict=True)))
    return value


def _fits(annotation: Any, value: Any) -> bool:
    origin = get_origin(annotation)
    if origin is Literal:
        return any(value == one and type(value) is type(one) for one in get_args(annotation))
    if dataclasses.is_dataclass(annotation):
        return isinstance(value, Mapping)
    if origin is dict:
        return isinstance(value, Mapping)
    if origin in (tuple, Sequence):
        return isinstance(value, list) and _elements(annotation, len(value)) is not None
    return type(value) is annotation or (annotation is float and type(value) is int)


def _elements(annotation: Any, n: int) -> Any:
    """Types of the n elements of a list; None if it cannot have n."""
    inner = get_args(annotation)
    if get_origin(annotation) is Sequence or inner[1:] == (Ellipsis,):
        return inner[:1] * n
    return inner if len(inner) == n else None


def _wanted(annotation: Any) -> str:
    origin = get_origin(annotation)
    if origin is Literal:
        return " or ".join(map(repr, get_args(annotation)))
    if dataclasses.is_dataclass(annotation):
        return _WANTED[dict]
    return _WANTED[tuple if origin is Sequence else origin or annotation]
