"""The files of a published model, fetched: from a Hugging Face repository into its cache, or from plain addresses."""

from __future__ import annotations

import logging
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING

from vampcli.checkpoints import web
from vampcli.checkpoints.published import PublishedModel
from vampcli.checkpoints.web import Download, Progress
from vampcli.errors import ModelError

if TYPE_CHECKING:
    from huggingface_hub import HfFileMetadata

log = logging.getLogger(__name__)

TRIES = 3
"""Newer versions of the library go on by themselves after a cut, older ones when they are called again."""


def fetch(
    source: PublishedModel, folder: Path, offline: bool = False, progress: Progress | None = None
) -> dict[str, Download]:
    """Fetch the files of a published model; what is here already is not fetched again.

    Args:
        source: the model.
        folder: for files with plain addresses; those of a repository go to Hugging Face's own cache.
        offline: take what is here, and open no socket.
        progress: told the bytes of a plain file. Hugging Face draws its own bars, and none where this is None.

    Returns:
        By part.

    Raises:
        ModelError: no network, no such file, no access, or a file is damaged.
        InputError: the disk is full or not writable.
    """
    offline = offline or wants_offline()
    if not source.repo:
        return {part: web.fetch(url, folder, offline, progress) for part, url in source.files.items()}
    told = {} if offline else _told(source)
    return {part: _got(source.repo, path, told.get(part), progress is not None) for part, path in source.files.items()}


def discard(source: PublishedModel, downloads: dict[str, Download]) -> None:
    """Remove what was fetched from plain addresses; Hugging Face's cache is everybody's and stays."""
    for download in () if source.repo else downloads.values():
        web.discard(download)


def etags(source: PublishedModel) -> dict[str, str]:
    """Ask what the servers call the contents of a model's files now.

    Returns:
        By path or address.

    Raises:
        ModelError: see `fetch`.
    """
    if source.repo:
        return {path: _ask(source.repo, path).etag or "" for path in source.files.values()}
    return {url: web.etag(url) for url in source.files.values()}


def wants_offline() -> bool:
    """Whether `HF_HUB_OFFLINE` forbids the network."""
    from huggingface_hub import constants

    return bool(constants.HF_HUB_OFFLINE)


def _told(source: PublishedModel) -> dict[str, HfFileMetadata]:
    """What the hub says of each file; nothing if it cannot be reached and all are in the cache."""
    from huggingface_hub import constants

    try:
        told = {part: _ask(source.repo, path) for part, path in source.files.items()}
    except web.Unreachable:
        if not all(_cached(source.repo, path) for path in source.files.values()):
            raise
        log.warning("%s is out of reach: %s comes from the cache", constants.ENDPOINT, source.name)
        return {}
    missing = [t.size or 0 for part, t in told.items() if not _cached(source.repo, source.files[part], t.commit_hash)]
    web.make_room(Path(constants.HF_HUB_CACHE), sum(missing))
    return told


def _got(repo: str, path: str, told: HfFileMetadata | None, bars: bool) -> Download:
    """One file of a repository; from the cache if nothing was told."""
    from huggingface_hub import constants, hf_hub_url

    file = _downloaded(repo, path, bars) if told else _cached(repo, path)
    if file is None:
        web.refuse_network(f"{path} of {repo}", constants.HF_HUB_CACHE)
        raise AssertionError
    revision = file.parents[len(Path(path).parts) - 1].name
    url = hf_hub_url(repo, path, revision=revision)
    with web.explaining(url):
        digest, n_bytes = web.sha256(file), file.stat().st_size
    etag = told.etag or "" if told else file.resolve().name
    if re.fullmatch(r"[0-9a-f]{64}", etag) and etag != digest:  # what large files are called there
        for damaged in (file.resolve(), file):
            damaged.unlink(missing_ok=True)
        fact = f"{path} of {repo} is damaged: its SHA-256 is {digest[:12]}…, not {etag[:12]}…"
        raise ModelError(fact, "pull again: it was removed, and comes afresh")
    return Download(file, url, revision, etag, n_bytes, digest)


def _downloaded(repo: str, path: str, bars: bool) -> Path:
    from huggingface_hub import hf_hub_download, hf_hub_url
    from huggingface_hub.utils.tqdm import disable_progress_bars

    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    if not bars:
        disable_progress_bars()
    for left in reversed(range(TRIES)):
        try:
            with web.explaining(hf_hub_url(repo, path)):
                return Path(hf_hub_download(repo, path))
        except web.Unreachable as error:
            if not left:
                raise
            log.info("%s", error.message)
            time.sleep(web.PAUSE_S)
    raise AssertionError


def _ask(repo: str, path: str) -> HfFileMetadata:
    from huggingface_hub import get_hf_file_metadata, hf_hub_url

    url = hf_hub_url(repo, path)
    with web.explaining(url):
        return get_hf_file_metadata(url)


def _cached(repo: str, path: str, revision: str | None = None) -> Path | None:
    """Looked up on the disk alone."""
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(repo, path, revision=revision)
    return Path(found) if isinstance(found, str) else None
