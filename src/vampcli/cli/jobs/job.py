"""The types of the pipeline: the job of one recording, its results, and the workflow of a command."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from vampcli.audio.formats import container
from vampcli.cli.jobs.outputs import Naming
from vampcli.cli.options import Common
from vampcli.errors import UsageError
from vampcli.progress import Progress
from vampcli.recipe.recipe import RENDERING, Ranges, Rendering

if TYPE_CHECKING:
    from vampcli.api import Model
    from vampcli.audio.waveform import Waveform
    from vampcli.checkpoints.folder import ModelMetadata
    from vampcli.codec.config import CodecShape
    from vampcli.tasks.base import Task
    from vampcli.tasks.plan import Plan
    from vampcli.tasks.recording import Recording

Facts = dict[str, Any]
"""Names and values for `--json`."""

Load = Callable[[], "Model"]
"""Load the model, or return it if it is loaded."""


class Written(NamedTuple):
    """A result of a job.

    Attributes:
        path: of the file; None if there is none.
        seed: of the take.
        facts: about the take, for `--json`.
        text: for stdout in place of the path.
    """

    path: Path | None
    seed: int
    facts: Facts
    text: str = ""


Results = Iterator[Written | str]
"""Results, each as soon as it is written, and notes for stderr."""


class ModelRequest(NamedTuple):
    """The arguments of `vampcli.load`."""

    name: str
    device: str
    dtype: str
    exact: bool
    compile: bool


@dataclass(frozen=True)
class NamingHints:
    """Model, seed and names of a recording's results, known before it is opened.

    Attributes:
        model: makes the results.
        seed: of the first take, if no option names it; None = the default of all commands.
        source: the path that results are named after.
        template: of the names; None = the default of all commands.
    """

    model: ModelRequest
    seed: int | None
    source: Path
    template: str | None


@dataclass(frozen=True)
class Job:
    """One recording and its outputs.

    Attributes:
        source: the recording.
        paths: of the takes, one for each seed; with `--keep`, every path that a take may get.
        seeds: of the takes.
        name: of the recording in messages and facts; `-` for stdin.
        naming: names takes by their seeds.
        model: makes the takes.
        rendering: version of the rules for levels and amounts; see `Recipe`.
    """

    source: Path
    paths: tuple[Path, ...]
    seeds: tuple[int, ...]
    name: str
    naming: Naming
    model: ModelRequest
    rendering: Rendering = RENDERING

    @property
    def title(self) -> str:
        """The name without its folders."""
        return Path(self.name).name


@dataclass(frozen=True)
class Opened:
    """A job whose recording has been read and checked.

    Attributes:
        job: the recording and its outputs.
        request: the task.
        recording: the input.
        plan: the spans that the task generates.
        facts: about the request, for `--json`.
        summary: the same in a few words; empty if nothing is generated.
        note: what is done beside that, in words.
        codec: of the model, without weights.
        excerpt: sample ranges of the result that a preview holds; none = all of it is written.
    """

    job: Job
    request: Task
    recording: Recording
    plan: Plan
    facts: Facts
    summary: str
    note: str = field(default="", kw_only=True)
    codec: CodecShape | None = field(default=None, kw_only=True)
    excerpt: Ranges = field(default=(), kw_only=True)

    @property
    def clip(self) -> Waveform:
        """The samples of the recording."""
        return self.recording.clip

    @property
    def duration_s(self) -> float:
        """Length of the recording or of the result, whichever is longer."""
        return max(self.plan.n_canvas_samples, self.clip.n_samples) / self.clip.sample_rate


@dataclass(frozen=True)
class Workflow:
    """The steps of a command for one recording; `AudioWorkflow` is that of most tasks.

    Attributes:
        command: its name.
        common: the options of all commands.
        sounds: the results are sound, which can go to stdout.
        of_results: folders are searched for results of vamp; otherwise these are left out.
        ext: default suffix of results.
    """

    command: str
    common: Common
    sounds: ClassVar[bool] = True
    of_results: ClassVar[bool] = False
    ext: ClassVar[str] = "wav"

    @property
    def suffixes(self) -> tuple[str, ...]:
        """Suffixes of inputs in folders, beside those of sound."""
        return ()

    def accepts(self, source: Path) -> bool:
        """Say whether a file found in a folder is an input."""
        return True

    def name_results(self, source: Path) -> NamingHints:
        """Return the model, the seed and the names of a file's results."""
        common = self.common
        model = ModelRequest(common.model, common.device, common.dtype, common.exact, common.compile)
        return NamingHints(model, None, source, common.name)

    def list_paths(self, naming: Naming, seeds: list[int]) -> list[Path]:
        """List the paths of the takes; with `--keep`, every path that a take may get."""
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

    def check_output(self, source: Path, path: Path) -> None:
        """Raise UsageError if the command does not write such a file, or not from this source."""
        container(path)

    def open(self, job: Job, metadata: ModelMetadata) -> Opened:
        """Read a recording and find every error that needs no weights."""
        raise NotImplementedError

    def make(self, load: Load, opened: Opened, progress: Progress) -> Results:
        """Make and write the takes."""
        raise NotImplementedError


@dataclass(frozen=True)
class Preview(Workflow):
    """The base of workflows that describe the result of another one, and make no sound.

    Attributes:
        other: the workflow of the command.
    """

    other: Workflow
    sounds: ClassVar[bool] = False

    @property
    def suffixes(self) -> tuple[str, ...]:
        """See `Workflow.suffixes`."""
        return self.other.suffixes

    def name_results(self, source: Path) -> NamingHints:
        """See `Workflow.name_results`."""
        return self.other.name_results(source)
