"""Name and draw the plots of `--plot`."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vampcli.cli.jobs.job import Job, Opened
from vampcli.cli.jobs.outputs import make_folder, names_folder
from vampcli.cli.options import Common
from vampcli.cli.plots.figure import check_suffix, save
from vampcli.errors import UsageError

if TYPE_CHECKING:
    from vampcli.api import Take
    from vampcli.recipe.token_file import TokenFile
    from vampcli.scoring.scores import Scores
    from vampcli.tokens.masks import Mask


def plot_path(result: Path, job: Job, common: Common) -> Path:
    """Name the plot of a result.

    Raises:
        UsageError: the suffix is none of a picture, or a file is named for several results.
    """
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
    result: Path, opened: Opened, take: Take, mask: Mask, scores: Scores | None, frame_s: float, common: Common
) -> None:
    """Plot a take and its input; mask: bool (n_codebooks, n_frames of the plan), True = generated."""
    _save(
        plot_path(result, opened.job, common),
        common,
        before=take.base if take.base.samples.any() else None,
        after=take.audio,
        spans=take.spans,
        mask=mask if mask.size else None,
        first_frame=opened.plan.first_frame,
        frame_s=frame_s,
        title=f"{opened.job.title}: {opened.request.command}, seed {take.seed}",
        scores=scores and {name.replace("_", " "): x for name, x in asdict(scores).items() if x not in (None, "")},
    )


def draw_tokens(result: Path, opened: Opened, file: TokenFile, frame_s: float, common: Common) -> None:
    """Plot a recording and the mask of its token file."""
    _save(
        plot_path(result, opened.job, common),
        common,
        before=opened.clip,
        mask=file.mask.numpy(),
        frame_s=frame_s,
        title=f"{opened.job.title}: {file.bits_per_second:.0f} bit/s",
    )


def draw_mask(path: Path, opened: Opened, mask: Mask, common: Common) -> None:
    """Plot a prompt: bool (n_codebooks, n_frames of the canvas), True = generate."""
    plan, clip = opened.plan, opened.clip
    longer = plan.n_canvas_samples != clip.n_samples
    _save(
        path,
        common,
        before=None if longer else clip,
        mask=mask,
        spans=() if longer else plan.spans,
        frame_s=plan.n_canvas_samples / clip.sample_rate / mask.shape[1],
        title=f"{opened.job.title}: prompt of {opened.request.command}, seed {opened.job.seeds[0]}",
    )


def _save(path: Path, common: Common, **content: Any) -> None:
    from vampcli.cli.plots.take import draw

    figure = draw(**content)
    make_folder(path)
    save(figure, path, common.overwrite)
