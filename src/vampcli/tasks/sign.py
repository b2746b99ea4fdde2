"""Give takes their recipes, and their recording's metadata."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import replace

import torch

from vampcli import __version__
from vampcli.audio.metadata.carry import moved
from vampcli.audio.ranges import merge_ranges
from vampcli.codec.config import CodecShape
from vampcli.recipe.recipe import InputSource, MadeBy, Recipe
from vampcli.tasks.base import Task
from vampcli.tasks.loop import Loop
from vampcli.tasks.plan import Plan
from vampcli.tasks.recording import Recording
from vampcli.tasks.registry import to_table, with_findings
from vampcli.tasks.take import Take, TakeOptions

log = logging.getLogger(__name__)


def sign(
    takes: Iterator[Take],
    task: Task,
    recording: Recording,
    options: TakeOptions,
    plan: Plan,
    codec: CodecShape,
    made_by: Callable[[], MadeBy],
) -> Iterator[Take]:
    """Return an iterator of takes with their recipes and metadata.

    Args:
        takes: of the task, without either.
        task: the request.
        recording: the input.
        options: seeds and sampling options.
        plan: the result of `task.plan`.
        codec: as for `Task.plan`.
        made_by: returns model, versions and device; called once the first take is made.
    """
    earlier = task.map_ranges(recording.synthetic, recording, codec)
    metadata = moved(recording.metadata, task.timeline(recording, codec))

    def signed(take: Take) -> Take:
        made = () if take.audio is take.base else plan.spans
        found = with_findings(task, take, recording)
        recipe = make_recipe(found, options, recording.source, plan, take.seed, made_by())
        return replace(
            take, recipe=replace(recipe, synthetic=tuple(merge_ranges((*made, *earlier)))), metadata=metadata
        )

    return map(signed, takes)  # keeps no reference to a take: it may be long


def copies(
    recording: Recording, task: Loop, options: TakeOptions, plan: Plan, codec: CodecShape, name: str
) -> Iterator[Take]:
    """Yield takes of a loop that needs no model, without one.

    Args:
        recording: the input.
        task: the loop.
        options: seeds.
        plan: of the task, without calls.
        codec: as for `Task.plan`.
        name: of the model that another setting would need.
    """
    if len(options.seeds) > 1:
        log.warning("the %d takes are equal: no model makes anything of this loop", len(options.seeds))
    takes = task.copies(recording, plan, options, codec.grid.n_codebooks)
    made_by = MadeBy.no_model(name, __version__, torch.__version__)
    yield from sign(takes, task, recording, options, plan, codec, lambda: made_by)


def make_recipe(
    task: Task, options: TakeOptions, source: InputSource, plan: Plan, seed: int, made_by: MadeBy
) -> Recipe:
    """Return the recipe of a take whose spans are all generated."""
    how = task.command, to_table(task), options.sampling, options.stereo, seed
    return Recipe(*how, source, made_by, plan.n_canvas_samples, plan.spans, rendering=options.rendering)


def without_gradients(takes: Iterator[Take]) -> Iterator[Take]:
    """Run an iterator in inference mode, which does not extend to the code of the caller between two takes."""
    while True:
        with torch.inference_mode():
            take = next(takes, None)
        if take is None:
            return
        yield take
        del take  # before the next is made: it may be long
