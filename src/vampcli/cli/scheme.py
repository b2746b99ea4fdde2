"""What a command does with one recording, whatever it does: find it, open it, make its takes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from vampcli.cli.console import Console
from vampcli.cli.options import Common
from vampcli.cli.outputs import Naming
from vampcli.formats import container
from vampcli.recipe import Source, audio_hash

if TYPE_CHECKING:
    from vampcli.audio import Waveform
    from vampcli.checkpoint import Outline
    from vampcli.engine import Model
    from vampcli.plan import Plan
    from vampcli.verbs import Verb

Facts = dict[str, Any]


class Wanted(NamedTuple):
    """A model by name or folder, the device it runs on, and its precision."""

    model: str
    device: str
    dtype: str


@dataclass(frozen=True)
class Job:
    """What is to be made of one recording.

    Attributes:
        source: the recording.
        paths: of the takes, one for each seed; where the best are chosen, all that they may get.
        seeds: of the takes.
        name: of the recording, as machines and people are told it; `-` for stdin.
        naming: names takes by their seeds.
    """

    source: Path
    paths: tuple[Path, ...]
    seeds: tuple[int, ...]
    name: str
    naming: Naming

    @property
    def title(self) -> str:
        """The name without its folders."""
        return Path(self.name).name


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

    def wanted(self, source: Path) -> Wanted:
        """Which model makes something of a file, and on what."""
        return Wanted(self.common.model, self.common.device, self.common.dtype)

    def template_of(self, source: Path) -> str | None:
        """How results are named; None = as everywhere."""
        return self.common.name

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
        source: what a recipe says of it.
        plan: where it will change.
        facts: what there is to say of it, for `--json`.
        summary: the same in a few words.
    """

    job: Job
    request: Verb
    clip: Waveform
    source: Source
    plan: Plan
    facts: Facts
    summary: str


def source_of(job: Job, clip: Waveform) -> Source:
    """What a recipe says of a job's recording.

    Raises:
        InputError: the recording has a recipe itself, which is damaged or was changed by hand.
    """
    from vampcli.recipes import recipe_of

    return Source(job.name, audio_hash(clip), recipe_of(job.source, job.name))
