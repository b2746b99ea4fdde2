"""`vamp replay`: make results again from their recipes."""

from __future__ import annotations

import logging
import os
import re
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

import typer

from vampcli.audio.formats import FORMATS, TOKENS
from vampcli.cli import completion
from vampcli.cli import options as o
from vampcli.cli.commands.compress import CompressWorkflow
from vampcli.cli.commands.loop import loop_workflow
from vampcli.cli.jobs.audio_job import AudioWorkflow
from vampcli.cli.jobs.changes import apply_settings, setting_names
from vampcli.cli.jobs.compare import compare_results, differences
from vampcli.cli.jobs.job import Job, Load, ModelRequest, NamingHints, Opened, Results, Workflow, Written
from vampcli.cli.jobs.originals import find_originals
from vampcli.cli.jobs.outputs import check_outputs, names_folder
from vampcli.cli.jobs.pipes import PIPE
from vampcli.cli.jobs.places import describe_sources
from vampcli.cli.options import Common
from vampcli.config import MemoryConfig, RelativeTime, TempoConfig
from vampcli.errors import DeviceError, InputError, UsageError
from vampcli.progress import Progress
from vampcli.recipe.embed import SIDECAR
from vampcli.recipe.recipe import MadeBy, Recipe
from vampcli.tasks.times import to_seconds, with_stored_tempo

if TYPE_CHECKING:
    from vampcli.checkpoints.folder import ModelMetadata

log = logging.getLogger(__name__)


def replay(
    inputs: Annotated[list[str], typer.Argument(metavar="RESULT", help="Results of vamp: sound, .vamp, sidecar JSON.")],
    *,
    settings: Annotated[
        list[str] | None,
        o.value("Change a setting, as temperature=0.9; repeat for more.", "--set", metavar="NAME=VALUE"),
    ] = None,
    source: Annotated[
        str | None, o.value("Where the input is now.", "--input", metavar="FILE", show_default="where it was")
    ] = None,
    model: Annotated[
        str | None,
        o.value(
            "Another model.", "-m", "--model", metavar="NAME", show_default="the same", autocompletion=completion.models
        ),
    ] = None,
    takes: Annotated[int | None, o.value("Number of takes.", "-n", "--takes", show_default="the result again")] = None,
    seed: Annotated[int | None, o.value("First seed; each take adds 1.", show_default="after the recipe's")] = None,
    device: o.Device = "auto",
    dtype: o.Dtype = "auto",
    output: o.OutputOptions,
) -> Workflow:
    """Make results again from the recipes in them, to the sample; report what may change the samples.

    A recipe is complete: environment and vamp.toml are not read. --seed or -n make new takes with its settings.

    Example: vamp replay song.inpaint.7.wav
    Example: vamp replay song.inpaint.7.wav -n 4
    Example: vamp replay song.inpaint.7.wav --set temperature=0.9 --set seed=8 -o again.wav
    """
    if PIPE in inputs:
        raise UsageError("a result is replayed from its file, not from stdin", "name it")
    is_new = not (takes is None and seed is None)
    if is_new and "seed" in setting_names(settings or ()):
        raise UsageError("--set names a seed, and so do --seed and -n", "leave --set seed out: --seed 8 -n 4")
    common = Common(**vars(output), device=device, dtype=dtype, seed=seed, takes=1 if takes is None else takes)
    return ReplayWorkflow("replay", common, tuple(settings or ()), source, model, is_new)


@dataclass(frozen=True)
class Replayed(Opened):
    """The input of a result, opened as for the command that made it.

    Attributes:
        opened: the job of that command.
        workflow: of that command.
        recipe: of the new result.
    """

    opened: Opened
    workflow: Workflow
    recipe: Recipe


