"""Which recordings a command works on, and which files of a folder are results of earlier runs."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vampcli.audio.find import SOUNDS, FoundFile, find
from vampcli.audio.formats import TOKENS
from vampcli.errors import InputError

COMMANDS = ("inpaint", "outpaint", "loop", "vamp", "compress")
_MADE = re.compile(rf".+\.({'|'.join(COMMANDS)})\.-?\d+(\.replay)*")


@dataclass(frozen=True)
class Sources:
    """Recordings.

    Attributes:
        found: files, and where in the folder named they lie.
        several: whether somebody named more than one file, or a folder or pattern, however many that holds.
    """

    found: tuple[FoundFile, ...]
    several: bool


def sources(
    inputs: Sequence[str],
    recursive: bool,
    suffixes: Sequence[str] = (),
    out: str | None = None,
    of_results: bool = False,
) -> Sources:
    """Turn what somebody typed into files; what a folder holds of our own results is left out.

    Args:
        inputs: as for `find`.
        recursive: search folders in folders.
        suffixes: what is looked for in folders beside sound.
        out: where results go; if that is a folder in the one that is searched, it is left out.
        of_results: results are what is wanted, but those of `replay`.

    Raises:
        InputError: nothing is there.
    """
    found = find(inputs, recursive, (*SOUNDS, *suffixes))
    left_out = _is_again if of_results else _is_result
    kept = tuple(f for f in found if not (f.searched and left_out(f, out)))
    if not kept:
        raise InputError(
            f"{inputs[0]} holds nothing but results of vamp ({len(found)} files)", "name a file to work on it again"
        )
    return Sources(kept, len(inputs) > 1 or len(found) > 1 or any(f.searched for f in found))


def _is_again(found: FoundFile, out: str | None) -> bool:
    return found.path.stem.endswith(".replay") or _lies_in(found, out)


def _is_result(found: FoundFile, out: str | None) -> bool:
    path = found.path
    return _lies_in(found, out) or (path.suffix.lower() != TOKENS and _MADE.fullmatch(path.stem) is not None)


def _lies_in(found: FoundFile, out: str | None) -> bool:
    """Whether a file lies where results go, below the folder that was searched."""
    if out is None:
        return False
    path = Path(os.path.abspath(found.path))
    folder, searched = Path(os.path.abspath(os.path.expanduser(out))), path.parents[len(found.below.parts)]
    return searched in folder.parents and folder in path.parents
