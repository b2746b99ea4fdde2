"""Spans of a recording in seconds, bars or beats, optionally moved to beats or onsets. Imports no numpy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from vampcli.config import MusicalSpan, Span, TempoConfig
from vampcli.errors import UsageError
from vampcli.tasks.times import is_counted, to_seconds, with_stored_tempo
from vampcli.tokens.grid import TokenGrid

if TYPE_CHECKING:
    from vampcli.tasks.recording import Recording

Snap = Literal["beat", "onset", "before-onset"]
"""Edges move to beats, or to attacks; `before-onset` is the rule of older recipes: 20 to 35 ms before attacks."""


@dataclass(frozen=True)
class SpanRequest:
    """Spans of a recording, as a user gives them.

    Attributes:
        span: as times or in bars or beats; none = the whole recording, where a task allows that.
        tempo: tempo and bars, as far as they are known.
        snap: move the edges of spans to the nearest beats or attacks.
    """

    span: Sequence[Span] = ()
    tempo: TempoConfig = field(default_factory=TempoConfig)
    snap: Snap | None = None

    def with_stored_tempo(self, recording: Recording) -> SpanRequest:
        """Return the request with the tempo in the recording's file, if a span needs one that is not named."""
        if not any(map(is_counted, self.span)):
            return self
        return replace(self, tempo=with_stored_tempo(self.tempo, recording))

    def seconds(self, recording: Recording) -> list[tuple[float, float]]:
        """Return start and end of every span in seconds; beats are tracked only if a span or `snap` needs them.

        Raises:
            UsageError: a span is reversed.
            InputError: a span lies outside the clip or vanishes by snapping, or no beat can be found.
        """
        spans = [self._span_s(span, recording) for span in self.span]
        if self.snap is None or not spans:
            return spans
        from vampcli.audio.beats import snap  # imports numpy

        if self.snap == "beat":
            edges_s = recording.pulse(self.tempo).beats_s
        else:
            edges_s = recording.attacks_s if self.snap == "onset" else recording.onsets_s
        return [snap(span, edges_s) for span in spans]

    def settled(self, recording: Recording) -> SpanRequest:
        """Return the request in seconds, so that it needs no analysis again; bars and beats that do not snap stay."""
        if self.snap is not None:
            return replace(self, span=tuple(self.seconds(recording)), snap=None)
        kept = (span if isinstance(span, MusicalSpan) else self._span_s(span, recording) for span in self.span)
        return replace(self, span=tuple(kept))

    def _span_s(self, span: Span, recording: Recording) -> tuple[float, float]:
        if isinstance(span, MusicalSpan):
            return recording.pulse(self.tempo).span_s(span, recording.clip.duration_s)
        return to_seconds(span[0], recording, self.tempo), to_seconds(span[1], recording, self.tempo)


def context_frames(context_s: float | None, grid: TokenGrid, longest: int) -> int:
    """Return the number of frames on each side of a span that the models see: at most `longest`, the default.

    Raises:
        UsageError: less than a frame.
    """
    if context_s is None:
        return longest
    n = context_s * grid.frame_rate
    if not n > 0.5:
        raise UsageError(f"the context is {context_s:g} s, less than a frame", "make it longer, or leave it out")
    return round(min(n, longest))
