"""The workflow of a task that makes sound from sound."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from vampcli.cli.jobs.excerpt import preview_name, ranges_around, shorten
from vampcli.cli.jobs.job import Facts, Job, Load, NamingHints, Opened, Results, Workflow
from vampcli.cli.jobs.loops import describe_plan
from vampcli.cli.jobs.write import Describe, make_takes
from vampcli.errors import InputError
from vampcli.progress import Progress
from vampcli.recipe.recipe import Ranges

if TYPE_CHECKING:
    from vampcli.checkpoints.folder import ModelMetadata
    from vampcli.tasks.base import Task
    from vampcli.tasks.recording import Recording

_N_LISTED = 4


@dataclass(frozen=True)
class AudioWorkflow(Workflow):
    """From sound to sound.

    Attributes:
        request: makes the task for a recording, after the cheap checks.
        describe: facts about a take for `--json`, and a note.
        loops: the results are loops; the files say so.
        is_preview: make a preview; the files and their recipes say so.
    """

    request: Callable[[Recording], Task]
    describe: Describe | None = None
    loops: bool = False
    is_preview: bool = False

    def name_results(self, source: Path) -> NamingHints:
        """See `Workflow.name_results`."""
        hints = super().name_results(source)
        return replace(hints, template=preview_name(hints.template)) if self.is_preview else hints

    def open(self, job: Job, metadata: ModelMetadata) -> Opened:
        """See `Workflow.open`."""
        from vampcli.audio.read import read
        from vampcli.tasks.recording import Recording

        clip = read(job.source, self.common.nan)
        return self.plan(job, metadata, Recording(clip, job.source, job.name, self.common.nan))

    def plan(self, job: Job, metadata: ModelMetadata, recording: Recording) -> Opened:
        """Plan the takes of a recording that has been read; see `Workflow.open`."""
        from vampcli.audio.write import check_output

        clip, request = recording.clip, self.request(recording)
        if self.is_preview:
            request = shorten(request, recording)
        plan = request.plan(recording, metadata.codec, metadata.context_frames)
        for path in job.paths:
            check_output(path, clip, self.common.subtype)
        excerpt = ranges_around(plan, clip.sample_rate) if self.is_preview else ()
        facts: Facts = {"spans_s": _seconds(plan.spans, clip.sample_rate), "n_frames": plan.n_hidden_frames}
        summary, note = f"{plan.n_hidden_frames} frames ({_words(plan.spans, clip.sample_rate)})", ""
        if self.loops:
            loop, note = describe_plan(plan, clip.sample_rate)
            facts |= loop
        if not plan.calls:
            summary = "a loop without a model"
            if self.common.only_generated:
                raise InputError("nothing is generated: the junction needs no model", "leave --only-generated out")
        if excerpt:
            facts["preview_s"] = _seconds(excerpt, clip.sample_rate)
            summary = f"a preview ({_words(excerpt, clip.sample_rate)}) of {summary}"
        recording.source  # noqa: B018 (raises now if the stored recipe is damaged)
        return Opened(job, request, recording, plan, facts, summary, note=note, codec=metadata.codec, excerpt=excerpt)

    def make(self, load: Load, opened: Opened, progress: Progress) -> Results:
        """See `Workflow.make`."""
        if opened.plan.loop and opened.plan.loop.found:
            yield f"{opened.job.title}: {opened.note}"
        yield from make_takes(load, opened, self.common, progress, self.describe, self.loops)


def _seconds(ranges: Ranges, sample_rate: int) -> list[list[float]]:
    return [[start / sample_rate, end / sample_rate] for start, end in ranges]


def _words(ranges: Ranges, sample_rate: int) -> str:
    words = ", ".join(f"{start:.2f}-{end:.2f} s" for start, end in _seconds(ranges[:_N_LISTED], sample_rate))
    return words + (f" and {len(ranges) - _N_LISTED} more" if len(ranges) > _N_LISTED else "")
