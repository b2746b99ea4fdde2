"""Estimates of the time that takes need, in seconds and in words; no model is loaded, and torch is not imported."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from vampcli.cli.jobs.job import Opened
from vampcli.cli.options import Common
from vampcli.config import SamplingConfig

if TYPE_CHECKING:
    from vampcli.checkpoints.folder import ModelMetadata
    from vampcli.tasks.cost import Work
    from vampcli.tasks.plan import Pass

_N_LISTED = 4


def made_with(opened: Opened, common: Common) -> tuple[SamplingConfig, int]:
    """Return the sampling options and the number of model channels: those of a token file, or of the command."""
    from vampcli.cli.commands.compress import OpenedTokens

    if isinstance(opened, OpenedTokens):
        return opened.file.recipe.sampling, len(opened.file.tokens)
    return common.sampling, opened.clip.n_channels if common.stereo == "channels" else 1


def count_work(metadata: ModelMetadata, sampling: SamplingConfig, one: Pass) -> list[Work]:
    """Count the work of the coarse and of the fine model for a pass."""
    from vampcli.tasks import cost

    models = ((metadata.coarse, sampling.steps), (metadata.fine, sampling.fine_steps))
    return [cost.work([one], config, n_steps, sampling.refresh) for config, n_steps in models]


def estimate_seconds(
    metadata: ModelMetadata, common: Common, opened: Opened, passes: list[Pass], n_takes: int
) -> float | None:
    """Estimate the seconds of takes on this CPU when nothing else runs; None on a GPU."""
    from vampcli.tasks import cost

    if not _is_cpu(common.device):
        return None
    sampling, n_channels = made_with(opened, common)
    total, models = 0.0, (metadata.coarse, metadata.fine)
    for one in passes:
        works = count_work(metadata, sampling, one)
        total += sum(cost.seconds(*part, common.dtype) for part in zip(works, models, strict=True))
        total += cost.around_seconds(one.plan.n_frames, metadata.coarse)
    return n_takes * n_channels * total


def _is_cpu(device: str) -> bool:
    """Say whether models run on the CPU; without torch, a driver of NVIDIA means a GPU."""
    has_driver = Path("/dev/nvidiactl").exists() or shutil.which("nvidia-smi") is not None
    return device == "cpu" or (device == "auto" and not has_driver)


def spans_in_words(opened: Opened) -> str:
    """Return the spans that change: `4.00-6.00 s`."""
    rate, spans = opened.clip.sample_rate, opened.plan.spans
    words = ", ".join(f"{start / rate:.2f}-{end / rate:.2f}" for start, end in spans[:_N_LISTED])
    return f"{words} s" + (f" and {len(spans) - _N_LISTED} more" if len(spans) > _N_LISTED else "")


def time_in_words(seconds: float | None) -> str:
    """Return an estimate of seconds: `about 7 s of work`; empty if there is none."""
    if seconds is None:
        return ""
    if seconds < 1:
        return "less than a second of work"
    return f"about {seconds:.0f} s of work" if seconds < 120 else f"about {seconds / 60:.0f} minutes of work"
