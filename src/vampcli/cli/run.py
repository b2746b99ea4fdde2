"""One request over many recordings: everything checked first, one model for all, failures named at the end."""

from __future__ import annotations

import os
import secrets
import time
from pathlib import Path
from typing import TYPE_CHECKING

from vampcli.cli.console import Console, report
from vampcli.cli.options import Common
from vampcli.cli.outputs import check_outputs, output_paths
from vampcli.cli.scheme import Facts, Job, Opened, Scheme
from vampcli.cli.sources import Sources, sources
from vampcli.errors import InputError, ModelError, UsageError, VampError

if TYPE_CHECKING:
    from vampcli.checkpoint import Outline
    from vampcli.engine import Model


def run(scheme: Scheme, inputs: list[str]) -> None:
    """Carry a request out.

    A recording that fails does not stop the others: failures are listed at the end, and the first gives the exit code.

    Args:
        scheme: what is to be done with each recording.
        inputs: as they were typed.
    """
    common, console = scheme.common, Console(scheme.common.quiet, scheme.common.verbose)
    common.sampling, common.channels  # noqa: B018 (both may refuse)
    found = sources(inputs, common.recursive, scheme.suffixes, common.out)
    jobs = _jobs(scheme, found)
    runner = _Runner(scheme, console, _outline(common), many=found.several)
    todo = [wanted for job in jobs if (wanted := _wanted(job, common.skip_existing)) is not None]
    for job in todo:
        runner.run(job)
    runner.finish(len(jobs), len(jobs) - len(todo))


def _jobs(scheme: Scheme, found: Sources) -> list[Job]:
    """Name every output, and find what is in the way, before anything is read."""
    common = scheme.common
    fallback = 0 if common.skip_existing or found.several else secrets.randbelow(10_000)
    jobs = []
    for one in found.found:
        seed = next(s for s in (common.seed, scheme.seed_of(one.path), fallback) if s is not None)
        seeds = [seed + i for i in range(common.takes)]
        paths = output_paths(
            one.path, common.out, common.name, scheme.command, common.model, seeds, one.below, found.several
        )
        for path in paths:
            scheme.check(one.path, path)
        jobs.append(Job(one.path, tuple(paths), tuple(seeds)))
    jobs = _without_results(jobs, common.overwrite)
    named: dict[str, Path] = {}
    for job in jobs:
        for path in job.paths:
            other = named.setdefault(os.path.abspath(path), job.source)
            if other != job.source:
                raise UsageError(
                    f"{other} and {job.source} would both become {path}",
                    "put {parent} into --name if that tells them apart, or do one after the other with -o",
                )
    return jobs


def _without_results(jobs: list[Job], overwrite: bool) -> list[Job]:
    """Leave out inputs that are what an earlier run has made of another one, as `*.wav` names them the next time.

    Raises:
        InputError: one of them would be overwritten: it may be no result after all.
    """
    makers = {os.path.abspath(path): job.source for job in jobs for path in job.paths}
    kept = []
    for job in jobs:
        maker = makers.get(os.path.abspath(job.source), job.source)
        if maker == job.source:
            kept.append(job)
        elif overwrite:
            raise InputError(
                f"{job.source} is an input, and would be overwritten with what becomes of {maker}",
                "name another folder with -o, or leave one of them out",
            )
    return kept


def _wanted(job: Job, skip_existing: bool) -> Job | None:
    """The takes that are not there yet; None if all are."""
    wanted = [i for i, path in enumerate(job.paths) if not (skip_existing and path.exists())]
    if not wanted:
        return None
    return Job(job.source, tuple(job.paths[i] for i in wanted), tuple(job.seeds[i] for i in wanted))


def _outline(common: Common) -> Outline:
    from vampcli import checkpoint, library
    from vampcli.devices import pick_device, pick_dtype

    outline = checkpoint.outline(library.find(common.model))
    pick_dtype(common.dtype, pick_device(common.device))
    return outline


class _Runner:
    """Carries jobs out with one model, which is loaded for the first that gets so far."""

    def __init__(self, scheme: Scheme, console: Console, outline: Outline, many: bool) -> None:
        self.scheme, self.console, self.outline, self.many = scheme, console, outline, many
        self.model: Model | None = None
        self.n_done = 0
        self.failures: list[VampError] = []

    def run(self, job: Job) -> None:
        began, common = time.monotonic(), self.scheme.common
        try:
            check_outputs(list(job.paths), job.source, common.overwrite)
            opened = self.scheme.open(job, self.outline)
        except (InputError, ModelError) as error:  # a token file may be of another model
            self._failed(job, error)
            return
        if common.dry_run:
            self._foretell(opened)
            return
        model = self._loaded()
        try:
            for path, seed, facts in self.scheme.make(model, opened, self.console):
                self._tell(opened, path, seed, facts)
        except InputError as error:
            self._failed(job, error)
            return
        self.n_done += 1
        seeds = f"seed {job.seeds[0]}" if len(job.seeds) == 1 else f"seeds {job.seeds[0]} to {job.seeds[-1]}"
        self._note(job, f"{opened.summary} made in {time.monotonic() - began:.1f} s, {seeds}")

    def _failed(self, job: Job, error: VampError) -> None:
        """Note a failure for the end, or stop with it."""
        if self.scheme.common.as_json:
            facts = {"input": str(job.source), "error": error.message, "hint": error.hint}
            self.console.result({**facts, "exit_code": int(error.exit_code)})
        if not self.many:
            raise error
        if str(job.source) not in error.message:
            error = type(error)(f"{job.source}: {error.message}", error.hint)
        if self.scheme.common.fail_fast:
            raise error
        self.failures.append(error)

    def _foretell(self, opened: Opened) -> None:
        for path, seed in zip(opened.job.paths, opened.job.seeds, strict=True):
            self._tell(opened, path, seed, {"dry_run": True})
        n = len(opened.job.paths)
        model = self.scheme.common.model
        self._note(opened.job, f"would make {opened.summary} with {model}: {n} take{'s' * (n != 1)}")

    def _note(self, job: Job, text: str) -> None:
        self.console.note(f"{job.source.name}: {text}" if self.many else text)

    def _tell(self, opened: Opened, path: Path, seed: int, more: Facts) -> None:
        common = self.scheme.common
        facts = {
            "output": str(path),
            "seed": seed,
            "input": str(opened.job.source),
            "command": self.scheme.command,
            "model": common.model,
            "licence": self.outline.provenance.licence,
            **opened.facts,
            **more,
        }
        self.console.result(facts if common.as_json else str(path))

    def _loaded(self) -> Model:
        if self.model is None:
            from vampcli.engine import load

            self.model = load(self.scheme.common.model, self.scheme.common.device, self.scheme.common.dtype)
        return self.model

    def finish(self, n_inputs: int, n_skipped: int) -> None:
        """Say how it went, and stop with the exit code of the first failure."""
        common, licence = self.scheme.common, self.outline.provenance.licence
        if self.model is not None and "NC" in licence:
            self.console.note(f"made with {common.model}, whose licence is {licence}: not for commercial use")
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
