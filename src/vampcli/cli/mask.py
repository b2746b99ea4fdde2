"""`vamp mask`: the prompt of any command, shown without a model, or written to a file."""

from __future__ import annotations

import secrets
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from vampcli.cli.console import Console, report
from vampcli.cli.options import Common
from vampcli.cli.outputs import Naming, check_outputs, make_folder
from vampcli.cli.pipes import PIPE, Pipes, pipes
from vampcli.cli.prompt import Forecaster, picture, table
from vampcli.cli.scheme import Facts, Job, Opened, Scheme
from vampcli.cli.sources import Sources, sources
from vampcli.errors import InputError, ModelError, UsageError, VampError

if TYPE_CHECKING:
    from vampcli.plan import Pass

_SUFFIX = ".npy"

app = typer.Typer(
    help="Show what a command would keep and make, and about how long it takes; no model is loaded.",
    no_args_is_help=True,
)


def help_of(verb: str) -> str:
    """What `vamp mask VERB --help` begins with."""
    return (
        f"Show the prompt of `vamp {verb}` with the same options, and about how long a take takes.\n\n"
        "What is kept of each codebook, and at what bit rate; which regions are sampled together, in how many "
        "windows. With several takes it is the first one's.\n\n"
        f"-o FILE{_SUFFIX} writes it, for `vamp vamp --mask`: True = make, (n_codebooks, n_frames) of the whole result."
    )


def show(scheme: Scheme, inputs: list[str]) -> None:
    """Show the prompts of a request, or write them if -o or --name say so.

    Args:
        scheme: what would be done with each recording.
        inputs: as they were typed.
    """
    common, console = scheme.common, Console(scheme.common.quiet, scheme.common.verbose)
    common.sampling, common.channels  # noqa: B018 (both may refuse)
    if common.out == PIPE:
        raise UsageError("a mask is no sound for stdout", f"name a file: -o mask{_SUFFIX}")
    with pipes(inputs, replace(common, out=common.out or ".")) as piped:
        found = sources(piped.inputs(inputs), common.recursive, scheme.suffixes, common.out)
        jobs = _jobs(scheme, found, piped)
        shower = _Shower(scheme, console, piped)
        failures: list[VampError] = []
        for job in jobs:
            try:
                shower.show(job)
            except (InputError, ModelError) as error:
                own = _told(piped.said(error, job.source), job, common, console)
                if not found.several:
                    raise own from error
                failures.append(own if job.name in own.message else type(own)(f"{job.name}: {own.message}", own.hint))
                if common.fail_fast:
                    break
    for failure in failures:
        report(failure)
    if failures:
        raise SystemExit(int(failures[0].exit_code))


def _told(error: VampError, job: Job, common: Common, console: Console) -> VampError:
    """The error, told to machines if they listen."""
    if common.as_json:
        facts = {"input": job.name, "error": error.message, "hint": error.hint}
        console.result({**facts, "exit_code": int(error.exit_code)})
    return error


def _jobs(scheme: Scheme, found: Sources, piped: Pipes) -> list[Job]:
    """What is to be shown of each recording: the first take; and the file it goes to, if any."""
    common = scheme.common
    fallback = 0 if common.skip_existing or found.several else secrets.randbelow(10_000)
    jobs = []
    for one in found.found:
        scheme.check(one.path, one.path.with_suffix(".wav"))
        seed = next(s for s in (common.seed, scheme.seed_of(one.path), fallback) if s is not None)
        after = piped.template(one.path)
        naming = Naming(after, common.out, common.name, scheme.command, common.model, one.below, found.several)
        paths = _named(naming, seed) if common.out is not None or common.name is not None else []
        jobs.append(Job(one.path, tuple(paths), (seed,), piped.name(one.path), naming))
    names = [path for job in jobs for path in job.paths]
    if len(set(names)) < len(names):
        raise UsageError("several masks would have one name", "put {parent} into --name, or do one after the other")
    return jobs


def _named(naming: Naming, seed: int) -> list[Path]:
    if naming.one_file is None and naming.template is None:
        naming = replace(naming, template=f"{{stem}}.{{cmd}}.{{seed}}{_SUFFIX}")
    (path,) = naming.paths([seed])
    if path.suffix.lower() != _SUFFIX:
        raise UsageError(f"{path} is no name of a mask", f"a mask is a {_SUFFIX} file")
    return [path]


class _Shower:
    """Shows one recording after another."""

    def __init__(self, scheme: Scheme, console: Console, piped: Pipes) -> None:
        from vampcli import checkpoint, library
        from vampcli.devices import pick_device, pick_dtype

        common = scheme.common
        self.scheme, self.console, self.piped = scheme, console, piped
        self.outline = checkpoint.outline(library.find(common.model))
        device = pick_device(common.device)
        self.forecaster = Forecaster(self.outline, common.sampling, device, pick_dtype(common.dtype, device))

    def show(self, job: Job) -> None:
        common = self.scheme.common
        if job.paths and common.skip_existing and job.paths[0].exists():
            return
        check_outputs(list(job.paths), job.source, common.overwrite)
        self.piped.take_in(job.source)
        opened = self.scheme.open(replace(job, paths=()), self.outline)
        outline = self.outline
        passes = opened.request.passes(opened.clip, opened.plan, outline.codec, outline.coarse, job.seeds[0])
        for path in job.paths:
            self._write(path, opened, passes)
        self._tell(job, opened, passes)

    def _write(self, path: Path, opened: Opened, passes: list[Pass]) -> None:
        from vampcli import ownmask

        if len(passes) > 1 or passes[0].plan != opened.plan:
            why = f"there are {len(passes)}" if len(passes) > 1 else "a loop is turned by half before its seam is made"
            raise UsageError(f"a mask file holds one pass over the result, but {why}", "leave -o out")
        if not self.scheme.common.dry_run:
            make_folder(path)
            n_frames = self.forecaster.n_frames(opened.plan, opened.clip.sample_rate)
            ownmask.write(path, passes[0].on_canvas(n_frames).numpy(), self.scheme.common.overwrite)

    def _tell(self, job: Job, opened: Opened, passes: list[Pass]) -> None:
        """The facts to stdout; but if a file is written, its path, and the facts to people."""
        common = self.scheme.common
        facts: Facts = {
            "output": str(job.paths[0]) if job.paths else None,
            "seed": job.seeds[0],
            "input": job.name,
            "command": self.scheme.command,
            "model": common.model,
            "licence": self.outline.provenance.licence,
            **self.forecaster.facts(opened, passes, common),
        }
        if common.as_json:
            self.console.result(facts)
            return
        stream = sys.stderr if job.paths else sys.stdout
        encoding = getattr(stream, "encoding", None) or "ascii"
        rate = opened.clip.sample_rate
        kept = [1 - p.on_canvas(self.forecaster.n_frames(p.plan, rate)).float().mean(0).numpy() for p in passes]
        text = table(facts, [picture(share, encoding) for share in kept], encoding)
        (self.console.note if job.paths else self.console.result)(text)
        if job.paths:
            self.console.result(str(job.paths[0]))
