"""Times and spans as texts, and in seconds of a recording."""

import logging

import pytest

from clips import clip
from vampcli.audio import beats
from vampcli.audio.markers import MarkedSpan
from vampcli.cli.parse import TypedSpans, collect_spans, parse_margin
from vampcli.config import MusicalSpan, RelativeTime, TempoConfig, Time
from vampcli.errors import InputError, UsageError
from vampcli.tasks.plan import count_margin
from vampcli.tasks.recording import Recording
from vampcli.tasks.spans import SpanRequest
from vampcli.tasks.times import (
    TempoRequest,
    parse_length,
    parse_position,
    parse_seconds,
    parse_span,
    parse_time,
    to_seconds,
    to_spans,
)
from vampcli.tokens.grid import TokenGrid

TEN_S = Recording(clip(10.0, 8000))
WALTZ = TempoConfig(bpm=120, downbeat=0.25, beats_per_bar=3)


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
        ("250ms", 0.25),
        ("1.5 ms", 0.0015),
    ],
)
def test_times(text: str, seconds: float) -> None:
    assert parse_time(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "-1",
        "1:",
        ":5",
        "1:2:3:4",
        "1,5",
        "nan",
        "inf",
        "1e3",
        "--",
        "bar:",
        "bar:0",
        "bar:-1",
        "bar:1.5",
        "%",
        "bars",
        "-5%",
        "5 %%",
    ],
)
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


# A text -> the time, its seconds at the tempo of WALTZ in ten seconds of sound.
RELATIVE = [
    ("50%", RelativeTime(50, "percent"), 5.0),
    ("12.5 %", RelativeTime(12.5, "percent"), 1.25),
    ("bar:1", RelativeTime(1, "bar"), 0.25),
    ("bar:5", RelativeTime(5, "bar"), 6.25),
    ("beat:17", RelativeTime(17, "beat"), 8.25),
    ("4bars", RelativeTime(4, "bars"), 6.0),
    ("0.5bars", RelativeTime(0.5, "bars"), 0.75),
    ("1bar", RelativeTime(1, "bars"), 1.5),
    ("8 beats", RelativeTime(8, "beats"), 4.0),
    ("30bars", RelativeTime(30, "bars"), 45.0),  # a length may exceed the recording
]


@pytest.mark.parametrize(("text", "time", "seconds"), RELATIVE)
def test_relative_times(text: str, time: RelativeTime, seconds: float) -> None:
    assert parse_time(text) == parse_time(str(time)) == time
    assert to_seconds(time, TEN_S, WALTZ) == pytest.approx(seconds)


def test_seconds_stay_and_need_no_tempo(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beats, "track", lambda *_: 1 / 0)
    for time in (None, 3.5, RelativeTime(50, "percent")):
        assert to_seconds(time, Recording(clip(7.0, 8000)), TempoConfig()) == (time and 3.5)


def test_positions_after_the_last_bar() -> None:
    recording, tempo = Recording(clip(8.0, 8000)), TempoConfig(bpm=120)
    assert to_seconds(RelativeTime(5, "bar"), recording, tempo) == 8.0
    with pytest.raises(InputError, match="bar:6 is asked for but the clip has 4 bars") as caught:
        to_seconds(RelativeTime(6, "bar"), recording, tempo)
    assert "--bpm" in caught.value.hint


def test_lengths_are_no_positions() -> None:
    assert parse_position("bar:5") == RelativeTime(5, "bar")
    assert parse_length("4bars") == RelativeTime(4, "bars")
    with pytest.raises(UsageError, match="4bars is a length") as caught:
        parse_position("4bars")
    assert "bar:5" in caught.value.hint
    with pytest.raises(UsageError, match="beat:4 is a position") as caught:
        parse_length("beat:4")
    assert "4beats" in caught.value.hint
    with pytest.raises(UsageError, match="depends on the recording"):
        parse_seconds("5%")


def test_relative_spans() -> None:
    assert parse_span("25%-bar:9") == (RelativeTime(25, "percent"), RelativeTime(9, "bar"))
    spans = to_spans(["bar:2-bar:4", "10%-500ms", "bars:1", (1.0, 2.0)])
    expected = [(1.75, 4.75), (1.0, 0.5), (0.25, 1.75), (1.0, 2.0)]
    assert SpanRequest(spans, WALTZ).seconds(TEN_S) == [pytest.approx(span) for span in expected]
    settled = SpanRequest(spans, WALTZ).settled(TEN_S)
    assert settled.span[2] == MusicalSpan("bars", 1, 1)
    assert settled.seconds(TEN_S) == SpanRequest(spans, WALTZ).seconds(TEN_S)
    assert all(isinstance(time, float) for i in (0, 1, 3) for time in settled.span[i])  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("text", "cure"),
    [("bar:5-8", "write bars:5-8, or bar:5-bar:8"), ("beat:3", "write beats:3"), ("bars:5-bar:8", "bars:5-8")],
)
def test_bars_as_spans_or_positions(text: str, cure: str) -> None:
    with pytest.raises(UsageError, match="not a span") as caught:
        parse_span(text)
    assert cure in caught.value.hint


def test_bars_are_no_position() -> None:
    with pytest.raises(UsageError, match="not a time") as caught:
        parse_position("bars:5")
    assert "a position is bar:5" in caught.value.hint


def test_downbeat() -> None:
    assert TempoRequest(TempoConfig(), RelativeTime(5, "percent")).of(TEN_S).downbeat == 0.5
    with pytest.raises(UsageError, match="the downbeat is bar:3"):
        TempoRequest(TempoConfig(), RelativeTime(3, "bar"))


@pytest.mark.parametrize(("times", "bpm"), [((RelativeTime(2, "bars"),), 90.0), ((1.0, None), None)])
def test_tempo_of_the_file(
    times: tuple[Time | None, ...], bpm: float | None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    recording = Recording(clip(2.0, 8000))
    monkeypatch.setattr(type(recording.metadata), "tempo", lambda _: (90.0, "acid chunk"))
    with caplog.at_level(logging.WARNING):
        assert TempoRequest(TempoConfig()).of(recording, *times).bpm == bpm
        assert TempoRequest(TempoConfig(), stored=False).of(recording, *times).bpm is None
        assert TempoRequest(TempoConfig(bpm=60)).of(recording, *times).bpm == 60
    assert caplog.text.count("90 bpm of its acid chunk") == (bpm is not None)


def test_margins() -> None:
    grid = TokenGrid(44100, 441, 4, 32)  # 10 ms a frame
    assert [count_margin(parse_margin(text), grid) for text in ("3", "40ms", "41ms", "0.05s", "0ms")] == [3, 4, 5, 5, 0]
    assert parse_margin("auto") == "auto"
    for text in ("-1", "x", "4%", "2bars", "ms", ""):
        with pytest.raises(UsageError):
            parse_margin(text)
    for margin in (-1, "much", "4%"):
        with pytest.raises(UsageError, match="the margin is"):
            count_margin(margin, grid)


def test_labels_beyond_the_end_name_their_line() -> None:
    inside, outside = MarkedSpan(1, 10.004, "a.txt, line 1"), MarkedSpan(9, 12, "a.txt, line 2")
    request = TempoRequest(TempoConfig())
    assert TypedSpans((), (inside,), request, None).of(TEN_S).span == ((1, 10.004),)
    with pytest.raises(InputError, match=r"a\.txt, line 2: the span 9-12 s ends after the clip of 10\.00 s"):
        TypedSpans((), (inside, outside), request, None).of(TEN_S)
