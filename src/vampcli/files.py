"""Atomic writes, and names of files that were read from files."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vampcli.errors import InputError


@contextmanager
def replacing(path: Path, overwrite: bool = False, parents: bool = False) -> Iterator[Path]:
    """Yield a temporary file beside `path`, which is renamed to `path` on success and removed on any error.

    Args:
        path: the output.
        overwrite: replace a file that exists.
        parents: make missing folders.

    Raises:
        InputError: the file exists, or the folder is missing, not writable or full.
    """
    if path.exists() and not overwrite:
        raise InputError(f"{path} exists", "replace it with overwrite, or name another file")
    temp = None
    try:
        if parents:
            path.parent.mkdir(parents=True, exist_ok=True)
        temp = _new_file(path)
        yield temp
        os.replace(temp, path)
    except OSError as error:
        raise InputError(
            f"cannot write {path}: {error}", "is the disk full, the folder missing or not writable?"
        ) from error
    finally:
        if temp is not None and temp.exists():
            temp.unlink()


def child(folder: Path, name: Any, where: object) -> Path:
    """Return the path of a file in a folder whose name was read from a file, which may be damaged or forged.

    Args:
        folder: of the file.
        name: the name as it was read.
        where: the file that holds the name, for the error.

    Raises:
        InputError: it is no bare name: it is empty, has a separator, or leads elsewhere.
    """
    if not isinstance(name, str) or name in ("", ".", "..") or any(c in name for c in "/\\:\0"):
        raise InputError(
            f"{where} names the file {name!r}, which does not lie in its folder", "a name without folders is allowed"
        )
    return folder / name


def write_text(path: Path, text: str) -> None:
    """Write or replace a text file in UTF-8, whole or not at all.

    Raises:
        InputError: the file cannot be written.
    """
    with replacing(path, overwrite=True) as temp:
        temp.write_text(text, encoding="utf-8")


def _new_file(path: Path) -> Path:
    """Create an empty file beside a path, with the permissions of any new file (those of `tempfile` are stricter)."""
    temp = path.with_name(f".{path.stem[:40]}.{secrets.token_hex(8)}{path.suffix}")
    os.close(os.open(temp, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    return temp
