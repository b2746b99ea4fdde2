"""`--preview`: few steps, and only the sound around the spans that are made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

from vampcli.cli.config import Rule
from vampcli.cli.jobs.outputs import DEFAULT_NAME
from vampcli.cli.options import OUTPUT, flag
from vampcli.recipe.recipe import Ranges

if TYPE_CHECKING:
    from vampcli.audio.metadata.base import Timeline
    from vampcli.tasks.base import Task
    from vampcli.tasks.plan import Plan
    from vampcli.tasks.recording import Recording

AROUND_S = 2.0  # of the result on each side of a span
VARIED_S = 10.0  # of a recording that is varied as a whole
MOST_COPIES = 2  # of a loop


def few_steps(is_preview: bool) -> dict[str, Any]:
    """Return the sampling options of a preview by their names; none without one."""
    return {"steps": 4, "fine-steps": 1} if is_preview else {}


Preview = Annotated[
    bool,
    flag("Make a quick excerpt, in few steps.", panel=OUTPUT),
    Rule(excludes=("only-generated", "difference"), fills=few_steps),
]


def preview_name(template: str | None) -> str:
    """Return a template of names that says preview: before the seed, or before the suffix of a given template."""
    if template is None:
        return DEFAULT_NAME.replace("{seed}", "preview.{seed}")
    name, dot, suffix = template.rpartition(".")
    return template if "preview" in template else f"{name}.preview.{suffix}" if dot else f"{template}.preview"


def shorten(task: Task, recording: Recording) -> Task:
    """Return the task of a preview: a loop has few copies, and a recording is varied in its first seconds alone.

    All of a recording is varied if it is stretched, or if a mask file says where; a shortened task stays as it is.
    """
    from vampcli.tasks.loop import Loop
    from vampcli.tasks.vamp import Vamp

    if isinstance(task, Loop):
        return replace(task, repeats=min(task.repeats, MOST_COPIES))
    if not isinstance(task, Vamp) or task.at.span or task.mask or task.prompt.stretch > 1:
        return task
    end_s = task.prefix + VARIED_S
    if end_s + task.suffix >= recording.clip.duration_s:
        return task
    return replace(task, at=replace(task.at, span=((0.0, end_s),), snap=None), suffix=0.0)


def ranges_around(plan: Plan, sample_rate: int) -> Ranges:
    """Return the sample ranges of a result that a preview holds, in order and apart: all of a loop."""
    from vampcli.audio.ranges import merge_ranges

    n, around = plan.n_canvas_samples, round(AROUND_S * sample_rate)
    if plan.loop:
        return ((0, n),)
    return tuple(merge_ranges((max(0, start - around), min(n, end + around)) for start, end in plan.spans))


def inside(ranges: Ranges, pieces: Sequence[tuple[int, int]]) -> Ranges:
    """Map sample ranges of a result to its pieces end to end; what lies outside is left out."""
    from vampcli.audio.ranges import merge_ranges

    found, offset = [], 0
    for first, last in pieces:
        cut = [(max(start, first), min(end, last)) for start, end in ranges]
        found += [(start - first + offset, end - first + offset) for start, end in cut if start < end]
        offset += last - first
    return tuple(merge_ranges(found))


def timeline(pieces: Sequence[tuple[int, int]], sample_rate: int) -> Timeline | None:
    """Return where the samples of a result lie in its one piece; None if there are several."""
    from vampcli.audio.metadata.base import Timeline

    if len(pieces) > 1:
        return None
    start, end = pieces[0]
    return Timeline(start, end, -start, end - start, sample_rate)
