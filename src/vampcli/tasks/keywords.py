"""Keyword arguments of the tasks in Python; their names are those of the command line and of recipes."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, TypedDict, TypeVar, cast

from vampcli.config import MusicalSpan, Sampler, SamplingConfig, Span, Stereo, TempoConfig
from vampcli.progress import Progress
from vampcli.recipe.recipe import Rendering
from vampcli.tasks.spans import Snap, SpanRequest
from vampcli.tasks.take import TakeOptions
from vampcli.tasks.times import to_spans

C = TypeVar("C")


class SamplingKeywords(TypedDict, total=False):
    """Fields of `SamplingConfig`."""

    steps: int
    fine_steps: int
    temperature: float
    mask_temperature: float
    top_p: float
    typical_mass: float
    typical_min_tokens: int
    sample_cutoff: float
    sampler: Sampler
    refresh: int


class TakeKeywords(SamplingKeywords, total=False):
    """Keyword arguments of all tasks; see `Model`."""

    seed: int
    takes: int
    sampling: SamplingConfig | None
    stereo: Stereo
    progress: Progress | None
    rendering: Rendering


class SpanKeywords(TypedDict, total=False):
    """Fields of `TempoConfig` and `SpanRequest` that bars, beats and edges of spans depend on."""

    bpm: float | None
    downbeat: float | None
    beats_per_bar: int
    snap: Snap | None


class MemoryKeywords(TypedDict, total=False):
    """Fields of `MemoryConfig` for all tasks with a memory."""

    memory: float | None
    edit: float


class PromptKeywords(TypedDict, total=False):
    """Fields of `PromptConfig`."""

    period: int | None
    width: int
    keep_codebooks: int | None
    beats: bool
    beat_width: float
    downbeats_only: bool
    onsets: bool
    onset_width: float
    dropout: float
    intensity: float
    feedback: int
    stretch: int
    pitch: int


class InpaintKeywords(TakeKeywords, SpanKeywords, MemoryKeywords, total=False):
    """Keyword arguments of `Model.inpaint`."""

    place: float | None
    memory_from: Sequence[str | Path]


class OutpaintKeywords(TakeKeywords, MemoryKeywords, total=False):
    """Keyword arguments of `Model.outpaint`."""


class LoopKeywords(TakeKeywords, SpanKeywords, MemoryKeywords, total=False):
    """Keyword arguments of `Model.loop`."""


class VampKeywords(TakeKeywords, SpanKeywords, PromptKeywords, total=False):
    """Keyword arguments of `Model.vamp`."""


def refuse_unknown(keywords: Mapping[str, Any], kind: Any, function: str, *named: str) -> None:
    """Raise TypeError for a keyword that a function does not take; it names the nearest ones.

    Args:
        keywords: those that the function got besides its parameters.
        kind: the TypedDict of those that it takes.
        function: its name.
        named: its parameters.
    """
    known = [*named, *kind.__optional_keys__]
    for name in keywords:
        if name not in kind.__optional_keys__:
            near = difflib.get_close_matches(name, known, 3, cutoff=0.6)
            hint = f"near it: {', '.join(near)}" if near else f"it takes {', '.join(sorted(known))}"
            raise TypeError(f"{function}() takes no keyword {name!r}; {hint}")


def with_fields(config: C, keywords: Mapping[str, Any]) -> C:
    """Return a dataclass with the values of those keywords that are fields of it."""
    found = {f.name: keywords[f.name] for f in fields(config) if f.name in keywords}  # type: ignore[arg-type]
    return replace(config, **found) if found else config  # type: ignore[type-var]


def span_request(span: Span | str | Sequence[Span | str] | None, keywords: Mapping[str, Any]) -> SpanRequest:
    """Return the request of one span, several or none (None)."""
    if span is None:
        some: Sequence[Span | str] = ()
    elif isinstance(span, MusicalSpan | str) or (len(span) == 2 and not isinstance(span[0], MusicalSpan | Sequence)):
        some = [cast(Span, span)]
    else:
        some = cast("Sequence[Span | str]", span)
    return SpanRequest(to_spans(some), with_fields(TempoConfig(), keywords), keywords.get("snap"))


def take_options(keywords: Mapping[str, Any], recommended: SamplingConfig) -> TakeOptions:
    """Return the options of takes.

    Args:
        keywords: of a task.
        recommended: sampling options of the model, which those in `keywords` override.

    Raises:
        UsageError: a value is out of range.
    """
    names = ("seed", "takes", "stereo", "progress", "rendering")
    sampling = with_fields(keywords.get("sampling") or recommended, keywords)
    return TakeOptions.of(sampling=sampling, **{name: keywords[name] for name in names if name in keywords})
