"""Resolve option values: command line > environment (VAMP_...) > ./vamp.toml > user vamp.toml > preset, model."""

from __future__ import annotations

import difflib
import inspect
import json
import os
import re
from collections import ChainMap
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import UnionType
from typing import Any, NamedTuple, Union, get_args, get_origin

import platformdirs
import typer

from vampcli.errors import UsageError
from vampcli.reading import read_toml

FILE = "vamp.toml"
_DECIDING = frozenset(
    (
        *("device", "mask", "memory-from", "model", "name", "out", "overwrite"),
        *("page", "plot", "shard", "sidecar", "spans-from"),
    )
)
"""Options that decide where results are written, over what, and from which files they are made."""
PRINT = "print_config"  # the parameter that marks a command as configurable

_TOML_TYPES: dict[Any, tuple[tuple[type, ...], str]] = {
    bool: ((bool,), "true or false"),
    int: ((int,), "a whole number"),
    float: ((int, float), "a number"),
    list: ((str, list), 'texts in brackets, such as ["4-6", "bars:5-8"]'),
}
"""Types that a file may give to an option of a type, also in words."""
_TEXT: tuple[tuple[type, ...], str] = ((str, int, float), "text in quotes")
_VARIABLE_TYPES = {bool: "1 or 0, true or false, yes or no", int: "a whole number", float: "a number"}
"""Texts that a variable may give to an option of a type, in words."""


@dataclass(frozen=True)
class Rule:
    """Relations of an option to others, by long name.

    Attributes:
        excludes: options that cannot be combined with this one. Whichever is set in a stronger source wins.
        carries: options without effect while this switch is off. Turning it off also drops their values from weaker
            sources.
        fills: values of other options that no source sets, from the value of this one.
    """

    excludes: tuple[str, ...] = ()
    carries: tuple[str, ...] = ()
    fills: Callable[[str], dict[str, Any]] | None = None


class Option(NamedTuple):
    """Typer's parameter, the type of its value, and its relations."""

    parameter: Any
    type: Any
    rule: Rule


class Setting(NamedTuple):
    """The value of an option and its source; `remote` if that is the environment or a file."""

    value: Any
    source: str
    remote: bool = False


Options = dict[str, Option]
Layer = dict[str, Setting]
"""Values from one source or several. Keys are long option names: `keep-codebooks`."""


