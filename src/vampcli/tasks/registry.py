"""Requests as recipes hold them: tables of their fields."""

from __future__ import annotations

import json
from dataclasses import asdict, is_dataclass
from typing import Any

from vampcli.errors import InputError, UsageError
from vampcli.schema import from_table
from vampcli.tasks.base import Task
from vampcli.tasks.compress import Compress
from vampcli.tasks.inpaint import Inpaint
from vampcli.tasks.loop import Loop
from vampcli.tasks.outpaint import Outpaint
from vampcli.tasks.vamp import Vamp

TASKS: dict[str, type[Task]] = {verb.command: verb for verb in (Inpaint, Outpaint, Loop, Vamp, Compress)}
"""Every request by its command."""


def to_table(request: Task) -> dict[str, Any]:
    """The fields of a request, as JSON gives them back: lists, no tuples."""
    assert is_dataclass(request)
    table: dict[str, Any] = json.loads(json.dumps(asdict(request)))
    return table


def task_from_table(command: str, table: dict[str, Any], where: str) -> Task:
    """Make the request of a command again.

    Raises:
        InputError: there is no such command, or a field is unknown or not what it should be.
    """
    if command not in TASKS:
        raise InputError(f"{where}: there is no command {command!r}", f"known: {', '.join(TASKS)}")
    try:
        return from_table(TASKS[command], table, f"{where} [request]")
    except UsageError as error:
        raise InputError(error.message, error.hint) from error
