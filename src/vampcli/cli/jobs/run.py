"""One request over many recordings: everything checked first, models loaded once, failures named at the end."""

from __future__ import annotations

import os
import secrets
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from vampcli.cli.console import Console, report
from vampcli.cli.jobs.inputs import Sources, sources
from vampcli.cli.jobs.job import Facts, Job, ModelRequest, Opened, Results, Workflow
from vampcli.cli.jobs.outputs import Naming, check_outputs
from vampcli.cli.jobs.pipes import PIPE, Pipes, pipes
from vampcli.cli.jobs.plots import pictured
from vampcli.cli.options import Common
from vampcli.errors import InputError, ModelError, UsageError, VampError

if TYPE_CHECKING:
    from vampcli.api import Model
    from vampcli.checkpoints.folder import ModelMetadata
    from vampcli.cli.jobs.parallel import ParallelFiles


def run(workflow: Workflow, inputs: list[str]) -> None:
    """Carry a request out.

    A recording that fails does not stop the others: failures are listed at the end, and the first gives the exit code.

    Args:
        workflow: what is to be done with each recording.
        inputs: as they were typed.
    """
    common, console = workflow.common, Console(workflow.common.quiet, workflow.common.verbose)
    common.sampling, common.channels  # noqa: B018 (both may refuse)
    with pipes(inputs, common, workflow.sounds) as piped:
        found = sources(piped.inputs(inputs), common.recursive, workflow.suffixes, common.out, workflow.of_results)
        jobs = _jobs(workflow, found, piped)
        runner = _Runner(workflow, console, piped, many=found.several)
        if len(models := {job.wanted for job in jobs}) == 1:
            runner.metadata(models.pop())  # a model that is not there is found before anything is read
        todo = [left for job in jobs if (left := _left(job, common)) is not None]
        runner.run(todo)
        runner.finish(len(jobs), len(jobs) - len(todo))


def _jobs(workflow: Workflow, found: Sources, piped: Pipes) -> list[Job]:
    """Name every output, and find what is in the way, before anything is read."""
    common = workflow.common
    out = common.out if piped.target is None else PIPE
    fallback = 0 if common.skip_existing or found.several else secrets.randbelow(10_000)
    jobs = []
    for one in found.found:
        if one.searched and not workflow.concerns(one.path):
            continue
        brief = workflow.brief(one.path)
        seed = next(s for s in (common.seed, brief.seed, fallback) if s is not None)
        seeds = [seed + i for i in range(common.takes)]
        naming = Naming(
            source=piped.template(brief.after),
            out=out,
            template=brief.template,
            command=workflow.command,
            model=brief.wanted.model,
            below=one.below,
            several=found.several,
            piped=piped.target,
            ext=workflow.ext,
        )
        paths = workflow.paths(naming, seeds)
        for path in paths:
            workflow.check(one.path, path)
        jobs.append(Job(one.path, tuple(paths), tuple(seeds), piped.name(one.path), naming, brief.wanted))
    if not jobs:
        raise InputError(f"nothing among {len(found.found)} files is for vamp {workflow.command}", "name a file")
    jobs = _without_results(jobs, common.overwrite)
    named: dict[str, Job] = {}
    for job in jobs:
        for path in (*job.paths, *beside(job, common)):
            other = named.setdefault(os.path.abspath(path), job)
            if other != job:
                raise UsageError(
                    f"{other.name} and {job.name} would both become {path}",
                    "put {parent} into --name if that tells them apart, or do one after the other with -o",
                )
    return jobs


def _without_results(jobs: list[Job], overwrite: bool) -> list[Job]:
    """Leave out inputs that are what an earlier run has made of another one, as `*.wav` names them the next time.

    Raises:
        InputError: one of them would be overwritten: it may be no result after all.
    """
    makers = {os.path.abspath(path): job for job in jobs for path in job.paths}
    kept = []
    for job in jobs:
        maker = makers.get(os.path.abspath(job.source), job)
        if maker == job:
            kept.append(job)
        elif overwrite:
            raise InputError(
                f"{job.name} is an input, and would be overwritten with what becomes of {maker.name}",
                "name another folder with -o, or leave one of them out",
            )
    return kept


def _left(job: Job, common: Common) -> Job | None:
    """The takes that are not there yet; None if all are."""
    if not job.paths:
        return job
    left = [i for i, path in enumerate(job.paths) if not (common.skip_existing and path.exists())]
    paths, seeds = tuple(job.paths[i] for i in left), job.seeds
    if common.keep is None:  # the best are found among all
        seeds = tuple(seeds[i] for i in left)
    return replace(job, paths=paths, seeds=seeds) if left else None


def beside(job: Job, common: Common) -> list[Path]:
    """What is written beside the takes."""
    from vampcli.recipe import embed

    if job.naming.piped and common.sidecar:
        raise UsageError("there is nothing beside stdout to write a recipe to", "leave --sidecar out")
    sidecars = [embed.beside(path) for path in job.paths if common.sidecar]
    return sidecars + [pictured(path, job, common) for path in job.paths if common.plot]


