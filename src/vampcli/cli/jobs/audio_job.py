"""A verb over sound files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vampcli.cli.console import Console
from vampcli.cli.jobs.job import Job, Load, Opened, Results, Workflow
from vampcli.cli.jobs.write import Describe, Writer, nothing_more

if TYPE_CHECKING:
    from vampcli.checkpoints.folder import ModelMetadata
    from vampcli.tasks.base import Task


@dataclass(frozen=True)
class AudioWorkflow(Workflow):
    """From sound to sound.

    Attributes:
        request: makes the verb, once what is quick to check has been.
        describe: more to say of a take, for `--json` and for people.
        loops: the result is a loop: say so in the file.
    """

    request: Callable[[], Task]
    describe: Describe = nothing_more
    loops: bool = False

    def open(self, job: Job, metadata: ModelMetadata) -> Opened:
        """See `Scheme.open`."""
        from vampcli.audio.io import check_output, read
        from vampcli.recipe import embed

        request = self.request()
        clip = read(job.source)
        plan = request.plan(clip, metadata.codec, metadata.context_frames)
        for path in job.paths:
            check_output(path, clip, self.common.subtype)
        rate = clip.sample_rate
        spans_s = [[start / rate, end / rate] for start, end in plan.spans]
        spans = ", ".join(f"{start:.2f}-{end:.2f} s" for start, end in spans_s[:4])
        more = f" and {len(spans_s) - 4} more" if len(spans_s) > 4 else ""
        facts = {"spans_s": spans_s, "n_frames": plan.n_hidden_frames}
        summary = f"{plan.n_hidden_frames} frames ({spans}{more})"
        source = embed.source_of(clip, job.source, job.name)
        return Opened(job, request, clip, source, plan, facts, summary)

    def make(self, load: Load, opened: Opened, console: Console) -> Results:
        """See `Scheme.make`."""
        return Writer(opened, self.common, console, self.describe, self.loops).made(load())
