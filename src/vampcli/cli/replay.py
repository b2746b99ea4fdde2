"""`vamp replay`: make a result again from its recipe."""

from __future__ import annotations

import math
import os
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from vampcli.cli import options as o
from vampcli.cli.audioscheme import AudioScheme
from vampcli.cli.compress import CompressScheme
from vampcli.cli.console import Console, guarded
from vampcli.cli.loop import loop_scheme
from vampcli.cli.options import Common
from vampcli.cli.outputs import names_folder
from vampcli.cli.run import run
from vampcli.cli.scheme import Facts, Job, Load, Opened, Results, Scheme, Wanted
from vampcli.cli.settings import changed
from vampcli.errors import DeviceError, InputError
from vampcli.formats import TOKENS
from vampcli.recipe import MadeBy, Recipe
from vampcli.recipes import SIDECAR

if TYPE_CHECKING:
    from vampcli.outline import Outline


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
    run(ReplayScheme("replay", common, tuple(settings or ()), source, model), inputs)


@dataclass(frozen=True)
class Replayed(Opened):
    """The input of a result, opened as it was then.

    Attributes:
        opened: the same for the command that made it.
        scheme: of that command.
        recipe: what is made now.
    """

    opened: Opened
    scheme: Scheme
    recipe: Recipe


@dataclass(frozen=True)
class ReplayScheme(Scheme):
    """From a result to the same once more.

    Attributes:
        settings: what is to be different, as it was typed.
        moved: where the input is now; None = where the recipe says.
        other_model: another model than the recipe's.
    """

    settings: tuple[str, ...]
    moved: str | None
    other_model: str | None

    @property
    def suffixes(self) -> tuple[str, ...]:
        """See `Scheme.suffixes`."""
        return (TOKENS,)

    def seed_of(self, source: Path) -> int | None:
        """See `Scheme.seed_of`."""
        return self._recipe(source).seed

    def wanted(self, source: Path) -> Wanted:
        """See `Scheme.wanted`; without another wish, what the result was made on, if it is there."""
        from vampcli.devices import pick_device

        made_by, device, dtype = self._recipe(source).made_by, self.common.device, self.common.dtype
        if device == "auto":
            try:
                device = str(pick_device(made_by.device))
            except DeviceError:
                device = "auto"
        return Wanted(self.other_model or made_by.model, device, made_by.dtype if dtype == "auto" else dtype)

    def template_of(self, source: Path) -> str | None:
        """See `Scheme.template_of`."""
        if self.common.name is not None or (self.common.out and not names_folder(self.common.out)):
            return self.common.name
        return "{stem}.replay" + _result(source).suffix

    def check(self, source: Path, path: Path) -> None:
        """See `Scheme.check`."""
        if {path.suffix.lower(), _result(source).suffix.lower()} != {TOKENS}:
            super().check(source, path)

    def open(self, job: Job, outline: Outline) -> Opened:
        """See `Scheme.open`."""
        recipe = self._recipe(job.source)
        place = self._input(job.source, recipe)
        scheme = _made_by(recipe, place, self.common, _result(job.source))
        opened = scheme.open(replace(job, source=place), outline)
        if opened.source.sha256 != recipe.source.sha256:
            raise InputError(
                f"{place} is not what {job.name} was made of: its sound is another",
                "name the right one with --input, or run the command anew",
            )
        source = replace(opened.source, name=str(place), recipe=opened.source.recipe or recipe.source.recipe)
        own = {f.name: getattr(opened, f.name) for f in fields(Opened)} | {"job": job, "source": source}
        return Replayed(**own, opened=opened, scheme=scheme, recipe=recipe)

    def make(self, load: Load, opened: Opened, console: Console) -> Results:
        """See `Scheme.make`."""
        assert isinstance(opened, Replayed)
        for difference in differences(opened.recipe.made_by, load().made_by):
            console.note(f"{opened.job.title}: {difference}: the samples may differ")
        before, result = opened.opened, _result(opened.job.source)
        inner = replace(before, job=replace(before.job, name=str(before.job.source)), source=opened.source)
        for path, seed, facts in opened.scheme.make(load, inner, console):
            if path and not self.settings and self.other_model is None and result.is_file():
                facts, words = compared(result, path)
                console.note(f"{path.name}: {words}")
            yield path, seed, facts

    def _recipe(self, source: Path) -> Recipe:
        from vampcli.recipes import recipe_of

        recipe = recipe_of(source)
        if recipe is None:
            raise InputError(f"{source} does not say how it was made", "vamp made it not, or another program since")
        return changed(recipe, self.settings, f"the recipe in {source}")

    def _input(self, source: Path, recipe: Recipe) -> Path:
        """Where the input is: where somebody says, where it was, or beside the result."""
        if self.moved is not None:
            return Path(os.path.expanduser(self.moved))
        name = recipe.source.name
        places = [Path(name), source.parent / Path(name).name]
        found = next((place for place in places if name not in ("", "-") and place.is_file()), None)
        if found is None:
            was = {"": "sound without a file", "-": "sound from a pipe"}.get(name, name)
            raise InputError(f"the input of {source} is not there: {was}", "name it with --input")
        return found


