"""What a command does with one recording: name it, read it, make its takes, write them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vampcli.cli.console import Console
from vampcli.cli.options import Common
from vampcli.cli.outputs import make_folder
from vampcli.formats import container

if TYPE_CHECKING:
    from vampcli.audio import Waveform
    from vampcli.checkpoint import Outline
    from vampcli.engine import Model, Take
    from vampcli.plan import Plan
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

    @property
    def suffixes(self) -> tuple[str, ...]:
        """What is looked for in folders beside sound."""
        return ()

    def seed_of(self, source: Path) -> int | None:
        """The seed that a file brings along."""
        return None

    def check(self, source: Path, path: Path) -> None:
        """Refuse an output of a kind that the command does not write, or not of such a source."""
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
    with console.progress(opened.job.source.name) as progress:
        takes = model.takes(
            opened.clip,
            opened.request,
            seeds=opened.job.seeds,
            plan=opened.plan,
            config=common.sampling,
            stereo=common.channels,
            progress=progress,
        )
        yield from written(takes, opened.job, common, console, describe, loops)


def written(
    takes: Iterator[Take],
    job: Job,
    common: Common,
    console: Console,
    describe: Callable[[Take], tuple[Facts, str]] = lambda _take: ({}, ""),
    loops: bool = False,
) -> Iterator[tuple[Path, int, Facts]]:
    """Write takes as they come."""
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
