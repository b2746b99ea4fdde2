"""Recordings to train or measure on, with author and licence, from files or a music table."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vampcli.audio.find import expand
from vampcli.errors import InputError
from vampcli.files import read_bounded
from vampcli.reading import read_text
from vampcli.schema import shown

SPLITS = ("train", "val", "test", "ood")

_COLUMNS = ("package", "path", "licence", "split", "author")
_MOST_TABLE = 2**26  # bytes
_SIDECAR = {"SPDX-License-Identifier": "licence", "SPDX-FileCopyrightText": "author"}


@dataclass(frozen=True)
class Piece:
    """One recording and its credits.

    Attributes:
        path: a sound file or a tracker module; of a table also a folder, whose files are stems to be summed.
        name: in manifests; with `package` it identifies the piece.
        title: for the credits, as are author, licence and package.
        split: train, val, test or ood; models are trained on train alone.
    """

    path: Path
    name: str
    title: str
    author: str = ""
    licence: str = ""
    package: str = ""
    split: str = "train"


def pieces_of_table(table: Path, root: Path, split: str) -> list[Piece]:
    """Read the rows of one split of a music table (TSV), with paths relative to `root`.

    Raises:
        InputError: the table cannot be read, or lacks a column.
    """
    text = read_text(table, _MOST_TABLE, "name a tab-separated file")
    try:
        rows = csv.DictReader(io.StringIO(text, newline=""), delimiter="\t")
        missing = [c for c in _COLUMNS if c not in (rows.fieldnames or ())]
        if missing:
            raise InputError(f"{table} has no column {missing[0]!r}", f"it needs {', '.join(_COLUMNS)}")
        chosen = [row for row in rows if row["split"] == split]
    except csv.Error as error:
        raise InputError(f"cannot read the table {table}: {error}", "name a tab-separated file") from error
    for row in chosen:
        if not row["path"] or "\0" in row["path"]:
            raise InputError(f"{table} names the path {shown(row['path'])}", "every row has the path of a recording")
    return [
        Piece(
            path=root / row["path"],
            name=row["path"],
            title=Path(row["path"]).stem.replace("_", " "),
            **{key: row[key] or "" for key in ("author", "licence", "package", "split")},
        )
        for row in chosen
    ]


def pieces_of_files(inputs: Sequence[str], author: str = "", licence: str = "", split: str = "train") -> list[Piece]:
    """Return a piece for each file; a REUSE sidecar (`song.wav.license`) overrides author and licence.

    Args:
        inputs: as for `expand`.
        author: of all files.
        licence: of all files, as an SPDX identifier if it has one.
        split: of all files.
    """
    credits = {"author": author, "licence": licence, "split": split}
    return [Piece(path, os.path.abspath(path), path.stem, **credits | _sidecar(path)) for path in expand(inputs)]


def _sidecar(path: Path) -> dict[str, str]:
    """Read author and licence from the `.license` file beside a file.

    Source: the REUSE specification 3.0, "comment headers".
    """
    sidecar = path.with_name(path.name + ".license")
    if not sidecar.is_file():
        return {}
    found: dict[str, list[str]] = {}
    for line in read_bounded(sidecar, 2**20).decode("utf-8", "replace").splitlines():
        tag, colon, value = line.strip().partition(":")
        if colon and tag in _SIDECAR:
            found.setdefault(_SIDECAR[tag], []).append(value.strip())
    return {key: ", ".join(values) for key, values in found.items()}
