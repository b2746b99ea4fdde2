"""What an option says of itself beside its help: whom it excludes, carries or stands for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import typer


class Rivals:
    """Marks an option that excludes others: once a source has set it, weaker ones do not set these; and vice versa.

    Attributes:
        keys: the others' long names.
    """

    def __init__(self, *keys: str) -> None:
        self.keys = frozenset(keys)


class Carries:
    """Marks a switch without which others mean nothing: once a source has turned it off, weaker ones do not set these.

    Attributes:
        keys: the others' long names.
    """

    def __init__(self, *keys: str) -> None:
        self.keys = frozenset(keys)


@dataclass(frozen=True)
class Fills:
    """Marks an option whose value stands for values of others, wherever nobody has set them.

    Attributes:
        values: of the others, by long name.
    """

    values: Callable[[str], dict[str, Any]]


class Typed(frozenset[str]):
    """Long names of the options that stood on the command line, not in the environment or a file."""


def flag(help: str, *names: str, panel: str | None = None) -> Any:
    """A switch with its negative, which beats what a file says."""
    return typer.Option(*names, help=help, show_default=False, rich_help_panel=panel)
