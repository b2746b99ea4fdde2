"""Parse times such as `4.5` or `1:02.5`, and spans such as `4-6`, `bars:5-8` or `beats:17-24`."""

from __future__ import annotations

import re

from vampcli.config import MusicalSpan, Span
from vampcli.errors import UsageError

_TIME = r"(?:(\d+):)?(?:(\d+):)?(\d+(?:\.\d*)?|\.\d+)s?"
_LONGEST = 1e9  # seconds; 31 years


def parse_time(text: str) -> float:
    """Seconds, `mm:ss.mmm` or `hh:mm:ss.mmm` -> seconds.

    Raises:
        UsageError: the text is not a time.
    """
    match = re.fullmatch(_TIME, text.strip())
    if match is None:
        pointed, cure = text.strip().replace(",", "."), "write seconds or mm:ss, such as 4, 4.5 or 1:02.5"
        if re.fullmatch(_TIME, pointed):
            cure = f"write a decimal point: {pointed}"
        raise UsageError(f"not a time: {text!r}", cure)
    *wholes, seconds = match.groups()
    total = float(seconds)
    for size, whole in zip((60, 3600), reversed([w for w in wholes if w is not None]), strict=False):
        total += size * float(whole)
    if not total < _LONGEST:
        raise UsageError(f"not a time: {text:.20} s is longer than any recording", "times are in seconds, or mm:ss")
    return total


def parse_span(text: str) -> Span:
    """`4-6` -> start and end in seconds; `bars:5-8` -> a `MusicalSpan`.

    Raises:
        UsageError: the text is not a span, or ends before it starts.
    """
    counted = re.fullmatch(r"(bars|beats):(\d+)(?:-(\d+))?", text.strip())
    if counted is not None:
        unit, first, last = counted.groups()
        return MusicalSpan("bars" if unit == "bars" else "beats", int(first), int(last or first))
    parts = text.split("-")
    if len(parts) != 2 or text.lstrip().startswith(("bar", "beat")):
        raise UsageError(f"not a span: {text!r}", "write start-end, such as 4-6, 1:02.5-1:04 or bars:5-8")
    return parse_time(parts[0]), parse_time(parts[1])


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
        named.insert(0, (parse_time(start), parse_time(end)))
    return named
