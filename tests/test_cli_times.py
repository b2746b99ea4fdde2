from __future__ import annotations

import pytest

from vampcli.cli.times import collect_spans, parse_span, parse_time
from vampcli.errors import UsageError


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("4", 4),
        ("4.5", 4.5),
        (".25", 0.25),
        ("4s", 4),
        ("1:02.5", 62.5),
        ("0:07", 7),
        ("90:00", 5400),
        ("1:00:01", 3601),
        (" 3 ", 3),
    ],
)
def test_times_as_people_write_them(text: str, seconds: float) -> None:
    assert parse_time(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "x", "-1", "1:", ":5", "1:2:3:4", "1,5", "nan", "inf", "1e3", "--"])
def test_what_is_no_time_is_named(text: str) -> None:
    with pytest.raises(UsageError, match="not a time"):
        parse_time(text)


def test_spans_have_two_times() -> None:
    assert parse_span("1:02.5-1:04") == (62.5, 64)
    for text in ("4", "1-2-3", ""):
        with pytest.raises(UsageError, match="not a span"):
            parse_span(text)


def test_start_and_end_come_before_spans_and_need_each_other() -> None:
    assert collect_spans("1", "2", ["4-5"]) == [(1, 2), (4, 5)]
    assert collect_spans(None, None, ["4-5"]) == [(4, 5)]
    with pytest.raises(UsageError, match="--end is missing"):
        collect_spans("1", None, ["4-5"])
    with pytest.raises(UsageError, match="no span"):
        collect_spans(None, None, [])
