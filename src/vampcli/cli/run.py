"""One request over many recordings: everything checked first, one model for all, failures named at the end."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vampcli.cli.console import Console, report
from vampcli.cli.options import Common
from vampcli.cli.outputs import check_outputs, make_folder, output_paths
from vampcli.cli.sources import Sources, sources
from vampcli.errors import ExitCode, InputError, UsageError, VampError
from vampcli.formats import container

if TYPE_CHECKING:
    from vampcli.audio import Waveform
    from vampcli.checkpoint import Outline
    from vampcli.engine import Model, Take
    from vampcli.plan import Plan
    from vampcli.recordings import Found
    from vampcli.verbs import Verb

Facts = dict[str, Any]


@dataclass(frozen=True)
class Job:
    """What is to be made of one recording.

    Attributes:
        source: the recording.
        paths: of the takes.
        seeds: of the takes.
    """

    source: Path
    paths: tuple[Path, ...]
    seeds: tuple[int, ...]


@dataclass(frozen=True)
class Scheme:
    """A command's way with one recording: `AudioScheme` for all that goes from sound to sound.

    Attributes:
        command: its name.
        common: the options of all commands.
    """

    command: str
    common: Common

    def seed_of(self, source: Path) -> int | None:
        """The seed that a file brings along."""
        return None

    def check_path(self, path: Path) -> None:
        """Refuse an output of a kind that the command does not write."""
        container(path)

    def open(self, job: Job, outline: Outline) -> Opened:
        """Read a recording and find all that can be wrong, without a weight."""
        raise NotImplementedError

    def make(self, model: Model, opened: Opened, console: Console) -> Iterator[tuple[Path, int, Facts]]:
        """Make and write the takes: path, seed, and what there is to say of each."""
        raise NotImplementedError


@dataclass(frozen=True)
class Opened:
    """A job whose recording has been read.

    Attributes:
        job: what is to be made.
        request: how.
        clip: the recording.
        plan: where it will change.
        facts: what there is to say of it, for `--json`.
        summary: the same in a few words.
    """

    job: Job
    request: Verb
    clip: Waveform
    plan: Plan
    facts: Facts
    summary: str


@dataclass(frozen=True)
class AudioScheme(Scheme):
    """A verb over sound files.

    Attributes:
        request: makes the verb, once what is quick to check has been.
        describe: more to say of a take, for `--json` and for people.
        loops: the result is a loop: say so in the file.
    """

    request: Callable[[], Verb]
    describe: Callable[[Take], tuple[Facts, str]] = lambda _take: ({}, "")
    loops: bool = False

    def open(self, job: Job, outline: Outline) -> Opened:
        """See `Scheme.open`."""
        from vampcli import audio

        request = self.request()
        clip = audio.read(job.source)
        plan = request.plan(clip, outline.codec, outline.context_frames)
        for path in job.paths:
            audio.check_output(path, clip, self.common.subtype)
        rate = clip.sample_rate
        spans_s = [[start / rate, end / rate] for start, end in plan.spans]
        spans = ", ".join(f"{start:.2f}-{end:.2f} s" for start, end in spans_s[:4])
        more = f" and {len(spans_s) - 4} more" if len(spans_s) > 4 else ""
        facts = {"spans_s": spans_s, "n_frames": plan.n_hidden_frames}
        return Opened(job, request, clip, plan, facts, f"{plan.n_hidden_frames} frames ({spans}{more})")

    def make(self, model: Model, opened: Opened, console: Console) -> Iterator[tuple[Path, int, Facts]]:
        """See `Scheme.make`."""
        return made(model, opened, self.common, console, self.describe, self.loops)


def made(
    model: Model,
    opened: Opened,
    common: Common,
    console: Console,
    describe: Callable[[Take], tuple[Facts, str]] = lambda _take: ({}, ""),
    loops: bool = False,
) -> Iterator[tuple[Path, int, Facts]]:
    """Make and write the takes of a request; `describe` says more of each, for machines and for people."""
    job = opened.job
    with console.progress(job.source.name) as progress:
        takes = model.takes(
            opened.clip,
            opened.request,
            seeds=job.seeds,
            plan=opened.plan,
            config=common.sampling,
            stereo=common.channels,
            progress=progress,
        )
        for path, seed in zip(job.paths, job.seeds, strict=True):
            take = next(takes)  # a name of its own, so that it can go before the next is made: it may be long
            facts, words = describe(take)
            write_take(path, take, common, loops)
            del take
            if words:
                console.note(f"{path.name}: {words}")
            yield path, seed, facts


def write_take(path: Path, take: Take, common: Common, loops: bool = False) -> None:
    """Write a take, or the part of it that was asked for."""
    from vampcli import audio, pasting

    whole = take.audio
    if common.only_generated:
        whole = pasting.cut_out(whole, take.spans)
    elif common.difference:
        whole = pasting.difference(whole, take.base)
    make_folder(path)
    loop = (0, whole.n_samples) if loops and not common.only_generated else None
    audio.write(path, whole, common.subtype, common.overwrite, loop)


def run(scheme: Scheme, inputs: list[str], suffixes: tuple[str, ...] = ()) -> None:
    """Carry a request out.

    A recording that fails does not stop the others: failures are listed at the end, and the first gives the exit code.
    """
    common, console = scheme.common, Console(scheme.common.quiet, scheme.common.verbose)
    common.sampling, common.channels  # noqa: B018 (both may refuse)
    found = sources(inputs, common.recursive, suffixes)
    jobs = _jobs(scheme, found, console)
    outline = _outline(common)
    runner = _Runner(scheme, console, outline, many=found.several)
    for job in jobs:
        runner.run(job)
    runner.finish(len(found.found), len(found.found) - len(jobs))


def _jobs(scheme: Scheme, found: Sources, console: Console) -> list[Job]:
    """Name every output, and find what is in the way, before anything is read."""
    common = scheme.common
    fallback = 0 if common.skip_existing or found.several else secrets.randbelow(10_000)
    named: dict[Path, Found] = {}
    jobs = []
    for one in found.found:
        seed = next(s for s in (common.seed, scheme.seed_of(one.path), fallback) if s is not None)
        seeds = [seed + i for i in range(common.takes)]
        paths = output_paths(
            one.path, common.out, common.name, scheme.command, common.model, seeds, one.below, found.several
        )
        for path in paths:
            scheme.check_path(path)
            if path in named:
                raise UsageError(
                    f"{named[path].path} and {one.path} would both become {path}",
                    "put {parent} or {ext} into --name, or do them one after the other",
                )
            named[path] = one
        wanted = [(p, s) for p, s in zip(paths, seeds, strict=True) if not (common.skip_existing and p.exists())]
        if wanted:
            jobs.append(Job(one.path, *map(tuple, zip(*wanted, strict=True))))
    return jobs


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
        self.failures: list[tuple[Path, VampError]] = []

    def run(self, job: Job) -> None:
        try:
            self._run(job)
        except InputError as error:
            if not self.many or self.scheme.common.fail_fast:
                raise
            self.failures.append((job.source, error))
            if self.scheme.common.as_json:
                facts = {"input": str(job.source), "error": error.message, "hint": error.hint}
                self.console.result({**facts, "exit_code": int(error.exit_code)})

    def _run(self, job: Job) -> None:
        common, began = self.scheme.common, time.monotonic()
        check_outputs(list(job.paths), job.source, common.overwrite)
        opened = self.scheme.open(job, self.outline)
        if common.dry_run:
            for path, seed in zip(job.paths, job.seeds, strict=True):
                self._tell(opened, path, seed, {"dry_run": True})
            n = len(job.paths)
            self.console.note(f"would make {opened.summary} with {common.model}: {n} take{'s' * (n != 1)}")
            return
        for path, seed, facts in self.scheme.make(self._loaded(), opened, self.console):
            self._tell(opened, path, seed, facts)
        seeds = f"seed {job.seeds[0]}" if len(job.seeds) == 1 else f"seeds {job.seeds[0]} to {job.seeds[-1]}"
        name = f"{job.source.name}: " if self.many else ""
        self.console.note(f"{name}{opened.summary} made in {time.monotonic() - began:.1f} s, {seeds}")

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
        licence = self.outline.provenance.licence
        if self.model is not None and "NC" in licence:
            self.console.note(
                f"made with {self.scheme.common.model}, whose licence is {licence}: not for commercial use"
            )
        if n_skipped == n_inputs:
            self.console.note("every take exists already: nothing to do")
        elif self.many and not self.scheme.common.dry_run:
            skipped = f", {n_skipped} skipped" if n_skipped else ""
            done = n_inputs - n_skipped - len(self.failures)
            failed = f", {len(self.failures)} failed:" if self.failures else ""
            self.console.note(f"{done} of {n_inputs} done{skipped}{failed}")
        for path, error in self.failures:
            report(
                type(error)(f"{path}: {error.message}" if str(path) not in error.message else error.message, error.hint)
            )
        if self.failures:
            raise SystemExit(int(self.failures[0][1].exit_code or ExitCode.INPUT))