class _Runner:
    """Carries jobs out; a model is loaded for the first that gets so far, and kept for all that want it."""

    def __init__(self, workflow: Workflow, console: Console, piped: Pipes, many: bool) -> None:
        self.workflow, self.console, self.piped, self.many = workflow, console, piped, many
        self.metadata_of: dict[ModelRequest, ModelMetadata] = {}
        self.models: dict[ModelRequest, Model] = {}
        self.n_done = 0
        self.failures: list[VampError] = []

    def run(self, jobs: list[Job]) -> None:
        from vampcli.cli.jobs.parallel import ParallelFiles

        with ParallelFiles(self.console) as lanes:
            for job in jobs:
                opened = self._opened(job, lanes)
                if opened is None:
                    continue
                make, tell, seconds = partial(self._made, opened), partial(self._told, opened), _seconds(opened)
                if (n := self._n_cores(opened.job, seconds)) > 1 and len(jobs) >= n:  # fewer would leave cores idle
                    lanes.start(n, seconds, make, tell)
                else:
                    lanes.finish()
                    tell(make(self.console))

    def _opened(self, job: Job, lanes: ParallelFiles) -> Opened | None:
        """Read a recording; None if that is all, or has failed."""
        common = self.workflow.common
        try:
            check_outputs([*job.paths, *beside(job, common)], job.source, common.overwrite)
            self.piped.take_in(job.source)
            opened = self.workflow.open(job, self.metadata(job.wanted))
        except (InputError, ModelError) as error:  # a token file may be of another model
            lanes.finish()
            self._failed(job, error)
            return None
        if common.dry_run:
            self._foretell(opened)
            return None
        return opened

    def _n_cores(self, job: Job, seconds: float) -> int:
        """How many recordings like this may be made at once, a core each."""
        from vampcli.cli.jobs import parallel

        if (
            not self.workflow.sounds or self.workflow.common.plot or seconds > parallel.LONGEST_S
        ):  # matplotlib has one thread
            return 1
        return self._loaded(job.wanted).batches.n_lanes

    def _made(self, opened: Opened, console: Console) -> Results:
        """Make and write the takes, then say so."""
        began, job = time.monotonic(), opened.job
        yield from self.workflow.make(partial(self._loaded, job.wanted), opened, console)
        if opened.summary:
            seeds = f"seed {job.seeds[0]}" if len(job.seeds) == 1 else f"seeds {job.seeds[0]} to {job.seeds[-1]}"
            self._note(job, f"{opened.summary} made in {time.monotonic() - began:.1f} s, {seeds}", console)

    def _told(self, opened: Opened, results: Results) -> None:
        try:
            for path, seed, facts in results:
                self._tell(opened, path, seed, facts)
        except InputError as error:
            self._failed(opened.job, error)
        else:
            self.n_done += 1

    def _failed(self, job: Job, error: VampError) -> None:
        """Note a failure for the end, or stop with it."""
        is_named = str(job.source) in error.message
        error = self.piped.said(error, job.source)
        if self.workflow.common.as_json:
            facts = {"input": job.name, "error": error.message, "hint": error.hint}
            self.console.result({**facts, "exit_code": int(error.exit_code)})
        if not self.many:
            raise error
        if not is_named:
            error = type(error)(f"{job.name}: {error.message}", error.hint)
        if self.workflow.common.fail_fast:
            raise error
        self.failures.append(error)

    def _foretell(self, opened: Opened) -> None:
        job, keep = opened.job, self.workflow.common.keep
        if keep is None:
            for path, seed in zip(job.paths, job.seeds, strict=True):
                self._tell(opened, path, seed, {"dry_run": True})
        n, model = len(job.seeds), job.wanted.model
        best = f", the best {keep} kept" if keep else ""
        self._note(job, f"would make {opened.summary} with {model}: {n} take{'s' * (n != 1)}{best}", self.console)

    def _note(self, job: Job, text: str, console: Console) -> None:
        console.note(f"{job.title}: {text}" if self.many else text)

    def _tell(self, opened: Opened, path: Path | None, seed: int, more: Facts) -> None:
        common = self.workflow.common
        if path is not None and path == self.piped.target:
            if not common.dry_run:
                self.piped.give_out(path)
            return
        facts = {
            "output": path and str(path),
            "seed": seed,
            "input": opened.job.name,
            "command": self.workflow.command,
            "model": (wanted := opened.job.wanted).model,
            "licence": self.metadata_of[wanted].provenance.licence,
            **opened.facts,
            **more,
        }
        if common.as_json or path is not None:
            self.console.result(facts if common.as_json else str(path))

    def metadata(self, wanted: ModelRequest) -> ModelMetadata:
        """What is known of a model without a weight, and that this machine can run it as asked."""
        if wanted not in self.metadata_of:
            from vampcli.checkpoints import registry
            from vampcli.checkpoints.folder import read_metadata
            from vampcli.model.devices import pick_device, pick_dtype

            self.metadata_of[wanted] = read_metadata(registry.find(wanted.model))
            pick_dtype(wanted.dtype, pick_device(wanted.device))
        return self.metadata_of[wanted]

    def _loaded(self, wanted: ModelRequest) -> Model:
        if wanted not in self.models:
            from vampcli.api import load

            self.models[wanted] = load(*wanted)
        return self.models[wanted]

    def finish(self, n_inputs: int, n_skipped: int) -> None:
        """Say how it went, and stop with the exit code of the first failure."""
        common = self.workflow.common
        for wanted, model in self.models.items():
            if "NC" in (licence := model.provenance.licence):
                self.console.note(f"made with {wanted.model}, whose licence is {licence}: not for commercial use")
        if n_skipped == n_inputs:
            self.console.note("every take exists already: nothing to do")
        elif self.many and not common.dry_run:
            skipped = f", {n_skipped} skipped" if n_skipped else ""
            failed = f", {len(self.failures)} failed:" if self.failures else ""
            self.console.note(f"{self.n_done} of {n_inputs} done{skipped}{failed}")
        for error in self.failures:
            report(error)
        if self.failures:
            raise SystemExit(int(self.failures[0].exit_code))


def _seconds(opened: Opened) -> float:
    """Of the recording, or of what becomes of it if that is longer."""
    return max(opened.plan.n_canvas_samples, opened.clip.n_samples) / opened.clip.sample_rate
