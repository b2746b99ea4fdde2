"""Options that the commands of `vamp eval` share: a model, and recordings or rows of a music table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vampcli.cli import options as o
from vampcli.cli.console import Console
from vampcli.errors import InputError, UsageError

if TYPE_CHECKING:
    from vampcli.evaluate.excerpts import Clip
    from vampcli.train.pieces import Piece

Table = Annotated[Path | None, o.value("Music table (TSV) instead of AUDIO.", metavar="FILE")]
Root = Annotated[Path | None, o.value("Folder of the table's paths.", metavar="FOLDER", show_default="the table's")]
Split = Annotated[str, o.value("Rows of the table: train, val, test or ood.", metavar="NAME")]
Limit = Annotated[float | None, o.value("Seconds to read of each recording.", "--limit-s", min=1.0, show_default="all")]


@dataclass(frozen=True)
class EvalOptions:
    """A model and the recordings to measure it on."""

    audio: Annotated[list[Path] | None, typer.Argument(metavar="[AUDIO]...", help="Sound files and folders.")] = None
    model: o.ModelName = "mini"
    table: Table = None
    root: Root = None
    split: Split = "test"
    quiet: o.Quiet = False
    verbose: o.Verbose = False

    @property
    def console(self) -> Console:
        """The console, as quiet or verbose as requested."""
        return Console(self.quiet, self.verbose)

    @property
    def files(self) -> list[Path]:
        """The recordings; all exist.

        Raises:
            UsageError: there are no recordings, or options contradict each other.
            InputError: a file is missing, or the table has no such rows.
        """
        return files_of(self.audio or [], self.table, self.root, self.split)


def files_of(audio: list[Path], table: Path | None, root: Path | None, split: str) -> list[Path]:
    """The recordings with these names, or in these rows of a music table."""
    from vampcli.audio.find import SOUNDS
    from vampcli.evaluate.excerpts import require_files

    pieces = pieces_of("measure on", [str(path) for path in audio], table, root, split)
    files = [piece.path for piece in pieces if piece.path.suffix.lower() in SOUNDS or not table]  # no modules, no stems
    if not files:
        raise InputError(f"{table} has no sound file of the split {split!r}", "choose another --split")
    require_files(files)
    return files


def pieces_of(
    purpose: str,
    audio: list[str],
    table: Path | None,
    root: Path | None,
    split: str,
    author: str = "",
    licence: str = "",
) -> list[Piece]:
    """The recordings with these names, or in these rows of a music table, with their credits.

    Raises:
        UsageError: there are no recordings, or options contradict each other.
        InputError: a file is missing, or the table has no such rows.
    """
    if bool(audio) == (table is not None):
        raise UsageError(f"nothing to {purpose}" if not audio else "both AUDIO and --table", "name files, or one table")
    if table is None and root is not None:
        raise UsageError("--root without --table", "leave it out, or name the table")
    from vampcli.train.pieces import pieces_of_files, pieces_of_table

    if table is None:
        return pieces_of_files(audio, author, licence, split)
    pieces = pieces_of_table(table, root or table.parent, split)
    if not pieces:
        raise InputError(f"{table} has no row of the split {split!r}", "choose another --split")
    return pieces


def read_clips(console: Console, files: list[Path], sample_rate: int, limit_s: float | None) -> Iterator[Clip]:
    """Read one recording after another, and print its name."""
    from vampcli.evaluate.excerpts import load_clip

    for i, path in enumerate(files):
        console.note(f"{i + 1} of {len(files)}: {path.name}")
        yield load_clip(path, sample_rate, limit_s)


def round_floats(value: Any) -> Any:
    """Round all floats of a JSON value to five significant digits."""
    if isinstance(value, dict):
        return {key: round_floats(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [round_floats(inner) for inner in value]
    return float(f"{value:.5g}") if isinstance(value, float) else value
