"""Files that are written whole or not at all."""

from __future__ import annotations

import os
import tempfile
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
        descriptor, temp = tempfile.mkstemp(prefix=f".{path.stem[:40]}.", suffix=path.suffix, dir=path.parent)
        os.close(descriptor)
        os.chmod(temp, 0o666 & ~_umask())
        yield Path(temp)
        os.replace(temp, path)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error}", "is the disk full, the folder there and writable?") from error
    finally:
        if temp is not None and os.path.exists(temp):
            os.unlink(temp)


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current
