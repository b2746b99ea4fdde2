import pytest

from vampcli.cli.parse import collect_spans, parse_span, parse_time
from vampcli.config import MusicalSpan
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
def test_times(text: str, seconds: float) -> None:
    assert parse_time(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "x", "-1", "1:", ":5", "1:2:3:4", "1,5", "nan", "inf", "1e3", "--"])
def test_bad_times(text: str) -> None:
    with pytest.raises(UsageError, match="not a time"):
        parse_time(text)


def test_decimal_comma_names_its_cure() -> None:
    with pytest.raises(UsageError) as raised:
        parse_time("1:02,5")
    assert raised.value.hint == "write a decimal point: 1:02.5"


def test_spans() -> None:
    assert parse_span("1:02.5-1:04") == (62.5, 64)
    for text in ("4", "1-2-3", ""):
        with pytest.raises(UsageError, match="not a span"):
            parse_span(text)


@pytest.mark.parametrize(
    ("text", "counted"),
    [
        ("bars:5-8", MusicalSpan("bars", 5, 8)),
        ("beats:17-24", MusicalSpan("beats", 17, 24)),
        ("bars:5", MusicalSpan("bars", 5, 5)),
        (" beats:1 ", MusicalSpan("beats", 1, 1)),
    ],
)
def test_musical_spans(text: str, counted: MusicalSpan) -> None:
    assert parse_span(text) == counted
    assert collect_spans("1", "2", [text, "4-5"]) == [(1, 2), counted, (4, 5)]


@pytest.mark.parametrize(
    "text", ["bars:", "bars:5-", "bars:-5", "bars:1.5-2", "beats 3-4", "bars:5-beats:8", "bars5-8"]
)
def test_bad_musical_spans(text: str) -> None:
    with pytest.raises(UsageError, match="not a span") as caught:
        parse_span(text)
    assert "bars:5-8" in caught.value.hint


@pytest.mark.parametrize(("text", "fact"), [("bars:0-3", "starts before 1"), ("beats:8-5", "ends before it starts")])
def test_musical_spans_count_from_one(text: str, fact: str) -> None:
    with pytest.raises(UsageError, match=fact):
        parse_span(text)


def test_start_and_end_join_spans() -> None:
    assert collect_spans("1", "2", ["4-5"]) == [(1, 2), (4, 5)]
    assert collect_spans(None, None, ["4-5"]) == [(4, 5)]
    with pytest.raises(UsageError, match="--end is missing"):
        collect_spans("1", None, ["4-5"])
    assert collect_spans(None, None, []) == []
