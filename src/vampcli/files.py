"""Files that are written whole or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vampcli.errors import InputError


@contextmanager
def replacing(path: Path, overwrite: bool = False) -> Iterator[Path]:
    """Give a file beside `path` to write to; it takes that name when all went well, else nothing is left of it.

    Args:
        path: the output.
        overwrite: replace a file that exists.

    Raises:
        InputError: the file exists, or the folder is not there, not writable or full.
    """
    if path.exists() and not overwrite:
        raise InputError(f"{path} exists", "replace it with overwrite, or name another file")
    temp = None
    try:
        temp = _new_file(path)
        yield temp
        os.replace(temp, path)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error}", "is the disk full, the folder there and writable?") from error
    finally:
        if temp is not None and temp.exists():
            temp.unlink()


def _new_file(path: Path) -> Path:
    """An empty file beside a path, with the rights that any new file gets (as those of `tempfile` do not)."""
    temp = path.with_name(f".{path.stem[:40]}.{secrets.token_hex(8)}{path.suffix}")
    os.close(os.open(temp, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    return temp
