"""`vamp inpaint`: re-make spans of a recording."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Annotated

from vampcli.cli import options as o
from vampcli.cli.jobs.audio_job import AudioWorkflow
from vampcli.cli.jobs.excerpt import Preview
from vampcli.cli.jobs.job import Workflow
from vampcli.cli.jobs.places import PlacesWorkflow, describe_sources
from vampcli.cli.parse import parse_context, parse_margin
from vampcli.errors import UsageError
from vampcli.tasks.times import parse_position, to_seconds

if TYPE_CHECKING:
    from vampcli.tasks.base import Task
    from vampcli.tasks.recording import Recording


def inpaint(
    *,
    at: o.SpanOptions,
    margin: o.MarginFrames = "1",
    context: o.Context = None,
    memory: o.MemoryOptions,
    place: Annotated[
        str | None, o.value("Start of the place to use.", panel=o.MEMORY, metavar="TIME", show_default="searched")
    ] = None,
    memory_from: Annotated[
        list[str] | None, o.value("Also search these recordings; repeat for more.", panel=o.MEMORY, metavar="PATH")
    ] = None,
    preview: Preview = False,
    common: o.Common,
) -> Workflow:
    """Re-make spans of recordings; every sample outside them stays as it is.

    Example: vamp inpaint song.wav --start 4 --end 6 -n 3
    Example: vamp inpaint songs/ --span bars:5-8 --bpm 120 -o made/
    """
    spans = at.parse()
    if not (spans.spans or spans.marked):
        raise UsageError("no span is named", "give --start and --end, --span 4-6, or --spans-from")
    hidden, seen, source = (
        parse_margin(margin),
        parse_context(context),
        None if place is None else parse_position(place),
    )
    recalled = memory.config(source, memory_from)

    def request(recording: Recording) -> Task:
        from vampcli.tasks.inpaint import Inpaint

        places = spans.of(recording, seen, source)
        context_s, place_s = (to_seconds(time, recording, places.tempo) for time in (seen, source))
        return Inpaint(places, hidden, context_s, replace(recalled, place=place_s))

    describe = partial(describe_sources, searched=recalled.memory != 0)
    workflow = AudioWorkflow("inpaint", common, request, describe, is_preview=preview)
    return PlacesWorkflow("inpaint", common, workflow) if memory.places else workflow
