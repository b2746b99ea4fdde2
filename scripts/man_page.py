"""Write the manual page of all commands and options, from the command line itself.

python scripts/man_page.py > vamp.1
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import typer
from commands_page import Path, options, walk

from vampcli import __version__
from vampcli.errors import ExitCode

_CODES = {
    ExitCode.OK: "Success.",
    ExitCode.BUG: "A defect of vamp.",
    ExitCode.USAGE: "Options that cannot be parsed or contradict each other.",
    ExitCode.INPUT: "A file is missing, unreadable or in the way, or the disk is full.",
    ExitCode.MODEL: "A model is missing or damaged.",
    ExitCode.DEVICE: "A device is missing, or has too little memory.",
    ExitCode.INTERRUPTED: "Interrupted; finished takes are kept.",
}


def page(app: typer.Typer) -> str:
    """Return the page in roff with the macros of man(7): a section a command."""
    commands = dict(walk(typer.main.get_command(app), ("vamp",)))
    root = commands.pop(("vamp",))
    lines = [
        f'.TH VAMP 1 "" "vamp {__version__}" "User Commands"',
        ".SH NAME",
        f"vamp \\- {roff((root.help or '').strip().rstrip('.').lower())}",
        ".SH SYNOPSIS",
        ".B vamp",
        r"\fICOMMAND\fR [\fIOPTION\fR]... [\fIINPUT\fR]...",
        ".SH OPTIONS",
        *parameters(("vamp",), root),
        ".SH COMMANDS",
    ]
    for path, command in commands.items():
        lines += section(path, command, commands)
    lines += [".SH EXIT STATUS"]
    for code, words in _CODES.items():
        lines += [".TP", f".B {int(code)}", roff(words)]
    lines += [".SH FILES", ".TP", r".I vamp.toml", "Options, in the working folder and in that of the user."]
    lines += [".SH ENVIRONMENT", ".TP", r".B VAMP_*", roff("Options: VAMP_TEMPERATURE=0.9 is --temperature 0.9.")]
    return "\n".join(lines) + "\n"


def section(path: Path, command: Any, commands: dict[Path, Any]) -> Iterator[str]:
    """Yield the lines of one command: its help, its examples, its options."""
    yield f".SS {roff(' '.join(path))}"
    goes_on = True  # without a new paragraph
    for line in (command.help or "").strip().splitlines():
        if line.strip() and not goes_on:
            yield ".PP"
        if line.startswith("Example: "):
            yield from (".EX", roff(line.removeprefix("Example: ")), ".EE")
        elif line.strip():
            yield roff(line)
        goes_on = bool(line.strip()) and not line.startswith("Example: ")
    same = ("vamp", path[-1])  # `vamp mask loop` takes what `vamp loop` takes
    if len(path) > 2 and same in commands and options(command) == options(commands[same]):
        yield from (".PP", f"Arguments and options are those of {roff(' '.join(same))}.")
        return
    yield from parameters(path, command)


def parameters(path: Path, command: Any) -> Iterator[str]:
    """Yield the lines of arguments and options."""
    context = typer.Context(command, info_name=" ".join(path))
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is not None:
            names, words = record
            yield from (".TP", f"\\fB{roff(names, is_inside=True)}\\fR", roff(" ".join(words.split())) or r"\&")


def roff(text: str, is_inside: bool = False) -> str:
    """Escape a text; a dot or a quote at the beginning of a line would be a request."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    text = text.replace("…", "...").replace("\N{MULTIPLICATION SIGN}", "x")
    return f"\\&{text}" if text.startswith((".", "'")) and not is_inside else text


if __name__ == "__main__":
    from vampcli.cli.main import app

    sys.stdout.write(page(app))
