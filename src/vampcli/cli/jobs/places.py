"""Similar places of a recording, in words, as facts, and as the table of `--places`."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vampcli.cli.jobs.job import Facts, Job, Load, Opened, Preview, Results, Written
from vampcli.cli.jobs.outputs import Naming
from vampcli.config import Source
from vampcli.errors import InputError
from vampcli.progress import Progress

if TYPE_CHECKING:
    from vampcli.api import Take
    from vampcli.checkpoints.folder import ModelMetadata

_N_LISTED = 3


def clock(seconds: float) -> str:
    """Return a time as minutes and seconds: `1:23.40`."""
    minutes, rest = divmod(round(100 * seconds), 6000)
    return f"{minutes}:{rest // 100:02}.{rest % 100:02}"


def source_facts(source: Source, rate: int) -> Facts:
    """Return a source in seconds and decibels, for `--json`."""
    place = source.place
    return {
        "start_s": source.start / rate,
        "end_s": source.end / rate,
        "place_s": (source.start + place.lag) / rate,
        "score": round(place.score, 4),
        "trust": round(place.trust, 4),
        "gain_db": round(10 * math.log10(place.gains[0] * place.gains[1]), 2),
        "file": place.file,
    }


def source_words(sources: Sequence[Source], rate: int) -> str:
    """Return the first sources in words: `4.00-6.00 s from 1:23.40 (score 0.81)`."""
    words = []
    for source in sources[:_N_LISTED]:
        place = source.place
        origin = f"{Path(place.file).name} at " if place.file else ""
        where = f"from {origin}{clock((source.start + place.lag) / rate)} (score {place.score:.2f})"
        if place.is_loop:
            where = "from the loop itself"
        words.append(f"{source.start / rate:.2f}-{source.end / rate:.2f} s {where}")
    return ", ".join(words) + _more(len(sources))


def describe_sources(take: Take, searched: bool) -> tuple[Facts, str]:
    """Return facts and a note about the places that a take was made from.

    Args:
        take: of a task with a memory.
        searched: the memory is on.
    """
    from vampcli.tasks.sources import LEAST_RECORDING_S

    rate = take.audio.sample_rate
    facts = {"sources": [source_facts(source, rate) for source in take.sources]}
    notes = [source_words(take.sources, rate)] if take.sources else []
    made_from = [source.start for source in take.sources]
    alone = [(a, b) for a, b in take.spans if not any(a <= start < b for start in made_from)]
    added = sum(b - a for a, b in take.spans) if take.recipe and take.recipe.command == "outpaint" else 0
    if alone and searched and take.audio.n_samples - added >= LEAST_RECORDING_S * rate:
        spans = ", ".join(f"{a / rate:.2f}-{b / rate:.2f} s" for a, b in alone[:_N_LISTED])
        notes.append(f"{spans}{_more(len(alone))}: no similar place, made by the model alone")
    return facts, "; ".join(notes)


def planned_sources(opened: Opened, seed: int) -> list[Source]:
    """Return the places that a take of this seed will be made from."""
    return [stretch.source(seed) for stretch in opened.plan.stretches]


def plan_words(opened: Opened) -> str:
    """Return the places of a plan for the first take in words; empty if there are none."""
    return source_words(planned_sources(opened, opened.job.seeds[0]), opened.clip.sample_rate)


def _more(n: int) -> str:
    return f" and {n - _N_LISTED} more" if n > _N_LISTED else ""


@dataclass(frozen=True)
class PlacesWorkflow(Preview):
    """From a recording to a table of the places for its spans; no model is loaded."""

    def list_paths(self, naming: Naming, seeds: list[int]) -> list[Path]:
        """See `Workflow.list_paths`: there are no files."""
        return []

    def open(self, job: Job, metadata: ModelMetadata) -> Opened:
        """See `Workflow.open`."""
        return replace(self.other.open(job, metadata), summary="")

    def make(self, load: Load, opened: Opened, progress: Progress) -> Results:
        """See `Workflow.make`: the table goes to stdout."""
        facts = {"places": list(_listed(opened))}
        rows = [f"{opened.job.name}: {'no similar place' if not facts['places'] else 'similar places'}"]
        for one in facts["places"]:
            rows.append(f"  {one['start_s']:.2f}-{one['end_s']:.2f} s")
            for i, place in enumerate(one["candidates"], 1):
                bar = f"  bar {place['bar']}" if place["bar"] else ""
                file = f"  {place['file']}" if place["file"] else ""
                figures = f"score {place['score']:.2f}  trust {place['trust']:.2f}  gain {place['gain_db']:+.1f} dB"
                rows.append(f"    {i:2}  {clock(place['place_s']):>8}  {figures}{bar}{file}")
        yield Written(None, opened.job.seeds[0], facts, "\n".join(rows))


def _listed(opened: Opened) -> Iterator[dict[str, Any]]:
    rate = opened.clip.sample_rate
    for stretch in opened.plan.stretches:
        candidates = [source_facts(Source(stretch.start, stretch.end, place), rate) for place in stretch.places]
        for place in candidates:
            place["bar"] = None if place["file"] else _bar(opened, place["place_s"])
        yield {"start_s": stretch.start / rate, "end_s": stretch.end / rate, "candidates": candidates}


def _bar(opened: Opened, time_s: float) -> int | None:
    """Return the bar that a time lies in, counted from 1; None if the tempo is unknown."""
    tempo = getattr(getattr(opened.request, "at", None), "tempo", None)
    try:
        pulse = opened.recording.known_pulse(tempo) if tempo else None
    except InputError:
        return None
    if pulse is None:
        return None
    first_s = pulse.beats_s[pulse.first_downbeat]
    bars = sum(first_s - 0.01 <= downbeat <= time_s + 0.01 for downbeat in pulse.downbeats_s)
    return bars or None