def _result(source: Path) -> Path:
    """The result that an input of `replay` speaks of: itself, or what it lies beside."""
    return source.with_suffix("") if source.suffix.lower() == SIDECAR else source


def _made_by(recipe: Recipe, place: Path, common: Common, result: Path) -> Scheme:
    """The scheme of the command that made a result."""
    from vampcli.verbs import request
    from vampcli.verbs.compress import Compress
    from vampcli.verbs.loop import Loop

    verb = request.from_table(recipe.command, recipe.request, f"the recipe in {result}")
    own = replace(
        common,
        **asdict(recipe.sampling),
        stereo=recipe.stereo,
        model=recipe.made_by.model,
        only_generated=recipe.part == "generated",
        difference=recipe.part == "difference",
        int16=recipe.subtype == "PCM_16",
        int24=recipe.subtype == "PCM_24",
        float32=recipe.subtype == "FLOAT",
    )
    if place.suffix.lower() == TOKENS:  # which says itself what is kept, and how it is made
        return CompressScheme("compress", own, (None, None, None))
    if isinstance(verb, Compress):
        return CompressScheme("compress", own, (verb.n_kept_codebooks, verb.period, None))
    if isinstance(verb, Loop):
        return loop_scheme(own, lambda: verb, verb.repeats)
    return AudioScheme(recipe.command, own, lambda: verb)


def differences(then: MadeBy, now: MadeBy) -> list[str]:
    """What was another when a result was made, in words."""
    words = {"model_sha256": "another version of the model", "version": "another version of vamp"}
    return [
        f"{words.get(f.name, f.name)}: {getattr(then, f.name):.20} then, {getattr(now, f.name):.20} now"
        for f in fields(MadeBy)
        if f.name not in ("model", "licence") and getattr(then, f.name) != getattr(now, f.name)
    ]


def compared(result: Path, again: Path) -> tuple[Facts, str]:
    """Whether two results are the same, for machines and for people."""
    if result.suffix.lower() == TOKENS:
        from vampcli import tokens

        one, two = (tokens.load(path).kept for path in (result, again))
        same = one.shape == two.shape and bool((one == two).all())
        return {"identical": same}, f"{'the same' if same else 'other'} tokens as in {result.name}"
    from vampcli import audio

    one_s, two_s = (audio.read(path).samples for path in (result, again))
    if one_s.shape != two_s.shape:
        return {"identical": False}, f"{two_s.shape[1]} samples, {one_s.shape[1]} in {result.name}"
    n_other = int((one_s != two_s).any(axis=0).sum())
    if n_other == 0:
        return {"identical": True}, f"the same samples as {result.name}"
    worst = 20 * math.log10(float(abs(one_s - two_s).max()))
    return {"identical": False}, f"{n_other} of {one_s.shape[1]} samples differ from {result.name}, by {worst:.0f} dBFS"
