"""Parse command lines without carrying them out, and describe the values of options."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal, get_args, get_origin

import typer
from typer.main import get_command

from vampcli.cli.command import command
from vampcli.cli.jobs.job import Workflow
from vampcli.errors import UsageError

Kind = Literal["flag", "number", "integer", "text", "choice"]
_KINDS: dict[Any, Kind] = {bool: "flag", float: "number", int: "integer"}


class Parser:
    """Commands that return their workflows; environment and vamp.toml count as on the command line.

    Attributes:
        commands: of Typer, by name.
    """

    def __init__(self, functions: Iterable[Callable[..., Workflow]]) -> None:
        app = typer.Typer(add_completion=False)
        for function in functions:
            app.command()(command(function, lambda workflow, _: workflow, raises=True))
        group: Any = get_command(app)
        self._group, self.commands = group, dict(group.commands)

    def parse(self, words: Sequence[str]) -> Workflow:
        """Return the workflow of a command line, such as `["inpaint", "song.wav", "--span=4-6"]`.

        Raises:
            VampError: it does not parse; the message names the option.
        """
        try:
            workflow: Workflow = self._group.main(list(words), prog_name="vamp", standalone_mode=False)
        except Exception as error:
            if not hasattr(error, "format_message"):
                raise
            raise UsageError(error.format_message(), "see the help of the option") from error
        return workflow


def kind_of(function: Any, name: str) -> tuple[Kind, tuple[str, ...]]:
    """Return the kind of an option's value, or of the elements if it is a list, and the choices.

    Args:
        function: the callback of Typer's command.
        name: of the parameter.
    """
    bare = get_args(inspect.signature(function).parameters[name].annotation)[0]
    options = [one for one in get_args(bare) if one is not type(None)] if type(None) in get_args(bare) else [bare]
    if get_origin(options[0]) is Literal:
        return "choice", tuple(map(str, get_args(options[0])))
    return _KINDS.get(options[0], "text"), ()
