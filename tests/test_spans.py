"""Spans in seconds, bars or beats, moved to beats or onsets."""

import pytest

from clips import clip
from vampcli.audio import beats
from vampcli.config import MusicalSpan, TempoConfig
from vampcli.errors import InputError, UsageError
from vampcli.tasks.recording import Recording
from vampcli.tasks.spans import SpanRequest, context_frames
from vampcli.tokens.grid import TokenGrid

GRID = TokenGrid(44100, 441, 4, 32)  # 100 frames a second


def test_seconds_stay() -> None:
    spans = [(0.1, 0.7), (0.3, 9.0)]
    assert SpanRequest(spans).seconds(Recording(clip(1.0))) == spans
    assert SpanRequest().seconds(Recording(clip(1.0))) == []


@pytest.mark.parametrize(
    ("counted", "tempo", "expected"),
    [
        (MusicalSpan("bars", 1, 1), TempoConfig(bpm=120), (0.0, 2.0)),
        (MusicalSpan("bars", 2, 3), TempoConfig(bpm=120), (2.0, 6.0)),
        (MusicalSpan("beats", 3, 4), TempoConfig(bpm=120), (1.0, 2.0)),
        (MusicalSpan("bars", 1, 2), TempoConfig(bpm=90, downbeat=0.5, beats_per_bar=3), (0.5, 4.5)),
        (MusicalSpan("bars", 4, 4), TempoConfig(bpm=120), (6.0, 7.0)),  # cut by the clip's end
    ],
)
def test_bars_and_beats_at_given_tempo(counted: MusicalSpan, tempo: TempoConfig, expected: tuple[float, float]) -> None:
    (span,) = SpanRequest([counted], tempo).seconds(Recording(clip(7.0, 8000)))
    assert span == pytest.approx(expected)


def test_seconds_and_beats_together() -> None:
    spans = SpanRequest([(0.1, 0.7), MusicalSpan("beats", 2, 2)], TempoConfig(bpm=60)).seconds(
        Recording(clip(3.0, 8000))
    )
    assert spans == [(0.1, 0.7), (1.0, 2.0)]


def test_edges_snap_to_beats() -> None:
    places = SpanRequest([(0.3, 1.4), (0.24, 0.76)], TempoConfig(bpm=120), "beat")
    assert places.seconds(Recording(clip(2.0, 8000))) == [(0.5, 1.5), (0.0, 1.0)]


def test_edges_snap_to_onsets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beats, "onsets_s", lambda *_: (0.21, 0.5, 0.9))
    assert SpanRequest([(0.1, 0.8)], snap="before-onset").seconds(Recording(clip(1.0, 8000))) == [(0.21, 0.9)]
    bars = SpanRequest([MusicalSpan("beats", 1, 2)], TempoConfig(bpm=150), "before-onset")  # 0 to 0.8 s
    assert bars.seconds(Recording(clip(1.0, 8000))) == [(0.21, 0.9)]


def test_span_that_vanishes_by_snapping() -> None:
    with pytest.raises(InputError, match=r"nothing is left of the span 0\.4-0\.6 s") as caught:
        SpanRequest([(0.4, 0.6)], TempoConfig(bpm=120), "beat").seconds(Recording(clip(2.0, 8000)))
    assert "--snap" in caught.value.hint


def test_no_analysis_without_need(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise AssertionError("the clip was analysed")

    monkeypatch.setattr(beats, "onsets_s", fail)
    monkeypatch.setattr(beats, "track", fail)
    assert SpanRequest([(0.1, 0.8)]).seconds(Recording(clip(1.0, 8000))) == [(0.1, 0.8)]
    for snap in ("beat", "onset"):
        assert SpanRequest(snap=snap).seconds(Recording(clip(1.0, 8000))) == []  # type: ignore[arg-type]


@pytest.mark.parametrize(("seconds", "n"), [(None, 80), (0.5, 50), (0.014, 1), (3.0, 80), (float("inf"), 80)])
def test_context_is_rounded_and_limited(seconds: float | None, n: int) -> None:
    assert context_frames(seconds, GRID, 80) == n


@pytest.mark.parametrize("seconds", [0, 0.004, -1, float("nan")])
def test_context_of_less_than_a_frame(seconds: float) -> None:
    with pytest.raises(UsageError, match="less than a frame"):
        context_frames(seconds, GRID, 80)
