"""`vamp loop`: a loop without a seam, whose repeats may vary."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vampcli.cli import options as o
from vampcli.cli.jobs.audio_job import AudioWorkflow
from vampcli.cli.jobs.job import Workflow
from vampcli.cli.parse import parse_time

if TYPE_CHECKING:
    from vampcli.api import Take
    from vampcli.tasks.base import Task

_LOOP = "Loop"


def loop(
    *,
    where: o.Where,
    repeats: Annotated[int, typer.Option(help="Copies, end to end.", rich_help_panel=_LOOP)] = 1,
    variation: Annotated[
        float,
        typer.Option(help="0: all copies the same; up to 1: each but the first varied.", rich_help_panel=_LOOP),
    ] = 0.0,
    seam: Annotated[str, typer.Option(help="How much is made anew around a junction.", rich_help_panel=_LOOP)] = "0.3",
    margin: o.MarginFrames = "1",
    common: o.Common,
) -> Workflow:
    """Make a span, or all of a recording, a loop without a seam.

    Its length is exact, and a WAV file says where it loops. How much each junction clicks is printed: below 3 is
    what music does by itself.

    Example: vamp loop song.wav --span bars:1-4 --repeats 4 --variation 0.4
    """
    places = where.places
    seam_s, hidden = parse_time(seam), o.parse_margin(margin)

    def request() -> Task:
        from vampcli.tasks.loop import Loop

        return Loop(places, repeats, variation, seam_s, hidden)

    return loop_workflow(common, request, repeats)


def loop_workflow(common: o.Common, request: Callable[[], Task], repeats: int) -> AudioWorkflow:
    """The workflow of a loop of so many copies."""
    return AudioWorkflow("loop", common, request, lambda take: _clicks(take, repeats), loops=True)


def _clicks(take: Take, repeats: int) -> tuple[dict[str, Any], str]:
    """How much the wrap and the junctions click."""
    from vampcli.audio.clicks import LIMIT, junction_figure

    samples, rate = take.audio.samples, take.audio.sample_rate
    try:
        figures = [junction_figure(samples, rate, samples.shape[1] // repeats * i) for i in range(repeats)]
    except ValueError:  # a loop of a few samples
        return {"clicks": None}, ""
    worst = max(figures)
    verdict = "no click" if worst <= LIMIT else "may click: try another --seed, or a longer --seam"
    return {"clicks": figures}, f"junctions at most {worst:.1f}, {verdict}"
