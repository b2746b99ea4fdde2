"""`vamp loop`: a loop without a seam, with varied repeats."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

from vampcli.cli import completion
from vampcli.cli import options as o
from vampcli.cli.jobs.audio_job import AudioWorkflow
from vampcli.cli.jobs.excerpt import Preview
from vampcli.cli.jobs.job import Workflow
from vampcli.cli.jobs.loops import describe_loop
from vampcli.cli.jobs.places import PlacesWorkflow, describe_sources
from vampcli.cli.parse import parse_margin, parse_seam
from vampcli.tasks.times import to_seconds

if TYPE_CHECKING:
    from vampcli.api import Take
    from vampcli.tasks.base import Task
    from vampcli.tasks.recording import Recording


def loop(
    *,
    at: o.SpanOptions,
    repeats: Annotated[int, o.value("Number of copies, end to end.", panel=o.SPANS)] = 1,
    variation: Annotated[float, o.value("Change of each copy after the first, 0 to 1.", panel=o.SPANS)] = 0.0,
    seam: Annotated[
        str,
        o.value(
            "Length to re-make at each junction; auto: little or nothing; 0: raw cuts.",
            panel=o.SPANS,
            metavar="TIME",
            autocompletion=completion.one_of("auto"),
        ),
    ] = "auto",
    find: Annotated[bool, o.flag("Search for loop points near the span, or anywhere.", panel=o.SPANS)] = False,
    margin: o.MarginFrames = "1",
    memory: o.MemoryOptions,
    preview: Preview = False,
    common: o.Common,
) -> Workflow:
    """Make a span, or all of a recording, a loop without a seam.

    The length is exact, and the file holds the loop points. A junction that is clean stays as it is, or gets a
    crossfade of 4 ms; another one is re-made. Its click figure is printed; music by itself stays below 3.

    Example: vamp loop song.wav --span bars:1-4 --repeats 4 --variation 0.4
    Example: vamp loop song.wav --find --start 12 --end 20
    """
    spans, made = at.parse(), parse_seam(seam)
    hidden, recalled = parse_margin(margin), memory.config()

    def request(recording: Recording) -> Task:
        from vampcli.tasks.loop import Loop

        places = spans.of(recording, made)
        seam_s = to_seconds(made, recording, places.tempo)
        return Loop(places, repeats, variation, seam_s, hidden, recalled, find)

    workflow = loop_workflow(common, request, preview)
    return PlacesWorkflow("loop", common, workflow) if memory.places else workflow


def loop_workflow(common: o.Common, request: Callable[[Recording], Task], is_preview: bool) -> AudioWorkflow:
    """The workflow of a loop."""
    return AudioWorkflow("loop", common, request, _describe, loops=True, is_preview=is_preview)


def _describe(take: Take) -> tuple[dict[str, Any], str]:
    """Junctions and places of a take."""
    (facts, note), (more, origin) = describe_loop(take), describe_sources(take, searched=False)  # seams have no places
    return {**facts, **more}, "; ".join(filter(None, (note, origin)))
