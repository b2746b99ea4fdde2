"""Name and write the label files of `--labels`."""

from __future__ import annotations

import os
from pathlib import Path

from vampcli.audio.markers import LABEL_SUFFIXES, labels_text
from vampcli.cli.jobs.excerpt import inside
from vampcli.cli.jobs.job import Job, Opened
from vampcli.cli.jobs.outputs import make_folder, names_folder
from vampcli.cli.options import Common
from vampcli.errors import UsageError
from vampcli.files import write_text


def labels_path(job: Job, common: Common) -> Path:
    """Name the label file of a recording; in a folder, after its first take.

    Raises:
        UsageError: the suffix is none of labels, or one file is named for several recordings.
    """
    path = Path(os.path.expanduser(common.labels or ""))
    if names_folder(os.path.expanduser(common.labels or "")):
        return path / job.naming.below / job.naming.in_folder(job.paths[0]).with_suffix(LABEL_SUFFIXES[0])
    if job.naming.several:
        raise UsageError(f"--labels {path} names one file, but there may be several", "name a folder: --labels labels/")
    if path.suffix.lower() not in LABEL_SUFFIXES:
        raise UsageError(f"--labels {path} is no name of labels", "name a .txt file (Audacity) or a .csv file (REAPER)")
    return path


def write_labels(opened: Opened, common: Common) -> str:
    """Write the generated spans of the takes of a recording, which are the same in all of them; return a note."""
    plan = opened.plan
    if not plan.calls:
        return f"{opened.job.title}: nothing is generated, so there are no labels"
    spans = plan.spans
    if common.only_generated:
        spans = ((0, sum(end - start for start, end in spans)),)
    elif opened.excerpt:
        spans = inside(spans, opened.excerpt)
    path, rate = labels_path(opened.job, common), opened.clip.sample_rate
    text = labels_text([(a / rate, b / rate) for a, b in spans], f"vamp {opened.request.command}", path.suffix)
    make_folder(path)
    write_text(path, text, common.overwrite)
    return f"{path}: labels of the generated spans"
