"""A plain address, fetched whole or not at all, and what can go wrong on a network."""

from __future__ import annotations

import errno
import hashlib
import http
import http.client
import logging
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vampcli.errors import InputError, ModelError, VampError

log = logging.getLogger(__name__)

TRIES = 5
PAUSE_S = 1.0
TIMEOUT_S = 30
BLOCK = 2**20
_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO, errno.EFBIG}
_AGAIN = "is there a network? Run it again: what is complete is not fetched twice"
_ROOM = "make room, or let HF_HOME and VAMP_HOME name another disk"

Progress = Callable[[int, int], None]


class Unreachable(ModelError):
    """No answer, or none to the end: what is here already can make up for it."""


@dataclass(frozen=True)
class Download:
    """A published file on this disk.

    Attributes:
        path: of the file.
        url: where it came from.
        revision: commit of its repository; empty for a plain address.
        etag: what the server calls this content; empty if it did not say.
        n_bytes: of it.
        sha256: of it.
    """

    path: Path
    url: str
    revision: str
    etag: str
    n_bytes: int
    sha256: str


def fetch(url: str, folder: Path, offline: bool = False, progress: Progress | None = None) -> Download:
    """Fetch an address into a folder, going on where an earlier try was cut; nothing if it is there already.

    Args:
        url: of the file.
        folder: made if need be.
        offline: take what is there, and open no socket.
        progress: told the bytes so far and in all.

    Raises:
        ModelError: no network, no such file, no access.
        InputError: the disk is full or not writable.
    """
    target = folder / "-".join(url.split("/")[-2:])
    etag_file = _beside(target, "etag")
    if not target.is_file():
        if offline:
            refuse_network(target.name, folder)
        with explaining(url):
            folder.mkdir(parents=True, exist_ok=True)
            _download_alone(url, target, etag_file, progress)
    with explaining(url):
        return Download(target, url, "", _text(etag_file), target.stat().st_size, sha256(target))


def discard(download: Download) -> None:
    """Remove what was fetched."""
    for path in (download.path, _beside(download.path, "etag"), _beside(download.path, "lock")):
        path.unlink(missing_ok=True)


def etag(url: str) -> str:
    """Ask what the server calls the content of an address now.

    Raises:
        ModelError: see `fetch`.
    """
    with (
        explaining(url),
        urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=TIMEOUT_S) as response,
    ):
        return str(response.headers.get("ETag", ""))


def sha256(path: Path) -> str:
    """SHA-256 of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()


def make_room(folder: Path, n_bytes: int) -> None:
    """Refuse to begin what the disk cannot hold.

    Raises:
        InputError: fewer bytes are free where the folder is or will be.
    """
    there = next(place for place in (folder, *folder.absolute().parents) if place.is_dir())
    free = shutil.disk_usage(there).free
    if n_bytes > free:
        raise InputError(f"{n_bytes / 1e9:.2f} GB to fetch, but {free / 1e9:.2f} GB free in {there}", _ROOM)


def refuse_network(file: str, place: object) -> None:
    """Say that a file is not here.

    Raises:
        ModelError: always.
    """
    raise ModelError(f"{file} is not in {place}, and offline means no network", "pull it once with a network")


@contextmanager
def explaining(url: str) -> Iterator[None]:
    """Say what goes wrong with an address, in our own errors.

    Raises:
        Unreachable: no network, or the connection broke.
        ModelError: no such file, no access, or the server is in trouble.
        InputError: the disk is full or not writable.
    """
    try:
        yield
    except VampError:
        raise
    except Exception as error:  # the Hugging Face library throws what its HTTP library of the day throws
        raise _explained(error, url) from error


def _explained(error: Exception, url: str) -> VampError:
    _, _, host, *path = url.split("/")
    file = path[-1]
    status = getattr(getattr(error, "response", None), "status_code", getattr(error, "code", None))
    if status == http.HTTPStatus.NOT_FOUND:
        return ModelError(f"not found: {url}", "`vamp models list` shows the names there are")
    if status in (http.HTTPStatus.UNAUTHORIZED, http.HTTPStatus.FORBIDDEN):
        return ModelError(f"{host} refuses {file} ({status})", "is HF_TOKEN right? What is public needs none: unset it")
    if isinstance(status, int):
        return Unreachable(f"{host} answers {status} for {file}", "try again later")
    if isinstance(error, OSError) and error.errno in _DISK:
        return InputError(f"cannot write {file}: {error.strerror}", _ROOM)
    fact = f"{type(error).__name__}: {error}".partition("\n")[0]
    return Unreachable(f"cannot fetch {file} from {host} ({fact})", _AGAIN)


def _beside(target: Path, what: str) -> Path:
    return target.with_name(f"{target.name}.{what}")


def _download_alone(url: str, target: Path, etag_file: Path, progress: Progress | None) -> None:
    """Download, while others who want the same wait: two that write one file leave holes in it."""
    from huggingface_hub.utils import WeakFileLock  # type: ignore[attr-defined]

    with WeakFileLock(_beside(target, "lock")):
        if not target.is_file():
            partial = _beside(target, "part")
            _download(url, partial, etag_file, progress)
            partial.replace(target)


def _download(url: str, partial: Path, etag_file: Path, progress: Progress | None) -> None:
    """Write an address to a file, again and again from where it was cut."""
    failures = 0
    while failures < TRIES:
        had = partial.stat().st_size if partial.is_file() else 0
        known = _text(etag_file)
        resume = {"Range": f"bytes={had}-", "If-Range": known} if had and known else {}
        try:
            response = urllib.request.urlopen(urllib.request.Request(url, headers=resume), timeout=TIMEOUT_S)
        except urllib.error.HTTPError as error:
            error.close()
            if error.code != http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                raise
            partial.unlink(missing_ok=True)  # all of it is here, or more, and nobody knows of what
            failures += 1
            continue
        with response:
            start = had if response.status == http.HTTPStatus.PARTIAL_CONTENT else 0
            got, total = _write(response, partial, start, etag_file, progress)
        if got == total:
            return
        log.info("cut after %d of %d bytes; going on", got, total)
        failures = 0 if got > had else failures + 1
        time.sleep(PAUSE_S)
    raise ConnectionError("cut off again and again")


def _write(response: Any, partial: Path, start: int, etag_file: Path, progress: Progress | None) -> tuple[int, int]:
    """Add what comes to a file, from a given byte on; return the bytes there are and should be."""
    length = response.headers.get("Content-Length")
    if length is None:
        raise ConnectionError("it does not say how long the file is, so a cut would not show")
    total = start + int(length)
    make_room(partial.parent, total - start)
    if not start:
        partial.unlink(missing_ok=True)  # or a kill right now would leave it with the new one's tag
    etag_file.write_text(response.headers.get("ETag", ""), encoding="utf-8")
    with partial.open("ab" if start else "wb") as file:
        for block in _blocks(response):
            file.write(block)
            if progress:
                progress(file.tell(), total)
        return file.tell(), total


def _blocks(response: Any) -> Iterator[bytes]:
    """What comes before the connection breaks: what is missing shows by its size."""
    try:
        while block := response.read(BLOCK):
            yield block
    except (OSError, http.client.HTTPException) as error:
        log.info("%s", error)


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.is_file() else ""
