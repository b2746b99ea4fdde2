"""Find places of a recording for the stretches of a plan."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from vampcli.audio.waveform import Waveform
from vampcli.config import MOST_PLACES, MemoryConfig, Place
from vampcli.errors import InputError
from vampcli.memory.path import PathFinder
from vampcli.memory.search import (
    APART,
    Library,
    exact_lag,
    find_places,
    level_ratio,
    peaks,
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
_EXTENSION_TRUST = 0.9  # the models alone would make texture after some seconds

Piece = tuple[int, int, tuple[int, int]]
"""First sample of a stretch, one past its last, and its hidden frames."""


def for_spans(plan: Plan, recording: Recording, memory: MemoryConfig) -> Plan:
    """Return the plan with places for its spans, as far as there are similar ones.

    Args:
        plan: its canvas is the recording itself.
        recording: to search.
        memory: how far places are trusted.

    Raises:
        InputError: a place that was named does not fit.
    """
    clip = recording.clip
    if memory.sources and memory.trust != 0:
        return _as_before(plan, memory)
    if not _is_searched(clip, memory):
        return plan
    stretches: list[Stretch] = []
    for span, hidden in zip(plan.spans, plan.hidden, strict=True):
        if memory.place_s is None:
            found = _search(recording, span, plan.spans, memory.files)
        else:
            found = [_named_place(clip, span, plan.spans, memory.place_s)]
        if places := _trusted(found, memory):
            stretches += _split(span, hidden, places)
    return replace(plan, stretches=tuple(stretches), edit=memory.edit)


def _search(
    recording: Recording, span: tuple[int, int], unknown: Sequence[tuple[int, int]], files: Sequence[str]
) -> list[Place]:
    """Find places in the recording and in files; one that cannot be read is left out."""
    rate, features = recording.clip.sample_rate, recording.features
    own = Library(recording.clip.samples, features, unknown)
    found = find_places(own, rate, span)
    for file in files:
        try:
            samples = recording.other(file).clip.samples
        except InputError as error:
            log.warning("%s: no place is taken from it", error.message)
        else:
            found += find_places(own, rate, span, Library(samples, features.of(samples), file=file))
    return sorted(found, key=rank, reverse=True)


def for_extension(plan: Plan, recording: Recording, memory: MemoryConfig, before: int) -> Plan:
    """Return the plan of an extension with places for every piece of it, if the recording is long enough.

    Args:
        plan: its canvas has `before` samples before the recording.
        recording: to search.
        memory: how far places are trusted.
        before: samples.
    """
    clip = recording.clip
    if memory.sources and memory.trust != 0:
        return _as_before(plan, memory)
    if not _is_searched(clip, memory):
        return plan
    stretches: list[Stretch] = []
    for span, hidden in zip(plan.spans, plan.hidden, strict=True):
        n = -(-(span[1] - span[0]) // round(_EXTENSION_S * clip.sample_rate))
        stretches += _extension(recording, _cut_span(span, hidden, n), span[0] < before, memory)
    return replace(plan, stretches=tuple(stretches), edit=memory.edit)


def _extension(recording: Recording, pieces: list[Piece], backward: bool, memory: MemoryConfig) -> list[Stretch]:
    """Stretches of an extension along paths through the recording, backward in time before its beginning."""
    clip, features = recording.clip, recording.features
    samples, lengths = clip.samples, [end - start for start, end, _ in pieces]
    if backward:
        samples, lengths, features = samples[:, ::-1], lengths[::-1], features.backward()
    finder = PathFinder(samples, clip.sample_rate, features)
    paths = [path for variant in range(_N_PATHS) if (path := finder.find(lengths, variant))]
    stretches = []
    for i, (start, end, hidden) in enumerate(pieces if paths else ()):
        places = []
        for path in paths:
            step = path[-1 - i] if backward else path[i]
            first = clip.n_samples - step.start - (end - start) if backward else step.start
            gains = (1.0, step.gain) if backward else (step.gain, 1.0)
            trust = _EXTENSION_TRUST if memory.trust is None else memory.trust
            places.append(Place(first - start, step.score, step.waveform_score, gains, trust))
        stretches.append(Stretch(start, end, hidden, tuple(places)))
    return stretches


def for_copies(plan: Plan, recording: Recording, memory: MemoryConfig, start: int, n: int) -> Plan:
    """Return the plan of varied copies of a loop, each from a place that sounds like the loop, or from the loop itself.

    Args:
        plan: its canvas is the loop, repeated; all copies but the first are hidden.
        recording: to search.
        memory: how far places are trusted.
        start: first sample of the loop in the recording.
        n: samples of the loop.
    """
    if memory.trust == 0:
        return plan
    if memory.sources:
        return _as_before(plan, memory)
    clip, features = recording.clip, recording.features
    hop = features.hop
    frames = (start // hop, min(features.n_frames, max(start // hop + 1, (start + n) // hop)))
    weights = np.zeros(features.n_frames)
    weights[slice(*frames)] = 1
    found = [Place(0, 1.0, 1.0, (1.0, 1.0), 1.0)]
    lags, scores = score_lags(features.values, weights, frames)
    for lag, score in peaks(lags, scores):
        exact, correlation = exact_lag(clip.samples, [(start, start + n)], lag * hop, hop)
        if exact and abs(lag) >= APART and score >= _LEAST_COPY and 0 <= start + exact <= clip.n_samples - n:
            gain = level_ratio(clip.samples, (start, start + n), exact)
            found.append(Place(exact, score, correlation, (gain, gain), trust_of(score)))
    places = sorted(found[1:], key=rank, reverse=True) or found
    stretches: list[Stretch] = []
    n_copies = plan.n_canvas_samples // n - 1
    for i, (first, end, hidden) in enumerate(_cut_span(plan.spans[0], plan.hidden[0], n_copies)):
        turned = [places[(i + k) % len(places)] for k in range(len(places))]
        moved = tuple(replace(place, lag=place.lag + start - first) for place in turned)
        stretches += _split((first, end), hidden, moved)
    return replace(plan, stretches=tuple(stretches), edit=memory.edit)


def _is_searched(clip: Waveform, memory: MemoryConfig) -> bool:
    return memory.trust != 0 and (
        clip.duration_s >= LEAST_RECORDING_S or memory.place_s is not None or bool(memory.files)
    )


def _as_before(plan: Plan, memory: MemoryConfig) -> Plan:
    """Return the plan with the places of an earlier take."""
    stretches: list[Stretch] = []
    for span, hidden in zip(plan.spans, plan.hidden, strict=True):
        parts = [source for source in memory.sources if span[0] <= source.start < span[1]]
        for source, frames in zip(parts, _divide(hidden, len(parts)), strict=True):
            stretches.append(Stretch(source.start, source.end, frames, (source.place,)))
    return replace(plan, stretches=tuple(stretches), edit=memory.edit)


def _named_place(clip: Waveform, span: tuple[int, int], spans: Sequence[tuple[int, int]], place_s: float) -> Place:
    """Return the place that begins at a time."""
    lag = round(place_s * clip.sample_rate) - span[0]
    start, end = span[0] + lag, span[1] + lag
    latest_s = (clip.n_samples - (span[1] - span[0])) / clip.sample_rate
    if end > clip.n_samples:
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
    return Place(lag, 1.0, 1.0, (1.0, 1.0), 0.9)


def _trusted(places: list[Place], memory: MemoryConfig) -> tuple[Place, ...]:
    """Return the places that are good enough, with the trust that the configuration gives."""
    if memory.trust is not None:
        places = [replace(place, trust=memory.trust) for place in places]
    good = [place for place in places if place.trust > 0]
    nearest = [place for place in good if rank(place) >= rank(good[0]) - _SIMILAR]
    usable = [place for place in good[:_LEAST_PLACES] if rank(place) >= rank(good[0]) - _USABLE]
    return tuple(usable if len(usable) > len(nearest) else nearest)[:MOST_PLACES]


def _split(span: tuple[int, int], hidden: tuple[int, int], places: tuple[Place, ...]) -> list[Stretch]:
    """Split a span into stretches of at most `_MOST_FRAMES` from the same places."""
    n = -(-(hidden[1] - hidden[0]) // _MOST_FRAMES)
    return [Stretch(*piece, places) for piece in _cut_span(span, hidden, n)]


def _cut_span(span: tuple[int, int], hidden: tuple[int, int], n: int) -> list[Piece]:
    """Cut a span into n equal pieces: first sample, one past the last, and the hidden frames."""
    return [(*samples, frames) for samples, frames in zip(_divide(span, n), _divide(hidden, n), strict=True)]


def _divide(whole: tuple[int, int], n: int) -> list[tuple[int, int]]:
    """Cut a range into n pieces of equal length, up to rounding."""
    return list(pairwise(whole[0] + (whole[1] - whole[0]) * i // n for i in range(n + 1))) if n else []
