"""What can be prepared: files, folders, lists and music tables -> pieces, each with what must be said about it."""

from __future__ import annotations

import csv
import glob
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from vampcli.errors import InputError

SPLITS = ("train", "val", "test", "ood")
MODULES = (".it", ".mod", ".s3m", ".xm")
SOUNDS = (".aif", ".aiff", ".au", ".caf", ".flac", ".mp3", ".oga", ".ogg", ".opus", ".rf64", ".w64", ".wav")

_COLUMNS = ("package", "path", "licence", "split", "author")
_SIDECAR = {"SPDX-License-Identifier": "licence", "SPDX-FileCopyrightText": "author"}


@dataclass(frozen=True)
class Piece:
    """One recording and what must be said about it.

    Attributes:
        path: a sound file or a tracker module; of a table also a folder, whose files are stems to be summed.
        name: what the manifest calls it: together with `package` it says which piece it is.
        title: for the credits, as are author, licence and package.
        split: train, val, test or ood; only train is learned from.
    """

    path: Path
    name: str
    title: str
    author: str = ""
    licence: str = ""
    package: str = ""
    split: str = "train"


def pieces_of_table(table: Path, root: Path, split: str) -> list[Piece]:
    """The rows of a music table (TSV) of one split; nothing else below `root` counts.

    Raises:
        InputError: there is no such table, or it lacks a column.
    """
    try:
        with table.open(encoding="utf-8", newline="") as file:
            rows = csv.DictReader(file, delimiter="\t")
            lacking = [c for c in _COLUMNS if c not in (rows.fieldnames or ())]
            if lacking:
                raise InputError(f"{table} has no column {lacking[0]!r}", f"it needs {', '.join(_COLUMNS)}")
            wanted = [row for row in rows if row["split"] == split]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read the table {table}: {error}", "name a tab-separated file") from error
    return [
        Piece(
            path=root / row["path"],
            name=row["path"],
            title=Path(row["path"]).stem.replace("_", " "),
            **{key: row[key] or "" for key in ("author", "licence", "package", "split")},
        )
        for row in wanted
    ]


def pieces_of_files(inputs: Sequence[str], author: str = "", licence: str = "", split: str = "train") -> list[Piece]:
    """Own recordings. A file beside one (`song.wav.license`, as REUSE has it) overrides author and licence.

    Args:
        inputs: as for `expand`.
        author: of all.
        licence: of all, as an SPDX identifier if it has one.
        split: of all.
    """
    return [
        Piece(
            path,
            os.path.abspath(path),
            path.stem,
            **{"author": author, "licence": licence, **_sidecar(path)},
            split=split,
        )
        for path in expand(inputs)
    ]


def _sidecar(path: Path) -> dict[str, str]:
    """What a `.license` file says.

    Source: the REUSE specification 3.0, "comment headers".
    """
    sidecar = path.with_name(path.name + ".license")
    if not sidecar.is_file():
        return {}
    found: dict[str, list[str]] = {}
    for line in sidecar.read_text(encoding="utf-8", errors="replace").splitlines():
        tag, colon, value = line.strip().partition(":")
        if colon and tag in _SIDECAR:
            found.setdefault(_SIDECAR[tag], []).append(value.strip())
    return {key: ", ".join(values) for key, values in found.items()}


def expand(inputs: Sequence[str]) -> list[Path]:
    """Turn what somebody typed into files, each once, in that order; folders are searched by suffix.

    Args:
        inputs: files, folders, patterns that the shell left as they are, and `@list.txt`: a file of inputs,
            one a line. A file that is missing stays in, to be named where it is read.

    Raises:
        InputError: a list cannot be read, or a folder or a pattern holds no sound.
    """
    return list(dict.fromkeys(path for text in inputs for path in _expanded(text)))


def _expanded(text: str) -> Iterator[Path]:
    path = Path(os.path.expanduser(text))
    if text.startswith("@") and not path.exists():
        yield from expand(_lines(Path(os.path.expanduser(text[1:]))))
    elif path.is_dir():
        yield from _some(sounds_below(path), f"the folder {path} holds no sound files")
    elif not path.exists() and glob.has_magic(text):
        yield from _some([Path(p) for p in sorted(glob.glob(str(path), recursive=True))], f"nothing matches {text}")
    else:
        yield path


def _lines(path: Path) -> list[str]:
    try:
        return [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read the list {path}: {error}", "@NAME names a text file of inputs") from error


def _some(paths: list[Path], otherwise: str) -> list[Path]:
    if not paths:
        raise InputError(otherwise, f"suffixes looked for: {' '.join((*SOUNDS, *MODULES))}")
    return paths


def sounds_below(folder: Path) -> list[Path]:
    """Sound files and modules of a folder and its folders, sorted; hidden ones are left out."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in SOUNDS + MODULES
        and path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )
