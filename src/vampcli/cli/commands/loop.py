"""`vamp loop`: a loop without a seam, with varied repeats."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

from vampcli.cli import options as o
from vampcli.cli.jobs.audio_job import AudioWorkflow
from vampcli.cli.jobs.job import Workflow
from vampcli.cli.jobs.places import PlacesWorkflow, describe_sources
from vampcli.cli.parse import parse_time

if TYPE_CHECKING:
    from vampcli.api import Take
    from vampcli.tasks.base import Task


def loop(
    *,
    at: o.SpanOptions,
    repeats: Annotated[int, o.value("Number of copies, end to end.", panel=o.SPANS)] = 1,
    variation: Annotated[float, o.value("Change of each copy after the first, 0 to 1.", panel=o.SPANS)] = 0.0,
    seam: Annotated[str, o.value("Length to re-make around each junction.", panel=o.SPANS, metavar="TIME")] = "0.3",
    margin: o.MarginFrames = "1",
    memory: o.MemoryOptions,
    common: o.Common,
) -> Workflow:
    """Make a span, or all of a recording, a loop without a seam.

    The length is exact, and the file holds the loop points. The click figure of each junction is printed; music by
    itself stays below 3.

    Example: vamp loop song.wav --span bars:1-4 --repeats 4 --variation 0.4
    """
    spans = at.request
    seam_s, hidden, recalled = parse_time(seam), o.parse_margin(margin), memory.config()

    def request() -> Task:
        from vampcli.tasks.loop import Loop

        return Loop(spans, repeats, variation, seam_s, hidden, recalled)

    workflow = loop_workflow(common, request, repeats, stored_tempo=at.bpm is None)
    return PlacesWorkflow("loop", common, workflow) if memory.places else workflow


def loop_workflow(
    common: o.Common, request: Callable[[], Task], repeats: int, stored_tempo: bool = False
) -> AudioWorkflow:
    """The workflow of a loop with this number of copies."""
    return AudioWorkflow("loop", common, request, lambda take: _clicks(take, repeats), True, stored_tempo)


def _clicks(take: Take, repeats: int) -> tuple[dict[str, Any], str]:
    """Click figures of the wrap and the junctions."""
    from vampcli.audio.clicks import LIMIT, junction_figure

    samples, rate = take.audio.samples, take.audio.sample_rate
    facts, origin = describe_sources(take, searched=False)  # seams have no places
    try:
        figures = [junction_figure(samples, rate, samples.shape[1] // repeats * i) for i in range(repeats)]
    except ValueError:  # a loop of a few samples
        return {"clicks": None, **facts}, origin
    worst = max(figures)
    verdict = "no click" if worst <= LIMIT else "may click: try another --seed, or a longer --seam"
    note = f"junctions at most {worst:.1f}, {verdict}"
    return {"clicks": figures, **facts}, "; ".join(filter(None, (note, origin)))