@dataclass(frozen=True)
class Configuration:
    """The options of a command with their values; options that no source sets are missing from `settings`."""

    options: Options
    settings: Layer
    defaults: dict[str, Any]

    @property
    def values(self) -> dict[str, Any]:
        """Values by parameter name."""
        return self.defaults | {
            self.options[key].parameter.name: setting.value for key, setting in self.settings.items()
        }

    def as_json(self) -> dict[str, Any]:
        """`{key: {"value": ..., "source": ...}}`."""
        return {key: {"value": setting.value, "source": setting.source} for key, setting in self._all()}

    def as_toml(self) -> str:
        """The same as a file, with sources in comments; defaults are comments, too."""
        lines = []
        for key, (value, source, _) in self._all():
            text = f"{key} =" if value is None else f"{key} = {to_toml(value)}"
            lines.append(f"{'# ' if source == 'default' else ''}{text}  # {source}")
        return "\n".join(lines)

    def _all(self) -> Iterator[tuple[str, Setting]]:
        for key, option in self.options.items():
            yield key, self.settings.get(key, Setting(self.defaults[option.parameter.name], "default"))

    def refuse_conflicts(self) -> None:
        """Raise UsageError if options of one source exclude each other."""
        for key, option in self.options.items():
            others = [f"--{other}" for other in option.rule.excludes if _is_set(self.settings, other)]
            if others and _is_set(self.settings, key):
                raise UsageError(f"--{key} cannot be combined with {', '.join(others)}", "leave one of them out")

    def local_note(self) -> str:
        """Name the options by which ./vamp.toml decides where or with what results are made; empty if there are none.

        A folder may come from somebody else, and its file with it.
        """
        found = [
            f"{key} = {to_toml(setting.value)}"
            for key, setting in sorted(self.settings.items())
            if key in _DECIDING and setting.source.partition(" ")[0] == FILE and _is_set(self.settings, key)
        ]
        return f"{FILE} in this folder sets {', '.join(found)}" if found else ""

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Name options in usage errors as the user did, and the sources of values that are not on the command line."""
        try:
            yield
        except UsageError as error:
            error.message = self._with_option(error.message)
            remote = {key: setting for key, setting in self.settings.items() if setting.remote}
            text = f"{error.message} {error.hint}"
            mentioned = [key for key in remote if _mentions(text, key, self.options[key].parameter.name)]
            keys: dict[str, list[str]] = {}
            for key in mentioned or remote:
                keys.setdefault(remote[key].source, []).append(key)
            if not keys:
                raise type(error)(error.message, error.hint) from error
            parts = [f"{', '.join(k)} {'is' if len(k) == 1 else 'are'} from {source}" for source, k in keys.items()]
            raise type(error)(error.message, f"{error.hint} ({'; '.join(parts)})".lstrip()) from error

    def _with_option(self, message: str) -> str:
        """`fine_steps is 0` -> `--fine-steps is 0`, or `VAMP_STEPS is 0` if the environment set it."""
        name, verb, rest = message.partition(" is ")
        for key, option in self.options.items():
            if name == option.parameter.name and key in self.settings:
                source, _, variable = self.settings[key].source.partition(" ")
                return f"{variable if source == 'environment' else f'--{key}'}{verb}{rest}"
        return message


def resolve(ctx: typer.Context, parsed: dict[str, Any], only_typed: Collection[str] = ()) -> Configuration:
    """Take each option from its strongest source.

    Args:
        ctx: of the command.
        parsed: Typer's values, defaults included, by parameter name.
        only_typed: options that are read from the command line alone.

    Raises:
        UsageError: a source has an unknown key or a bad value.
        InputError: a file cannot be read.
    """
    options = options_of(ctx.command)
    settings = typed(ctx, options, parsed)
    if PRINT in parsed:
        home = Path(platformdirs.user_config_dir("vamp"), FILE)
        for layer in (_environment(ctx, options), *_file(ctx, Path(FILE)), *_file(ctx, home)):
            _add(settings, {key: setting for key, setting in layer.items() if key not in only_typed}, options)
    found = Configuration(options, settings, parsed)
    for key, option in options.items():
        name = found.values[option.parameter.name]
        if option.rule.fills and name is not None:
            with found.explained():
                values = option.rule.fills(name)
            filled = {other: Setting(value, f"{key} {name}") for other, value in values.items() if other in options}
            _add(settings, filled, options)
    return found


def options_of(command: Any) -> Options:
    """The configurable options of a Typer command."""
    hints = inspect.signature(command.callback).parameters
    found = {}
    for parameter in command.params:
        if parameter.param_type_name == "option" and parameter.name in hints and parameter.name != PRINT:
            key = next(name for name in parameter.opts if name.startswith("--")).removeprefix("--")
            bare, *metadata = get_args(hints[parameter.name].annotation)
            if get_origin(bare) in (Union, UnionType):
                bare = get_args(bare)[0]  # `int | None` -> int
            rule = next((mark for mark in metadata if isinstance(mark, Rule)), Rule())
            found[key] = Option(parameter, get_origin(bare) or bare, rule)
    return found


def typed(ctx: typer.Context, options: Options, parsed: dict[str, Any]) -> Layer:
    """Values on the command line."""
    return {
        key: Setting(parsed[name], "option")
        for key, option in options.items()
        if (source := ctx.get_parameter_source(name := option.parameter.name)) and source.name != "DEFAULT"
    }


def _add(settings: Layer, weaker: Layer, options: Options) -> None:
    """Add the values of a weaker source, but for options that are set or excluded already."""
    closed = set(settings)
    for key, option in options.items():
        if _is_set(settings, key):
            closed.update(option.rule.excludes)
        elif key in settings:
            closed.update(option.rule.carries)
        if any(_is_set(settings, other) for other in option.rule.excludes):
            closed.add(key)
    settings.update({key: setting for key, setting in weaker.items() if key not in closed})


def _is_set(settings: Layer, key: str) -> bool:
    """Return True if an option has a value; a switch that is off has none, unlike the number 0."""
    return key in settings and settings[key].value is not None and settings[key].value is not False


def _environment(ctx: typer.Context, options: Options) -> Layer:
    layer = {}
    for key, option in options.items():
        variable = "VAMP_" + key.replace("-", "_").upper()
        if text := os.environ.get(variable, "").strip():
            value = _convert(ctx, option, text.split() if option.type is list else text, f"{variable} is {text!r}")
            layer[key] = Setting(value, f"environment {variable}", remote=True)
    return layer


def _convert(ctx: typer.Context, option: Option, value: Any, fact: str) -> Any:
    """Convert a value as Typer converts those on the command line.

    Raises:
        UsageError: with `fact` and the accepted values.
    """
    try:
        made = option.parameter.process_value(ctx, value)
    except typer.BadParameter as error:
        cure = f"it takes {_VARIABLE_TYPES[option.type]}" if option.type in _VARIABLE_TYPES else plain(error.message)
        raise UsageError(fact, cure) from None
    return list(made) if option.type is list else made


def _file(ctx: typer.Context, path: Path) -> tuple[Layer, Layer]:
    """The command's table of a file and the values above all tables, both checked for all commands."""
    home = os.path.expanduser("~")
    shown = f"~/{path.relative_to(home)}" if path.is_relative_to(home) else str(path)
    content = read_toml(path, shown) if os.path.lexists(path) else {}
    parent: Any = ctx.parent
    siblings: dict[str, Any] = parent.command.commands if parent else {str(ctx.command.name): ctx.command}
    commands = {
        name: options_of(command)
        for name, command in siblings.items()
        if any(parameter.name == PRINT for parameter in command.params)
    }
    tables = {key: value for key, value in content.items() if isinstance(value, dict)}
    for name in tables:
        if name not in commands:
            raise UsageError(f"{shown}: there is no command for [{name}]", f"known: {' '.join(commands)}")
    alone = {
        name: read_table(ctx, known, tables.get(name, {}), f"{shown} [{name}]") for name, known in commands.items()
    }
    every = ChainMap(*commands.values())
    shared = read_table(ctx, every, {key: value for key, value in content.items() if key not in tables}, shown)
    name = str(ctx.command.name)
    return alone[name], {key: setting for key, setting in shared.items() if key in commands[name]}


