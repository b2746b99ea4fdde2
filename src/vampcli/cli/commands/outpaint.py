"""`vamp outpaint`: extend a recording at its end or beginning."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated

from vampcli.cli import options as o
from vampcli.cli.jobs.audio_job import AudioWorkflow
from vampcli.cli.jobs.job import Workflow
from vampcli.cli.jobs.places import PlacesWorkflow, describe_sources
from vampcli.cli.parse import parse_time

if TYPE_CHECKING:
    from vampcli.tasks.base import Task


def outpaint(
    *,
    after: Annotated[str, o.value("Length to add at the end.", panel=o.SPANS, metavar="TIME")] = "0",
    before: Annotated[str, o.value("Length to add at the beginning.", panel=o.SPANS, metavar="TIME")] = "0",
    margin: o.MarginFrames = "1",
    context: o.Context = None,
    memory: o.MemoryOptions,
    common: o.Common,
) -> Workflow:
    """Extend recordings at the end, at the beginning or at both; the recording itself stays as it is.

    Any length: past their context, the models continue from what they have generated.

    Example: vamp outpaint song.wav --after 10
    """
    added, hidden = (parse_time(after), parse_time(before)), o.parse_margin(margin)
    seen, recalled = o.parse_context(context), memory.config()

    def request() -> Task:
        from vampcli.tasks.outpaint import Outpaint

        return Outpaint(*added, hidden, seen, recalled)

    describe = partial(describe_sources, searched=recalled.memory != 0)
    workflow = AudioWorkflow("outpaint", common, request, describe)
    return PlacesWorkflow("outpaint", common, workflow) if memory.places else workflow
