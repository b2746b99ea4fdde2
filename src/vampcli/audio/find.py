"""Find sound files by name, in folders, by patterns and in lists."""

from __future__ import annotations

import glob
import logging
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from vampcli.errors import InputError
from vampcli.reading import read_text
from vampcli.schema import shown

log = logging.getLogger(__name__)

MODULES = (".it", ".mod", ".s3m", ".xm")
OTHER_KIND = "of other kinds"
UNREADABLE = "unreadable"
_MOST_LISTS = 16  # lists in lists
_N_SUFFIXES = _MOST_FOLDERS = 8  # named in a message

SOUNDS = (
    *(".aac", ".ac3", ".aif", ".aifc", ".aiff", ".amr", ".ape", ".au", ".caf", ".eac3", ".flac", ".m4a"),
    *(".m4b", ".mka", ".mkv", ".mov", ".mp2", ".mp3", ".mp4", ".mpc", ".oga", ".ogg", ".opus", ".rf64"),
    *(".snd", ".spx", ".tak", ".tta", ".voc", ".w64", ".wav", ".wave", ".webm", ".wma", ".wv"),
)
"""Suffixes of files that are taken from folders: all that `vampcli.audio.read` decodes."""


@dataclass(frozen=True)
class FoundFile:
    """An input file.

    Attributes:
        path: of the file; it may be missing, which is reported when it is read.
        below: its folder, relative to the folder that was searched; `.` for a file named itself.
        searched: found in a folder or by a pattern, not named itself.
        left_out: why it is no input; empty for inputs.
    """

    path: Path
    below: Path = Path()
    searched: bool = False
    left_out: str = ""


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
    found = find_all(inputs, recursive, suffixes)
    warn_of_left_out(found)
    if (error := unreadable(found)) is not None:
        log.warning("%s: %s", error.message, error.hint)
    return [file for file in found if not file.left_out]


def find_all(inputs: Sequence[str], recursive: bool, suffixes: Sequence[str] = SOUNDS) -> list[FoundFile]:
    """Return the files of `find`, those that are left out, and folders that cannot be read."""
    files: dict[Path, FoundFile] = {}
    read: set[Path] = set()
    for text in inputs:
        for file in _resolve(text, recursive, suffixes, (), read):
            if file.path not in files or files[file.path].left_out:
                files[file.path] = file
    return list(files.values())


def unreadable(found: Sequence[FoundFile]) -> InputError | None:
    """Return an error that names the folders that cannot be read; None if there is none."""
    folders = [str(one.path) for one in found if one.left_out == UNREADABLE]
    if not folders:
        return None
    names = ", ".join(folders[:_MOST_FOLDERS]) + (", ..." if len(folders) > _MOST_FOLDERS else "")
    n = "the folder" if len(folders) == 1 else f"{len(folders)} folders"
    return InputError(f"{n} cannot be read: {names}", "check the permissions; recordings there are left out")


def warn_of_left_out(found: Sequence[FoundFile]) -> None:
    """Say in one line how many files are left out, and why."""
    found = [file for file in found if file.left_out != UNREADABLE]
    reasons = Counter(file.left_out for file in found if file.left_out)
    if not reasons:
        return
    n, suffixes = sum(reasons.values()), sorted({f.path.suffix.lower() for f in found if f.left_out == OTHER_KIND})
    of_suffixes = ", ".join(suffix or "none" for suffix in suffixes[:_N_SUFFIXES])
    more = ", ..." if len(suffixes) > _N_SUFFIXES else ""
    words = [
        f"{count} {reason}" + (f" ({of_suffixes}{more})" if reason == OTHER_KIND else "")
        for reason, count in reasons.items()
    ]
    log.warning("%d file%s left out: %s", n, "s" * (n != 1), ", ".join(words))


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
        if not os.access(path, os.R_OK | os.X_OK):
            raise InputError(f"the folder {path} cannot be read", "check its permissions")
        files = _search(path, recursive, suffixes)
        hint = "" if recursive else "; folders in it are searched with --recursive"
        _require_some(files, f"the folder {path} holds no sound files{hint}", suffixes)
        yield from files
    elif not exists and glob.has_magic(text):
        paths = map(Path, sorted(glob.glob(str(path), recursive=True)))
        files = [FoundFile(p, Path(), True, "" if _has(p, suffixes) else OTHER_KIND) for p in paths if p.is_file()]
        _require_some(files, f"nothing matches {text}", suffixes)
        yield from files
    else:
        yield FoundFile(path)


def _read_lines(path: Path) -> list[str]:
    try:
        lines = [line.strip() for line in read_text(path).splitlines()]
        return [line for line in lines if line and not line.startswith("#")]
    except InputError as error:
        why = error.message
        raise InputError(f"cannot read the list {path}: {why}", "@NAME names a text file of inputs") from error


def _require_some(files: Sequence[FoundFile], message: str, suffixes: Sequence[str]) -> None:
    if all(file.left_out for file in files):
        if (error := unreadable(files)) is not None:
            raise error
        raise InputError(message, f"suffixes looked for: {' '.join(suffixes)}")


def sounds_below(folder: Path, recursive: bool = True, suffixes: Sequence[str] = SOUNDS + MODULES) -> list[Path]:
    """Return files with such a suffix in a folder (and in its folders), sorted, without hidden ones."""
    return [file.path for file in _search(folder, recursive, suffixes) if not file.left_out]


def _search(folder: Path, recursive: bool, suffixes: Sequence[str]) -> list[FoundFile]:
    """Return the files in a folder, sorted; hidden ones if they have such a suffix; and folders that cannot be read."""
    found = []
    for path in sorted(folder.rglob("*") if recursive else folder.glob("*")):
        below = path.relative_to(folder)
        is_hidden, is_sound = any(part.startswith(".") for part in below.parts), _has(path, suffixes)
        if recursive and not is_hidden and os.path.isdir(path) and not os.access(path, os.R_OK | os.X_OK):
            found.append(FoundFile(path, below.parent, True, UNREADABLE))
        if (is_sound or not is_hidden) and os.path.isfile(path):
            reason = "hidden" if is_hidden else "" if is_sound else OTHER_KIND
            found.append(FoundFile(path, below.parent, True, reason))
    return found


def _has(path: Path, suffixes: Sequence[str]) -> bool:
    return path.suffix.lower() in suffixes
