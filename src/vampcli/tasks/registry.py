"""All tasks by their command, and their options as tables for recipes."""

from __future__ import annotations

import json
from dataclasses import asdict, is_dataclass, replace
from typing import Any

from vampcli.errors import InputError, UsageError
from vampcli.schema import from_table
from vampcli.tasks.base import Task
from vampcli.tasks.compress import Compress
from vampcli.tasks.inpaint import Inpaint
from vampcli.tasks.loop import Loop
from vampcli.tasks.outpaint import Outpaint
from vampcli.tasks.recording import Recording
from vampcli.tasks.take import Take
from vampcli.tasks.vamp import Vamp

TASKS: dict[str, type[Task]] = {task.command: task for task in (Inpaint, Outpaint, Loop, Vamp, Compress)}


def to_table(task: Task) -> dict[str, Any]:
    """Return the options of a task as JSON can hold them: lists, no tuples."""
    assert is_dataclass(task)
    table: dict[str, Any] = json.loads(json.dumps(asdict(task)))
    return table


def task_from_table(command: str, table: dict[str, Any], where: str) -> Task:
    """Make the task of a command from a table of its options.

    Raises:
        InputError: there is no such command, or an option is unknown or has a wrong value.
    """
    if command not in TASKS:
        raise InputError(f"{where}: there is no command {command!r}", f"known: {', '.join(TASKS)}")
    try:
        return build_task(command, table, where)
    except UsageError as error:
        raise InputError(error.message, error.hint) from error


def build_task(command: str, table: dict[str, Any], where: str) -> Task:
    """Make the task of a known command from a table of its options; memory is off unless the table names it.

    Raises:
        UsageError: an option is unknown or has a wrong value.
    """
    if command in (Inpaint.command, Outpaint.command, Loop.command):
        table = {"memory": {"memory": 0.0}, **table}  # tables without it are older than the memory
    return from_table(TASKS[command], table, f"{where} [request]")


def with_findings(task: Task, take: Take, recording: Recording) -> Task:
    """Return a task that makes a take again: with the loop points, snapped edges and places that were found."""
    if isinstance(task, Loop) and task.find:
        task = replace(task, found=take.loop)
    if isinstance(task, Inpaint | Loop | Vamp):
        task = replace(task, at=task.at.settled(recording))
    if not isinstance(task, Inpaint | Outpaint | Loop):
        return task
    return replace(task, memory=replace(task.memory, sources=take.sources))


def with_stored_tempo(task: Task, recording: Recording) -> Task:
    """Return a task that counts bars and beats by the tempo in the recording's file, if it names none itself."""
    if not isinstance(task, Inpaint | Loop | Vamp):
        return task
    return replace(task, at=task.at.with_stored_tempo(recording))
