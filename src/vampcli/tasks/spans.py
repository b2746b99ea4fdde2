"""Places in a recording: spans in seconds, bars or beats, moved to where the music is. Naming them needs no numpy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from vampcli.config import MusicalSpan, Span, TempoConfig
from vampcli.errors import UsageError
from vampcli.tokens.grid import TokenGrid

if TYPE_CHECKING:
    from vampcli.audio.waveform import Waveform

Snap = Literal["beat", "onset"]


@dataclass(frozen=True)
class SpanRequest:
    """Spans of a recording.

    Attributes:
        spans: as they were named; none = all of it, where a verb allows that.
        tempo: what is known of it.
        snap: to what their edges move.
    """

    spans: Sequence[Span] = ()
    tempo: TempoConfig = field(default_factory=TempoConfig)
    snap: Snap | None = None

    def seconds(self, clip: Waveform) -> list[tuple[float, float]]:
        """Start and end of every span in seconds; the tempo is tracked if that takes it.

        Raises:
            UsageError: a span is reversed.
            InputError: it lies outside the clip or vanishes by moving, or no beat can be found.
        """
        from vampcli.audio import beats  # needs numpy; naming places does not

        if not self.spans:
            return []
        counted = any(isinstance(span, MusicalSpan) for span in self.spans)
        pulse = beats.track(clip.samples, clip.sample_rate, self.tempo) if counted or self.snap == "beat" else None
        found = [
            pulse.span_s(span, clip.duration_s) if pulse and isinstance(span, MusicalSpan) else span
            for span in self.spans
        ]
        spans = [span for span in found if not isinstance(span, MusicalSpan)]
        if self.snap is None:
            return spans
        places = pulse.beats_s if pulse and self.snap == "beat" else beats.onsets_s(clip.samples, clip.sample_rate)
        return [beats.snapped(span, places) for span in spans]


def context_frames(context_s: float | None, grid: TokenGrid, longest: int) -> int:
    """How many frames on each side of a span the models see.

    Raises:
        UsageError: less than a frame.
    """
    if context_s is None:
        return longest
    n = context_s * grid.frame_rate
    if not n > 0.5:
        raise UsageError(f"the context is {context_s:g} s, less than a frame", "the models need something to go by")
    return round(min(n, longest))
