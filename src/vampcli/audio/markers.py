"""Read spans marked in other programs: Audacity labels, REAPER regions, cue points of WAV files; write labels."""

from __future__ import annotations

import csv
import io
import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from vampcli.audio.metadata.wav_time import cue_points
from vampcli.errors import InputError
from vampcli.files import open_regular, read_bounded

log = logging.getLogger(__name__)

LABEL_SUFFIXES = (".txt", ".csv")
"""Of label files that are written: Audacity, REAPER."""

_SECONDS = r"\d{1,9}(?:[.,]\d*)?"
_CLOCK = r"(?:(?:(\d{1,6}):)?(\d{1,6}):)?(\d{1,9}(?:[.,]\d+)?)"
_MOST_TEXT = 2**24  # bytes of labels
_MOST_NAMED = 4  # labels in a warning
_KINDS = "name a label file of Audacity, a CSV file of REAPER's regions, or a WAV file with cue points"


@dataclass(frozen=True)
class _Marker:
    """A region, or a point (start and end are equal); `source` names its line or cue point, for messages."""

    start_s: float
    end_s: float
    source: str
    label: str


@dataclass(frozen=True)
class MarkedSpan:
    """A span that a file marks, in seconds; `source` names the file and its line or cue point, for messages."""

    start_s: float
    end_s: float
    source: str


def read_spans(path: str | Path, labels: Sequence[str] = ()) -> tuple[MarkedSpan, ...]:
    """Read every marked span, in the file's order.

    The kind of file is detected from its content. Regions are the spans, and points beside them are left out, with a
    warning. Points alone are start and end in turn, in order of time. REAPER counts from the start of the project's
    ruler.

    Args:
        path: of the file.
        labels: texts of the marks to read, whole or as patterns (`*`, `?`), in any case; none = all marks.

    Raises:
        InputError: the file is missing, damaged, empty or of no known kind, a time cannot be read, a span is
            reversed, there is an odd number of points alone, or a label is not there.

    Source: Audacity manual (Importing and Exporting Labels); REAPER (Region/Marker Manager, export).
    """
    path = Path(path)
    markers = list(_read_markers(path))
    for marker in markers:
        if marker.end_s < marker.start_s:
            fact = f"{path}, {marker.source}: the end, {marker.end_s} s, is before the start, {marker.start_s} s"
            raise InputError(fact, "exchange the two")
    markers = _select(path, markers, labels) if labels else markers
    points = sorted((one for one in markers if one.end_s == one.start_s), key=lambda marker: marker.start_s)
    regions = [one for one in markers if one.end_s > one.start_s]
    if not regions:
        return _pair_points(path, points)
    if points:
        named = ", ".join(f"{one.label or 'unnamed'} ({one.start_s:.2f} s)" for one in points[:_MOST_NAMED])
        more = f" and {len(points) - _MOST_NAMED} more" if len(points) > _MOST_NAMED else ""
        kind = f"label{'s' * (len(points) > 1)}"
        log.warning("%s: left out %d %s without length: %s%s", path, len(points), kind, named, more)
    return tuple(MarkedSpan(one.start_s, one.end_s, f"{path}, {one.source}") for one in regions)


def labels_text(spans_s: Sequence[tuple[float, float]], label: str, suffix: str) -> str:
    """Return spans as the text of a label file, to the microsecond.

    Args:
        spans_s: start and end of each in seconds.
        label: text of each, without tabs, commas and quotation marks.
        suffix: `.csv`: a table of REAPER's regions, in minutes and seconds; another one: labels of Audacity.

    Source: see `read_spans`.
    """
    if suffix.lower() != ".csv":
        return "".join(f"{start:.6f}\t{end:.6f}\t{label}\n" for start, end in spans_s)
    rows = [
        ",".join([f"R{i}", label, _clock(start), _clock(end), _clock(end - start)])
        for i, (start, end) in enumerate(spans_s, 1)
    ]
    return "\n".join(["#,Name,Start,End,Length", *rows, ""])


def _clock(time_s: float) -> str:
    minutes, microseconds = divmod(round(time_s * 1e6), 60_000_000)
    return f"{minutes}:{microseconds // 1_000_000:02}.{microseconds % 1_000_000:06}"


