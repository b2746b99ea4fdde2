"""What a command does with one recording, whatever it does: find it, open it, make its takes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from vampcli.audio.formats import container
from vampcli.cli.console import Console
from vampcli.cli.jobs.outputs import Naming
from vampcli.cli.options import Common
from vampcli.errors import UsageError
from vampcli.recipe.recipe import InputSource

if TYPE_CHECKING:
    from vampcli.api import Model
    from vampcli.audio.waveform import Waveform
    from vampcli.checkpoints.folder import ModelMetadata
    from vampcli.tasks.base import Task
    from vampcli.tasks.plan import Plan

Facts = dict[str, Any]

Result = tuple["Path | None", int, Facts]
"""What has been made: the file if there is one, the seed, and what there is to say of it."""

Results = Iterator[Result]

Load = Callable[[], "Model"]
"""Gives the model, which is loaded if it is not yet."""


class ModelRequest(NamedTuple):
    """A model by name or folder, and how it runs: what `vampcli.load` takes."""

    model: str
    device: str
    dtype: str
    exact: bool
    compiled: bool


@dataclass(frozen=True)
class NamingHints:
    """What a file says of its results before anything is read of it.

    Attributes:
        wanted: the model that makes them, and on what.
        seed: that it brings along; None if it has none.
        after: the path that results are named after.
        template: how they are named; None = as everywhere.
    """

    wanted: ModelRequest
    seed: int | None
    after: Path
    template: str | None


@dataclass(frozen=True)
class Job:
    """What is to be made of one recording.

    Attributes:
        source: the recording.
        paths: of the takes, one for each seed; where the best are chosen, all that they may get.
        seeds: of the takes.
        name: of the recording, as machines and people are told it; `-` for stdin.
        naming: names takes by their seeds.
        wanted: the model that makes them.
    """

    source: Path
    paths: tuple[Path, ...]
    seeds: tuple[int, ...]
    name: str
    naming: Naming
    wanted: ModelRequest

    @property
    def title(self) -> str:
        """The name without its folders."""
        return Path(self.name).name


@dataclass(frozen=True)
class Workflow:
    """A command's way with one recording: `AudioWorkflow` for all that goes from sound to sound.

    Attributes:
        command: its name.
        common: the options of all commands.
        sounds: whether sound comes of it, which stdout may get.
        of_results: whether it works on what vamp has made, which is left out of folders otherwise.
        ext: of results, if nobody names it.
    """

    command: str
    common: Common
    sounds: ClassVar[bool] = True
    of_results: ClassVar[bool] = False
    ext: ClassVar[str] = "wav"

    @property
    def suffixes(self) -> tuple[str, ...]:
        """What is looked for in folders beside sound."""
        return ()

    def concerns(self, source: Path) -> bool:
        """Whether a file that was found in a folder is meant."""
        return True

    def brief(self, source: Path) -> NamingHints:
        """Say what decides the names of a file's results."""
        common = self.common
        wanted = ModelRequest(common.model, common.device, common.dtype, common.exact, common.compiled)
        return NamingHints(wanted, None, source, common.name)

    def paths(self, naming: Naming, seeds: list[int]) -> list[Path]:
        """Where the takes go; where the best are chosen, all places that these may get."""
        common = self.common
        if common.keep is None:
            return naming.paths(seeds)
        if "{n}" in (naming.template or "") and not naming.by_rank:
            raise UsageError("a name with --keep holds {n}, the rank, or {seed}, not both", "leave one of them out")
        if naming.by_rank:
            return naming.paths(seeds[: common.keep])
        if common.skip_existing:
            raise UsageError(
                "--skip-existing cannot know the seeds of the best", "name them by rank: --name {stem}.{n}.wav"
            )
        from vampcli.scoring.select import spare_seeds

        return naming.paths([*seeds, *spare_seeds(seeds)])

    def check(self, source: Path, path: Path) -> None:
        """Refuse an output of a kind that the command does not write, or not of such a source."""
        container(path)

    def open(self, job: Job, metadata: ModelMetadata) -> Opened:
        """Read a recording and find all that can be wrong, without a weight."""
        raise NotImplementedError

    def make(self, load: Load, opened: Opened, console: Console) -> Results:
        """Make and write the takes."""
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
        summary: the same in a few words; empty if nothing is made of it.
    """

    job: Job
    request: Task
    clip: Waveform
    source: InputSource
    plan: Plan
    facts: Facts
    summary: str
