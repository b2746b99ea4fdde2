"""`vamp outpaint`: go on where a recording ends, or begin before it begins."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from vampcli.cli import options as o
from vampcli.cli.jobs.audio_job import AudioWorkflow
from vampcli.cli.jobs.job import Workflow
from vampcli.cli.parse import parse_time

if TYPE_CHECKING:
    from vampcli.tasks.base import Task


def outpaint(
    *,
    after: Annotated[
        str, typer.Option(help="How much to add at the end: seconds or mm:ss.", rich_help_panel=o.WHERE)
    ] = "0",
    before: Annotated[str, typer.Option(help="How much to add at the beginning.", rich_help_panel=o.WHERE)] = "0",
    margin: o.MarginFrames = "1",
    context: o.Context = None,
    common: o.Common,
) -> Workflow:
    """Extend recordings at the end, at the beginning or at both; the recording itself stays as it is.

    Any length: beyond what the models see at once, they go on from what they have made.

    Example: vamp outpaint song.wav --after 10
    """
    after_s, before_s, hidden = parse_time(after), parse_time(before), o.parse_margin(margin)
    context_s = o.parse_context(context)

    def request() -> Task:
        from vampcli.tasks.outpaint import Outpaint

        return Outpaint(after_s, before_s, hidden, context_s)

    return AudioWorkflow("outpaint", common, request)
