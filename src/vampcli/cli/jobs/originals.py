"""Find the input of a result by its recipe, and lay it on the time line of the result."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from vampcli.cli.jobs.pipes import PIPE
from vampcli.errors import InputError
from vampcli.recipe.recipe import Recipe

if TYPE_CHECKING:
    from vampcli.audio.waveform import Waveform
    from vampcli.tasks.recording import Recording


def find_originals(result: Path, recipe: Recipe, named: str | None) -> list[Path]:
    """Return candidates for the input of a result: the named file, or that in the recipe and one beside the result.

    Raises:
        InputError: there is none.
    """
    if named is not None:
        return [Path(os.path.expanduser(named))]
    name = recipe.source.name
    candidates = dict.fromkeys((Path(name), result.parent / Path(name).name)) if name not in ("", PIPE) else ()
    found = [path for path in candidates if os.path.isfile(path)]
    if not found:
        was = {"": "sound without a file", PIPE: "sound from a pipe"}.get(name, name)
        raise InputError(f"the input of {result} is not there: {was}", "name it with --input")
    return found


def base_of(recording: Recording, recipe: Recipe, path: Path) -> Waveform:
    """Return a recording on the time line of a take: before it, after it and between copies of it is silence."""
    import numpy as np

    from vampcli.checkpoints import registry
    from vampcli.checkpoints.folder import read_metadata
    from vampcli.tasks.loop import Loop
    from vampcli.tasks.registry import task_from_table

    clip = recording.clip
    task = task_from_table(recipe.command, recipe.request, f"the recipe in {path}")
    if recipe.n_samples == clip.n_samples and not isinstance(task, Loop):
        return clip
    line = task.timeline(recording, read_metadata(registry.find(recipe.made_by.model)).codec)
    start, stop, shift = (line.start, line.stop, line.shift) if line else (0, clip.n_samples, 0)
    samples = np.zeros((clip.n_channels, recipe.n_samples), clip.samples.dtype)
    for at in range(start + shift, recipe.n_samples if isinstance(task, Loop) else 1 + start + shift, stop - start):
        copy = clip.samples[:, start : min(stop, start + recipe.n_samples - at)]
        samples[:, at : at + copy.shape[1]] = copy
    return replace(clip, samples=samples)
