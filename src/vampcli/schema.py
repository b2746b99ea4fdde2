"""Convert tables of TOML and JSON to dataclasses, strictly."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from vampcli.errors import UsageError, VampError

T = TypeVar("T")

_MOST_SHOWN = 80  # characters of a value in an error

_WANTED = {
    int: "a whole number",
    float: "a number",
    str: "text",
    bool: "true or false",
    NoneType: "null",
    tuple: "a list",
    dict: "a table",
}


@dataclasses.dataclass(frozen=True)
class Between:
    """Range of a field, both ends included: `Annotated[int, Between(1, 64)]`.

    It bounds a number, the characters of a text, or the elements of a list.
    """

    low: float
    high: float

    def holds(self, value: Any) -> bool:
        """Say whether a number, a text or a list lies in the range; None, which an optional field may be, does."""
        if value is None:
            return True
        return bool(self.low <= (value if isinstance(value, int | float) else len(value)) <= self.high)

    def words(self, wanted: str) -> str:
        """The range in words, after the words for the type."""
        unit = {"text": " characters", "a list": " elements", "a table": " keys"}.get(wanted, "")
        return f"{wanted} {'of' if unit else 'from'} {self.low:g} to {self.high:.16g}{unit}"


@contextmanager
def raising(kind: type[VampError], hint: str = "") -> Iterator[None]:
    """Turn usage errors in the content of a file into errors of another kind, with a hint if they have none."""
    try:
        yield
    except UsageError as error:
        raise kind(error.message, error.hint or hint) from error


def shown(value: Any) -> str:
    """A value as it would be typed in Python, shortened for an error."""
    text = repr(value)
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}…"


def from_table(cls: type[T], table: Mapping[str, Any], where: str, ignored: Sequence[str] = ()) -> T:
    """Convert a table to a dataclass.

    Numbers, text and flags must have their field's type (an integer also fits a float); lists become tuples, tables
    become dataclasses.

    Args:
        cls: a dataclass whose fields are such types, optional ones, literals, unions of these, mappings from text to
            these, or `Annotated` with a range, `Between`; values of `Any` are not checked.
        table: the table.
        where: location of the table in errors.
        ignored: keys that are left out.

    Raises:
        UsageError: a key is unknown or missing, or a value does not fit its field; the message names it.
    """
    table = {key: value for key, value in table.items() if key not in ignored}
    fields = {f.name: f for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
    unknown = sorted(set(table) - set(fields))
    if unknown:
        raise UsageError(f"{where}: unknown key {shown(unknown[0])}", f"known here: {', '.join(sorted(fields))}")
    types = get_type_hints(cls, include_extras=True)
    values = {name: _value(types[name], value, where, name) for name, value in table.items()}
    needed = [f.name for f in fields.values() if f.default is f.default_factory is dataclasses.MISSING]
    missing = [name for name in needed if name not in table]
    if missing:
        raise UsageError(f"{where}: {missing[0]!r} is missing", "add it")
    try:
        return cls(**values)
    except UsageError as error:
        raise UsageError(f"{where}: {error.message}", error.hint) from error
    except (TypeError, ValueError, ArithmeticError) as error:
        raise UsageError(f"{where}: {str(error).split(') ')[-1]}") from error


def _value(annotation: Any, value: Any, where: str, name: str) -> Any:
    annotation, ranges = _bare(annotation)
    choices = get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)
    fitting = [choice for choice in choices if _fits(choice, value)]
    if not fitting or not all(one.holds(value) for one in ranges):
        wanted = " or ".join(dict.fromkeys(_wanted(choice) for choice in choices))
        for one in ranges:
            wanted = one.words(wanted)
        raise UsageError(f"{where}: {name} is {shown(value)}", f"it takes {wanted}")
    choice, ranges = _bare(fitting[0])
    if isinstance(value, Mapping):
        if dataclasses.is_dataclass(choice):
            return from_table(choice, value, f"{where} [{name}]")  # type: ignore[arg-type]
        inner = (get_args(choice) or (str, Any))[1]
        return {key: _value(inner, one, f"{where} [{name}]", shown(key)) for key, one in value.items()}
    if isinstance(value, list) and choice is not Any:
        kinds = _elements(choice, len(value))
        return tuple(_value(k, v, where, f"{name}[{i}]") for i, (k, v) in enumerate(zip(kinds, value, strict=True)))
    return value


def _bare(annotation: Any) -> tuple[Any, tuple[Between, ...]]:
    """A type without its ranges, and the ranges."""
    if get_origin(annotation) is not Annotated:
        return annotation, ()
    bare, *metadata = get_args(annotation)
    return bare, tuple(one for one in metadata if isinstance(one, Between))


def _fits(annotation: Any, value: Any) -> bool:
    annotation, ranges = _bare(annotation)
    origin = get_origin(annotation)
    if annotation is Any:
        return True
    if origin is Literal:
        return any(value == one and type(value) is type(one) for one in get_args(annotation))
    if dataclasses.is_dataclass(annotation) or origin in (dict, Mapping):
        return isinstance(value, Mapping)
    if origin in (tuple, Sequence):
        return isinstance(value, list) and _elements(annotation, len(value)) is not None
    is_type = type(value) is annotation or (annotation is float and type(value) is int)
    return is_type and all(one.holds(value) for one in ranges)


def _elements(annotation: Any, n: int) -> Any:
    """Types of the n elements of a list; None if it cannot have n."""
    inner = get_args(annotation)
    if get_origin(annotation) is Sequence or inner[1:] == (Ellipsis,):
        return inner[:1] * n
    return inner if len(inner) == n else None


def _wanted(annotation: Any) -> str:
    annotation, ranges = _bare(annotation)
    origin = get_origin(annotation)
    if origin is Literal:
        return " or ".join(map(repr, get_args(annotation)))
    if dataclasses.is_dataclass(annotation) or origin is Mapping:
        return _WANTED[dict]
    wanted = _WANTED[tuple if origin is Sequence else origin or annotation]
    for one in ranges:
        wanted = one.words(wanted)
    return wanted
