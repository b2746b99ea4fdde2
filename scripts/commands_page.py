"""Write the reference page of all commands and options, from the command line itself.

python scripts/commands_page.py > commands.md

`make docs` calls `page` for every build, so the page cannot go stale.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import Any

import typer

HEAD = """# Commands

All commands and options of `vamp`, as in `--help`. A value can also come from a variable such as `VAMP_TEMPERATURE` or
from [`vamp.toml`](files.md#vamptoml).
"""

Path = tuple[str, ...]
"""The words of a command, such as `("vamp", "models", "pull")`."""


def page(app: typer.Typer) -> str:
    """Return the page in Markdown: a section a command, a table a group of options."""
    commands = dict(walk(typer.main.get_command(app), ("vamp",)))
    sections = [section(path, command, commands) for path, command in commands.items()]
    return "\n\n".join([HEAD.rstrip(), *sections]) + "\n"


def walk(command: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    """Yield every visible command below a group by its path, groups before their commands."""
    yield path, command
    for name, inner in getattr(command, "commands", {}).items():
        if not inner.hidden:
            yield from walk(inner, (*path, name))


def section(path: Path, command: Any, commands: dict[Path, Any]) -> str:
    """Return one command: its help, its examples, its options."""
    lines = (command.help or "").splitlines()
    examples = [line.removeprefix("Example: ") for line in lines if line.startswith("Example: ")]
    text = "\n".join(line for line in lines if not line.startswith("Example: ")).strip()
    parts = [f"## {' '.join(path)}", text]
    if examples:
        parts.append("\n".join(["```bash", *examples, "```"]))
    same = ("vamp", path[-1])  # `vamp mask loop` takes what `vamp loop` takes
    if len(path) > 2 and same in commands and options(command) == options(commands[same]):
        parts.append(f"Arguments and options are those of [`{' '.join(same)}`](#{'-'.join(same)}).")
    else:
        parts += tables(command, path)
    return "\n\n".join(parts)


def options(command: Any) -> set[str]:
    """Return the long and short names of a command's parameters."""
    return {name for parameter in command.params for name in parameter.opts}


def tables(command: Any, path: Path) -> Iterator[str]:
    """Yield a table for each panel of `--help`, in the order of the help."""
    context = typer.Context(command, info_name=" ".join(path))
    groups: dict[str, list[Sequence[str]]] = {}
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is not None:
            kind = "Arguments" if parameter.param_type_name == "argument" else "Options"
            groups.setdefault(getattr(parameter, "rich_help_panel", None) or kind, []).append(record)
    for title, rows in groups.items():
        lines = [f"| {title.lower()} | |", "|---|---|"]
        lines += [f"| `{name}` | {cell(text)} |" for name, text in rows]  # code needs no escapes
        yield "\n".join(lines)


def cell(text: str) -> str:
    """Escape what would end a cell of a table."""
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    from vampcli.cli.main import app

    sys.stdout.write(page(app))
