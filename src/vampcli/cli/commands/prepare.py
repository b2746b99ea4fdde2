"""`vamp prepare`: recordings -> training audio."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vampcli.cli import options as o
from vampcli.cli.console import Console, guarded, report
from vampcli.cli.eval_inputs import Root, Split, Table
from vampcli.errors import ExitCode, InputError, UsageError

if TYPE_CHECKING:
    from vampcli.train.pieces import Piece
    from vampcli.train.prepare import Outcome

_TOKENS = "tokens"  # a folder in the prepared one


@guarded
def prepare(
    out: Annotated[Path, o.value("Folder of the prepared audio.", "-o", "--out", metavar="FOLDER")],
    audio: Annotated[
        list[str] | None,
        typer.Argument(metavar="[AUDIO]...", help="Sound files, tracker modules, folders, patterns, @list.txt."),
    ] = None,
    author: Annotated[str, o.value("Author of the recordings.")] = "",
    licence: Annotated[str, o.value("SPDX licence; a FILE.license beside FILE overrides it and --author.")] = "",
    table: Table = None,
    root: Root = None,
    split: Split = "train",
    model: Annotated[
        str | None,
        o.value("Also write the tokens of this model's codec, to OUT/tokens.", "-m", "--model", metavar="NAME"),
    ] = None,
    device: o.Device = "auto",
    jobs: Annotated[int, o.value("Number of processes.", "-j", "--jobs", min=1)] = 1,
    as_json: o.Json = False,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
) -> None:
    """Make training audio: mono, 44.1 kHz, -24 LUFS, 16 bit, cut at silences of over a second.

    Finished pieces are kept: a second run continues the first one.
    Unreadable files are named at the end (exit code 3); the others are prepared.

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
    """Refuse a bad model or device before the work begins."""
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
