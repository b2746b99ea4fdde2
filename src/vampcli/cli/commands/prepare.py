"""`vamp prepare`: recordings -> what the training commands read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from vampcli.cli import options as o
from vampcli.cli.console import Console, guarded, report
from vampcli.errors import ExitCode, InputError, UsageError

if TYPE_CHECKING:
    from vampcli.train.pieces import Piece
    from vampcli.train.prepare import Outcome

_TOKENS = "tokens"  # the folder in the prepared one


@guarded
def prepare(
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder for the prepared audio and its manifest.")],
    audio: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Argument(metavar="[AUDIO]...", help="Sound files, tracker modules, folders, patterns, @list.txt."),
    ] = None,
    author: Annotated[str, typer.Option(help="Who made the recordings.")] = "",
    licence: Annotated[str, typer.Option(help="Their licence (SPDX). FILE.license beside a file overrides both.")] = "",
    table: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="Music table (TSV: package, path, licence, split, author) instead of AUDIO."),
    ] = None,
    root: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="Folder that the table's paths start from.", show_default="the table's"),
    ] = None,
    split: Annotated[
        str, typer.Option(help="train, val, test or ood: the rows of the table; what own files are marked as.")
    ] = "train",
    model: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("-m", "--model", help="Also write the tokens of this model's codec, to OUT/tokens."),
    ] = None,
    device: Annotated[str, typer.Option("-d", "--device", help="Where tokens are made.")] = "auto",
    jobs: Annotated[int, typer.Option("-j", "--jobs", min=1, help="Processes that read.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a piece on stdout.")] = False,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
) -> None:
    """Make training audio: mono, 44.1 kHz, -24 LUFS, 16 bit, cut where it is silent for over a second.

    Finished pieces are kept: a run goes on where the last one stopped.
    What cannot be read is named at the end (exit code 3), the rest is done.

    Example: vamp prepare ~/music --licence CC-BY-4.0 -o data/train
    """
    console = Console(quiet, verbose)
    pieces = _pieces(audio or [], table, root, split, author, licence)
    from vampcli.train.prepare import prepare as prepared

    if model is not None:
        _check_model(model, device)
    failed = []
    seconds = 0.0
    with console.progress("preparing") as progress:
        for outcome in prepared(pieces, out, jobs, progress):
            seconds += sum(entry["seconds"] for entry in outcome.entries)
            if outcome.error is not None:
                failed.append(outcome.error)
            if as_json:
                console.result(_facts(outcome))
    if model is not None and len(failed) < len(pieces):
        _tokens(console, out, model, device)
    if not as_json:
        console.result(str(out))
    console.note(f"{len(pieces) - len(failed)} of {len(pieces)} pieces, {seconds / 3600:.2f} h")
    for error in failed:
        report(error)
    if failed:
        raise SystemExit(int(ExitCode.INPUT))


def _pieces(
    audio: list[str], table: Path | None, root: Path | None, split: str, author: str, licence: str
) -> list[Piece]:
    if bool(audio) == (table is not None):
        raise UsageError("nothing to prepare" if not audio else "both AUDIO and --table", "name files, or one table")
    if table is None and root is not None:
        raise UsageError("--root without --table", "leave it out, or name the table")
    if table is not None and (author or licence):
        raise UsageError("--author or --licence beside --table", "the table says who made what under which licence")
    from vampcli.train.pieces import SPLITS, pieces_of_files, pieces_of_table

    if split not in SPLITS:
        raise UsageError(f"--split is {split!r}", f"choose one of {', '.join(SPLITS)}")
    if table is None:
        return pieces_of_files(audio, author, licence, split)
    pieces = pieces_of_table(table, root or table.parent, split)
    if not pieces:
        raise InputError(f"{table} has no row of the split {split!r}", "choose another --split")
    return pieces


def _check_model(model: str, device: str) -> None:
    """Find what is wrong with it before the work begins."""
    from vampcli.checkpoints import registry
    from vampcli.checkpoints.folder import read_config
    from vampcli.model.devices import pick_device

    read_config(registry.find(model))
    pick_device(device)


def _tokens(console: Console, out: Path, model: str, device: str) -> None:
    from vampcli.model.devices import pick_device
    from vampcli.train.encode import pack

    with console.progress("encoding") as progress:
        n_frames = pack(out, model, out / _TOKENS, progress, pick_device(device))
    console.note(f"{n_frames} frames in {out / _TOKENS}")


def _facts(outcome: Outcome) -> dict[str, Any]:
    facts: dict[str, Any] = {"input": str(outcome.piece.path)}
    if outcome.error is not None:
        return {**facts, "error": outcome.error.message}
    return {
        **facts,
        "files": [entry["file"] for entry in outcome.entries],
        "seconds": round(sum(entry["seconds"] for entry in outcome.entries), 3),
        "licence": outcome.piece.licence,
        "split": outcome.piece.split,
    }
