"""Choices of a user, apart from what carries them out: reading them needs no torch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

from vampcli.errors import UsageError


class _Checked:
    def _require(self, name: str, holds: bool, wanted: str) -> None:
        if not holds:
            raise UsageError(f"{name} is {getattr(self, name)}", f"it must be {wanted}")


Sampler = Literal["confidence", "halton"]
"""In which order tokens are made: the surest first, or evenly over time; see `vampcli.sampling.order`."""


@dataclass(frozen=True)
class SamplingConfig(_Checked):
    """How tokens are drawn.

    Attributes:
        n_steps: passes of the coarse model.
        n_fine_steps: passes of the fine model.
        temperature: flattens (above 1) or sharpens the distributions, beside what suits the model; 0 takes the
            likeliest token.
        mask_temperature: how much chance decides which tokens are drawn again; falls to 0 over the steps.
        top_p: draw only from the likeliest classes that hold this much probability; 1 = from all.
        typical_mass: draw only from the classes nearest the expected surprise; 1 = from all.
        typical_min_tokens: at least that many classes stay after the typical filter.
        sample_cutoff: draw up to this share of the steps, then take the likeliest; negative = always that.
        sampler: in which order tokens are made.
    """

    n_steps: int = 36
    n_fine_steps: int = 2
    temperature: float = 1.0
    mask_temperature: float = 10.5
    top_p: float = 1.0
    typical_mass: float = 1.0
    typical_min_tokens: int = 64
    sample_cutoff: float = 1.0
    sampler: Sampler = "confidence"

    def __post_init__(self) -> None:
        for name in ("n_steps", "n_fine_steps", "typical_min_tokens"):
            self._require(name, getattr(self, name) >= 1, "1 or more")
        for name in ("temperature", "mask_temperature"):
            value = getattr(self, name)
            # a temperature of less than 0.01 would overflow, and nobody can tell it from 0
            self._require(name, value == 0 or 0.01 <= value < math.inf, "0, or from 0.01 on")
        for name in ("top_p", "typical_mass"):
            self._require(name, 0 < getattr(self, name) <= 1, "above 0 and at most 1")
        self._require("sample_cutoff", not math.isnan(self.sample_cutoff), "a number")
        self._require("sampler", self.sampler in get_args(Sampler), " or ".join(get_args(Sampler)))


@dataclass(frozen=True)
class PromptConfig(_Checked):
    """What is kept of a clip, as a prompt for the rest.

    A token stays if the period, a beat, an onset or chance keeps it; then whole frames are dropped, and codebooks.

    Attributes:
        period: keep `width` frames in every `period`; 0 none, 1 every frame; None = as `resolved_period` says.
        width: frames kept in a period.
        n_kept_codebooks: of the frames kept, the first codebooks alone; None = all.
        beats: keep what lies right of each beat.
        beat_width_ms: how much of it.
        downbeats_only: only of the first beat of each bar.
        onsets: keep what lies right of each onset.
        onset_width_ms: how much of it.
        dropout: share of the kept frames that the models see that is hidden after all.
        intensity: chance of each token to be hidden; below 1, the others are kept wherever they lie.
        n_passes: how often to vary what the pass before has made; each draws its prompt anew.
        stretch: times as long, with made frames between the old ones.
        pitch: shift of the prompt in semitones.
    """

    period: int | None = None
    width: int = 1
    n_kept_codebooks: int | None = None
    beats: bool = False
    beat_width_ms: float = 75.0
    downbeats_only: bool = False
    onsets: bool = False
    onset_width_ms: float = 50.0
    dropout: float = 0.0
    intensity: float = 1.0
    n_passes: int = 1
    stretch: int = 1
    pitch: int = 0

    def __post_init__(self) -> None:
        self._require("period", self.period is None or self.period >= 0, "0 (keep no frame) or more")
        self._require("width", self.width >= 1, "1 or more; to keep no frame, make the period 0")
        kept = self.n_kept_codebooks
        self._require("n_kept_codebooks", kept is None or kept >= 1, "1 or more; to keep nothing, make the period 0")
        for name in ("beat_width_ms", "onset_width_ms"):
            self._require(name, 0 < getattr(self, name) < math.inf, "above 0")
        for name in ("dropout", "intensity"):
            self._require(name, 0 <= getattr(self, name) <= 1, "from 0 to 1")
        for name, low, high in (("n_passes", 1, 8), ("stretch", 1, 16), ("pitch", -12, 12)):
            self._require(name, low <= getattr(self, name) <= high, f"from {low} to {high}")
        self._refuse_contradictions()

    def _refuse_contradictions(self) -> None:
        period = self.resolved_period
        if self.width > max(1, period):
            cure = f"make the period {self.width} or more" if period else "name a period, too"
            raise UsageError(f"width is {self.width}, but the period is {period}", cure)
        if self.downbeats_only and not self.beats:
            raise UsageError("downbeats are asked for, but beats are not", "add beats")
        for name, asked in (("beat_width_ms", self.beats), ("onset_width_ms", self.onsets)):
            kind = name.removesuffix("_width_ms") + "s"
            if not asked and getattr(self, name) != getattr(type(self), name):
                raise UsageError(f"{name} is {getattr(self, name):g}, but {kind} are not asked for", f"add {kind}")

    @property
    def resolved_period(self) -> int:
        """The period, or what suits the rest: 0 beside beats, onsets and chance, 1 beside codebooks, 7 alone."""
        if self.period is not None:
            return self.period
        if self.beats or self.onsets or self.intensity < 1:
            return 0
        return 7 if self.n_kept_codebooks is None else 1


@dataclass(frozen=True)
class TempoConfig(_Checked):
    """What is known of tempo and bars; the rest is tracked.

    Attributes:
        bpm: beats in a minute; None = track them.
        downbeat_s: where bar 1 begins, in seconds; None = at the beginning if `bpm` is given, else found by its accent.
        beats_per_bar: how many beats a bar has.
    """

    bpm: float | None = None
    downbeat_s: float | None = None
    beats_per_bar: int = 4

    def __post_init__(self) -> None:
        self._require("bpm", self.bpm is None or 10 <= self.bpm <= 1000, "from 10 to 1000")
        self._require("downbeat_s", self.downbeat_s is None or 0 <= self.downbeat_s < math.inf, "0 or more")
        self._require("beats_per_bar", self.beats_per_bar >= 1, "1 or more")


@dataclass(frozen=True)
class MusicalSpan:
    """A span counted in musical time, from the first downbeat on.

    Attributes:
        unit: what is counted.
        first: the first of them, from 1 on.
        last: the last of them, included.
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


Stereo = Literal["mid", "channels"]
"""`mid`: the middle is re-made and given a stereo image; `channels`: both are re-made, with the same noise."""

Span = tuple[float, float] | MusicalSpan
"""Start and end in seconds, or counted."""
