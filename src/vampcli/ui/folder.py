"""Recordings below the folder in which the server was started."""

from __future__ import annotations

import os
from collections import deque
from pathlib import Path

from vampcli.audio.find import SOUNDS
from vampcli.errors import InputError

MOST_LISTED = 500
"""Recordings in a list."""

_MOST_ENTRIES = 20_000  # of folders that are searched


class OutsideError(InputError):
    """A path that is not below the folder."""


def resolve_below(root: Path, path: str) -> Path:
    """Return a file below a folder, links followed.

    Args:
        root: the folder.
        path: relative to it, or absolute.

    Raises:
        OutsideError: it is elsewhere, or a link leads elsewhere.
        InputError: there is no such file.
    """
    root = root.resolve()
    try:
        found = (root / path).resolve()
        is_file = found.is_file()
    except (OSError, ValueError, RuntimeError) as error:  # too long, a zero byte, a circle of links
        raise InputError(f"cannot open {path[:200]!r}: {error}", f"name a recording below {root}") from error
    if not found.is_relative_to(root):
        raise OutsideError(
            f"{path[:200]} is outside {root}", "start vamp ui in its folder, or drop the file on the page"
        )
    if not is_file:
        raise InputError(f"there is no file {path[:200]!r} in {root}", "choose one of the list")
    return found


def list_recordings(root: Path) -> tuple[list[str], bool]:
    """Return paths of recordings below a folder, nearest first, and whether there are more; links are not followed."""
    found: list[str] = []
    folders, n_entries = deque([root]), 0
    while folders:
        try:
            entries = sorted(os.scandir(folders.popleft()), key=lambda one: one.name.casefold())
        except OSError:
            continue  # not readable
        for entry in entries:
            n_entries += 1
            if len(found) == MOST_LISTED or n_entries > _MOST_ENTRIES:
                return found, True
            if entry.name.startswith("."):
                continue
            if entry.is_dir(follow_symlinks=False):
                folders.append(Path(entry.path))
            elif Path(entry.name).suffix.lower() in SOUNDS and entry.is_file(follow_symlinks=False):
                found.append(os.path.relpath(entry.path, root))
    return found, False
