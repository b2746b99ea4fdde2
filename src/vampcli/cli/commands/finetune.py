"""`vamp finetune`: bend a model towards somebody's own music."""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from vampcli.cli import options as o
from vampcli.cli.console import Console, guarded, report
from vampcli.errors import ExitCode, InputError, UsageError

if TYPE_CHECKING:
    import torch

    from vampcli.train.finetune import FineTuneConfig, Learned, Material
    from vampcli.train.pieces import Piece

_PARTS = {"coarse": 2 / 3, "fine": 1 / 3}  # of the minutes
_HOW = "Learning"
_NOTICEABLE = 0.01  # nats a token


@dataclass(frozen=True)
class _Job:
    """All that is known before the work begins."""

    name: str
    model: str
    folder: Path
    out: Path
    pieces: list[Piece]
    config: FineTuneConfig
    device: torch.device


@guarded
def finetune(
    audio: Annotated[list[str], typer.Argument(metavar="AUDIO...", help="Sound files, folders, patterns, @list.txt.")],
    name: Annotated[str, typer.Option(help="Of the adapter: -m MODEL+NAME uses it.")],
    model: Annotated[str, typer.Option("-m", "--model", help="Name or folder of the model to start from.")] = "mini",
    minutes: Annotated[float, typer.Option(help="Of learning.", rich_help_panel=_HOW)] = 5.0,
    steps: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(help="So many steps of each model, instead of minutes.", rich_help_panel=_HOW),
    ] = None,
    rank: Annotated[int, typer.Option(help="Of the pairs: more learns more.", rich_help_panel=_HOW)] = 8,
    learning_rate: Annotated[float, typer.Option(help="Lower is safer.", rich_help_panel=_HOW)] = 1e-2,
    seed: Annotated[int, typer.Option(min=0, help="Of all that is random.", rich_help_panel=_HOW)] = 0,
    device: o.Device = "auto",
    out: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("-o", "--out", help="Folder for the adapter.", show_default="among the user's own, by name"),
    ] = None,
    overwrite: o.Overwrite = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
) -> None:
    """Bend a model towards your own music: a small adapter, made in minutes.

    Ctrl-C ends it early; what is learned by then is kept.

    Example: vamp finetune ~/my-music --name mine
    """
    console = Console(quiet, verbose)
    _check_name(name)
    from vampcli.train.finetune import FineTuneConfig

    config = FineTuneConfig(minutes, steps, rank, learning_rate, seed)
    job = _prepare(audio, name, model, config, device, out, overwrite)
    with tempfile.TemporaryDirectory(prefix="vamp-") as work:
        material = _gather(console, job, Path(work))
        learned = _learn(console, job, material)
    _save(console, job, material, learned, as_json)
    for error in material.failed:
        report(error)
    if any(part.is_interrupted for part in learned.values()) or len(learned) < len(_PARTS):
        raise SystemExit(int(ExitCode.INTERRUPTED))
    if material.failed:
        raise SystemExit(int(ExitCode.INPUT))


def _check_name(name: str) -> None:
    if not re.fullmatch(r"\w[\w.-]{0,63}", name):
        raise UsageError(f"--name is {name!r}", "up to 64 letters, digits, points, - and _, a letter or digit first")


def _prepare(
    audio: list[str], name: str, model: str, config: FineTuneConfig, device: str, out: Path | None, overwrite: bool
) -> _Job:
    """Find everything that can be wrong before the work begins."""
    from vampcli.checkpoints import adapter_file, registry
    from vampcli.checkpoints.folder import read_metadata
    from vampcli.model.devices import pick_device
    from vampcli.train.pieces import pieces_of_files

    place = pick_device(device)
    found = registry.locate(model)
    if found.adapter is not None:
        raise UsageError(f"{model} has an adapter already", "adapters do not stack: name the model alone")
    read_metadata(found.folder)
    out = out or registry.adapters_home() / name
    if (out / adapter_file.FILE).exists() and not overwrite:
        raise InputError(f"{out} holds an adapter", "--overwrite replaces it; or choose another --name")
    pieces = pieces_of_files(audio)
    base = model if model in registry.installed() else str(found.folder.resolve())
    return _Job(name, base, found.folder, out, pieces, config, place)


def _gather(console: Console, job: _Job, work: Path) -> Material:
    from vampcli.train.finetune import gather

    with console.progress("reading") as reading, console.progress("encoding") as encoding:
        material = gather(job.pieces, job.folder, work, job.device, reading, encoding)
    seconds = sum(source["seconds"] for source in material.sources)
    share = material.n_held_out / material.n_frames
    console.note(f"{seconds:.0f} s of {len(material.sources)} recordings; {share:.0%} held out, to see what it helps")
    return material


def _learn(console: Console, job: _Job, material: Material) -> dict[str, Learned]:
    """Learn one model after the other; whoever interrupts keeps what is there."""
    from vampcli.train.finetune import learn

    learned: dict[str, Learned] = {}
    for part, share in _PARTS.items():
        try:
            with console.progress(f"learning {part}") as progress:
                one = learn(job.folder, part, material, job.config, share * job.config.minutes, job.device, progress)
        except KeyboardInterrupt:
            if not learned:
                raise
            break
        learned[part] = one
        console.note(
            f"{part}: held-out loss {one.before:.3f} before, {one.after:.3f} after "
            f"{one.n_steps} steps in {one.seconds:.0f} s: {_verdict(one.before - one.after)}"
        )
        if one.is_interrupted:
            break
    return learned


def _verdict(gain: float) -> str:
    """What a fall of the loss by so many nats means."""
    if gain < -_NOTICEABLE:
        return "worse; give it more music, or a lower --learning-rate"
    return "better" if gain > _NOTICEABLE else "no different; give it more minutes"


def _save(console: Console, job: _Job, material: Material, learned: dict[str, Learned], as_json: bool) -> None:
    from vampcli.checkpoints import adapter_file, registry
    from vampcli.checkpoints.folder import read_metadata
    from vampcli.checkpoints.weights import stored_hash, weights_hash

    provenance = read_metadata(job.folder).provenance
    facts = adapter_file.Facts(
        name=job.name,
        base=job.model,
        codec_hash=stored_hash(job.folder / "codec.safetensors"),
        base_hash=weights_hash(job.folder),
        licence=provenance.licence,
        rank=job.config.rank,
        sources=material.sources,
        trained_s=round(sum(part.seconds for part in learned.values()), 1),
    )
    adapter_file.save(job.out, facts, {name: part.pairs for name, part in learned.items()})
    is_named = job.out == registry.adapters_home() / job.name
    use = f"{job.model}+{job.name}" if is_named else str(job.out)
    console.note(f"use it with -m {use}")
    console.note(f"its licence is that of {provenance.name}, {provenance.licence}; your recordings stay yours")
    console.result(_summary(job, facts.licence, learned, use) if as_json else str(job.out))


def _summary(job: _Job, licence: str, learned: dict[str, Learned], use: str) -> dict[str, Any]:
    losses = {
        name: {"before": round(one.before, 4), "after": round(one.after, 4), "n_steps": one.n_steps}
        for name, one in learned.items()
    }
    return {"output": str(job.out), "model": use, "licence": licence, "held_out_loss": losses}
