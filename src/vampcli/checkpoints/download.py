"""Fetch the files of a published model: from a Hugging Face repository into its cache, or from plain URLs.

huggingface_hub and pooch do the work; this module states what they fetched and turns their errors into ours.
"""

from __future__ import annotations

import errno
import hashlib
import http
import logging
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from vampcli.checkpoints.published import PublishedModel
from vampcli.errors import InputError, ModelError, VampError

TIMEOUT_S = 30
_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO, errno.EFBIG}
_ROOM = "make room, or let HF_HOME and VAMP_HOME name another disk"


@dataclass(frozen=True)
class Download:
    """A published file on this disk.

    Attributes:
        path: of the file.
        url: source.
        revision: commit of its repository; empty for a plain URL.
        etag: the server's name for this content; empty if unknown.
        n_bytes: size.
        sha256: hexadecimal.
    """

    path: Path
    url: str
    revision: str
    etag: str
    n_bytes: int
    sha256: str


def fetch(source: PublishedModel, folder: Path, offline: bool = False, bars: bool = False) -> dict[str, Download]:
    """Fetch the files of a published model, except those that are on this disk already.

    Args:
        source: the model.
        folder: for files with plain URLs; those of a repository go to Hugging Face's cache.
        offline: use the files on this disk and open no socket.
        bars: draw progress bars on stderr.

    Returns:
        By part.

    Raises:
        ModelError: no network, no such file, no access, or a file is damaged.
        InputError: the disk is full or not writable.
    """
    from huggingface_hub import constants

    offline = offline or bool(constants.HF_HUB_OFFLINE)
    if source.repo:
        return _fetch_from_repo(source, offline, bars)
    return {part: _fetch_url(url, folder, offline, bars) for part, url in source.files.items()}


def discard(source: PublishedModel, downloads: dict[str, Download]) -> None:
    """Remove files that came from plain URLs; Hugging Face's cache serves other programs, too, and stays."""
    for download in () if source.repo else downloads.values():
        download.path.unlink(missing_ok=True)


def sha256(path: Path) -> str:
    """SHA-256 of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(2**20):
            digest.update(block)
    return digest.hexdigest()


def _fetch_from_repo(source: PublishedModel, offline: bool, bars: bool) -> dict[str, Download]:
    from huggingface_hub import constants, hf_hub_download, hf_hub_url
    from huggingface_hub.utils.tqdm import disable_progress_bars

    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    if not bars:
        disable_progress_bars()
    n_missing = 0
    for path in source.files.values():
        with _explaining(hf_hub_url(source.repo, path), offline):
            info = hf_hub_download(source.repo, path, local_files_only=offline, dry_run=True)
        n_missing += (info.file_size or 0) if info.will_download else 0
    _check_room(Path(constants.HF_HUB_CACHE), n_missing)
    found = {}
    for part, path in source.files.items():
        with _explaining(hf_hub_url(source.repo, path), offline):
            file = Path(hf_hub_download(source.repo, path, local_files_only=offline))
            found[part] = _check_content(source.repo, path, file)
    return found


def _check_content(repo: str, path: str, file: Path) -> Download:
    """Compare a file of the cache, `snapshots/REVISION/path`, with its name in `blobs`: the SHA-256 of a large file."""
    from huggingface_hub import hf_hub_url

    digest = sha256(file)
    etag = file.readlink().name if file.is_symlink() else digest  # a system without links has no `blobs`
    if re.fullmatch(r"[0-9a-f]{64}", etag) and etag != digest:
        for damaged in (file.resolve(), file):
            damaged.unlink(missing_ok=True)
        fact = f"{path} of {repo} is damaged: its SHA-256 is {digest[:12]}…, not {etag[:12]}…"
        raise ModelError(fact, "pull again: the damaged file was removed")
    revision = file.parents[path.count("/")].name
    return Download(file, hf_hub_url(repo, path, revision=revision), revision, etag, file.stat().st_size, digest)


def _fetch_url(url: str, folder: Path, offline: bool, bars: bool) -> Download:
    import pooch

    pooch.get_logger().setLevel(logging.ERROR)
    target, etag = folder / "-".join(url.split("/")[-2:]), ""
    with _explaining(url):
        if not target.is_file():
            if offline:
                raise _not_here(target.name, folder)
            etag, n_bytes = _head(url)
            _check_room(folder, n_bytes)
            downloader = pooch.HTTPDownloader(progressbar=bars, timeout=TIMEOUT_S)
            pooch.retrieve(url, None, target.name, folder, downloader=downloader)
        return Download(target, url, "", etag, target.stat().st_size, sha256(target))


def _head(url: str) -> tuple[str, int]:
    """ETag and size of the content of a URL; empty and 0 if the server does not state them."""
    import requests

    response = requests.head(url, allow_redirects=True, timeout=TIMEOUT_S)
    response.raise_for_status()
    return response.headers.get("ETag", ""), int(response.headers.get("Content-Length", 0))


def _check_room(folder: Path, n_bytes: int) -> None:
    there = next(parent for parent in (folder, *folder.absolute().parents) if parent.is_dir())
    free = shutil.disk_usage(there).free
    if n_bytes > free:
        raise InputError(f"{n_bytes / 1e9:.2f} GB to fetch, but {free / 1e9:.2f} GB free in {there}", _ROOM)


def _not_here(file: str, folder: object) -> ModelError:
    return ModelError(f"{file} is not in {folder}, and offline means no network", "pull it once with a network")


@contextmanager
def _explaining(url: str, offline: bool = False) -> Iterator[None]:
    """Turn the errors of both libraries into ours.

    Raises:
        ModelError: no network, no such file, no access, or trouble on the server.
        InputError: the disk is full or not writable.
    """
    try:
        yield
    except VampError:
        raise
    except Exception as error:  # the Hugging Face library raises the errors of its HTTP library, httpx or another
        raise _explain(error, url, offline) from error


def _explain(error: Exception, url: str, offline: bool) -> VampError:
    from huggingface_hub import constants
    from huggingface_hub.errors import LocalEntryNotFoundError

    _, _, host, *path = url.split("/")
    file = path[-1]
    if isinstance(error, LocalEntryNotFoundError):
        if offline:
            return _not_here(url.partition("/resolve/")[2].partition("/")[2], constants.HF_HUB_CACHE)
        error = error.__cause__ if isinstance(error.__cause__, Exception) else error
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status == http.HTTPStatus.NOT_FOUND:
        return ModelError(f"not found: {url}", "`vamp models list` shows the names there are")
    if status in (http.HTTPStatus.UNAUTHORIZED, http.HTTPStatus.FORBIDDEN):
        return ModelError(f"{host} refuses {file} ({status})", "is HF_TOKEN right? Public models need none: unset it")
    if isinstance(status, int):
        return ModelError(f"{host} answers {status} for {file}", "try again later")
    if isinstance(error, OSError) and error.errno in _DISK:
        return InputError(f"cannot write {file}: {error.strerror}", _ROOM)
    fact = f"{type(error).__name__}: {error}".partition("\n")[0]
    hint = "is there a network? Run it again: complete files are not fetched twice"
    return ModelError(f"cannot fetch {file} from {host} ({fact})", hint)
