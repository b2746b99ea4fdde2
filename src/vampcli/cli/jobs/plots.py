"""Pictures of takes: where they go, and what is in them."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vampcli.cli.jobs.job import Job, Opened
from vampcli.cli.jobs.outputs import make_folder, names_folder
from vampcli.cli.options import Common
from vampcli.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor

    from vampcli.api import Take
    from vampcli.recipe.token_file import TokenFile
    from vampcli.scoring.scores import Scores


def pictured(result: Path, job: Job, common: Common) -> Path:
    """Name the picture of a result.

    Raises:
        UsageError: the suffix is of no picture, or a file is named for several results.
    """
    from vampcli.cli.plots.take import check_suffix

    plot = os.path.expanduser(common.plot or "")
    if names_folder(plot):
        return Path(plot) / job.naming.below / job.naming.in_folder(result).with_suffix(".png")
    if job.naming.several or (common.keep or common.takes) > 1:
        raise UsageError(
            f"--plot {plot} names one picture, but there may be several", "name a folder: --plot pictures/"
        )
    check_suffix(Path(plot))
    return Path(plot)


def draw_take(
    result: Path, opened: Opened, take: Take, mask: Tensor, scores: Scores | None, frame_s: float, common: Common
) -> None:
    """Draw a take beside what it would be if nothing had been made; mask: bool (n_codebooks, n_frames of the plan)."""
    _save(
        pictured(result, opened.job, common),
        common,
        before=take.base if take.base.samples.any() else None,
        after=take.audio,
        spans=take.spans,
        mask=mask.numpy(),
        first_frame=opened.plan.first_frame,
        frame_s=frame_s,
        title=f"{opened.job.title}: {opened.request.command}, seed {take.seed}",
        scores=_told(scores) if scores else None,
    )


def _told(scores: Scores) -> dict[str, float | str]:
    """What there is to read of scores."""
    values = {name.replace("_", " "): value for name, value in asdict(scores).items() if value not in (None, "")}
    return {name: round(value, 2) if isinstance(value, float) else value for name, value in values.items()}


def draw_tokens(result: Path, opened: Opened, file: TokenFile, frame_s: float, common: Common) -> None:
    """Draw what is kept of a recording."""
    _save(
        pictured(result, opened.job, common),
        common,
        before=opened.clip,
        mask=file.mask.numpy(),
        frame_s=frame_s,
        title=f"{opened.job.title}: {file.bits_per_second:.0f} bit/s",
    )


def draw_mask(path: Path, opened: Opened, mask: Tensor, common: Common) -> None:
    """Draw what would be made: bool (n_codebooks, n_frames) of all of the canvas."""
    plan, clip = opened.plan, opened.clip
    longer = plan.n_canvas_samples != clip.n_samples
    _save(
        path,
        common,
        before=None if longer else clip,
        mask=mask.numpy(),
        spans=() if longer else plan.spans,
        frame_s=plan.n_canvas_samples / clip.sample_rate / mask.shape[1],
        title=f"{opened.job.title}: prompt of {opened.request.command}, seed {opened.job.seeds[0]}",
    )


def _save(path: Path, common: Common, **content: Any) -> None:
    from vampcli.cli.plots import take as picture

    figure = picture.draw(**content)
    make_folder(path)
    picture.save(figure, path, common.overwrite)
