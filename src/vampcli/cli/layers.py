"""What each source says of the options that a command has: the command line, the environment, a file."""

from __future__ import annotations

import difflib
import inspect
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin

import typer

from vampcli.errors import InputError, UsageError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FILE = "vamp.toml"
PRINT = "print_config"  # the parameter that commands with a configuration have
OPTION = "option"  # the source of what is typed

_TAKEN: dict[type, tuple[set[type], str]] = {
    bool: ({bool}, "true or false"),
    int: ({int}, "a whole number"),
    float: ({int, float}, "a number"),
    str: ({str, int, float}, "text in quotes"),
    list: ({str, list}, 'texts in brackets, such as ["4-6", "bars:5-8"]'),
}
"""What stands in a file for a type, and how to say so."""


@dataclass(frozen=True)
class Option:
    """An option of a command.

    Attributes:
        parameter: typer's.
        type: of its value.
        marks: what its annotation says beside.
    """

    parameter: Any
    type: type
    marks: tuple[Any, ...]

    @property
    def name(self) -> str:
        """Of the parameter of the function."""
        return str(self.parameter.name)


@dataclass(frozen=True)
class Setting:
    """The value of an option.

    Attributes:
        value: as the command gets it.
        source: where it came from.
        afar: whether it stands in the environment or a file, so that people may have forgotten it.
    """

    value: Any
    source: str
    afar: bool = False


Options = dict[str, Option]
Layer = dict[str, Setting]
"""What one source says. The keys, here as everywhere, are long option names: `keep-codebooks`."""


def options_of(command: Any) -> Options:
    """The options of a command of typer's that can be configured."""
    hints = inspect.signature(command.callback).parameters
    found = {}
    for parameter in command.params:
        if parameter.param_type_name == "option" and parameter.name in hints and parameter.name != PRINT:
            key = next(opt for opt in parameter.opts if opt.startswith("--")).removeprefix("--")
            found[key] = Option(parameter, *_read_hint(hints[parameter.name].annotation))
    return found


def from_the_strongest(ctx: typer.Context, options: Options, typed: dict[str, Any]) -> list[Layer]:
    """All that is said: on the command line, in the environment, in the folder's file, in the user's.

    In a file the command's own table is stronger than what stands above all tables.

    Args:
        ctx: of the command that runs.
        options: the command's.
        typed: what typer made of the command line, defaults included, by parameter.

    Raises:
        UsageError: something that no option understands; the message names it and where it stands.
        InputError: a file is there, but cannot be read.
    """
    sources = {key: ctx.get_parameter_source(option.name) for key, option in options.items()}
    given = [key for key, source in sources.items() if source is not None and source.name != "DEFAULT"]
    return [
        {key: Setting(typed[options[key].name], OPTION) for key in given},
        _environment(ctx, options),
        *_file(ctx, Path(FILE)),
        *_file(ctx, Path(os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config"), "vamp", FILE)),
    ]


def _read_hint(hint: Any) -> tuple[type, tuple[Any, ...]]:
    """`Annotated[Optional[list[str]], ...]` -> list, and what is annotated."""
    bare, *marks = get_args(hint)
    if get_origin(bare) in (Union, UnionType):
        bare = next(choice for choice in get_args(bare) if choice is not type(None))
    return get_origin(bare) or bare, tuple(marks)


def _environment(ctx: typer.Context, options: Options) -> Layer:
    layer = {}
    for key, option in options.items():
        variable = "VAMP_" + key.replace("-", "_").upper()
        text = os.environ.get(variable, "")
        if text.strip():
            try:
                value = _understood(ctx, option, text.split() if option.type is list else text)
            except ValueError:
                wanted = "1 or 0, true or false, yes or no" if option.type is bool else _taken(option)[1]
                raise UsageError(f"{variable} is {text!r}", f"it takes {wanted}") from None
            layer[key] = Setting(value, f"environment {variable}", afar=True)
    return layer


def _file(ctx: typer.Context, path: Path) -> list[Layer]:
    """What a file says to this command alone, and what to all of them; checked for all."""
    shown = _shown(path)
    said = _load(path, shown)
    if not said:
        return []
    commands, mine = _commands(ctx), str(ctx.command.name)
    everybody = {key: value for key, value in said.items() if not isinstance(value, dict)}
    tables = {key: value for key, value in said.items() if isinstance(value, dict)}
    strangers = [name for name in tables if name not in commands]
    if strangers:
        raise UsageError(f"{shown}: there is no command for [{strangers[0]}]", f"known: {' '.join(commands)}")
    alone = {name: _read(ctx, known, tables.get(name, {}), f"{shown} [{name}]") for name, known in commands.items()}
    known = {key: option for options in (*commands.values(), commands[mine]) for key, option in options.items()}
    shared = _read(ctx, known, everybody, shown)
    return [alone[mine], {key: shared[key] for key in shared if key in commands[mine]}]


def _commands(ctx: typer.Context) -> dict[str, Options]:
    """The commands that have a configuration, and their options."""
    parent: Any = ctx.parent
    commands = parent.command.commands if parent else {str(ctx.command.name): ctx.command}
    return {
        name: options_of(command)
        for name, command in commands.items()
        if any(parameter.name == PRINT for parameter in command.params)
    }


def _load(path: Path, shown: str) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig") + "\n")  # so that an error at the end has a line
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise InputError(
            f"cannot read {shown}: {error.strerror}", "make it a readable file, or move it away"
        ) from error
    except ValueError as error:
        raise UsageError(f"{shown} is not TOML: {error}", "write lines such as: temperature = 0.9") from error


def _read(ctx: typer.Context, options: Options, table: dict[str, Any], where: str) -> Layer:
    layer: Layer = {}
    for typed, value in table.items():
        key = typed.replace("_", "-")
        if key not in options:
            near = difflib.get_close_matches(key, options, cutoff=0.5)
            hint = f"near it: {', '.join(near)}" if near else "keys are long option names; --print-config shows all"
            raise UsageError(f"{where}: unknown key {typed!r}", hint)
        if key in layer:
            raise UsageError(f"{where}: {key} stands there twice, as {key.replace('-', '_')} too", "keep one of them")
        types, wanted = _taken(options[key])
        try:
            if type(value) not in types or (type(value) is list and not all(isinstance(one, str) for one in value)):
                raise ValueError
            layer[key] = Setting(_understood(ctx, options[key], value), where, afar=True)
        except (ValueError, OverflowError):
            raise UsageError(f"{where}: {typed} is {toml(value)}", f"it takes {wanted}") from None
    return layer


def _taken(option: Option) -> tuple[set[type], str]:
    return _TAKEN.get(option.type, _TAKEN[str])


def _understood(ctx: typer.Context, option: Option, value: Any) -> Any:
    """What typer would have made of it.

    Raises:
        ValueError: nothing.
    """
    if option.type is list and not isinstance(value, list):
        value = [value]
    try:
        made = option.parameter.process_value(
            ctx, value if option.type in _TAKEN and option.type is not str else str(value)
        )
    except typer.BadParameter as error:
        raise ValueError from error
    return list(made) if option.type is list else made


def _shown(path: Path) -> str:
    """The path as people write it."""
    home = os.path.expanduser("~")
    return f"~/{path.relative_to(home)}" if path.is_relative_to(home) else str(path)


def toml(value: Any) -> str:
    """A value as it stands in a file."""
    if isinstance(value, list):
        return f"[{', '.join(map(toml, value))}]"
    if isinstance(value, str):  # JSON's escapes are TOML's, but for the one character that JSON leaves as it is
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return str(value).lower()