def read_table(ctx: typer.Context, options: Mapping[str, Option], table: Mapping[str, Any], where: str) -> Layer:
    """Convert a table of options by their long names.

    Raises:
        UsageError: a key is unknown or there twice, or a value has another type than its option takes.
    """
    layer: Layer = {}
    for name, value in table.items():
        key = name.replace("_", "-")
        if key not in options:
            near = difflib.get_close_matches(key, options, cutoff=0.5)
            hint = f"near it: {', '.join(near)}" if near else "keys are long option names; --print-config shows all"
            raise UsageError(f"{where}: unknown key {name!r}", hint)
        if key in layer:
            raise UsageError(f"{where}: {key} is set twice, once as {key.replace('-', '_')}", "keep one of them")
        option, fact = options[key], f"{where}: {name} is {to_toml(value)}"
        types, wanted = _TOML_TYPES.get(option.type, _TEXT)
        values = value if type(value) is list else [value]
        if type(value) not in types or (option.type is list and not all(isinstance(one, str) for one in values)):
            raise UsageError(fact, f"it takes {wanted}")
        value = values if option.type is list else str(value) if types is _TEXT[0] else value
        layer[key] = Setting(_convert(ctx, option, value, fact), where, remote=True)
    return layer


def plain(message: str) -> str:
    """Typer's reason without the prefix of the library that checks values."""
    return message.removeprefix("Value error, ")


def to_toml(value: Any) -> str:
    """A value as TOML."""
    if isinstance(value, list):
        return f"[{', '.join(map(to_toml, value))}]"
    if isinstance(value, str):  # JSON's escapes are TOML's, but for DEL, which JSON does not escape
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return str(value).lower()


def _mentions(text: str, *names: str) -> bool:
    return any(re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", text.replace("--", " ")) for name in names)
