"""Tables of TOML and JSON into frozen dataclasses, strictly: what does not fit is named."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Mapping, Sequence
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


def read(path: Path, cls: type[T], kind_of: Callable[[type], str] | None = None) -> T:
    """Read a TOML file into a dataclass, as `from_table` does.

    Raises:
        InputError: the file cannot be read.
        UsageError: it is not TOML, holds an unknown key or lacks one; the message names it.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from error
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path} is not TOML: {error}") from error
    return from_table(cls, table, str(path), kind_of)


def from_table(cls: type[T], table: Mapping[str, Any], where: str, kind_of: Callable[[type], str] | None = None) -> T:
    """Make a dataclass of a table.

    Numbers, text and flags must be of their field's type (a whole number will do for a real one); lists become tuples,
    tables become dataclasses. Where a field has a choice of dataclasses, the key `kind` of its table names one.

    Args:
        cls: a dataclass whose fields are such types, optional ones, literals, unions of these, or
            `dict`, which is not looked into.
        table: as read.
        where: says in errors where the table stands.
        kind_of: what `kind` calls a dataclass.

    Raises:
        UsageError: a key is unknown or lacking, or a value is not what the field takes; the message names it.
    """
    fields = {f.name: f for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
    unknown = sorted(set(table) - set(fields))
    if unknown:
        raise UsageError(f"{where}: unknown key {unknown[0]!r}", f"known here: {', '.join(sorted(fields))}")
    types = get_type_hints(cls)
    values = {name: _value(types[name], value, where, name, kind_of) for name, value in table.items()}
    needed = [f.name for f in fields.values() if f.default is f.default_factory is dataclasses.MISSING]
    lacking = [name for name in needed if name not in table]
    if lacking:
        raise UsageError(f"{where}: {lacking[0]!r} is missing", "write it")
    try:
        return cls(**values)
    except UsageError as error:
        raise UsageError(f"{where}: {error.message}", error.hint) from error
    except (TypeError, ValueError) as error:
        raise UsageError(f"{where}: {str(error).split(') ')[-1]}") from error


def _value(annotation: Any, value: Any, where: str, name: str, kind_of: Callable[[type], str] | None) -> Any:
    choices = get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)
    fitting = [choice for choice in choices if _fits(choice, value)]
    if not fitting:
        wanted = " or ".join(dict.fromkeys(_wanted(choice) for choice in choices))
        raise UsageError(f"{where}: {name} is {value!r}", f"it takes {wanted}")
    choice = fitting[0]
    if isinstance(value, Mapping) and get_origin(choice) is not dict:
        if len(fitting) > 1:
            choice, value = _of_kind(fitting, value, f"{where} [{name}]", kind_of)
        return from_table(choice, value, f"{where} [{name}]", kind_of)
    if isinstance(value, list):
        kinds = _elements(choice, len(value))
        return tuple(
            _value(k, v, where, f"{name}[{i}]", kind_of) for i, (k, v) in enumerate(zip(kinds, value, strict=True))
        )
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
    """The types of a list's n elements; None if it cannot have so many."""
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


def _of_kind(
    choices: Sequence[Any], table: Mapping[str, Any], where: str, kind_of: Callable[[type], str] | None
) -> tuple[Any, Mapping[str, Any]]:
    """The dataclass that the table's `kind` names, by default the first, and the table without it."""
    names = {kind_of(choice) if kind_of else choice.__name__: choice for choice in choices}
    kind = table.get("kind", next(iter(names)))
    if kind not in list(names):
        raise UsageError(f"{where}: unknown kind {kind!r}", f"known here: {', '.join(names)}")
    return names[kind], {key: value for key, value in table.items() if key != "kind"}
