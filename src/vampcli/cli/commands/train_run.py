"""`vamp train codec`, `coarse` and `fine`: training runs."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vampcli.cli import options as o
from vampcli.cli.console import Console
from vampcli.cli.training_bar import meter

if TYPE_CHECKING:
    from vampcli.train.config import LoopConfig
    from vampcli.train.loop import Task

Config = Annotated[Path, typer.Argument(metavar="TOML", help="Configuration of the run.")]


@dataclass(frozen=True)
class RunOptions:
    """A run: its configuration and its folder."""

    config: Config
    out: Annotated[Path, o.value("Folder of the run: state, log, configuration.", "-o", "--out", metavar="FOLDER")]
    resume: Annotated[bool, typer.Option("--resume", help="Continue the run in the folder.")] = False
    minutes: Annotated[float, o.value("Training time in minutes.")] = float("inf")
    device: o.Device = "auto"


def codec(options: RunOptions) -> None:
    """Train a codec on prepared audio."""
    from vampcli.train.codec_task import CodecTask
    from vampcli.train.config import CodecRun, load_run

    run = load_run(options.config, CodecRun)
    _train(lambda: CodecTask(run), run.loop, options)


def coarse(options: RunOptions) -> None:
    """Train a coarse model on tokens."""
    _train_tokens(options, conditioned=False)


def fine(options: RunOptions) -> None:
    """Train a fine model on tokens."""
    _train_tokens(options, conditioned=True)


def _train_tokens(options: RunOptions, conditioned: bool) -> None:
    from vampcli.errors import UsageError
    from vampcli.train.config import TokenRun, load_run
    from vampcli.train.token_task import TokenTask

    run = load_run(options.config, TokenRun)
    if (run.model.n_conditioning > 0) != conditioned:
        raise UsageError(
            f"{options.config} has n_conditioning = {run.model.n_conditioning}",
            "a coarse model has none, a fine model has the coarse model's codebooks",
        )
    _train(lambda: TokenTask(run), run.loop, options)


def _train(make: Callable[[], Task], loop: LoopConfig, options: RunOptions) -> None:
    import torch

    from vampcli.errors import ExitCode, InputError
    from vampcli.model.devices import pick_device
    from vampcli.train.export import RUN
    from vampcli.train.loop import STATE, Trainer
    from vampcli.train.parallel import join_processes

    console, out = Console(), options.out
    processes, device = join_processes(pick_device(options.device))
    if not options.resume and (out / STATE).exists():
        raise InputError(f"{out} holds a run", "--resume goes on with it; or name another folder")
    if out.exists() and not out.is_dir():
        raise InputError(f"{out} is no folder", "name another one with --out")
    torch.manual_seed(loop.seed)
    trainer = Trainer(make(), loop, out, device, processes)
    if options.resume:
        trainer.resume()
    if processes.rank > 0:
        trainer.run(options.minutes, lambda figures: None)
        return
    out.mkdir(parents=True, exist_ok=True)
    if options.config.resolve() != (out / RUN).resolve():
        shutil.copyfile(options.config, out / RUN)
    with meter(trainer.step, loop.steps, trainer.task.audio_s * processes.count) as each_step:
        trainer.run(
            options.minutes,
            lambda figures: console.note("  ".join(f"{k} {v:g}" for k, v in figures.items())),
            each_step,
        )
    sys.stderr.flush()
    console.result(str(out))
    if trainer.interrupted:
        raise SystemExit(int(ExitCode.INTERRUPTED))
