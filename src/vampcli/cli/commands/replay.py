"""`vamp replay`: make a result again from its recipe."""

from __future__ import annotations

import math
import os
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Optional

import typer

from vampcli.audio.formats import FORMATS, TOKENS
from vampcli.cli import options as o
from vampcli.cli.commands.compress import CompressWorkflow
from vampcli.cli.commands.loop import loop_workflow
from vampcli.cli.console import Console, guarded
from vampcli.cli.jobs.audio_job import AudioWorkflow
from vampcli.cli.jobs.changes import changed
from vampcli.cli.jobs.job import Job, Load, ModelRequest, NamingHints, Opened, Results, Workflow
from vampcli.cli.jobs.outputs import check_outputs, names_folder
from vampcli.cli.jobs.pipes import PIPE
from vampcli.cli.jobs.run import run
from vampcli.cli.options import Common
from vampcli.errors import DeviceError, InputError, UsageError
from vampcli.recipe.embed import SIDECAR
from vampcli.recipe.recipe import MadeBy, Recipe

if TYPE_CHECKING:
    from vampcli.checkpoints.folder import ModelMetadata


@guarded
def replay(
    inputs: Annotated[
        list[str], typer.Argument(metavar="RESULT", help="What vamp has made: sound, .vamp files, --sidecar's JSON.")
    ],
    *,
    settings: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option("--set", metavar="NAME=VALUE", help="Change one thing: temperature=0.9; as often as you like."),
    ] = None,
    source: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--input", metavar="FILE", help="Where the input is now.", show_default="where it was"),
    ] = None,
    model: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("-m", "--model", help="Another model.", show_default="the same"),
    ] = None,
    recursive: o.Recursive = False,
    fail_fast: o.FailFast = False,
    out: o.Out = None,
    name: o.Name = None,
    overwrite: o.Overwrite = False,
    skip_existing: o.SkipExisting = False,
    sidecar: o.Sidecar = False,
    plot: o.Plot = None,
    as_json: o.Json = False,
    dry_run: o.DryRun = False,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
    device: o.Device = "auto",
    dtype: o.Dtype = "auto",
) -> None:
    """Make results again from the recipes in them, to the sample; what could make a difference is said.

    Environment and vamp.toml do not matter here: a recipe says it all.

    Example: vamp replay song.inpaint.7.wav

    Example: vamp replay song.inpaint.7.wav --set temperature=0.9 --set seed=8 -o again.wav
    """
    common = Common(
        recursive=recursive,
        fail_fast=fail_fast,
        out=out,
        name=name,
        overwrite=overwrite,
        skip_existing=skip_existing,
        sidecar=sidecar,
        plot=plot,
        as_json=as_json,
        dry_run=dry_run,
        quiet=quiet,
        verbose=verbose,
        device=device,
        dtype=dtype,
    )
    if PIPE in inputs:
        raise UsageError("a result is replayed from its file, not from stdin", "name it")
    run(ReplayScheme("replay", common, tuple(settings or ()), source, model), inputs)


@dataclass(frozen=True)
class Replayed(Opened):
    """The input of a result, opened as it was then.

    Attributes:
        opened: the same for the command that made it.
        workflow: of that command.
        recipe: what is made now.
    """

    opened: Opened
    workflow: Workflow
    recipe: Recipe


