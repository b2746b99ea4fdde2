"""Find places of a recording for the stretches of a plan."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from vampcli.config import MOST_PLACES, MemoryConfig, Place, Source
from vampcli.errors import InputError
from vampcli.memory.path import PathFinder
from vampcli.memory.search import (
    APART,
    Library,
    exact_lag,
    find_places,
    level_ratio,
    peaks,
    place_at,
    rank,
    score_lags,
    trust_of,
)
from vampcli.tasks.plan import Plan, Stretch
from vampcli.tasks.recording import Recording

log = logging.getLogger(__name__)

LEAST_RECORDING_S = 10.0  # a shorter one holds hardly any place that could match
_SIMILAR = 0.15  # places whose rank is so far below the best are left out,
_LEAST_PLACES, _USABLE = 3, 0.35  # but takes differ more if there are some, even if worse
_MOST_FRAMES = 1024  # of a stretch: it is decoded at once
_EXTENSION_S = 2.0  # of a stretch of an extension, at most
_LEAST_COPY = 0.35  # score of a place that may stand for a copy of a loop
_N_PATHS = 4  # of an extension: take i uses path i
_NAMED_TRUST = 0.9
_EXTENSION_TRUST = 0.9  # the models alone would make texture after some seconds


def for_spans(plan: Plan, recording: Recording, memory: MemoryConfig) -> Plan:
    """Return the plan with places for its spans, as far as there are similar ones.

    Args:
        plan: its canvas is the recording itself.
        recording: to search.
        memory: how far places are trusted.

    Raises:
        InputError: a place that was named does not fit.
    """

    def search() -> Iterator[Stretch]:
        clip = recording.clip
        if clip.duration_s < LEAST_RECORDING_S and memory.place is None and not memory.memory_from:
            return
        for span, hidden in zip(plan.spans, plan.hidden, strict=True):
            if memory.place is None:
                found = _search(recording, span, plan.spans, memory.memory_from)
            else:
                found = [_named_place(recording, span, plan.spans, memory.place)]
            if places := _trusted(found, memory):
                yield from cut_span(plan, span, span, -(-(hidden[1] - hidden[0]) // _MOST_FRAMES), places)

    return _with_stretches(plan, memory, search)


def for_extension(plan: Plan, recording: Recording, memory: MemoryConfig, before: int) -> Plan:
    """Return the plan of an extension with places for every piece of it, if the recording has similar ones.

    Args:
        plan: its canvas has `before` samples before the recording.
        recording: to search.
        memory: how far places are trusted.
        before: samples.
    """

    def search() -> Iterator[Stretch]:
        if recording.clip.duration_s >= LEAST_RECORDING_S:
            for span in plan.spans:
                n = -(-(span[1] - span[0]) // round(_EXTENSION_S * recording.clip.sample_rate))
                yield from _extension(recording, cut_span(plan, span, span, n), span[0] < before, memory)

    return _with_stretches(plan, memory, search)


def for_copies(plan: Plan, recording: Recording, memory: MemoryConfig, start: int, n: int) -> Plan:
    """Return the plan of varied copies of a loop, each from a place that sounds like the loop, or from the loop itself.

    Args:
        plan: its canvas is the loop, repeated; all copies but the first are hidden.
        recording: to search.
        memory: how far places are trusted.
        start: first sample of the loop in the recording.
        n: samples of the loop.
    """

    def search() -> Iterator[Stretch]:
        places = _similar_to(recording, start, n) or [Place(0, 1.0, 1.0, is_loop=True)]
        span, n_copies = plan.spans[0], plan.n_canvas_samples // n - 1
        n_pieces = -(-plan.n_hidden_frames // (n_copies * _MOST_FRAMES))
        for i, first in enumerate(range(n, plan.n_canvas_samples, n)):
            turned = places[i % len(places) :] + places[: i % len(places)]
            moved = tuple(replace(place, lag=place.lag + start - first) for place in turned)
            yield from cut_span(plan, span, (first, first + n), n_pieces, moved)

    return _with_stretches(plan, memory, search)


def _with_stretches(plan: Plan, memory: MemoryConfig, search: Callable[[], Iterable[Stretch]]) -> Plan:
    """Return a plan with the stretches of an earlier take, or else with those that a search yields."""
    if memory.memory == 0:
        return plan
    stretches = search() if memory.sources is None else _of_earlier(plan, memory.sources)
    return replace(plan, stretches=tuple(stretches), edit=memory.edit)


def _of_earlier(plan: Plan, sources: Sequence[Source]) -> Iterator[Stretch]:
    for source in sources:
        span = next(span for span in plan.spans if span[0] <= source.start < span[1])
        yield from cut_span(plan, span, (source.start, source.end), 1, (source.place,))


def _search(
    recording: Recording, span: tuple[int, int], unknown: Sequence[tuple[int, int]], files: Sequence[str]
) -> list[Place]:
    """Find places in the recording and in files, without unreadable ones and versions of the recording."""
    rate, features = recording.clip.sample_rate, recording.features
    own = Library(recording.clip.samples, features, unknown)
    found = find_places(own, rate, span)
    for file in files:
        try:
            other = recording.other(file)
            related = bool(recording.versions & other.versions)
        except InputError as error:
            log.warning("%s: no place is taken from it", error.message)
            continue
        if related:  # it may hold the sound that is to be replaced
            log.warning("%s is a version of the recording: no place is taken from it", file)
        else:
            samples = other.clip.samples
            found += find_places(own, rate, span, Library(samples, features.of(samples), file=file))
    return sorted(found, key=rank, reverse=True)


def _named_place(
    recording: Recording, span: tuple[int, int], spans: Sequence[tuple[int, int]], place_s: float
) -> Place:
    """Return the place that begins at a time; it has the largest trust."""
    clip = recording.clip
    start = round(place_s * clip.sample_rate)
    end = start + span[1] - span[0]
    if end > clip.n_samples:
        latest_s = math.floor(100 * (clip.n_samples - (span[1] - span[0])) / clip.sample_rate) / 100
        raise InputError(
            f"the place {place_s:.2f}-{end / clip.sample_rate:.2f} s lies outside the clip of {clip.duration_s:.2f} s",
            f"name one from 0 to {latest_s:.2f} s",
        )
    for a, b in spans:
        if start < b and a < end:
            raise InputError(
                f"the place at {place_s:g} s overlaps the span {a / clip.sample_rate:g}-{b / clip.sample_rate:g} s",
                "name one outside all spans; --places lists some",
            )
    own = Library(clip.samples, recording.features, spans)
    return replace(place_at(own, clip.sample_rate, span, start - span[0]), trust=_NAMED_TRUST)


def _trusted(places: list[Place], memory: MemoryConfig) -> tuple[Place, ...]:
    """Return the places that are good enough, with the trust that the configuration gives."""
    if memory.memory is not None:
        places = [replace(place, trust=memory.memory) for place in places]
    good = [place for place in places if place.trust > 0]
    nearest = [place for place in good if rank(place) >= rank(good[0]) - _SIMILAR]
    usable = [place for place in good[:_LEAST_PLACES] if rank(place) >= rank(good[0]) - _USABLE]
    return tuple(usable if len(usable) > len(nearest) else nearest)[:MOST_PLACES]


def _extension(recording: Recording, pieces: list[Stretch], backward: bool, memory: MemoryConfig) -> Iterator[Stretch]:
    """Stretches of an extension along paths through the recording, backward in time before its beginning."""
    clip, features = recording.clip, recording.features
    samples, lengths = clip.samples, [piece.end - piece.start for piece in pieces]
    if backward:
        samples, lengths, features = samples[:, ::-1], lengths[::-1], features.backward()
    finder = PathFinder(samples, clip.sample_rate, features)
    paths = [path for variant in range(_N_PATHS) if (path := finder.find(lengths, variant))]
    if memory.memory is None:
        paths = [path for path in paths if trust_of(path[0].score) > 0]
    for i, piece in enumerate(pieces if paths else ()):
        places = []
        for path in paths:
            step = path[-1 - i] if backward else path[i]
            first = clip.n_samples - step.start - (piece.end - piece.start) if backward else step.start
            gains = (1.0, step.gain) if backward else (step.gain, 1.0)
            trust = _EXTENSION_TRUST if memory.memory is None else memory.memory
            places.append(Place(first - piece.start, step.score, step.waveform_score, gains, trust))
        yield replace(piece, places=tuple(places))


def _similar_to(recording: Recording, start: int, n: int) -> list[Place]:
    """Places that sound like `n` samples of a recording from `start` on, best first."""
    clip, features = recording.clip, recording.features
    if clip.duration_s < LEAST_RECORDING_S:
        return []
    hop, found = features.hop, []
    frames = (start // hop, min(features.n_frames, max(start // hop + 1, (start + n) // hop)))
    weights = np.zeros(features.n_frames)
    weights[slice(*frames)] = 1
    for lag, score in peaks(*score_lags(features.values, weights, frames)):
        exact, correlation = exact_lag(clip.samples, [(start, start + n)], lag * hop, hop)
        if exact and abs(lag) >= APART and score >= _LEAST_COPY and 0 <= start + exact <= clip.n_samples - n:
            gain = level_ratio(clip.samples, (start, start + n), exact)
            found.append(Place(exact, score, correlation, (gain, gain), trust_of(score)))
    return sorted(found, key=rank, reverse=True)


def cut_span(
    plan: Plan, span: tuple[int, int], part: tuple[int, int], n: int, places: tuple[Place, ...] = ()
) -> list[Stretch]:
    """Cut a part of a span into n stretches of equal length, each with its share of the hidden frames."""
    hidden = plan.hidden[plan.spans.index(span)]

    def frame(sample: int) -> int:
        return hidden[0] + (sample - span[0]) * (hidden[1] - hidden[0]) // (span[1] - span[0])

    edges = pairwise(part[0] + (part[1] - part[0]) * i // n for i in range(n + 1))
    return [Stretch(a, b, (frame(a), frame(b)), places) for a, b in edges]
