"""Atomic writes, claims on outputs, bounded reads, and names of files that were read from files."""

from __future__ import annotations

import glob
import hashlib
import os
import secrets
import stat
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from vampcli.errors import InputError

LOCK = ".vamp.lock"
"""A file in folders whose list of files several processes may change; it stays there."""

_CLAIM = ".claim"
_LEFT_OVER_S = 3600
_WAITS_FOR_NOTHING = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_BINARY", 0)


def exists(path: Path) -> bool:
    """Return whether a path is taken: by a file that is not empty, or by something else than a file."""
    return path.exists() and not (path.is_file() and path.stat().st_size == 0)


@contextmanager
def open_regular(path: str | Path, cure: str = "name another file") -> Iterator[BinaryIO]:
    """Open a regular file to read; devices, pipes and folders, which may have no end or no content, are refused.

    Raises:
        InputError: it is missing, unreadable, or no regular file; or reading fails.
    """
    try:
        with open(path, "rb", opener=lambda name, flags: os.open(name, flags | _WAITS_FOR_NOTHING)) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise InputError(f"cannot read {path}: it is a device or a pipe", cure)
            yield file
    except FileNotFoundError as error:
        raise InputError(f"no such file: {path}", "check the name and the folder") from error
    except IsADirectoryError as error:
        raise InputError(f"cannot read {path}: it is a folder", cure) from error
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}", cure) from error
    except ValueError as error:  # a name that no file can have: half a character, or a zero byte
        raise InputError(f"cannot read {str(path)!r}: {error}", cure) from error


def read_bounded(path: str | Path, limit: int, cure: str = "name another file") -> bytes:
    """Read a whole regular file.

    Args:
        path: of the file.
        limit: bytes that it may have.
        cure: hint of the errors.

    Raises:
        InputError: it is missing, unreadable, no regular file, or larger.
    """
    with open_regular(path, cure) as file:
        content = file.read(limit + 1)
        if len(content) > limit:
            n_bytes = max(len(content), os.fstat(file.fileno()).st_size)
            raise InputError(f"{path} has {n_bytes} bytes, more than the {limit} that are read", cure)
        return content


@contextmanager
def replacing(path: Path, overwrite: bool = False, parents: bool = False) -> Iterator[Path]:
    """Yield a temporary file beside `path`, which becomes `path` on success and is removed on any error.

    Args:
        path: the output. The target of a symbolic link is written, and the link stays. An empty file counts as missing.
        overwrite: replace a file that exists. Otherwise a file that appears meanwhile is not replaced either.
        parents: make missing folders.

    Raises:
        InputError: the file exists, or the folder is missing, not writable or full.
    """
    temp = None
    try:
        if not overwrite and exists(path):
            raise _existing(path)
        if parents:
            path.parent.mkdir(parents=True, exist_ok=True)
        target = Path(os.path.realpath(path)) if path.is_symlink() else path
        temp = _new_file(target)
        yield temp
        if overwrite:
            os.replace(temp, target)
        else:
            _publish(temp, target, path)
    except OSError as error:
        raise InputError(
            f"cannot write {path}: {error}", "is the disk full, the folder missing or not writable?"
        ) from error
    finally:
        if temp is not None:
            temp.unlink(missing_ok=True)


def _existing(path: Path) -> InputError:
    return InputError(f"{path} exists", "replace it with overwrite, or name another file")


def _publish(temp: Path, target: Path, path: Path) -> None:
    """Give a file its name; InputError if another one has it."""
    if target.exists() and not exists(target):
        target.unlink()
    try:
        try:
            os.link(temp, target)
        except (FileExistsError, FileNotFoundError):
            raise
        except OSError:  # the file system has no hard links
            os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
            os.replace(temp, target)
    except FileExistsError as error:
        raise _existing(path) from error


def _new_file(path: Path) -> Path:
    """Create an empty file beside a path, with the permissions of any new file (those of `tempfile` are stricter)."""
    temp = path.with_name(f"{_prefix(path)}{secrets.token_hex(8)}{path.suffix}")
    os.close(os.open(temp, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    return temp


def _prefix(path: Path) -> str:
    """Return the beginning of the names of a path's temporary files."""
    return f".vamp-{hashlib.sha256(os.fsencode(path.name)).hexdigest()[:12]}-"


@contextmanager
def claim(path: Path, beside: Sequence[Path] = ()) -> Iterator[bool]:
    """Hold the right to make an output, so that processes which would make the same one share the work.

    The claim is a lock on a hidden file beside the output. The system releases it when its process ends, however that
    happens; temporary files of a killed process are removed by the next claim.

    Args:
        path: the output; its folder is made if it is missing, and removed again if nothing is written.
        beside: files that are written with it, whose temporary files are removed, too.

    Yields:
        False if another process holds the claim, or another claim of this process.

    Raises:
        InputError: the folder cannot be made or written.
    """
    from filelock import FileLock, Timeout

    path = Path(os.path.realpath(path))
    made = [folder for folder in path.parents if not folder.exists()]
    lock = FileLock(path.with_name(f"{_prefix(path)[:-1]}{_CLAIM}"))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        was_left = os.path.exists(lock.lock_file)
        lock.acquire(timeout=0)
    except Timeout:
        yield False
        return
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror or error}", "name another folder with -o") from error
    try:
        if was_left:
            for one in (path, *beside):
                for temp in one.parent.glob(f"{glob.escape(_prefix(one))}*"):
                    temp.unlink(missing_ok=True)
        yield True
    finally:
        with suppress(OSError):  # Windows removes no open file
            os.unlink(lock.lock_file)
        lock.release()
        with suppress(OSError):  # something is in it
            for folder in made:
                folder.rmdir()


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the right to change the list of a folder's files; other processes wait.

    Raises:
        InputError: the folder is not writable.
    """
    from filelock import FileLock

    lock = FileLock(folder / LOCK)
    try:
        lock.acquire()
    except OSError as error:
        raise InputError(f"cannot write to {folder}: {error.strerror or error}", "is it writable?") from error
    try:
        yield
    finally:
        lock.release()


def remove_left_over(folder: Path) -> None:
    """Remove temporary files of killed processes from a folder: those that nobody has written to for an hour."""
    for temp in folder.glob(".vamp-*-*"):
        if time.time() - temp.stat().st_mtime > _LEFT_OVER_S:
            temp.unlink(missing_ok=True)


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


def write_text(path: Path, text: str, overwrite: bool = True) -> None:
    """Write or replace a text file in UTF-8, whole or not at all.

    Raises:
        InputError: the file cannot be written.
    """
    with replacing(path, overwrite) as temp:
        temp.write_text(text, encoding="utf-8")
