"""`vamp prepare`: recordings -> training audio."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vampcli.cli import options as o
from vampcli.cli.console import Console, guarded, report
from vampcli.cli.eval_inputs import Root, Split, Table, pieces_of
from vampcli.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from vampcli.train.prepare import Outcome


@guarded
def prepare(
    out: Annotated[Path, o.value("Folder of the prepared audio.", "-o", "--out", metavar="FOLDER")],
    audio: Annotated[
        list[str] | None,
        typer.Argument(metavar="[AUDIO]...", help="Sound files, tracker modules, folders, patterns, @list.txt."),
    ] = None,
    author: Annotated[str, o.value("Author of the recordings.", metavar="TEXT")] = "",
    licence: Annotated[
        str, o.value("SPDX licence; a FILE.license beside FILE overrides it and --author.", metavar="NAME")
    ] = "",
    table: Table = None,
    root: Root = None,
    split: Split = "train",
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
    if table is not None and (author or licence):
        raise UsageError("--author or --licence beside --table", "the table names author and licence of each recording")
    from vampcli.train.pieces import SPLITS
    from vampcli.train.prepare import prepare as prepared

    if split not in SPLITS:
        raise UsageError(f"--split is {split!r}", f"choose one of {', '.join(SPLITS)}")
    pieces = pieces_of("prepare", audio or [], table, root, split, author, licence)
    failed = []
    seconds = 0.0
    with console.progress("preparing") as progress:
        for outcome in prepared(pieces, out, jobs, progress):
            seconds += sum(entry["seconds"] for entry in outcome.entries)
            if outcome.error is not None:
                failed.append(outcome.error)
            if as_json:
                console.result(_facts(outcome))
    if not as_json:
        console.result(str(out))
    console.note(f"{len(pieces) - len(failed)} of {len(pieces)} pieces, {seconds / 3600:.2f} h")
    for error in failed:
        report(error)
    if failed:
        raise SystemExit(int(ExitCode.INPUT))


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
