"""Recordings to measure on: named one by one, or the rows of a music table."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from vampcli.errors import InputError, UsageError

Audio = Annotated[
    Optional[list[Path]],  # noqa: UP045
    typer.Argument(metavar="[AUDIO]...", help="Sound files and folders of them."),
]
Table = Annotated[
    Optional[Path],  # noqa: UP045
    typer.Option(help="Music table (TSV with path and split) instead of AUDIO."),
]
Root = Annotated[
    Optional[Path],  # noqa: UP045
    typer.Option(help="Folder that the table's paths start from.", show_default="the table's"),
]
Split = Annotated[str, typer.Option(help="Which rows of the table.")]


def files_of(audio: list[Path], table: Path | None, root: Path | None, split: str) -> list[Path]:
    """The recordings somebody named, all of which exist."""
    if bool(audio) == (table is not None):
        raise UsageError("nothing to measure on" if not audio else "both AUDIO and --table", "name files, or one table")
    if table is None and root is not None:
        raise UsageError("--root without --table", "leave it out, or name the table")
    from vampcli.audio.find import SOUNDS, expand
    from vampcli.evaluate.excerpts import require_files
    from vampcli.train.pieces import pieces_of_table

    if table is None:
        files = expand([str(path) for path in audio])
    else:
        pieces = pieces_of_table(table, root or table.parent, split)
        files = [piece.path for piece in pieces if piece.path.suffix.lower() in SOUNDS]  # no modules, no stems
        if not files:
            raise InputError(f"{table} has no row of the split {split!r}", "choose another --split")
    require_files(files)
    return files
