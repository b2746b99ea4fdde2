"""`vamp train`: train a codec, encode tokens, train transformers, export a model."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from vampcli.cli import options as o
from vampcli.cli.console import Console, guarded
from vampcli.cli.training_bar import meter

if TYPE_CHECKING:
    from vampcli.train.config import LoopConfig
    from vampcli.train.loop import Task

app = typer.Typer(help="Train a model.", no_args_is_help=True)

Config = Annotated[Path, typer.Argument(metavar="TOML", help="Configuration of the run.")]
Run = Annotated[Path, o.value("Folder of the run: state, log and a copy of the TOML.", "-o", "--out", metavar="FOLDER")]
Resume = Annotated[bool, typer.Option("--resume", help="Continue the run in the folder.")]
Minutes = Annotated[float, o.value("Training time in minutes.")]


@app.command()
@guarded
def codec(
    config: Config, out: Run, resume: Resume = False, minutes: Minutes = float("inf"), device: o.Device = "auto"
) -> None:
    """Train a codec on prepared audio."""
    from vampcli.train.codec_task import CodecTask
    from vampcli.train.config import CodecRun, load_run

    run = load_run(config, CodecRun)
    _train(lambda: CodecTask(run), run.loop, config, out, resume, minutes, device)


@app.command()
@guarded
def tokens(
    audio: Annotated[Path, typer.Argument(metavar="AUDIO", help="Folder made by `vamp prepare`.")],
    model: o.ModelName,
    out: Annotated[Path, o.value("Folder of the tokens.", "-o", "--out", metavar="FOLDER")],
    device: o.Device = "auto",
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
    config: Config, out: Run, resume: Resume = False, minutes: Minutes = float("inf"), device: o.Device = "auto"
) -> None:
    """Train a coarse model on tokens."""
    _train_tokens(config, out, resume, minutes, device, conditioned=False)


@app.command()
@guarded
def fine(
    config: Config, out: Run, resume: Resume = False, minutes: Minutes = float("inf"), device: o.Device = "auto"
) -> None:
    """Train a fine model on tokens."""
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
        Path | None,
        o.value("File of the plot.", "-o", "--out", metavar="FILE.png", show_default="log.png in the folder"),
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
    model: Annotated[Path, o.value("Folder of the model.", "-m", "--model", metavar="FOLDER")],
    part: Annotated[Literal["codec", "coarse", "fine"], o.value("The part that the TOML trains.")],
    device: o.Device = "auto",
) -> None:
    """Measure a model folder on a run's validation pieces; JSON on stdout."""
    from vampcli.model.devices import pick_device
    from vampcli.train.config import CodecRun, TokenRun, load_run
    from vampcli.train.validate import validate as measure

    run = load_run(config, CodecRun) if part == "codec" else load_run(config, TokenRun)
    figures = measure(run, model, pick_device(device))
    Console().result({name: round(value, 5) for name, value in figures.items()})


@app.command()
@guarded
def export(
    out: Annotated[Path, o.value("Folder of the model.", "-o", "--out", metavar="FOLDER")],
    codec: Annotated[Path, o.value("Folder of a codec run, or of a model with the codec.", metavar="FOLDER")],
    name: Annotated[str, o.value("Name of the model.", metavar="NAME")],
    licence: Annotated[str, o.value("Licence of the weights.")],
    source: Annotated[str, o.value("Author and training data.")] = "",
    training: Annotated[str, o.value("Length and method of the training.")] = "",
    coarse: Annotated[Path | None, o.value("Folder of a coarse run.", metavar="FOLDER")] = None,
    fine: Annotated[Path | None, o.value("Folder of a fine run.", metavar="FOLDER")] = None,
    audio: Annotated[
        Path | None, o.value("Prepared audio whose authors and licences are credited.", metavar="FOLDER")
    ] = None,
    temperature: Annotated[float, o.value("Temperature that suits the model.", min=0.01, max=100)] = 1.0,
    overwrite: o.Overwrite = False,
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
