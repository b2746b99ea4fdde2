"""The report of a dry run."""

from __future__ import annotations

from vampcli.cli.jobs.job import Opened, Results, Written
from vampcli.cli.jobs.places import plan_words, planned_sources, source_facts


def preview(opened: Opened, keep: int | None) -> Results:
    """Yield the results that a job would have, and notes on them.

    Args:
        opened: the job.
        keep: number of the best takes that would be kept; None = all.
    """
    job = opened.job
    if keep is None:
        for path, seed in zip(job.paths, job.seeds, strict=True):
            sources = [source_facts(one, opened.clip.sample_rate) for one in planned_sources(opened, seed)]
            yield Written(path, seed, {"dry_run": True, **({"sources": sources} if sources else {})})
    n, best = len(job.seeds), f", the best {keep} kept" if keep else ""
    model = f" with {job.model.name}" if opened.plan.calls else ""
    yield f"would make {opened.summary}{model}: {n} take{'s' * (n != 1)}{best}"
    yield from filter(None, (opened.note, plan_words(opened)))
