"""Times: `4.5`, `1:02.5`, `250ms`, `50%`, `bar:5`, `beat:17`, `4bars`; spans such as `4-6`, `bar:5-bar:9`, `bars:5-8`.

Imports no numpy.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, overload

from vampcli.config import MusicalSpan, RelativeTime, Span, TempoConfig, Time
from vampcli.errors import UsageError

if TYPE_CHECKING:
    from vampcli.tasks.recording import Recording

log = logging.getLogger(__name__)

_NUMBER = r"\d+(?:\.\d*)?|\.\d+"
_CLOCK = rf"(?:(\d+):)?(?:(\d+):)?({_NUMBER})s?"
_SCALED = rf"({_NUMBER})\s*(ms|%|bars?|beats?)"
_POSITION = r"(bar|beat):(\d+)"
_LONGEST = 1e9  # seconds; 31 years
_FORMS = "write seconds, mm:ss, 250ms, 50%, bar:5, beat:17, 4bars or 8beats"


def parse_position(text: str) -> Time:
    """Parse a time that is a position: all forms but `4bars` and `8beats`.

    Raises:
        UsageError: the text is not such a time.
    """
    time = parse_time(text)
    if isinstance(time, RelativeTime) and time.unit in ("bars", "beats"):
        raise UsageError(f"{time} is a length", f"a position is counted from bar 1, such as {time.unit[:-1]}:5")
    return time


def parse_length(text: str) -> Time:
    """Parse a time that is a length: all forms but `bar:5` and `beat:17`.

    Raises:
        UsageError: the text is not such a time.
    """
    time = parse_time(text)
    if isinstance(time, RelativeTime) and time.unit in ("bar", "beat"):
        raise UsageError(f"{time} is a position", f"a length is such as 4{time.unit}s")
    return time


def parse_time(text: str) -> Time:
    """Seconds, `mm:ss.mmm`, `hh:mm:ss.mmm` or `250ms` -> seconds; `50%`, `bar:5`, `4bars` -> a `RelativeTime`.

    Raises:
        UsageError: the text is not a time.
    """
    stripped = text.strip()
    if match := re.fullmatch(_POSITION, stripped):
        if not (number := int(match[2])):
            raise UsageError(f"not a time: {text!r}", f"{match[1]}s are counted from 1")
        return RelativeTime(number, "bar" if match[1] == "bar" else "beat")
    if match := re.fullmatch(_SCALED, stripped):
        value = _bounded(float(match[1]), text)
        if match[2] == "ms":
            return value / 1000
        if match[2] == "%":
            return RelativeTime(value, "percent")
        return RelativeTime(value, "bars" if match[2].startswith("bar") else "beats")
    if match := re.fullmatch(_CLOCK, stripped):
        *wholes, seconds = match.groups()
        total = float(seconds)
        for size, whole in zip((60, 3600), reversed([w for w in wholes if w is not None]), strict=False):
            total += size * float(whole)
        return _bounded(total, text)
    pointed, cure = stripped.replace(",", "."), _FORMS
    if pointed != stripped and any(re.fullmatch(form, pointed) for form in (_CLOCK, _SCALED)):
        cure = f"write a decimal point: {pointed}"
    elif re.fullmatch(r"(bar|beat)s:\d+", stripped):
        cure = f"a position is {stripped.replace('s:', ':')}; {stripped} is a span, for --span"
    raise UsageError(f"not a time: {text!r}", cure)


def parse_seconds(text: str) -> float:
    """Parse a time that depends on no recording.

    Raises:
        UsageError: the text is not such a time.
    """
    if isinstance(time := parse_time(text), RelativeTime):
        raise UsageError(f"{text.strip()} depends on the recording", "write seconds, mm:ss or 250ms")
    return time


def parse_span(text: str) -> Span:
    """`4-6` or `bar:5-bar:9` -> start and end; `bars:5-8` -> a `MusicalSpan`.

    Raises:
        UsageError: the text is not a span, or ends before it starts.
    """
    counted = re.fullmatch(r"(bars|beats):(\d+)(?:-(\d+))?", text.strip())
    if counted is not None:
        unit, first, last = counted.groups()
        return MusicalSpan("bars" if unit == "bars" else "beats", int(first), int(last or first))
    if bare := re.fullmatch(r"(bar|beat):(\d+)(?:-(\d+))?", text.strip()):
        unit, first, last = bare.groups()
        end = f", or {unit}:{first}-{unit}:{last} up to the start of {unit} {last}" if last else ""
        raise UsageError(f"not a span: {text!r}", f"write {unit}s:{first}{f'-{last}' if last else ''}{end}")
    parts = text.split("-")
    if len(parts) != 2 or text.lstrip().startswith(("bars", "beats", "bar ", "beat ")):
        raise UsageError(f"not a span: {text!r}", "write start-end, such as 4-6, 1:02.5-1:04, 25%-50% or bars:5-8")
    return parse_position(parts[0]), parse_position(parts[1])


def to_spans(spans: Iterable[Span | str]) -> tuple[Span, ...]:
    """Parse the spans that are texts."""
    return tuple(parse_span(span) if isinstance(span, str) else span for span in spans)


def _bounded(value: float, text: str) -> float:
    if not value < _LONGEST:
        raise UsageError(f"not a time: {text:.20} s is longer than any recording", "times are in seconds, or mm:ss")
    return value


def is_counted(time: Span | Time | None) -> bool:
    """Say whether a span or a time counts bars or beats."""
    if isinstance(time, tuple):
        return any(map(is_counted, time))
    return isinstance(time, MusicalSpan) or (isinstance(time, RelativeTime) and time.is_counted)


@overload
def to_seconds(time: Time, recording: Recording, tempo: TempoConfig) -> float: ...
@overload
def to_seconds(time: None, recording: Recording, tempo: TempoConfig) -> None: ...
def to_seconds(time: Time | None, recording: Recording, tempo: TempoConfig) -> float | None:
    """Return a time in seconds; beats are tracked only if it counts them and the tempo is not given.

    Raises:
        InputError: the recording has no such bar or beat, or no beat is found.
    """
    if not isinstance(time, RelativeTime):
        return time
    if time.unit == "percent":
        return time.value / 100 * recording.clip.duration_s
    pulse = recording.pulse(tempo)
    if time.unit == "bar" or time.unit == "beat":
        return pulse.position_s(time.unit, int(time.value), recording.clip.duration_s)
    return time.value * (tempo.beats_per_bar if time.unit == "bars" else 1) * 60 / pulse.bpm


def with_stored_tempo(tempo: TempoConfig, recording: Recording) -> TempoConfig:
    """Return a tempo with that in the recording's file, if there is one and none is given."""
    if tempo.bpm is not None or (stored := recording.metadata.tempo()) is None:
        return tempo
    bpm, where = stored
    begin = "the beginning" if tempo.downbeat is None else f"{tempo.downbeat:g} s"
    log.warning(
        "%s: bars and beats are counted at %g bpm of its %s, from %s; --bpm and --downbeat change that",
        recording.source.name or "the recording",
        bpm,
        where,
        begin,
    )
    return replace(tempo, bpm=bpm)


@dataclass(frozen=True)
class TempoRequest:
    """Tempo and bars as a user gives them.

    Attributes:
        config: without the downbeat.
        downbeat: beginning of bar 1.
        stored: a tempo in the recording's file counts, if none is given.
    """

    config: TempoConfig
    downbeat: Time | None = None
    stored: bool = True

    def __post_init__(self) -> None:
        if is_counted(self.downbeat):
            raise UsageError(f"the downbeat is {self.downbeat}", "bar 1 begins there: give seconds, mm:ss or 5%")

    def of(self, recording: Recording, *times: Span | Time | None) -> TempoConfig:
        """Return the tempo of a recording; the times tell whether it matters."""
        tempo = replace(self.config, downbeat=to_seconds(self.downbeat, recording, self.config))
        return with_stored_tempo(tempo, recording) if self.stored and any(map(is_counted, times)) else tempo
