"""`vamp train`: learn a codec, make tokens, learn transformers, export a model."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from vampcli.cli.console import Console, guarded
from vampcli.cli.training_bar import meter

if TYPE_CHECKING:
    from vampcli.train.config import LoopConfig
    from vampcli.train.loop import Task

app = typer.Typer(help="Train a model of your own.", no_args_is_help=True)

Config = Annotated[Path, typer.Argument(metavar="TOML", help="The run; an unknown key is an error.")]
Run = Annotated[Path, typer.Option("-o", "--out", help="Folder of the run: state, log and a copy of the TOML.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on where the run in the folder stopped.")]
Device = Annotated[str, typer.Option("-d", "--device", help="auto, cpu, cuda, cuda:N or mps.")]
Minutes = Annotated[float, typer.Option(help="Stop after that long; the state is saved.")]


@app.command()
@guarded
def codec(
    config: Config, out: Run, resume: Resume = False, minutes: Minutes = float("inf"), device: Device = "auto"
) -> None:
    """Learn a codec from prepared audio."""
    from vampcli.train.codec_task import CodecTask
    from vampcli.train.config import CodecRun, load_run

    run = load_run(config, CodecRun)
    _train(lambda: CodecTask(run), run.loop, config, out, resume, minutes, device)


@app.command()
@guarded
def tokens(
    audio: Annotated[Path, typer.Argument(metavar="AUDIO", help="Folder made by `vamp prepare`.")],
    model: Annotated[str, typer.Option("-m", "--model", help="Name or folder of the model whose codec to use.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder for the tokens.")],
    device: Device = "auto",
) -> None:
    """Encode prepared audio with a frozen codec."""
    from vampcli.model.devices import pick_device
    from vampcli.train.encode import pack

    console = Console()
    with console.progress("encoding") as progress:
        n_frames = pack(audio, model, out, progress, pick_device(device))
    console.note(f"{n_frames} frames")
    console.result(str(out))


@app.command()
@guarded
def coarse(
    config: Config, out: Run, resume: Resume = False, minutes: Minutes = float("inf"), device: Device = "auto"
) -> None:
    """Learn a coarse model from tokens."""
    _train_tokens(config, out, resume, minutes, device, conditioned=False)


@app.command()
@guarded
def fine(
    config: Config, out: Run, resume: Resume = False, minutes: Minutes = float("inf"), device: Device = "auto"
) -> None:
    """Learn a fine model from tokens."""
    _train_tokens(config, out, resume, minutes, device, conditioned=True)


def _train_tokens(config: Path, out: Path, resume: bool, minutes: float, device: str, conditioned: bool) -> None:
    from vampcli.errors import UsageError
    from vampcli.train.config import TokenRun, load_run
    from vampcli.train.token_task import TokenTask

    run = load_run(config, TokenRun)
    if (run.model.n_conditioning > 0) != conditioned:
        raise UsageError(
            f"{config} has n_conditioning = {run.model.n_conditioning}",
            "a coarse model has none, a fine model has the coarse model's codebooks",
        )
    _train(lambda: TokenTask(run), run.loop, config, out, resume, minutes, device)


def _train(
    make: Callable[[], Task], loop: LoopConfig, config: Path, out: Path, resume: bool, minutes: float, device: str
) -> None:
    import torch

    from vampcli.errors import ExitCode, InputError
    from vampcli.model.devices import pick_device
    from vampcli.train.export import RUN
    from vampcli.train.loop import STATE, Trainer
    from vampcli.train.parallel import join_processes

    console = Console()
    processes, own_device = join_processes(pick_device(device))
    if not resume and (out / STATE).exists():
        raise InputError(f"{out} holds a run", "--resume goes on with it; or name another folder")
    if out.exists() and not out.is_dir():
        raise InputError(f"{out} is no folder", "name another one with --out")
    torch.manual_seed(loop.seed)
    trainer = Trainer(make(), loop, out, own_device, processes)
    if resume:
        trainer.resume()
    if processes.rank > 0:
        trainer.run(minutes, lambda figures: None)
        return
    out.mkdir(parents=True, exist_ok=True)
    if config.resolve() != (out / RUN).resolve():
        shutil.copyfile(config, out / RUN)
    with meter(trainer.step, loop.n_steps, trainer.task.audio_s * processes.count) as each_step:
        trainer.run(
            minutes, lambda figures: console.note("  ".join(f"{k} {v:g}" for k, v in figures.items())), each_step
        )
    sys.stderr.flush()
    console.result(str(out))
    if trainer.interrupted:
        raise SystemExit(int(ExitCode.INTERRUPTED))


@app.command()
@guarded
def plot(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a training run.")],
    out: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("-o", "--out", metavar="FILE.png", help="The picture; log.png in the folder by default."),
    ] = None,
) -> None:
    """Draw the loss and validation curves of a run."""
    from vampcli.cli.plots.training import plot as draw

    path = out or run / "log.png"
    draw(run, path)
    Console().result(str(path))


@app.command()
@guarded
def validate(
    config: Config,
    model: Annotated[Path, typer.Option("-m", "--model", help="Model folder to measure.")],
    part: Annotated[str, typer.Option(help="codec, coarse or fine: what the TOML trains.")],
    device: Device = "auto",
) -> None:
    """Measure a model folder on a run's validation pieces; JSON on stdout."""
    from vampcli.errors import UsageError
    from vampcli.model.devices import pick_device
    from vampcli.train.config import CodecRun, TokenRun, load_run
    from vampcli.train.validate import validate as measure

    if part not in ("codec", "coarse", "fine"):
        raise UsageError(f"--part is {part!r}", "choose codec, coarse or fine")
    run = load_run(config, CodecRun) if part == "codec" else load_run(config, TokenRun)
    figures = measure(run, model, pick_device(device))
    Console().result({name: round(value, 5) for name, value in figures.items()})


@app.command()
@guarded
def export(
    out: Annotated[Path, typer.Option("-o", "--out", help="Model folder to write.")],
    codec: Annotated[Path, typer.Option(help="Folder of a codec run, or a model folder whose codec to take.")],
    name: Annotated[str, typer.Option(help="The model's name.")],
    licence: Annotated[str, typer.Option(help="The weights' licence.")],
    source: Annotated[str, typer.Option(help="Who made it, from what.")] = "",
    training: Annotated[str, typer.Option(help="How long and how it was trained.")] = "",
    coarse: Annotated[Optional[Path], typer.Option(help="Folder of a coarse run.")] = None,  # noqa: UP045
    fine: Annotated[Optional[Path], typer.Option(help="Folder of a fine run.")] = None,  # noqa: UP045
    audio: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="Folder of the prepared audio: its authors and licences go into CREDITS.md and the card."),
    ] = None,
    temperature: Annotated[float, typer.Option(min=0.01, max=100, help="What suits the model.")] = 1.0,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a model that is there.")] = False,
) -> None:
    """Write the averaged weights of training runs as a model folder."""
    from vampcli.checkpoints.folder import Provenance, refuse_existing
    from vampcli.train import export as exporting
    from vampcli.train.credits import write_credits
    from vampcli.train.data import read_manifest, refuse_held_out

    refuse_existing(out, overwrite)
    entries = [] if audio is None else read_manifest(audio)
    refuse_held_out(entries, audio)
    exporting.export(out, Provenance(name, licence, source, training), codec, coarse, fine, temperature=temperature)
    if entries:
        write_credits(out, entries, name, licence)
    Console().result(str(out))
