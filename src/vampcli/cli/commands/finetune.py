"""`vamp finetune`: adapt a model to a user's music."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vampcli.cli import options as o
from vampcli.cli.console import Console, guarded, report
from vampcli.errors import ExitCode, InputError, UsageError

if TYPE_CHECKING:
    import torch

    from vampcli.train.finetune import FineTuneConfig, Learned, Material

_PARTS = {"coarse": 2 / 3, "fine": 1 / 3}  # of the minutes
_NOTICEABLE = 0.01  # nats a token


@guarded
def finetune(
    audio: Annotated[list[str], typer.Argument(metavar="AUDIO...", help="Sound files, folders, patterns, @list.txt.")],
    name: Annotated[str, o.value("Name of the adapter, for -m MODEL+NAME.", "--as", metavar="NAME")],
    model: o.ModelName = "mini",
    minutes: Annotated[float, o.value("Training time in minutes.")] = 5.0,
    steps: Annotated[int | None, o.value("Training steps of each model, instead of minutes.")] = None,
    rank: Annotated[int, o.value("Rank of the low-rank matrices; a higher one learns more.")] = 8,
    learning_rate: Annotated[float, o.value("Learning rate; a lower one is safer.")] = 1e-2,
    seed: Annotated[int, o.value("Seed of the training.", min=0)] = 0,
    device: o.Device = "auto",
    out: Annotated[
        Path | None, o.value("Folder of the adapter.", "-o", "--out", metavar="FOLDER", show_default="by name")
    ] = None,
    overwrite: o.Overwrite = False,
    as_json: o.Json = False,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
) -> None:
    """Adapt a model to your music: a small adapter, trained in minutes.

    Ctrl-C ends the training early and keeps the result so far.

    Example: vamp finetune ~/my-music --as mine
    """
    console = Console(quiet, verbose)
    if not re.fullmatch(r"\w[\w.-]{0,63}", name):
        raise UsageError(f"--as is {name!r}", "up to 64 letters, digits, points, - and _, a letter or digit first")
    from vampcli.checkpoints import registry
    from vampcli.model.devices import pick_device
    from vampcli.train.finetune import FineTuneConfig, gather
    from vampcli.train.pieces import pieces_of_files

    # Everything is checked before the work begins.
    config, picked = FineTuneConfig(minutes, steps, rank, learning_rate, seed), pick_device(device)
    folder, out = _folders(model, name, out, overwrite)
    pieces = pieces_of_files(audio)
    with tempfile.TemporaryDirectory(prefix="vamp-") as work:
        with console.progress("reading") as reading, console.progress("encoding") as encoding:
            material = gather(pieces, folder, Path(work), picked, reading, encoding)
        seconds, share = sum(source["seconds"] for source in material.sources), material.n_held_out / material.n_frames
        of = f"{seconds:.0f} s of {len(material.sources)} recordings"
        console.note(f"{of}; {share:.0%} held out, to see what it helps")
        learned = _learn(console, folder, material, config, picked)
    base = model if model in registry.installed() else str(folder.resolve())
    facts = _save(name, base, folder, out, rank, material, learned)
    use = f"{base}+{name}" if out == registry.adapters_home() / name else str(out)
    console.note(f"use it with -m {use}")
    console.note(f"its licence is that of {model}, {facts['licence']}; your recordings stay yours")
    console.result({"output": str(out), "model": use, **facts} if as_json else str(out))
    for error in material.failed:
        report(error)
    if any(part.is_interrupted for part in learned.values()) or len(learned) < len(_PARTS):
        raise SystemExit(int(ExitCode.INTERRUPTED))
    if material.failed:
        raise SystemExit(int(ExitCode.INPUT))


def _folders(model: str, name: str, out: Path | None, overwrite: bool) -> tuple[Path, Path]:
    """Return the folders of the model and of the adapter, both checked."""
    from vampcli.checkpoints import adapter_file, registry
    from vampcli.checkpoints.folder import read_metadata

    found = registry.locate(model)
    if found.adapter is not None:
        raise UsageError(f"{model} has an adapter already", "adapters do not stack: name the model alone")
    read_metadata(found.folder)
    out = out or registry.adapters_home() / name
    if (out / adapter_file.FILE).exists() and not overwrite:
        raise InputError(f"{out} holds an adapter", "--overwrite replaces it; or choose another name with --as")
    return found.folder, out


def _learn(
    console: Console, folder: Path, material: Material, config: FineTuneConfig, device: torch.device
) -> dict[str, Learned]:
    """Train one model after the other; an interrupt keeps those that are trained."""
    from vampcli.train.finetune import learn

    learned: dict[str, Learned] = {}
    for part, share in _PARTS.items():
        try:
            with console.progress(f"learning {part}") as progress:
                one = learn(folder, part, material, config, share * config.minutes, device, progress)
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
    """Describe a fall of the loss, given in nats."""
    if gain < -_NOTICEABLE:
        return "worse; give it more music, or a lower --learning-rate"
    return "better" if gain > _NOTICEABLE else "no different; give it more minutes"


def _save(
    name: str, base: str, folder: Path, out: Path, rank: int, material: Material, learned: dict[str, Learned]
) -> dict[str, Any]:
    """Write the adapter; return its licence and the losses."""
    from vampcli.checkpoints import adapter_file
    from vampcli.checkpoints.folder import read_metadata
    from vampcli.checkpoints.headers import stored_hash
    from vampcli.checkpoints.weights import weights_hash

    facts = adapter_file.Facts(
        name=name,
        base=base,
        codec_hash=stored_hash(folder / "codec.safetensors"),
        base_hash=weights_hash(folder),
        licence=read_metadata(folder).provenance.licence,
        rank=rank,
        sources=material.sources,
        trained_s=round(sum(part.seconds for part in learned.values()), 1),
    )
    adapter_file.save(out, facts, {name: part.pairs for name, part in learned.items()})
    losses = {
        name: {"before": round(one.before, 4), "after": round(one.after, 4), "steps": one.n_steps}
        for name, one in learned.items()
    }
    return {"licence": facts.licence, "held_out_loss": losses}
