"""What nobody typed comes from the environment, `vamp.toml` in the folder, the user's `vamp.toml`, a preset."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import typer

from vampcli.cli import layers
from vampcli.cli.annotations import Carries, Fills, Rivals, Typed
from vampcli.cli.layers import OPTION, Layer, Options, Setting
from vampcli.errors import UsageError


@dataclass(frozen=True)
class Configuration:
    """Every option of a command, and where its value came from."""

    options: Options
    settings: Layer

    @property
    def values(self) -> dict[str, Any]:
        """By the names of the function's parameters."""
        return {self.options[key].name: setting.value for key, setting in self.settings.items()}

    @property
    def typed(self) -> Typed:
        """What stood on the command line."""
        return Typed(key for key, said in self.settings.items() if said.source == OPTION)

    def as_json(self) -> dict[str, Any]:
        """`{key: {"value": ..., "source": ...}}`."""
        return {key: {"value": said.value, "source": said.source} for key, said in self.settings.items()}

    def as_toml(self) -> str:
        """A file that says the same, and in comments where it came from."""
        lines = []
        for key, said in self.settings.items():
            start = f"# {key} =" if said.value is None else f"{key} = {layers.toml(said.value)}"
            lines.append(f"{start}  # {said.source}")
        return "\n".join(lines)

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Let refusals of options name the sources of those that nobody typed."""
        try:
            yield
        except UsageError as error:
            found = {key: said for key, said in self.settings.items() if said.afar}
            text = f"{error.message} {error.hint}"
            named = {key: said for key, said in found.items() if _mentions(text, key, self.options[key].name)}
            sources: dict[str, list[str]] = {}
            for key, said in (named or found).items():
                sources.setdefault(said.source, []).append(key)
            if not sources:
                raise
            parts = [f"{', '.join(k)} {'is' if len(k) == 1 else 'are'} from {name}" for name, k in sources.items()]
            raise type(error)(error.message, f"{error.hint} ({'; '.join(parts)})".lstrip()) from error


def settle(ctx: typer.Context, typed: dict[str, Any], only_typed: Collection[str] = ()) -> Configuration:
    """Find the value of every option: as typed, or of the strongest source that says something.

    Args:
        ctx: of the command that runs.
        typed: what typer made of the command line, defaults included, by parameter.
        only_typed: options of which the other sources speak in vain.

    Raises:
        UsageError: a source says what no option understands.
        InputError: a file is there, but cannot be read.
    """
    options = layers.options_of(ctx.command)
    said, *weaker = layers.from_the_strongest(ctx, options, typed)
    for layer in weaker:
        _add(said, {key: setting for key, setting in layer.items() if key not in only_typed}, options)
    for key, option in options.items():
        for fills in (mark for mark in option.marks if isinstance(mark, Fills) and key in said):
            name = said[key].value
            with Configuration(options, said).explained():
                filled = fills.values(name)
            _add(said, {other: Setting(v, f"{key} {name}") for other, v in filled.items()}, options)
    defaults = {key: Setting(typed[option.name], "default") for key, option in options.items()}
    return Configuration(options, {key: said.get(key, default) for key, default in defaults.items()})


def _add(said: Layer, weaker: Layer, options: Options) -> None:
    """Take from a weaker source what it says of options that a stronger one has left open."""
    closed = set(said)
    for key, mark in ((key, mark) for key, option in options.items() for mark in option.marks):
        if isinstance(mark, Rivals):
            pairs = [(key, other) for other in mark.keys]
            closed |= {other for pair in pairs for one, other in (pair, pair[::-1]) if _is_set(said, one)}
        elif isinstance(mark, Carries) and key in said and not said[key].value:
            closed |= mark.keys
    said.update({key: setting for key, setting in weaker.items() if key not in closed})


def _is_set(said: Layer, key: str) -> bool:
    """Whether an option is set; a switch that is off is not."""
    return key in said and said[key].value is not None and said[key].value is not False


def _mentions(text: str, *names: str) -> bool:
    return any(re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", text.replace("--", " ")) for name in names)
