"""`vamp mask`: the prompt of any command, shown without a model, or written to a file."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import typer

from vampcli.cli.console import Console
from vampcli.cli.jobs.job import Job, Load, NamingHints, Opened, Results, Workflow
from vampcli.cli.jobs.outputs import Naming, check_outputs, make_folder
from vampcli.cli.jobs.plots import draw_mask, pictured
from vampcli.cli.jobs.prompt_table import Forecaster, picture, table
from vampcli.cli.jobs.run import run
from vampcli.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor

    from vampcli.checkpoints.folder import ModelMetadata

ONLY_TYPED = ("out", "name")  # what a vamp.toml says of them is meant for sound

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
        "-o FILE.npy writes it, for `vamp vamp --mask`: True = make, (n_codebooks, n_frames) of the whole result."
    )


def show(workflow: Workflow, inputs: list[str]) -> None:
    """Show the prompts of a request, or write them if -o or --name say so.

    Args:
        workflow: what would be done with each recording.
        inputs: as they were typed.
    """
    first = replace(workflow.common, takes=1, keep=None, sidecar=False, plot=None, dry_run=False)
    run(MaskWorkflow(workflow.command, first, workflow), inputs)


@dataclass(frozen=True)
class Shown(Opened):
    """A recording whose prompt is known.

    Attributes:
        masks: of each pass over all of its canvas, bool (n_codebooks, n_frames), True = generate.
    """

    masks: list[Tensor]


@dataclass(frozen=True)
class MaskWorkflow(Workflow):
    """The prompt that another workflow would have.

    Attributes:
        other: what would be done.
    """

    other: Workflow
    sounds: ClassVar[bool] = False
    ext: ClassVar[str] = "npy"

    @property
    def suffixes(self) -> tuple[str, ...]:
        """See `Scheme.suffixes`."""
        return self.other.suffixes

    def brief(self, source: Path) -> NamingHints:
        """See `Scheme.brief`."""
        return replace(self.other.brief(source), template=self.common.name)

    def paths(self, naming: Naming, seeds: list[int]) -> list[Path]:
        """See `Scheme.paths`; none unless somebody names one."""
        self.other.check(naming.source, naming.source.with_suffix(".wav"))
        return [] if naming.out is None and naming.template is None else naming.paths(seeds)

    def check(self, source: Path, path: Path) -> None:
        """See `Scheme.check`."""
        if path.suffix.lower() != f".{self.ext}":
            raise UsageError(f"{path} is no name of a mask", f"a mask is a .{self.ext} file")

    def open(self, job: Job, metadata: ModelMetadata) -> Opened:
        """See `Scheme.open`."""
        opened = self.other.open(replace(job, paths=()), metadata)
        codec, rate = metadata.codec, opened.clip.sample_rate
        if self.other.common.plot:
            check_outputs([self._pictured(job)], job.source, self.other.common.overwrite)
        passes = opened.request.passes(opened.clip, opened.plan, codec, metadata.coarse, job.seeds[0])
        if job.paths and (len(passes) > 1 or passes[0].plan != opened.plan):
            why = f"there are {len(passes)}" if len(passes) > 1 else "a loop is turned by half before its seam is made"
            raise UsageError(f"a mask file holds one pass over the result, but {why}", "leave -o out")
        forecaster = Forecaster(metadata, self.other.common)
        masks = [one.on_canvas(forecaster.n_frames(one.plan, rate)) for one in passes]
        facts = forecaster.facts(opened, passes)
        return Shown(job, opened.request, opened.clip, opened.source, opened.plan, facts, "", masks)

    def make(self, load: Load, opened: Opened, console: Console) -> Results:
        """See `Scheme.make`: the facts go to stdout; but if a file is written, its path, and the facts to people."""
        from vampcli.tokens import mask_file

        assert isinstance(opened, Shown)
        job, common = opened.job, self.other.common
        path = job.paths[0] if job.paths else None
        if path and not common.dry_run:
            make_folder(path)
            mask_file.write(path, opened.masks[0].numpy(), common.overwrite)
        if not common.as_json:
            encoding = getattr(sys.stderr if path else sys.stdout, "encoding", None) or "ascii"
            pictures = [picture(1 - mask.float().mean(0).numpy(), encoding) for mask in opened.masks]
            title = f"{job.name}: {self.command}, seed {job.seeds[0]}, {common.model}"
            (console.note if path else console.result)(f"{title}\n{table(opened.facts, pictures, encoding)}")
        if common.plot and not common.dry_run:
            draw_mask(self._pictured(job), opened, opened.masks[-1], common)
        yield path, job.seeds[0], {}

    def _pictured(self, job: Job) -> Path:
        return pictured(Path(f"{job.source.stem}.{self.command}.{self.ext}"), job, self.other.common)
