"""`vamp train`: learn a codec, make tokens, learn transformers, export a model."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from vampcli.cli.console import Console, guarded

if TYPE_CHECKING:
    from vampcli.train.config import LoopConfig
    from vampcli.train.loop import Task

app = typer.Typer(help="Train a model of your own.", no_args_is_help=True)

Config = Annotated[Path, typer.Argument(metavar="TOML", help="The run; an unknown key is an error.")]
Run = Annotated[Path, typer.Option("-o", "--out", help="Folder of the run: state, log and a copy of the TOML.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on where the run in the folder stopped.")]
Minutes = Annotated[float, typer.Option(help="Stop after that long; the state is saved.")]


@app.command()
@guarded
def codec(config: Config, out: Run, resume: Resume = False, minutes: Minutes = float("inf")) -> None:
    """Learn a codec from prepared audio."""
    from vampcli.train.codec import CodecTask
    from vampcli.train.config import CodecRun, load_run

    run = load_run(config, CodecRun)
    _train(CodecTask(run), run.loop, config, out, resume, minutes)


@app.command()
@guarded
def tokens(
    audio: Annotated[Path, typer.Argument(metavar="AUDIO", help="Folder made by `vamp prepare`.")],
    model: Annotated[str, typer.Option("-m", "--model", help="Name or folder of the model whose codec to use.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder for the tokens.")],
    device: Annotated[str, typer.Option("-d", "--device", help="auto, cpu, cuda, cuda:N or mps.")] = "auto",
) -> None:
    """Encode prepared audio with a frozen codec."""
    from vampcli.devices import pick_device
    from vampcli.train.tokens import pack

    console = Console()
    with console.progress("encoding") as progress:
        n_frames = pack(audio, model, out, progress, pick_device(device))
    console.note(f"{n_frames} frames")
    console.result(str(out))


@app.command()
@guarded
def coarse(config: Config, out: Run, resume: Resume = False, minutes: Minutes = float("inf")) -> None:
    """Learn a coarse model from tokens."""
    _train_tokens(config, out, resume, minutes, conditioned=False)


@app.command()
@guarded
def fine(config: Config, out: Run, resume: Resume = False, minutes: Minutes = float("inf")) -> None:
    """Learn a fine model from tokens."""
    _train_tokens(config, out, resume, minutes, conditioned=True)


def _train_tokens(config: Path, out: Path, resume: bool, minutes: float, conditioned: bool) -> None:
    from vampcli.errors import UsageError
    from vampcli.train.config import TokenRun, load_run
    from vampcli.train.transformer import TokenTask

    run = load_run(config, TokenRun)
    if (run.model.n_conditioning > 0) != conditioned:
        raise UsageError(
            f"{config} has n_conditioning = {run.model.n_conditioning}",
            "a coarse model has none, a fine model has the coarse model's codebooks",
        )
    _train(TokenTask(run), run.loop, config, out, resume, minutes)


def _train(task: Task, loop: LoopConfig, config: Path, out: Path, resume: bool, minutes: float) -> None:
    from vampcli.errors import InputError
    from vampcli.train.export import RUN
    from vampcli.train.loop import STATE, Trainer

    console = Console()
    trainer = Trainer(task, loop, out)
    if resume:
        trainer.resume()
    elif (out / STATE).exists():
        raise InputError(f"{out} holds a run", "--resume goes on with it; or name another folder")
    out.mkdir(parents=True, exist_ok=True)
    if config.resolve() != (out / RUN).resolve():
        shutil.copyfile(config, out / RUN)
    trainer.run(minutes, lambda figures: console.note("  ".join(f"{k} {v:g}" for k, v in figures.items())))
    sys.stderr.flush()
    console.result(str(out))


@app.command()
@guarded
def validate(
    config: Config,
    model: Annotated[Path, typer.Option("-m", "--model", help="Model folder to measure.")],
    part: Annotated[str, typer.Option(help="codec, coarse or fine: what the TOML trains.")],
) -> None:
    """Measure a model folder on a run's validation pieces; JSON on stdout."""
    from vampcli.errors import UsageError
    from vampcli.train.config import CodecRun, TokenRun, load_run
    from vampcli.train.validate import validate as measure

    if part not in ("codec", "coarse", "fine"):
        raise UsageError(f"--part is {part!r}", "choose codec, coarse or fine")
    run = load_run(config, CodecRun) if part == "codec" else load_run(config, TokenRun)
    Console().result({name: round(value, 5) for name, value in measure(run, model).items()})


@app.command()
@guarded
def export(
    out: Annotated[Path, typer.Option("-o", "--out", help="Model folder to write.")],
    codec: Annotated[Path, typer.Option(help="Folder of a codec run.")],
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
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a model that is there.")] = False,
) -> None:
    """Write the averaged weights of training runs as a model folder."""
    from vampcli.checkpoint import Provenance, refuse_existing
    from vampcli.train import export as exporting
    from vampcli.train.credits import write_credits
    from vampcli.train.data import read_manifest, refuse_held_out

    refuse_existing(out, overwrite)
    entries = [] if audio is None else read_manifest(audio)
    refuse_held_out(entries, audio)
    exporting.export(out, Provenance(name, licence, source, training), codec, coarse, fine)
    if entries:
        write_credits(out, entries, name, licence)
    Console().result(str(out))
