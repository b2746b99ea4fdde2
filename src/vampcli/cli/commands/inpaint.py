"""`vamp inpaint`: re-make spans of a recording."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vampcli.cli import options as o
from vampcli.cli.jobs.audio_job import AudioWorkflow
from vampcli.cli.jobs.job import Workflow
from vampcli.errors import UsageError

if TYPE_CHECKING:
    from vampcli.tasks.base import Task


def inpaint(
    *,
    where: o.Where,
    margin: o.MarginFrames = "1",
    context: o.Context = None,
    common: o.Common,
) -> Workflow:
    """Re-make spans of recordings; every sample outside them stays as it is.

    Example: vamp inpaint song.wav --start 4 --end 6 -n 3

    Example: vamp inpaint songs/ --span bars:5-8 --bpm 120 -o made/
    """
    places = where.places
    if not places.spans:
        raise UsageError("no span is named", "give --start and --end, --span 4-6, or --spans-from")
    hidden, context_s = o.parse_margin(margin), o.parse_context(context)

    def request() -> Task:
        from vampcli.tasks.inpaint import Inpaint

        return Inpaint(places, hidden, context_s)

    return AudioWorkflow("inpaint", common, request)
