"""The report of a dry run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vampcli.cli.jobs.estimate import estimate_seconds, spans_in_words, time_in_words
from vampcli.cli.jobs.job import Opened, Results, Written
from vampcli.cli.jobs.places import plan_words, planned_sources, source_facts
from vampcli.cli.options import Common

if TYPE_CHECKING:
    from vampcli.checkpoints.folder import ModelMetadata


def preview(opened: Opened, common: Common, metadata: ModelMetadata) -> Results:
    """Yield the results that a job would have, and notes on them.

    Args:
        opened: the job.
        common: options, such as the number of takes.
        metadata: of the model.
    """
    keep = common.keep
    job = opened.job
    if keep is None:
        for path, seed in zip(job.paths, job.seeds, strict=True):
            sources = [source_facts(one, opened.clip.sample_rate) for one in planned_sources(opened, seed)]
            yield Written(path, seed, {"dry_run": True, **({"sources": sources} if sources else {})})
    n, best = len(job.seeds), f", the best {keep} kept" if keep else ""
    would = f"would make {opened.summary}"
    time = ""
    if opened.plan.calls:
        passes = opened.request.passes(opened.recording, opened.plan, metadata.codec, metadata.coarse, job.seeds[0])
        time = time_in_words(estimate_seconds(metadata, common, opened, passes, n))
        if "spans_s" in opened.facts and not opened.excerpt:  # a preview names other spans too
            would = f"would re-make {spans_in_words(opened)}"
        would += f" with {job.model.name}"
    yield ", ".join(filter(None, (f"{would}: {n} take{'s' * (n != 1)}{best}", time)))
    yield from filter(None, (opened.note, plan_words(opened)))