@dataclass(frozen=True)
class ReplayWorkflow(Workflow):
    """From a result to the same result, or to new takes of its recipe.

    Attributes:
        settings: changes of the recipe, as typed.
        input: path of the input; None = as in the recipe.
        other_model: replaces the model of the recipe.
        is_new: make new takes; their seeds follow that of the recipe, unless `common` names the first.
    """

    settings: tuple[str, ...]
    input: str | None
    other_model: str | None
    is_new: bool = False

    of_results: ClassVar[bool] = True

    @property
    def suffixes(self) -> tuple[str, ...]:
        """See `Workflow.suffixes`."""
        return (TOKENS,)

    def accepts(self, source: Path) -> bool:
        """See `Workflow.accepts`: originals beside results are not meant."""
        from vampcli.recipe.embed import recipe_of

        try:
            return recipe_of(source) is not None
        except InputError:
            return True  # reported when it is opened

    def name_results(self, source: Path) -> NamingHints:
        """See `Workflow.name_results`; name, seed and model are those of the result."""
        result, hints = _result(source), super().name_results(source)
        beside = self.common.name is None and (self.common.out is None or names_folder(self.common.out))
        hints = replace(hints, source=result, template="{stem}.replay" + result.suffix if beside else self.common.name)
        try:
            recipe = self._recipe(source)
        except InputError:
            return hints  # reported when the file is opened
        if self.is_new and beside:  # as the command itself names takes
            middle = f"{recipe.command}.preview" if recipe.part == "preview" else recipe.command
            named_by_seed = re.fullmatch(rf"(.+)\.{re.escape(middle)}\.-?\d+(\.replay)*", result.stem)
            stem, template = named_by_seed[1] if named_by_seed else result.stem, f"{{stem}}.{middle}.{{seed}}"
            hints = replace(hints, source=result.with_name(stem + result.suffix), template=template + result.suffix)
        return replace(hints, model=self._wanted(recipe.made_by), seed=recipe.seed)

    def _wanted(self, made_by: MadeBy) -> ModelRequest:
        """The model of the recipe on its device, unless options or the machine say otherwise."""
        from vampcli.model.devices import pick_device

        device, dtype = self.common.device, self.common.dtype
        if device == "auto":
            try:
                device = str(pick_device(made_by.device))
            except DeviceError:
                device = "auto"
        precision = made_by.dtype if dtype == "auto" else dtype
        return ModelRequest(self.other_model or made_by.model, device, precision, made_by.exact, made_by.compile)

    def check_output(self, source: Path, path: Path) -> None:
        """See `Workflow.check_output`."""
        if {path.suffix.lower(), _result(source).suffix.lower()} != {TOKENS}:
            super().check_output(source, path)
        elif self.common.takes > 1:
            raise UsageError(f"{path} would be the same for each of {self.common.takes} takes", "ask for one take")

    def open(self, job: Job, metadata: ModelMetadata) -> Opened:
        """See `Workflow.open`."""
        recipe = self._recipe(job.source)
        if self.other_model is None and (folder := _model_path(recipe.made_by.model)):
            log.warning("%s: its recipe names a model by its folder, which is loaded: %s", job.title, folder)
        candidates = find_originals(job.source, recipe, self.input)
        for path in candidates:
            check_outputs(list(job.paths), path, self.common.overwrite)
            workflow = self._workflow(recipe, path, job)
            opened = workflow.open(replace(job, source=path, rendering=recipe.rendering), metadata)
            if recipe.source.sha256 in ("", opened.recording.source.sha256):  # empty: left out of a token file
                break
        else:
            raise InputError(
                f"{candidates[0]} is not what {job.name} was made of: its sound is another",
                "name the right one with --input, or run the command anew",
            )
        source = opened.recording.source
        source = replace(source, name=str(path), recipe=source.recipe or recipe.source.recipe)
        recording = opened.recording.with_source(source)
        shared = {f.name: getattr(opened, f.name) for f in fields(Opened)} | {"job": job, "recording": recording}
        if self.is_new:
            shared["note"] = f"{job.title}: no exact replay, but {_new_takes(job)} with the settings of the recipe"
        return Replayed(**shared, opened=opened, workflow=workflow, recipe=recipe)

    def make(self, load: Load, opened: Opened, progress: Progress) -> Results:
        """See `Workflow.make`."""
        assert isinstance(opened, Replayed)
        if self.is_new:
            yield opened.note
        elif opened.recipe.made_by.model_sha256:  # otherwise no model ran
            for difference in differences(opened.recipe.made_by, load().made_by):
                yield f"{opened.job.title}: {difference}: the samples may differ"
        before, result = opened.opened, _result(opened.job.source)
        inner = replace(before, job=replace(before.job, name=str(before.job.source)), recording=opened.recording)
        comparable = not (self.is_new or self.settings) and self.other_model is None and result.is_file()
        for written in opened.workflow.make(load, inner, progress):
            if isinstance(written, Written) and written.path and comparable:
                same, words = compare_results(result, written.path)
                yield f"{written.path.name}: {words}"
                written = written._replace(facts={**written.facts, "identical": same})
            yield written

    def _recipe(self, source: Path) -> Recipe:
        from vampcli.recipe.embed import recipe_of

        recipe = recipe_of(source)
        if recipe is None:
            raise InputError(
                f"{source} does not say how it was made", "it was not made by vamp, or another program has changed it"
            )
        settings = self.settings
        if self.is_new:  # another seed has other places
            settings += (f"seed={recipe.seed + 1 if self.common.seed is None else self.common.seed}",)

        def convert(time: RelativeTime, tempo: TempoConfig) -> float:
            from vampcli.tasks.recording import Recording

            recording = Recording.of(find_originals(source, recipe, self.input)[0])
            return to_seconds(time, recording, with_stored_tempo(tempo, recording) if time.is_counted else tempo)

        return apply_settings(recipe, settings, f"the recipe in {source}", convert)

    def _workflow(self, recipe: Recipe, source: Path, job: Job) -> Workflow:
        """The workflow of the command that made a result."""
        common = _common(recipe, self.common, job.model.name)
        if source.suffix.lower() != TOKENS:
            return _made_by(recipe, common, job.name)
        if setting_names(self.settings) - {"seed"}:
            raise UsageError(f"{source} says already how it is made", "of token files, --set changes the seed alone")
        return CompressWorkflow("compress", common, (None, None, None))


