"""Spans that other programs have marked: labels of Audacity, regions of REAPER, cue points of a WAV file."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from vampcli.audio.riff import cue_points
from vampcli.errors import InputError

_SECONDS = r"\d{1,9}(?:[.,]\d*)?"
_CLOCK = r"(?:(?:(\d{1,6}):)?(\d{1,6}):)?(\d{1,9}(?:\.\d+)?)"
_KINDS = "name a label file of Audacity, a CSV file of REAPER's regions, or a WAV file with cue points"


@dataclass(frozen=True)
class _Mark:
    """A region, or a point where start and end are the same; `place` says where in the file it stands."""

    start_s: float
    end_s: float
    place: str


def spans_from(path: str | Path) -> tuple[tuple[float, float], ...]:
    """Read start and end of every marked span, in seconds, in the file's order.

    What the file is, its content says. Regions are the spans, and points beside them are passed over. Where there are
    points only, they are start and end in turn, in order of time. REAPER counts from the start of the project's ruler.

    Raises:
        InputError: the file is missing, damaged or of no known kind, holds nothing, a time cannot be read, a span is
            reversed, or an odd number of points stands alone.

    Source: Audacity manual (Importing and Exporting Labels); REAPER (Region/Marker Manager, export).
    """
    path = Path(path)
    try:
        marks = list(_marks(path))
    except FileNotFoundError as error:
        raise InputError(f"no such file: {path}", "check the name and the folder") from error
    except IsADirectoryError as error:
        raise InputError(f"{path} is a folder", _KINDS) from error
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}", "check the file and its permissions") from error
    for mark in marks:
        if mark.end_s < mark.start_s:
            fact = f"{path}, {mark.place}: the end, {mark.end_s} s, is before the start, {mark.start_s} s"
            raise InputError(fact, "exchange the two")
    regions = tuple((mark.start_s, mark.end_s) for mark in marks if mark.end_s > mark.start_s)
    return regions or _pairs(path, sorted(marks, key=lambda mark: mark.start_s))


def _pairs(path: Path, points: list[_Mark]) -> tuple[tuple[float, float], ...]:
    if not points:
        raise InputError(f"{path} marks nothing", "mark spans in your editor and export them again")
    if len(points) % 2:
        fact = f"{path}: points are start and end in turn, but there are {len(points)}; the last is {points[-1].place}"
        raise InputError(fact, "add or remove a point, or mark regions")
    pairs = list(zip(points[::2], points[1::2], strict=True))
    for start, end in pairs:
        if start.start_s == end.start_s:
            fact = f"{path}, {start.place} and {end.place}: start and end are both at {start.start_s} s"
            raise InputError(fact, "move one of the two points")
    return tuple((start.start_s, end.start_s) for start, end in pairs)


def _marks(path: Path) -> Iterator[_Mark]:
    with path.open("rb") as file:
        content = file.read(4)
        if content in (b"RIFF", b"RF64"):
            return _cues(path)
        content += file.read()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        fact = f"{path} is neither a WAV file nor text in UTF-8: see byte {error.start + 1}"
        raise InputError(fact, f"{_KINDS}; save text as UTF-8") from error
    return _reaper(path, text) if text.startswith("#,") else _audacity(path, text)


def _cues(path: Path) -> Iterator[_Mark]:
    sample_rate, cues = cue_points(path)
    for number, cue in enumerate(cues, 1):
        start_s, end_s = cue.start / sample_rate, (cue.start + cue.n_samples) / sample_rate
        yield _Mark(start_s, end_s, f"cue point {number} {cue.name!r}")


def _audacity(path: Path, text: str) -> Iterator[_Mark]:
    for number, line in enumerate(io.StringIO(text, newline=None), 1):
        if line.startswith("\\") or not line.strip():  # after a backslash: the frequencies of the label above
            continue
        times = [field.strip() for field in line.split("\t")[:2]]
        if len(times) < 2 or not all(re.fullmatch(_SECONDS, time) for time in times):
            fact = f"{path}, line {number}: {line.strip()[:60]!r} does not begin with start, tab, end in seconds from 0"
            raise InputError(fact, f"correct the line, or {_KINDS}")
        start_s, end_s = (float(time.replace(",", ".")) for time in times)
        yield _Mark(start_s, end_s, f"line {number}")


def _reaper(path: Path, text: str) -> Iterator[_Mark]:
    rows = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        for row in rows:
            place = f"line {rows.line_num}"
            start, end = ((row.get(column) or "").strip() for column in ("Start", "End"))
            start_s = _clock(start, f"{path}, {place}")
            yield _Mark(start_s, _clock(end, f"{path}, {place}") if end else start_s, place)
    except csv.Error as error:
        raise InputError(f"{path}, line {rows.reader.line_num}: {error}", "export the regions again") from error


def _clock(text: str, place: str) -> float:
    """Seconds with a point, minutes or hours -> seconds; a whole number would be REAPER's samples or frames."""
    match = re.fullmatch(_CLOCK, text)
    if match is None or text.isdigit():
        fact = f"{place}: {text[:60]!r} is neither seconds, such as 62.345, nor minutes and seconds, such as 1:02.345"
        cure = "bars, frames and samples cannot be read: set REAPER's ruler to Minutes:Seconds or Seconds, export again"
        raise InputError(fact, cure)
    hours, minutes, seconds = match.groups()
    return 3600 * int(hours or 0) + 60 * int(minutes or 0) + float(seconds)
