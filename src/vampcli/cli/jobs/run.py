"""Run a workflow on many recordings: find inputs, check outputs, open, make takes, write, report."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import groupby
from operator import attrgetter
from threading import Event

from vampcli.cli.console import Bar, Console, report
from vampcli.cli.jobs.inputs import find_jobs, list_companions, skip_existing
from vampcli.cli.jobs.job import Facts, Job, Opened, Results, Workflow, Written
from vampcli.cli.jobs.models import Models
from vampcli.cli.jobs.outputs import check_outputs
from vampcli.cli.jobs.pages import check_index, write_index
from vampcli.cli.jobs.pipes import Pipes, pipes
from vampcli.cli.jobs.preview import preview
from vampcli.errors import InputError, ModelError, VampError, from_os_error
from vampcli.files import claim

LONGEST_S = 60.0
"""Longer recordings keep all cores busy alone, and several at the same time would need much memory."""

_MOST_S = 240.0  # of recordings at the same time


def run(workflow: Workflow, inputs: list[str], console: Console | None = None, models: Models | None = None) -> None:
    """Run a workflow on all recordings.

    A recording that fails does not stop the others: failures are listed at the end, and the first gives the exit code.

    Args:
        workflow: the steps for each recording.
        inputs: files, folders, patterns, lists, `-`.
        console: gets results, notes and progress; by default the streams of this process.
        models: that are loaded already.
    """
    common = workflow.common
    console = console or Console(common.quiet, common.verbose)
    with pipes(inputs, common, workflow.sounds) as piped:
        jobs, missed = find_jobs(workflow, inputs, piped)
        if missed and common.fail_fast:
            raise missed
        if not jobs:
            if missed:
                raise missed
            console.note(f"shard {common.shard} has no recording: nothing to do")
            return
        check_index(jobs, common)
        runner = _Runner(workflow, console, piped, models or Models(), several=jobs[0].naming.several)
        if len(requests := {job.model for job in jobs}) == 1:
            runner.models.metadata(requests.pop())  # a missing model is reported before anything is read
        with runner.held:
            runner.run(jobs)
        if missed:
            runner.fail(missed, {})
        is_drawn = common.seed is None and not (common.skip_existing or runner.several or workflow.of_results)
        if common.dry_run and is_drawn:
            console.note(f"the seed changes from run to run: --seed {jobs[0].seeds[0]} keeps it")
        runner.finish(len(jobs))


@dataclass
class _Attempt:
    """A job in progress.

    Attributes:
        job: the recording and its outputs.
        opened: None if it could not be opened.
        error: why it failed.
        claims: on its outputs.
        results: that are not reported yet.
    """

    job: Job
    opened: Opened | None = None
    error: VampError | None = None
    claims: ExitStack = field(default_factory=ExitStack)
    results: deque[Written | str] = field(default_factory=deque)

    @property
    def duration_s(self) -> float:
        return self.opened.duration_s if self.opened else 0.0


def _curable(error: VampError | OSError) -> VampError:
    return from_os_error(error) if isinstance(error, OSError) else error


class _Runner:
    """Runs the jobs of a workflow; a model is loaded for the first job that needs it, and kept."""

    def __init__(self, workflow: Workflow, console: Console, piped: Pipes, models: Models, several: bool) -> None:
        self.workflow, self.console, self.piped, self.models, self.several = workflow, console, piped, models, several
        self.n_skipped = self.n_taken = 0
        self.done: list[Job] = []
        self.held = ExitStack()
        self.count: Callable[[], None] = lambda: None  # shows how many jobs are done
        self.failures: list[VampError] = []
        self.stop = Event()

    def run(self, jobs: list[Job]) -> None:
        """Run jobs: short recordings in parallel, one per core, others one by one; report in input order."""
        with self.console.bars() as bar, self._counting(bar, len(jobs)):
            opened = self._open_all(jobs, bar)
            for n, attempts in groupby(opened, partial(self._n_threads, n_jobs=len(jobs), bar=bar)):
                if n > 1:
                    self._make_parallel(attempts, n, bar)
                    continue
                for attempt in attempts:
                    self._make(attempt, bar, partial(self._show, attempt))
                    self._conclude(attempt)

    @contextmanager
    def _counting(self, bar: Bar, n_jobs: int) -> Iterator[None]:
        """Draw a bar of all recordings, if there are several."""
        if not self.several:
            yield
            return
        with bar("all files") as show:
            self.count = lambda: show(len(self.failures) + len(self.done) + self.n_skipped, n_jobs) if show else None
            self.count()
            yield

    def _open_all(self, jobs: list[Job], bar: Bar) -> Iterator[_Attempt]:
        """Open each recording when its turn comes; after a dry run there is nothing more to do."""
        for job in jobs:
            with bar(f"reading {job.title}"):
                attempt = self._open(job)
            if attempt is None:
                self.n_skipped += 1
                self.count()
            elif attempt.opened and self.workflow.common.dry_run:
                self._preview(attempt.opened)
            else:
                yield attempt

    def _open(self, job: Job) -> _Attempt | None:
        """Open a recording and claim its outputs; None if all its takes exist or are being made."""
        common, claims = self.workflow.common, ExitStack()
        self.held.push(claims)
        try:
            if (left := skip_existing(job, common)) is None:
                return None
            check_outputs([*left.paths, *list_companions(left, common)], job.source, common.overwrite)
            self.piped.fill(job.source)
            opened = self.workflow.open(left, self.models.metadata(job.model))
            if not common.dry_run:
                left = self._claim(left, claims)
            if left is None:
                claims.close()
                return None
        except (InputError, ModelError, OSError) as error:  # ModelError: a token file may be of another model
            return _Attempt(job, error=_curable(error), claims=claims)
        return _Attempt(left, replace(opened, job=left), claims=claims)

    def _claim(self, job: Job, claims: ExitStack) -> Job | None:
        """Claim the outputs of a job; with `--skip-existing`, leave out the takes that other processes make or made."""
        common = self.workflow.common
        beside = list_companions(job, common)
        taken = [path for path in job.paths if not claims.enter_context(claim(path, beside))]
        self.n_taken += len(taken)
        if taken and not common.skip_existing:
            raise InputError(
                f"{taken[0]} is being made by another process", "wait for it, or share the work with --skip-existing"
            )
        return skip_existing(job, common, taken)

    def _n_threads(self, attempt: _Attempt, n_jobs: int, bar: Bar) -> int:
        """Count the recordings like this one that can be made at the same time, one per core."""
        no_threads = not self.workflow.sounds or self.workflow.common.plot  # matplotlib is not thread-safe
        if attempt.opened is None or no_threads or attempt.duration_s > LONGEST_S or n_jobs == 1:
            return 1
        if not attempt.opened.plan.calls:  # no model is needed: none is loaded
            return 1
        with bar("loading the model"):
            n = self.models.load(attempt.job.model).batches.n_lanes
        return n if n_jobs >= n else 1  # fewer would leave cores idle

    def _make_parallel(self, attempts: Iterable[_Attempt], n_threads: int, bar: Bar) -> None:
        """Make recordings on threads; an exception cancels those that wait, and stops the others after a step."""
        from vampcli.model.threads import ordered_map

        started: deque[_Attempt] = deque()

        def start() -> Iterator[_Attempt]:
            for attempt in attempts:
                started.append(attempt)
                yield attempt

        def make(attempt: _Attempt) -> None:
            self._make(attempt, bar, attempt.results.append)

        size = attrgetter("duration_s")
        try:
            made = ordered_map(make, start(), n_threads, stop=self.stop, size=size, max_size=_MOST_S)
            with closing(made):
                for _ in made:
                    self._show_results(started[0])
                    self._conclude(started[0])
                    started.popleft()
        finally:
            for attempt in started:  # after an interruption, files that exist are still named
                self._show_results(attempt)

    def _make(self, attempt: _Attempt, bar: Bar, emit: Callable[[Written | str], None]) -> None:
        """Make and write the takes of a job, and pass each result to `emit`; an input error is kept for the end."""
        if attempt.opened is None:
            return
        try:
            for result in self._make_opened(attempt.opened, bar):
                emit(result)
        except (InputError, OSError) as error:
            attempt.error = _curable(error)

    def _make_opened(self, opened: Opened, bar: Bar) -> Results:
        """Yield the results of a job and a note on the time; after an interruption, the next step ends it."""
        began, job = time.monotonic(), opened.job
        with bar(job.title) as show:

            def progress(step: int, total: int) -> None:
                if self.stop.is_set():
                    raise CancelledError
                if show is not None:
                    show(step, total)

            yield from self.workflow.make(partial(self.models.load, job.model), opened, progress)
        if opened.summary:
            seeds = f"seed {job.seeds[0]}" if len(job.seeds) == 1 else f"seeds {job.seeds[0]} to {job.seeds[-1]}"
            yield self._label(job, f"{opened.summary} made in {time.monotonic() - began:.1f} s, {seeds}")

    def _preview(self, opened: Opened) -> None:
        """Report what a run would make."""
        for result in preview(opened, self.workflow.common, self.models.metadata(opened.job.model)):
            words = self._label(opened.job, result) if isinstance(result, str) else result
            self._show(_Attempt(opened.job, opened), words)

    def _label(self, job: Job, text: str) -> str:
        return f"{job.title}: {text}" if self.several else text

    def _show_results(self, attempt: _Attempt) -> None:
        while attempt.results:
            self._show(attempt, attempt.results[0])
            attempt.results.popleft()  # only now: Ctrl-C may come while it is shown

    def _show(self, attempt: _Attempt, result: Written | str) -> None:
        """Print a note to stderr, or a result to stdout."""
        job, common = attempt.job, self.workflow.common
        if isinstance(result, str):
            self.console.note(result)
            return
        path, seed, more, text = result
        if path is not None and path == self.piped.target:
            if not common.dry_run:
                self.piped.write_stdout(path)
            return
        facts = {
            "output": path and str(path),
            "seed": seed,
            "input": job.name,
            "command": self.workflow.command,
            "model": job.model.name,
            "licence": self.models.metadata(job.model).provenance.licence,
            **(attempt.opened.facts if attempt.opened else {}),
            **more,
        }
        if common.as_json:
            self.console.result(facts)
        elif text or path:
            self.console.result(text or str(path))

    def _conclude(self, attempt: _Attempt) -> None:
        """Count a job that is done; keep its error for the end, or raise it now."""
        job, error = attempt.job, attempt.error
        attempt.claims.close()
        if error is None:
            self.done.append(job)
            self.count()
            return
        is_named = str(job.source) in error.message
        error = self.piped.rename(error, job.source)
        titled = type(error)(f"{job.name}: {error.message}", error.hint) if self.several and not is_named else error
        self.fail(error, {"input": job.name}, titled)
        self.count()

    def fail(self, error: VampError, facts: Facts, titled: VampError | None = None) -> None:
        """Keep an error for the end, or raise it now; with `--json`, print it with facts.

        Args:
            error: what happened.
            facts: about the recording.
            titled: the same error, with the name of the recording.
        """
        if self.workflow.common.as_json:
            named = {"error": error.message, "hint": error.hint, "exit_code": int(error.exit_code)}
            self.console.result({**facts, **named})
        if self.workflow.common.fail_fast or not self.several:
            raise titled or error
        self.failures.append(titled or error)

    def finish(self, n_inputs: int) -> None:
        """Print a summary and the failures, and exit with the code of the first failure."""
        common = self.workflow.common
        for note in self.models.licence_notes():
            self.console.note(note)
        if common.page and self.several and self.done and self.done[0].paths:
            self.console.note(f"{write_index(self.done, common)}: an index of the pages")
        if self.n_skipped == n_inputs:
            being_made = ", or another process makes it" if self.n_taken else " already"
            self.console.note(f"every take exists{being_made}: nothing to do")
        elif self.several and not common.dry_run:
            skipped = f", {self.n_skipped} skipped" if self.n_skipped else ""
            failed = f", {len(self.failures)} failed:" if self.failures else ""
            self.console.note(f"{len(self.done)} of {n_inputs} done{skipped}{failed}")
        for error in self.failures:
            report(error)
        if self.failures:
            raise SystemExit(int(self.failures[0].exit_code))
