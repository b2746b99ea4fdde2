"""`vamp outpaint`: extend a recording at its end or beginning."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated

from vampcli.cli import options as o
from vampcli.cli.jobs.audio_job import AudioWorkflow
from vampcli.cli.jobs.excerpt import Preview
from vampcli.cli.jobs.job import Workflow
from vampcli.cli.jobs.places import PlacesWorkflow, describe_sources
from vampcli.cli.parse import parse_context, parse_margin
from vampcli.tasks.times import parse_length, to_seconds

if TYPE_CHECKING:
    from vampcli.tasks.base import Task
    from vampcli.tasks.recording import Recording


def outpaint(
    *,
    after: Annotated[str, o.value("Length to add at the end.", panel=o.SPANS, metavar="TIME")] = "0",
    before: Annotated[str, o.value("Length to add at the beginning.", panel=o.SPANS, metavar="TIME")] = "0",
    tempo: o.TempoOptions,
    margin: o.MarginFrames = "1",
    context: o.Context = None,
    memory: o.MemoryOptions,
    preview: Preview = False,
    common: o.Common,
) -> Workflow:
    """Extend recordings at the end, at the beginning or at both; the recording itself stays as it is.

    Any length: past their context, the models continue from what they have generated.

    Example: vamp outpaint song.wav --after 4bars
    """
    lengths, seen = (parse_length(after), parse_length(before)), parse_context(context)
    counted, hidden, recalled = tempo.tempo, parse_margin(margin), memory.config()

    def request(recording: Recording) -> Task:
        from vampcli.tasks.outpaint import Outpaint

        pulse = counted.of(recording, *lengths, seen)
        after_s, before_s = (to_seconds(time, recording, pulse) for time in lengths)
        return Outpaint(after_s, before_s, hidden, to_seconds(seen, recording, pulse), recalled)

    describe = partial(describe_sources, searched=recalled.memory != 0)
    workflow = AudioWorkflow("outpaint", common, request, describe, is_preview=preview)
    return PlacesWorkflow("outpaint", common, workflow) if memory.places else workflow