def _new_takes(job: Job) -> str:
    n = len(job.seeds)
    return f"a new take (seed {job.seeds[0]})" if n == 1 else f"{n} new takes (seeds {job.seeds[0]} to {job.seeds[-1]})"


def _result(source: Path) -> Path:
    """The result of an input: the input itself, or the file beside a sidecar."""
    if source.suffix.lower() != SIDECAR:
        return source
    result = source.with_suffix("")
    return result if result.suffix.lower() in (*FORMATS, TOKENS) else result.with_name(f"{result.name}.wav")


def _model_path(name: str) -> str:
    """The folder of a model or an adapter that a name is, or begins or ends with; empty if it is a name alone."""
    from vampcli.checkpoints.adapter_file import FILE
    from vampcli.checkpoints.folder import CONFIG

    paths = [path for path in (name, *name.rpartition("+")[::2]) if path]
    return next((path for path in paths for file in (CONFIG, FILE) if os.path.isfile(os.path.join(path, file))), "")


def _refuse_odd_files(memory: MemoryConfig, name: str) -> None:
    """Raise InputError if the memory of a recipe names a device, a pipe or a folder as a recording."""
    files = (*memory.memory_from, *(source.place.file for source in memory.sources or ()))
    for file in files:
        if os.path.exists(file) and not os.path.isfile(file):
            raise InputError(f"the recipe in {name} names the recording {file}, which is no file", "remake it anew")


def _made_by(recipe: Recipe, common: Common, name: str) -> Workflow:
    """The workflow of a recipe whose input was sound."""
    from vampcli.tasks import registry
    from vampcli.tasks.compress import Compress
    from vampcli.tasks.inpaint import Inpaint
    from vampcli.tasks.loop import Loop
    from vampcli.tasks.outpaint import Outpaint

    task = registry.task_from_table(recipe.command, recipe.request, f"the recipe in {name}")
    is_preview = recipe.part == "preview"
    if isinstance(task, Compress):
        return CompressWorkflow("compress", common, (task.keep_codebooks, task.period, None))
    if isinstance(task, Inpaint | Outpaint | Loop):
        _refuse_odd_files(task.memory, name)
    if isinstance(task, Loop):
        return loop_workflow(common, lambda _: task, is_preview)
    describe = None
    if isinstance(task, Inpaint | Outpaint):
        describe = partial(describe_sources, searched=task.memory.memory != 0)
    return AudioWorkflow(recipe.command, common, lambda _: task, describe, is_preview=is_preview)


def _common(recipe: Recipe, common: Common, model: str) -> Common:
    """The options of a recipe, with those of `replay` itself; the hash of the input tells if NaN was counted as 0."""
    return replace(
        common,
        nan="zero",
        sampling=recipe.sampling,
        stereo=recipe.stereo,
        model=model,
        only_generated=recipe.part == "generated",
        difference=recipe.part == "difference",
        int16=recipe.subtype == "PCM_16",
        int24=recipe.subtype == "PCM_24",
        float32=recipe.subtype == "FLOAT",
        clip_mode=recipe.clip_mode,
    )
