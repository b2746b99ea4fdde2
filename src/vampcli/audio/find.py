"""Find sound files by name, in folders, by patterns and in lists."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from vampcli.errors import InputError
from vampcli.reading import read_text
from vampcli.schema import shown

MODULES = (".it", ".mod", ".s3m", ".xm")
SOUNDS = (".aif", ".aiff", ".au", ".caf", ".flac", ".mp3", ".oga", ".ogg", ".opus", ".rf64", ".w64", ".wav")
_MOST_LISTS = 16  # lists in lists


@dataclass(frozen=True)
class FoundFile:
    """An input file.

    Attributes:
        path: of the file; it may be missing, which is reported when it is read.
        below: its folder, relative to the folder that was searched; `.` for a file named itself.
        searched: found in a folder or by a pattern, not named itself.
    """

    path: Path
    below: Path = Path()
    searched: bool = False


def expand(inputs: Sequence[str]) -> list[Path]:
    """Return the paths of `find`, with folders searched recursively, for tracker modules, too."""
    return [file.path for file in find(inputs, recursive=True, suffixes=SOUNDS + MODULES)]


def find(inputs: Sequence[str], recursive: bool, suffixes: Sequence[str] = SOUNDS) -> list[FoundFile]:
    """Resolve inputs of the command line to files, each once, in the same order.

    Args:
        inputs: files, folders, patterns that the shell has not expanded, and `@list.txt`: a file of inputs,
            one a line, which may name other lists; lines that begin with # are left out, and names that are not
            found from the current folder are looked up beside the list. Missing files are returned as they are.
        recursive: search folders in folders.
        suffixes: of files in folders and of matches of patterns.

    Raises:
        InputError: a list cannot be read or names itself, or a folder or a pattern has no sound files.
    """
    files: dict[Path, FoundFile] = {}
    read: set[Path] = set()
    for text in inputs:
        for file in _resolve(text, recursive, suffixes, (), read):
            files.setdefault(file.path, file)
    return list(files.values())


def _resolve(
    text: str, recursive: bool, suffixes: Sequence[str], lists: tuple[Path, ...], read: set[Path]
) -> Iterator[FoundFile]:
    """Yield the files of an input; `lists` are those that lead to it, `read` all lists, each of which is read once."""
    if not text:  # an unset variable of the shell; not the current folder
        raise InputError("an input has no name", 'is there something empty in quotes, such as "$SONG"?')
    if "\0" in text:
        raise InputError(f"no file can have the name {shown(text)}", "take the zero byte out")
    path = Path(os.path.expanduser(text))
    exists = os.path.exists(path)  # False for names that no file can have
    if text.startswith("@") and not exists:
        listing = Path(os.path.expanduser(text[1:])).resolve()
        if listing in lists:
            raise InputError(f"the list {listing} names itself", "take that line out")
        if len(lists) == _MOST_LISTS:
            raise InputError(f"the list {listing} is list number {_MOST_LISTS + 1} of lists in lists", "name files")
        for line in [] if listing in read else _read_lines(listing):
            beside = listing.parent / line
            is_here = os.path.exists(os.path.expanduser(line)) or not os.path.exists(beside)
            yield from _resolve(line if is_here else str(beside), recursive, suffixes, (*lists, listing), read)
        read.add(listing)
    elif os.path.isdir(path):
        paths = sounds_below(path, recursive, suffixes)
        hint = "" if recursive else "; folders in it are searched with --recursive"
        _require_some(paths, f"the folder {path} holds no sound files{hint}", suffixes)
        yield from (FoundFile(p, p.parent.relative_to(path), True) for p in paths)
    elif not exists and glob.has_magic(text):
        paths = [p for p in map(Path, sorted(glob.glob(str(path), recursive=True))) if _is_sound(p, suffixes)]
        _require_some(paths, f"nothing matches {text}", suffixes)
        yield from (FoundFile(p, searched=True) for p in paths)
    else:
        yield FoundFile(path)


def _read_lines(path: Path) -> list[str]:
    try:
        lines = [line.strip() for line in read_text(path).splitlines()]
        return [line for line in lines if line and not line.startswith("#")]
    except InputError as error:
        why = error.message
        raise InputError(f"cannot read the list {path}: {why}", "@NAME names a text file of inputs") from error


def _require_some(paths: list[Path], message: str, suffixes: Sequence[str]) -> None:
    if not paths:
        raise InputError(message, f"suffixes looked for: {' '.join(suffixes)}")


def sounds_below(folder: Path, recursive: bool = True, suffixes: Sequence[str] = SOUNDS + MODULES) -> list[Path]:
    """Return files with such a suffix in a folder (and in its folders), sorted, without hidden ones."""
    return sorted(
        path
        for path in (folder.rglob("*") if recursive else folder.glob("*"))
        if _is_sound(path, suffixes) and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )


def _is_sound(path: Path, suffixes: Sequence[str]) -> bool:
    return path.suffix.lower() in suffixes and path.is_file()
