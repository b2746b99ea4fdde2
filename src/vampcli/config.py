"""Options of a user, as dataclasses without any dependency."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

from vampcli.errors import UsageError


class _Checked:
    def _require(self, name: str, holds: bool, wanted: str) -> None:
        if not holds:
            raise UsageError(f"{name} is {getattr(self, name)}", f"it must be {wanted}")


_MOST_STEPS = 100_000

Sampler = Literal["confidence", "halton"]
"""Order in which tokens are generated: by confidence, or evenly over time; see `vampcli.sampling.order`."""


@dataclass(frozen=True)
class SamplingConfig(_Checked):
    """Sampling options.

    Attributes:
        steps: sampler steps of the coarse model.
        fine_steps: sampler steps of the fine model.
        temperature: flattens (above 1) or sharpens the distributions, times the model's temperature; 0 takes the
            likeliest token.
        mask_temperature: randomness in choosing which tokens to re-mask; falls to 0 over the steps.
        top_p: draw only from the likeliest classes with this total probability; 1 = from all.
        typical_mass: draw only from the classes nearest the expected surprise, with this total probability; 1 = all.
        typical_min_tokens: number of classes that the typical filter keeps at least.
        sample_cutoff: draw in this share of the steps, then take the likeliest; negative = always the likeliest.
        sampler: order in which tokens are generated.
        refresh: 0 computes all frames in every step. Otherwise every so many steps do, and those between compute the
            frames near hidden ones, which is faster and changes few tokens; see `vampcli.sampling.reuse`.

    Source: Garcia et al., "VampNet" (arXiv 2307.04686), section 3.3.
    """

    steps: int = 36
    fine_steps: int = 2
    temperature: float = 1.0
    mask_temperature: float = 10.5
    top_p: float = 1.0
    typical_mass: float = 1.0
    typical_min_tokens: int = 64
    sample_cutoff: float = 1.0
    sampler: Sampler = "confidence"
    refresh: int = 0

    def __post_init__(self) -> None:
        for name in ("steps", "fine_steps", "typical_min_tokens"):
            self._require(name, 1 <= getattr(self, name) <= _MOST_STEPS, f"from 1 to {_MOST_STEPS}")
        self._require("refresh", 0 <= self.refresh <= _MOST_STEPS, f"from 0 to {_MOST_STEPS}")
        for name in ("temperature", "mask_temperature"):
            value = getattr(self, name)
            # below 0.01 logits would overflow, and samples equal those at 0
            self._require(name, value == 0 or 0.01 <= value < math.inf, "0, or from 0.01 on")
        for name in ("top_p", "typical_mass"):
            self._require(name, 0 < getattr(self, name) <= 1, "above 0 and at most 1")
        self._require("sample_cutoff", not math.isnan(self.sample_cutoff), "a number")
        self._require("sampler", self.sampler in get_args(Sampler), " or ".join(get_args(Sampler)))


@dataclass(frozen=True)
class PromptConfig(_Checked):
    """The tokens of a clip that are kept as a prompt for the others.

    A token is kept if the period, a beat, an onset or chance selects it; then whole frames are dropped, and codebooks.

    Attributes:
        period: keep `width` frames in every `period`; 0 none, 1 every frame; None = `resolved_period`.
        width: frames kept in a period.
        keep_codebooks: of the frames kept, the first codebooks alone; None = all.
        beats: keep the frames after each beat.
        beat_width: duration kept after a beat, in ms.
        downbeats_only: only after the first beat of each bar.
        onsets: keep the frames after each onset.
        onset_width: duration kept after an onset, in ms.
        dropout: share of the kept frames that is hidden again.
        intensity: probability of each token to be hidden; below 1, the others are kept wherever they are.
        feedback: number of passes; each varies the result of the one before, with a new prompt.
        stretch: factor on the length, with generated frames between the old ones.
        pitch: shift of the prompt in semitones.

    Source: Garcia et al., "VampNet" (arXiv 2307.04686), section 3.4.
    """

    period: int | None = None
    width: int = 1
    keep_codebooks: int | None = None
    beats: bool = False
    beat_width: float = 75.0
    downbeats_only: bool = False
    onsets: bool = False
    onset_width: float = 50.0
    dropout: float = 0.0
    intensity: float = 1.0
    feedback: int = 1
    stretch: int = 1
    pitch: int = 0

    def __post_init__(self) -> None:
        self._require("period", self.period is None or self.period >= 0, "0 (keep no frame) or more")
        self._require("width", self.width >= 1, "1 or more; to keep no frame, make the period 0")
        kept = self.keep_codebooks
        self._require("keep_codebooks", kept is None or kept >= 1, "1 or more; to keep nothing, make the period 0")
        for name in ("beat_width", "onset_width"):
            self._require(name, 0 < getattr(self, name) < math.inf, "above 0")
        for name in ("dropout", "intensity"):
            self._require(name, 0 <= getattr(self, name) <= 1, "from 0 to 1")
        for name, low, high in (("feedback", 1, 8), ("stretch", 1, 16), ("pitch", -12, 12)):
            self._require(name, low <= getattr(self, name) <= high, f"from {low} to {high}")
        self._refuse_contradictions()

    def _refuse_contradictions(self) -> None:
        period = self.resolved_period
        if self.width > max(1, period):
            cure = f"make the period {self.width} or more" if period else "name a period, too"
            raise UsageError(f"width is {self.width}, but the period is {period}", cure)
        if self.downbeats_only and not self.beats:
            raise UsageError("downbeats are asked for, but beats are not", "add beats")
        for name, asked in (("beat_width", self.beats), ("onset_width", self.onsets)):
            kind = name.removesuffix("_width") + "s"
            if not asked and getattr(self, name) != getattr(type(self), name):
                raise UsageError(f"{name} is {getattr(self, name):g}, but {kind} are not asked for", f"add {kind}")

    @property
    def resolved_period(self) -> int:
        """The period, or its default: 0 beside beats, onsets and intensity, 1 beside codebooks, 7 alone."""
        if self.period is not None:
            return self.period
        if self.beats or self.onsets or self.intensity < 1:
            return 0
        return 7 if self.keep_codebooks is None else 1


@dataclass(frozen=True)
class TempoConfig(_Checked):
    """Tempo and bars, as far as they are known; the rest is tracked.

    Attributes:
        bpm: beats per minute; None = track them.
        downbeat: beginning of bar 1 in seconds; None = the clip's beginning if `bpm` is given, else found by accent.
        beats_per_bar: number of beats in a bar.
    """

    bpm: float | None = None
    downbeat: float | None = None
    beats_per_bar: int = 4

    def __post_init__(self) -> None:
        self._require("bpm", self.bpm is None or 10 <= self.bpm <= 1000, "from 10 to 1000")
        self._require("downbeat", self.downbeat is None or 0 <= self.downbeat < math.inf, "0 or more")
        self._require("beats_per_bar", self.beats_per_bar >= 1, "1 or more")


MOST_PLACES = 12
"""Places that are kept for a stretch, at most; a take of the seed s uses number s mod 12, counted in a circle."""


@dataclass(frozen=True)
class Place:
    """A place of a recording that can stand for a stretch of the result: samples [start + lag, end + lag).

    Attributes:
        lag: in samples, from the stretch to the place.
        score: correlation of the features around both, at most 1.
        waveform_score: correlation of the waveforms around both.
        gains: factors on the samples of the place at the start and at the end of the stretch.
        trust: how far the place may stand for the stretch, from 0 to 1.
        file: another recording that holds the place; empty = the recording itself.
        is_loop: the place is the loop of which the stretch is a copy.
    """

    lag: int
    score: float
    waveform_score: float = 0.0
    gains: tuple[float, float] = (1.0, 1.0)
    trust: float = 0.9
    file: str = ""
    is_loop: bool = False


@dataclass(frozen=True)
class Source:
    """A stretch of a result, samples [start, end), and the place that it is made from."""

    start: int
    end: int
    place: Place


@dataclass(frozen=True)
class MemoryConfig(_Checked):
    """Use of similar places of the recording.

    Attributes:
        memory: how much of a place is kept as a prompt: 0 = the models alone make everything, 1 = a third of the
            frames; None = by the similarity of the place.
        edit: share of the models' changes that a place gets: 0 = a copy, 1 = all changes.
        place: beginning of the place, in seconds; None = searched.
        memory_from: other recordings to search.
        sources: places of an earlier take, which are used again; none if the models alone made it; None = searched.
    """

    memory: float | None = None
    edit: float = 0.5
    place: float | None = None
    memory_from: tuple[str, ...] = ()
    sources: tuple[Source, ...] | None = None

    def __post_init__(self) -> None:
        self._require("memory", self.memory is None or 0 <= self.memory <= 1, "from 0 to 1")
        self._require("edit", 0 <= self.edit <= 1, "from 0 to 1")
        self._require("place", self.place is None or 0 <= self.place < math.inf, "0 or more")
        if self.memory == 0 and (self.place is not None or self.memory_from):
            raise UsageError("a place is named, but memory is off", "leave one of them out")

    def refuse_named_places(self) -> None:
        """Raise UsageError if a place or other recordings are named: only spans of inpaint can be made from these."""
        if self.place is not None or self.memory_from:
            raise UsageError("a place or another recording is named", "only inpaint takes these: leave them out")


@dataclass(frozen=True)
class MusicalSpan:
    """A span in musical time, counted from the first downbeat.

    Attributes:
        unit: bars or beats.
        first: number of the first, from 1 on.
        last: number of the last, included.
    """

    unit: Literal["bars", "beats"]
    first: int
    last: int

    def __post_init__(self) -> None:
        if self.first < 1:
            raise UsageError(f"{self} starts before 1", f"{self.unit} are counted from 1")
        if self.last < self.first:
            raise UsageError(f"{self} ends before it starts", f"swap the two: {self.unit}:{self.last}-{self.first}")

    def __str__(self) -> str:
        return f"{self.unit}:{self.first}-{self.last}"


TimeUnit = Literal["percent", "bar", "beat", "bars", "beats"]
"""Of the recording's length; the start of a bar or beat, counted from bar 1; a number of bars or beats."""


@dataclass(frozen=True)
class RelativeTime:
    """A time whose seconds depend on a recording: on its length, or on its tempo.

    Attributes:
        value: percent, the number of a bar or beat from 1 on, or a count of bars or beats.
        unit: of the value; `bar` and `beat` are positions, `bars` and `beats` lengths.
    """

    value: float
    unit: TimeUnit

    @property
    def is_counted(self) -> bool:
        """Say whether the tempo decides."""
        return self.unit != "percent"

    def __str__(self) -> str:
        number = f"{self.value:.12g}"
        return {"percent": f"{number}%", "bar": f"bar:{number}", "beat": f"beat:{number}"}.get(
            self.unit, f"{number}{self.unit}"
        )


Time = float | RelativeTime
"""Seconds, or a time that depends on the recording."""

Stereo = Literal["mid", "channels"]
"""`mid`: generate the mid channel and give it a stereo image; `channels`: generate both, with the same noise."""

Span = tuple[Time, Time] | MusicalSpan
"""Start and end, or bars or beats."""
