"""Find sound files: by name, in folders, by patterns and in lists."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from vampcli.errors import InputError

MODULES = (".it", ".mod", ".s3m", ".xm")
SOUNDS = (".aif", ".aiff", ".au", ".caf", ".flac", ".mp3", ".oga", ".ogg", ".opus", ".rf64", ".w64", ".wav")


@dataclass(frozen=True)
class FoundFile:
    """A file that somebody named, or that lies where somebody said to look.

    Attributes:
        path: of the file; it may be missing, to be named where it is read.
        below: the folder it lies in, relative to the one that was named; `.` for a file.
        searched: it was found in a folder or by a pattern, not named itself.
    """

    path: Path
    below: Path = Path()
    searched: bool = False


def expand(inputs: Sequence[str]) -> list[Path]:
    """The files of `find`: folders are searched to their depths, for tracker modules, too."""
    return [found.path for found in find(inputs, recursive=True, suffixes=SOUNDS + MODULES)]


def find(inputs: Sequence[str], recursive: bool, suffixes: Sequence[str] = SOUNDS) -> list[FoundFile]:
    """Turn what somebody typed into files, each once, in that order.

    Args:
        inputs: files, folders, patterns that the shell left as they are, and `@list.txt`: a file of inputs,
            one a line, which may name other lists. A file that is missing stays in.
        recursive: search folders in folders.
        suffixes: what is looked for in folders and by patterns.

    Raises:
        InputError: a list cannot be read or names itself, or a folder or a pattern holds no sound.
    """
    found: dict[Path, FoundFile] = {}
    for text in inputs:
        for one in _expanded(text, recursive, suffixes, ()):
            found.setdefault(one.path, one)
    return list(found.values())


def _expanded(text: str, recursive: bool, suffixes: Sequence[str], lists: tuple[Path, ...]) -> Iterator[FoundFile]:
    if not text:  # a variable of the shell that is not set; it is not the folder one is in
        raise InputError("an input has no name", 'is there something empty in quotes, such as "$SONG"?')
    path = Path(os.path.expanduser(text))
    exists = os.path.exists(path)  # False for names that no file can have
    if text.startswith("@") and not exists:
        listing = Path(os.path.expanduser(text[1:])).resolve()
        if listing in lists:
            raise InputError(f"the list {listing} names itself", "take that line out")
        for line in _lines(listing):
            yield from _expanded(line, recursive, suffixes, (*lists, listing))
    elif os.path.isdir(path):
        below = sounds_below(path, recursive, suffixes)
        hint = "" if recursive else "; folders in it are searched with --recursive"
        yield from (
            FoundFile(p, p.parent.relative_to(path), True)
            for p in _some(below, f"the folder {path} holds no sound files{hint}", suffixes)
        )
    elif not exists and glob.has_magic(text):
        paths = [p for p in map(Path, sorted(glob.glob(str(path), recursive=True))) if _sounds(p, suffixes)]
        yield from (FoundFile(p, searched=True) for p in _some(paths, f"nothing matches {text}", suffixes))
    else:
        yield FoundFile(path)


def _lines(path: Path) -> list[str]:
    try:
        return [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or error
        raise InputError(f"cannot read the list {path}: {why}", "@NAME names a text file of inputs") from error


def _some(paths: list[Path], otherwise: str, suffixes: Sequence[str]) -> list[Path]:
    if not paths:
        raise InputError(otherwise, f"suffixes looked for: {' '.join(suffixes)}")
    return paths


def sounds_below(folder: Path, recursive: bool = True, suffixes: Sequence[str] = SOUNDS + MODULES) -> list[Path]:
    """Files with such a suffix in a folder, and in its folders if asked, sorted; hidden ones are left out."""
    return sorted(
        path
        for path in (folder.rglob("*") if recursive else folder.glob("*"))
        if _sounds(path, suffixes) and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )


def _sounds(path: Path, suffixes: Sequence[str]) -> bool:
    return path.suffix.lower() in suffixes and path.is_file()
