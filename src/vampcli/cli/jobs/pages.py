"""Name, fill and write the pages of `--page`, and the index of several."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from vampcli.cli.jobs.job import Job, Opened
from vampcli.cli.jobs.outputs import check_outputs, make_folder, names_folder
from vampcli.cli.jobs.pipes import PIPE
from vampcli.cli.options import Common
from vampcli.errors import UsageError
from vampcli.files import write_text

if TYPE_CHECKING:
    from vampcli.api import Take
    from vampcli.page.tracks import Encoder, Track
    from vampcli.scoring.scores import Scores

INDEX = "index.html"
SUFFIXES = (".html", ".htm")


def page_path(job: Job, common: Common) -> Path:
    """Name the page of a recording; in a folder, after its first take.

    Raises:
        UsageError: the suffix is none of a page, or one page is named for several recordings.
    """
    page = os.path.expanduser(common.page or "")
    if names_folder(page):
        return Path(page) / job.naming.below / job.naming.in_folder(job.paths[0]).with_suffix(SUFFIXES[0])
    if job.naming.several:
        raise UsageError(f"--page {page} names one page, but there may be several", "name a folder: --page pages/")
    check_suffix(Path(page), "--page")
    return Path(page)


def check_suffix(path: Path, option: str) -> None:
    """Raise UsageError if a path does not end as a page does."""
    if path.suffix.lower() not in SUFFIXES:
        raise UsageError(f"{option} {path} is no name of a page", f"name a {SUFFIXES[0]} file, or a folder: pages/")


def check_index(jobs: Sequence[Job], common: Common) -> None:
    """Check that the index of the pages can be written, if there will be one.

    Raises:
        UsageError: a page has its name.
        InputError: it exists already, or its folder is not writable.
    """
    if not (common.page and jobs[0].naming.several and jobs[0].paths):
        return
    index = Path(os.path.expanduser(common.page), INDEX)
    for job in jobs:
        if page_path(job, common) == index:
            raise UsageError(f"the page of {job.name} and the index would both become {index}", "change --name")
    check_outputs([index], jobs[0].source, common.overwrite)


def write_index(jobs: Sequence[Job], common: Common) -> Path:
    """Write the index of the pages of jobs, in the folder of `--page`."""
    from vampcli.page.render import PageLink, index_html

    index = Path(os.path.expanduser(common.page or ""), INDEX)
    links = []
    for job in jobs:
        n = common.keep or len(job.seeds)
        summary = f"{n} take{'s' * (n != 1)}"
        links.append(
            PageLink(_relative(page_path(job, common), index.parent), str(job.naming.below / job.title), summary)
        )
    make_folder(index)
    write_text(index, index_html(f"vamp {jobs[0].naming.command}", links, _typed_command()), common.overwrite)
    return index


def _relative(path: Path, folder: Path) -> bytes:
    return os.fsencode(Path(os.path.relpath(path, folder)).as_posix())


def _typed_command() -> str:
    return shlex.join(["vamp", *sys.argv[1:]])


class TakePage:
    """The page of a job. Takes are encoded one by one, so that none of them is kept in memory."""

    def __init__(self, opened: Opened, common: Common) -> None:
        self.opened, self.common = opened, common
        self.title = "sound from a pipe" if opened.job.name == PIPE else opened.job.title
        self.path = page_path(opened.job, common)
        self._encoder: Encoder | None = None
        self._base: Track | None = None
        self._takes: list[Track] = []

    def add(self, path: Path, take: Take, scores: Scores | None) -> None:
        """Encode a take.

        Args:
            path: its file.
            take: as it was made.
            scores: of it, if they were measured.
        """
        from vampcli.page.tracks import Encoder, Version

        common, job = self.common, self.opened.job
        take = take.fitted(path, common.subtype, common.clip_mode)
        subtype = common.subtype or take.audio.subtype
        if self._encoder is None:
            self._encoder = Encoder(replace(take.base, subtype=subtype), common.page_audio)
            self._base = self._encoder.encode_base(self.title)
        version = Version(
            path.name,
            take.spans,
            {name.replace("_", " "): x for name, x in asdict(scores).items() if x not in (None, "")} if scores else {},
            take.recipe if common.metadata else None,
            "" if job.naming.piped else shlex.join(["vamp", "replay", str(path)]),
        )
        self._takes.append(self._encoder.encode(version, replace(take.audio, subtype=subtype)))

    def write(self) -> str:
        """Write the page, and return a note about it; empty if there is no take."""
        from vampcli.page.render import Page

        if self._encoder is None or self._base is None:
            return ""
        job, n = self.opened.job, len(self._takes)
        takes = f"{n} take{'s' * (n != 1)}"
        summary = f"{takes} of vamp {self.opened.request.command}, model {job.model.name}"
        page = Page(self.title, self._encoder, self._base, self._takes, summary, self._command())
        make_folder(self.path)
        write_text(self.path, page.html(), self.common.overwrite)
        return f"{self.path}: a page to compare {takes} with the original"

    def _command(self) -> str:
        """Return the command line of this run, with the seed that was drawn."""
        job, is_replay = self.opened.job, self.opened.job.naming.command == "replay"
        seed = "" if is_replay or self.common.seed is not None else f" --seed {job.seeds[0]}"
        return _typed_command() + seed