@dataclass(frozen=True)
class ReplayScheme(Workflow):
    """From a result to the same once more.

    Attributes:
        settings: what is to be different, as it was typed.
        moved: where the input is now; None = where the recipe says.
        other_model: another model than the recipe's.
    """

    settings: tuple[str, ...]
    map_ranges: str | None
    other_model: str | None

    of_results: ClassVar[bool] = True

    @property
    def suffixes(self) -> tuple[str, ...]:
        """See `Scheme.suffixes`."""
        return (TOKENS,)

    def concerns(self, source: Path) -> bool:
        """See `Scheme.concerns`: originals beside results are not meant."""
        from vampcli.recipe.embed import recipe_of

        try:
            return recipe_of(source) is not None
        except InputError:
            return True  # said where it is opened

    def brief(self, source: Path) -> NamingHints:
        """See `Scheme.brief`; results are named after the result, and seed and model are its own."""
        result, brief = _result(source), super().brief(source)
        beside = self.common.name is None and (self.common.out is None or names_folder(self.common.out))
        brief = replace(brief, after=result, template="{stem}.replay" + result.suffix if beside else self.common.name)
        try:
            recipe = self._recipe(source)
        except InputError:
            return brief  # said where it is opened
        return replace(brief, wanted=self._wanted(recipe.made_by), seed=recipe.seed)

    def _wanted(self, made_by: MadeBy) -> ModelRequest:
        """Without another wish, what the result was made on, if it is there."""
        from vampcli.model.devices import pick_device

        device, dtype = self.common.device, self.common.dtype
        if device == "auto":
            try:
                device = str(pick_device(made_by.device))
            except DeviceError:
                device = "auto"
        dtype = made_by.dtype if dtype == "auto" else dtype
        return ModelRequest(self.other_model or made_by.model, device, dtype, made_by.exact, made_by.compiled)

    def check(self, source: Path, path: Path) -> None:
        """See `Scheme.check`."""
        if {path.suffix.lower(), _result(source).suffix.lower()} != {TOKENS}:
            super().check(source, path)

    def open(self, job: Job, metadata: ModelMetadata) -> Opened:
        """See `Scheme.open`."""
        recipe = self._recipe(job.source)
        places = self._inputs(job.source, recipe)
        for place in places:
            check_outputs(list(job.paths), place, self.common.overwrite)
            workflow = self._workflow(recipe, place, job)
            opened = workflow.open(replace(job, source=place), metadata)
            if opened.source.sha256 == recipe.source.sha256:
                break
        else:
            raise InputError(
                f"{places[0]} is not what {job.name} was made of: its sound is another",
                "name the right one with --input, or run the command anew",
            )
        source = replace(opened.source, name=str(place), recipe=opened.source.recipe or recipe.source.recipe)
        own = {f.name: getattr(opened, f.name) for f in fields(Opened)} | {"job": job, "source": source}
        return Replayed(**own, opened=opened, workflow=workflow, recipe=recipe)

    def make(self, load: Load, opened: Opened, console: Console) -> Results:
        """See `Scheme.make`."""
        assert isinstance(opened, Replayed)
        for difference in differences(opened.recipe.made_by, load().made_by):
            console.note(f"{opened.job.title}: {difference}: the samples may differ")
        before, result = opened.opened, _result(opened.job.source)
        inner = replace(before, job=replace(before.job, name=str(before.job.source)), source=opened.source)
        for path, seed, facts in opened.workflow.make(load, inner, console):
            if path and not self.settings and self.other_model is None and result.is_file():
                same, words = compared(result, path)
                console.note(f"{path.name}: {words}")
                facts = {**facts, "identical": same}
            yield path, seed, facts

    def _recipe(self, source: Path) -> Recipe:
        from vampcli.recipe.embed import recipe_of

        recipe = recipe_of(source)
        if recipe is None:
            raise InputError(
                f"{source} does not say how it was made", "it was not made by vamp, or another program has changed it"
            )
        return changed(recipe, self.settings, f"the recipe in {source}")

    def _inputs(self, source: Path, recipe: Recipe) -> list[Path]:
        """Where the input may be: where somebody says, where it was, or beside the result."""
        if self.map_ranges is not None:
            return [Path(os.path.expanduser(self.map_ranges))]
        name = recipe.source.name
        places = dict.fromkeys((Path(name), source.parent / Path(name).name)) if name not in ("", PIPE) else ()
        found = [place for place in places if os.path.isfile(place)]
        if not found:
            was = {"": "sound without a file", PIPE: "sound from a pipe"}.get(name, name)
            raise InputError(f"the input of {source} is not there: {was}", "name it with --input")
        return found

    def _workflow(self, recipe: Recipe, place: Path, job: Job) -> Workflow:
        """The workflow of the command that made a result."""
        own = _common(recipe, self.common, job.wanted.model)
        if place.suffix.lower() != TOKENS:
            return _made_by(recipe, own, job.name)
        if {setting.partition("=")[0].strip().removeprefix("--") for setting in self.settings} - {"seed"}:
            raise UsageError(f"{place} says already how it is made", "of token files, --set changes the seed alone")
        return CompressWorkflow("compress", own, (None, None, None))


def _result(source: Path) -> Path:
    """The result that an input of `replay` speaks of: itself, or what it lies beside."""
    if source.suffix.lower() != SIDECAR:
        return source
    result = source.with_suffix("")
    return result if result.suffix.lower() in (*FORMATS, TOKENS) else result.with_name(f"{result.name}.wav")


def _made_by(recipe: Recipe, own: Common, name: str) -> Workflow:
    """The workflow of a command that made sound of sound."""
    from vampcli.tasks import registry
    from vampcli.tasks.compress import Compress
    from vampcli.tasks.loop import Loop

    verb = registry.task_from_table(recipe.command, recipe.request, f"the recipe in {name}")
    if isinstance(verb, Compress):
        return CompressWorkflow("compress", own, (verb.n_kept_codebooks, verb.period, None))
    if isinstance(verb, Loop):
        return loop_workflow(own, lambda: verb, verb.repeats)
    return AudioWorkflow(recipe.command, own, lambda: verb)


def _common(recipe: Recipe, common: Common, model: str) -> Common:
    """The options that a result was made with, for all that is not typed now."""
    return replace(
        common,
        **asdict(recipe.sampling),
        stereo=recipe.stereo,
        model=model,
        only_generated=recipe.part == "generated",
        difference=recipe.part == "difference",
        int16=recipe.subtype == "PCM_16",
        int24=recipe.subtype == "PCM_24",
        float32=recipe.subtype == "FLOAT",
    )


def differences(then: MadeBy, now: MadeBy) -> list[str]:
    """What was another when a result was made, in words."""
    words = {"model_sha256": "another version of the model", "version": "another version of vamp"}
    found = [
        f"{words.get(f.name, f.name)}: {getattr(then, f.name)!s:.20} then, {getattr(now, f.name)!s:.20} now"
        for f in fields(MadeBy)
        if f.name not in ("model", "licence") and getattr(then, f.name) != getattr(now, f.name)
    ]
    return found or ([] if now.exact else ["made in batches, without --exact"])


def compared(result: Path, again: Path) -> tuple[bool, str]:
    """Whether two results are the same, for machines and in words."""
    if result.suffix.lower() == TOKENS:
        from vampcli.recipe import token_file

        one, two = (token_file.load(path).kept for path in (result, again))
        same = one.shape == two.shape and bool((one == two).all())
        return same, f"{'the same' if same else 'other'} tokens as in {result.name}"
    from vampcli.audio.io import read

    one_s, two_s = (read(path).samples for path in (result, again))
    if one_s.shape != two_s.shape:
        return False, f"{two_s.shape[1]} samples, {one_s.shape[1]} in {result.name}"
    n_other = int((one_s != two_s).any(axis=0).sum())
    if n_other == 0:
        return True, f"the same samples as {result.name}"
    worst = 20 * math.log10(float(abs(one_s - two_s).max()))
    return False, f"{n_other} of {one_s.shape[1]} samples differ from {result.name}, by {worst:.0f} dBFS"
