"""`vamp mask`: print the prompt of a command without a model, or write it to a file."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import typer

from vampcli.cli.jobs.job import Job, Load, NamingHints, Opened, Preview, Results, Workflow, Written
from vampcli.cli.jobs.outputs import Naming, check_outputs, make_folder
from vampcli.cli.jobs.places import plan_words
from vampcli.cli.jobs.plots import draw_mask, plot_path
from vampcli.cli.jobs.prompt_table import empty_mask, forecast, headline, n_canvas_frames, picture, table
from vampcli.cli.jobs.run import run
from vampcli.cli.options import INPUTS_HELP
from vampcli.errors import UsageError
from vampcli.progress import Progress

if TYPE_CHECKING:
    from vampcli.checkpoints.folder import ModelMetadata
    from vampcli.tokens.masks import Mask

ONLY_TYPED = ("out", "name")  # configured outputs are for sound

app = typer.Typer(
    help="Print what a command would keep and re-make, and an estimate of its time; no model is loaded.",
    no_args_is_help=True,
)


def help_of(task: str) -> str:
    """The help of `vamp mask TASK`."""
    return (
        f"Print the prompt of the first take of `vamp {task}` with the same options, and an estimate of its time.\n\n"
        "Says what is re-made and how long it takes. -v adds a table: kept tokens by codebook, bit rate, windows.\n"
        "-o FILE.npy writes the mask for `vamp vamp --mask`: True = re-make, (n_codebooks, n_frames) of the result.\n"
        f"{INPUTS_HELP}"
    )


def show(workflow: Workflow, inputs: list[str]) -> None:
    """Print the prompts of a workflow, or write them with -o or --name.

    Args:
        workflow: of the command.
        inputs: as typed.
    """
    first = replace(
        workflow.common, takes=1, keep=None, sidecar=False, plot=None, page=None, labels=None, dry_run=False
    )
    run(MaskWorkflow(workflow.command, first, workflow), inputs)


@dataclass(frozen=True)
class Shown(Opened):
    """A job with its prompts.

    Attributes:
        masks: prompt of each pass over the canvas, bool (n_codebooks, n_frames), True = generate.
        drawn: the prompt that `--plot` draws.
    """

    masks: list[Mask]
    drawn: Mask


@dataclass(frozen=True)
class MaskWorkflow(Preview):
    """From a recording to the prompt of another workflow."""

    ext: ClassVar[str] = "npy"

    def name_results(self, source: Path) -> NamingHints:
        """See `Workflow.name_results`."""
        return replace(super().name_results(source), template=self.common.name)

    def list_paths(self, naming: Naming, seeds: list[int]) -> list[Path]:
        """See `Workflow.list_paths`; none without -o and --name."""
        self.other.check_output(naming.source, naming.source.with_suffix(".wav"))
        return [] if naming.out is None and naming.template is None else naming.paths(seeds)

    def check_output(self, source: Path, path: Path) -> None:
        """See `Workflow.check_output`."""
        if path.suffix.lower() != f".{self.ext}":
            raise UsageError(f"{path} is no name of a mask", f"a mask is a .{self.ext} file")

    def open(self, job: Job, metadata: ModelMetadata) -> Opened:
        """See `Workflow.open`."""
        opened = self.other.open(replace(job, paths=()), metadata)
        codec, rate = metadata.codec, opened.clip.sample_rate
        if self.other.common.plot:
            check_outputs([self._pictured(job)], job.source, self.other.common.overwrite)
        passes = opened.request.passes(opened.recording, opened.plan, codec, metadata.coarse, job.seeds[0])
        if job.paths and not passes:
            raise UsageError("there is no mask: this loop needs no model", "leave -o out")
        if job.paths and (len(passes) > 1 or passes[0].plan != opened.plan):
            why = f"there are {len(passes)}" if len(passes) > 1 else "a loop is turned by half before its seam is made"
            raise UsageError(f"a mask file holds one pass over the result, but {why}", "leave -o out")
        masks = [one.on_canvas(n_canvas_frames(metadata, one.plan, rate)) for one in passes]
        drawn = masks[-1] if masks else empty_mask(metadata, opened.plan, rate)
        facts = forecast(metadata, self.other.common, opened, passes)
        facts |= {name: opened.facts[name] for name in ("junction", "found") if name in opened.facts}
        return Shown(job, opened.request, opened.recording, opened.plan, facts, "", masks, drawn, note=opened.note)

    def make(self, load: Load, opened: Opened, progress: Progress) -> Results:
        """See `Workflow.make`: the facts go to stdout; but if a file is written, its path, and the facts to people."""
        from vampcli.tokens import mask_file

        assert isinstance(opened, Shown)
        job, common = opened.job, self.other.common
        path = job.paths[0] if job.paths else None
        if path and not common.dry_run:
            make_folder(path)
            mask_file.write(path, opened.masks[0], common.overwrite)
        text = ""
        if not common.as_json:
            title = f"{job.name}: {headline(opened, opened.facts)}"
            text = "\n".join(filter(None, (title, plan_words(opened), opened.note)))
            if common.verbose:
                encoding = getattr(sys.stderr if path else sys.stdout, "encoding", None) or "ascii"
                pictures = [picture(1 - mask.mean(0), encoding) for mask in opened.masks]
                made_by = f"{self.command}, seed {job.seeds[0]}, {common.model}"
                text += f"\n{made_by}\n{table(opened.facts, pictures, encoding)}"
        if common.plot and not common.dry_run:
            draw_mask(self._pictured(job), opened, opened.drawn, common)
        if path and text:
            yield text
        yield Written(path, job.seeds[0], {}, "" if path else text)

    def _pictured(self, job: Job) -> Path:
        return plot_path(Path(f"{job.source.stem}.{self.command}.{self.ext}"), job, self.other.common)
