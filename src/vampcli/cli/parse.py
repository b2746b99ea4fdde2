"""Parse options that take spans, a time, or a number or word."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from vampcli.audio.markers import MarkedSpan
from vampcli.config import Span, Time
from vampcli.errors import InputError, UsageError
from vampcli.tasks.spans import Snap, SpanRequest
from vampcli.tasks.times import TempoRequest, parse_length, parse_position, parse_seconds, parse_span

if TYPE_CHECKING:
    from vampcli.tasks.recording import Recording


def collect_spans(start: str | None, end: str | None, spans: list[str]) -> list[Span]:
    """Parse `--start`/`--end` and every `--span`.

    Raises:
        UsageError: start or end is missing, or a text is malformed.
    """
    named = [parse_span(text) for text in spans]
    if (start is None) != (end is None):
        missing = "--end" if end is None else "--start"
        raise UsageError(f"{missing} is missing", "give both --start and --end, or --span 4-6")
    if start is not None and end is not None:
        named.insert(0, (parse_position(start), parse_position(end)))
    return named


def parse_bpm(text: str | None) -> float | None:
    """A number of beats per minute; None for `track` and without a text.

    Raises:
        UsageError: it is neither.
    """
    if text is None or text == "track":
        return None
    try:
        return float(text)
    except ValueError:
        raise UsageError(f"--bpm is {text!r}", "give a number, or track to find it in the sound") from None


def parse_margin(text: str) -> int | str:
    """A number of frames, a time such as `40ms`, or `auto`.

    Raises:
        UsageError: it is none of these.
    """
    if text.isdecimal():
        return int(text)
    if text != "auto":
        if not text.endswith("s"):
            raise UsageError(f"--margin is {text!r}", "give a number of frames, a time such as 40ms, or auto")
        parse_seconds(text)
    return text


def parse_trust(text: str) -> float | None:
    """A trust from 0 to 1; None for `auto`, 0 for `off`.

    Raises:
        UsageError: it is none of these.
    """
    if text in ("auto", "off"):
        return None if text == "auto" else 0.0
    try:
        return float(text)
    except ValueError:
        raise UsageError(f"--memory is {text!r}", "give auto, off, or a number from 0 to 1") from None


def parse_edit(text: str) -> float | Literal["off"]:
    """Return a share from 0 to 1, or `off`.

    Raises:
        UsageError: it is neither.
    """
    if text == "off":
        return "off"
    try:
        return float(text)
    except ValueError:
        raise UsageError(f"--edit is {text!r}", "give a number from 0 to 1, or off") from None


def parse_seam(text: str) -> Time | None:
    """A length, or None for `auto`."""
    return None if text == "auto" else parse_length(text)


def parse_context(text: str | None) -> Time | None:
    """A length, or None for all that the models see."""
    return None if text is None else parse_length(text)


@dataclass(frozen=True)
class TypedSpans:
    """Spans, tempo and snapping as typed.

    Attributes:
        spans: named one by one.
        marked: read from a file.
        tempo: tempo and bars.
        snap: edges move to beats or onsets.
    """

    spans: tuple[Span, ...]
    marked: tuple[MarkedSpan, ...]
    tempo: TempoRequest
    snap: Snap | None

    def of(self, recording: Recording, *times: Time | None) -> SpanRequest:
        """Return the spans of a recording.

        Args:
            recording: the input.
            times: other times of the command, which need a tempo if they count bars or beats.

        Raises:
            InputError: a marked span lies beyond the recording's end.
        """
        from vampcli.tasks.plan import ROUNDING_S  # imports torch

        length = recording.clip.duration_s
        for one in self.marked:
            if one.end_s > length + ROUNDING_S:
                raise InputError(
                    f"{one.source}: the span {one.start_s:g}-{one.end_s:g} s ends after the clip of {length:.2f} s",
                    "move or remove the label, or name the recording that it belongs to",
                )
        spans = (*self.spans, *((one.start_s, one.end_s) for one in self.marked))
        return SpanRequest(spans, self.tempo.of(recording, *spans, *times), self.snap)