def _select(path: Path, markers: list[_Marker], labels: Sequence[str]) -> list[_Marker]:
    """Return the markers whose texts are among the labels."""
    selected = set()
    for label in labels:
        wanted = label.strip().casefold()
        texts = [marker.label.casefold() for marker in markers]
        matching = {i for i, text in enumerate(texts) if text == wanted or fnmatchcase(text, wanted)}
        if markers and not matching:
            there = ", ".join(dict.fromkeys(marker.label or "(none)" for marker in markers))
            raise InputError(f"{path} has no label {label!r}", f"there: {there[:500]}; take* means all that begin so")
        selected |= matching
    return [marker for i, marker in enumerate(markers) if i in selected]


def _pair_points(path: Path, points: list[_Marker]) -> tuple[MarkedSpan, ...]:
    if not points:
        raise InputError(f"{path} marks nothing", "mark spans in your editor and export them again")
    if len(points) % 2:
        fact = f"{path}: points are start and end in turn, but there are {len(points)}; the last is {points[-1].source}"
        raise InputError(fact, "add or remove a point, or mark regions")
    pairs = list(zip(points[::2], points[1::2], strict=True))
    for start, end in pairs:
        if start.start_s == end.start_s:
            fact = f"{path}, {start.source} and {end.source}: start and end are both at {start.start_s} s"
            raise InputError(fact, "move one of the two points")
    return tuple(MarkedSpan(a.start_s, b.start_s, f"{path}, {a.source} and {b.source}") for a, b in pairs)


def _read_markers(path: Path) -> Iterator[_Marker]:
    with open_regular(path, _KINDS) as file:
        if file.read(4) in (b"RIFF", b"RF64"):
            return _read_cues(path)
    content = read_bounded(path, _MOST_TEXT, _KINDS)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        fact = f"{path} is neither a WAV file nor text in UTF-8: see byte {error.start + 1}"
        raise InputError(fact, f"{_KINDS}; save text as UTF-8") from error
    return _read_reaper(path, text) if text[:2] in ("#,", "#;", "#\t") else _read_audacity(path, text)


def _read_cues(path: Path) -> Iterator[_Marker]:
    sample_rate, cues = cue_points(path)
    for number, cue in enumerate(cues, 1):
        start_s, end_s = cue.start / sample_rate, (cue.start + cue.n_samples) / sample_rate
        yield _Marker(start_s, end_s, f"cue point {number} {cue.name!r}", cue.name.strip())


def _read_audacity(path: Path, text: str) -> Iterator[_Marker]:
    for number, line in enumerate(io.StringIO(text, newline=None), 1):
        if line.startswith("\\") or not line.strip():  # a backslash: frequencies of the label above
            continue
        *times, label = [field.strip() for field in [*line.split("\t", 2), ""][:3]]
        if len(times) < 2 or not all(re.fullmatch(_SECONDS, time) for time in times):
            fact = f"{path}, line {number}: {line.strip()[:60]!r} does not begin with start, tab, end in seconds from 0"
            raise InputError(fact, f"correct the line, or {_KINDS}")
        start_s, end_s = (float(time.replace(",", ".")) for time in times)
        yield _Marker(start_s, end_s, f"line {number}", label)


def _read_reaper(path: Path, text: str) -> Iterator[_Marker]:
    # programs in countries with a decimal comma separate columns by semicolons, spreadsheets also by tabs
    rows = csv.DictReader(io.StringIO(text, newline=""), delimiter=text[1], strict=True)
    try:
        for row in rows:
            source = f"line {rows.line_num}"
            name, start, end = ((row.get(column) or "").strip() for column in ("Name", "Start", "End"))
            start_s = _parse_clock(start, f"{path}, {source}")
            yield _Marker(start_s, _parse_clock(end, f"{path}, {source}") if end else start_s, source, name)
    except csv.Error as error:
        raise InputError(f"{path}, line {rows.reader.line_num}: {error}", "export the regions again") from error


def _parse_clock(text: str, source: str) -> float:
    """Parse `62.345`, `62,345` or `1:02.345` to seconds; refuse whole numbers, which are REAPER's samples or frames."""
    match = re.fullmatch(_CLOCK, text)
    if match is None or text.isdigit():
        fact = f"{source}: {text[:60]!r} is neither seconds, such as 62.345, nor minutes and seconds, such as 1:02.345"
        cure = "bars, frames and samples cannot be read: set REAPER's ruler to Minutes:Seconds or Seconds, export again"
        raise InputError(fact, cure)
    hours, minutes, seconds = match.groups()
    return 3600 * int(hours or 0) + 60 * int(minutes or 0) + float(seconds.replace(",", "."))
