"""Beats, bars and onsets, against clicks at known places."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from conftest import music
from vampcli.audio.beats import Pulse, onsets_s, snapped, track
from vampcli.config import MusicalSpan, TempoConfig
from vampcli.errors import InputError, UsageError

RATE = 44100
TRACKED = TempoConfig()


def clicks(bpm: float, first_s: float, duration_s: float, accent: int | None = None, rate: int = RATE) -> np.ndarray:
    """A woodblock on every beat, on hiss: float64 (2, n_samples); of four beats, one may be twice as loud."""
    x = 0.002 * np.random.default_rng(0).standard_normal((2, round(duration_s * rate)))
    for i, at in enumerate(places(bpm, first_s, duration_s)):
        t = np.arange(min(round(0.05 * rate), x.shape[1] - round(at * rate))) / rate
        gain = 0.4 if i % 4 == accent else 0.2
        x[:, round(at * rate) :][:, : len(t)] += gain * np.exp(-80 * t) * np.sin(2 * np.pi * 1000 * t)
    return x


def places(bpm: float, first_s: float, duration_s: float) -> np.ndarray:
    return np.arange(first_s, duration_s - 0.05, 60 / bpm)


@pytest.mark.parametrize(
    ("bpm", "first_s"), [(90, 0.0), (100, 1.3), (117, 0.37), (128, 0.02), (140, 0.37), (155, 1.3), (170, 0.37)]
)
def test_beats_of_clicks_are_found_one_for_one(bpm: float, first_s: float) -> None:
    pulse = track(clicks(bpm, first_s, 8), RATE, TRACKED)
    np.testing.assert_allclose(pulse.beats_s, places(bpm, first_s, 8), atol=0.03)
    assert pulse.bpm == pytest.approx(bpm, rel=0.02)


@pytest.mark.parametrize("accent", range(4))
def test_bars_begin_at_the_accents(accent: int) -> None:
    pulse = track(clicks(120, 0.2, 8, accent), RATE, TRACKED)
    np.testing.assert_allclose(pulse.downbeats_s, 0.2 + 0.5 * accent + 2 * np.arange(4), atol=0.03)


def test_a_drum_of_low_pitch_outweighs_a_louder_one_of_high_pitch() -> None:
    x = 0.001 * np.random.default_rng(0).standard_normal((1, 8 * RATE))
    t = np.arange(round(0.15 * RATE)) / RATE
    kick, snare = np.sin(2 * np.pi * 60 * t), np.random.default_rng(1).standard_normal(len(t))
    for i in range(16):
        start = round((0.1 + 0.5 * i) * RATE)
        x[:, start : start + len(t)] += 0.3 * np.exp(-30 * t) * (kick if i % 2 else snare)
    assert track(x, RATE, TempoConfig(beats_per_bar=2)).first_downbeat == 1


def test_a_downbeat_that_is_known_takes_the_nearest_beat() -> None:
    x = clicks(120, 0.2, 8, accent=0)
    pulse = track(x, RATE, TempoConfig(downbeat_s=3.3, beats_per_bar=3))
    assert pulse.first_downbeat == 6
    assert pulse.downbeats_s[0] == pytest.approx(0.2, abs=0.03)  # bars before bar 1 count as bars, without a number


@pytest.mark.parametrize("rate", [8000, 48000])
def test_neither_rate_nor_level_matters(rate: int) -> None:
    pulse = track(1e-4 * clicks(110, 0.5, 6, rate=rate).astype(np.float32), rate, TRACKED)
    np.testing.assert_allclose(pulse.beats_s, places(110, 0.5, 6), atol=0.03)


def test_the_tempo_of_the_middle_serves_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vampcli.audio.beats._TEMPO_S", 6)
    pulse = track(clicks(100, 0.5, 15), RATE, TRACKED)
    np.testing.assert_allclose(pulse.beats_s, places(100, 0.5, 15), atol=0.03)


def test_with_a_tempo_given_beats_are_an_exact_grid_through_the_downbeat() -> None:
    x = clicks(97, 0.3, 4)
    pulse = track(x, RATE, TempoConfig(bpm=150, downbeat_s=1.3))
    np.testing.assert_allclose(pulse.beats_s, [0.1, 0.5, 0.9, 1.3, 1.7, 2.1, 2.5, 2.9, 3.3, 3.7], rtol=0, atol=1e-12)
    assert (pulse.first_downbeat, pulse.beats_s[3], pulse.bpm) == (3, 1.3, 150)
    np.testing.assert_allclose(pulse.downbeats_s, [1.3, 2.9])
    assert track(x, RATE, TempoConfig(bpm=120)).beats_s == tuple(np.arange(8) / 2)


def test_a_tempo_given_needs_no_librosa() -> None:
    code = (
        "import sys, numpy as np; from vampcli.audio.beats import track; from vampcli.config import TempoConfig\n"
        "track(np.zeros((1, 44100)), 44100, TempoConfig(bpm=120))\n"
        "print([m for m in ('torch', 'librosa') if m in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "samples",
    [np.zeros((1, 3 * RATE)), np.zeros((2, 1)), clicks(60, 0.1, 0.5), 0.1 * np.ones((1, 2000)), music(0.2, RATE)],
    ids=["silence", "a sample", "a click", "a bit of nothing", "a note"],
)
def test_where_no_beat_is_the_cure_is_a_tempo(samples: np.ndarray) -> None:
    with pytest.raises(InputError, match="no beat was found") as caught:
        track(samples, RATE, TRACKED)
    assert "--bpm" in caught.value.hint


def test_a_tone_has_no_beat() -> None:
    tone = 0.3 * np.sin(2 * np.pi * 440 * np.arange(3 * RATE) / RATE)[None]
    with pytest.raises(InputError, match="no beat"):
        track(tone, RATE, TRACKED)


def test_a_downbeat_lies_in_the_clip() -> None:
    for config in (TempoConfig(downbeat_s=4), TempoConfig(bpm=120, downbeat_s=4)):
        with pytest.raises(InputError, match=r"the downbeat is at 4 s but the clip is 4\.00 s long"):
            track(np.zeros((1, 4 * RATE)), RATE, config)


GRID = Pulse(tuple(0.25 + 0.5 * i for i in range(19)), 2, 4, 120)  # bar 1 begins at 1.25 s


@pytest.mark.parametrize(
    ("counted", "span"),
    [
        (MusicalSpan("bars", 1, 1), (1.25, 3.25)),
        (MusicalSpan("bars", 2, 4), (3.25, 9.25)),
        (MusicalSpan("beats", 1, 4), (1.25, 3.25)),
        (MusicalSpan("beats", 17, 17), (9.25, 9.75)),  # ends where no beat was tracked
        (MusicalSpan("bars", 5, 5), (9.25, 10.01)),  # begins in the clip, ends with it
        (MusicalSpan("beats", 18, 18), (9.75, 10.01)),
    ],
)
def test_bars_and_beats_are_spans(counted: MusicalSpan, span: tuple[float, float]) -> None:
    assert GRID.span_s(counted, 10.01) == pytest.approx(span)


@pytest.mark.parametrize(
    ("counted", "fact"),
    [
        (MusicalSpan("bars", 5, 6), "bars:5-6 is asked for but the clip has 5 bars"),
        (MusicalSpan("beats", 19, 24), "beats:19-24 is asked for but the clip has 18 beats"),
    ],
)
def test_what_the_clip_has_not_is_counted(counted: MusicalSpan, fact: str) -> None:
    with pytest.raises(InputError, match=fact) as caught:
        GRID.span_s(counted, 10.01)
    assert "1.25 s, at 120.0 bpm" in caught.value.hint


def test_four_bars_and_eight_beats_of_a_clip_a_hair_too_long() -> None:
    pulse = track(np.zeros((1, round(10.01 * RATE))), RATE, TempoConfig(bpm=120))
    assert pulse.span_s(MusicalSpan("bars", 2, 5), 10.01) == (2, 10)
    assert pulse.span_s(MusicalSpan("beats", 5, 12), 10.01) == (2, 6)
    with pytest.raises(InputError, match="has 20 beats"):  # 10 ms are no beat
        pulse.span_s(MusicalSpan("beats", 21, 21), 10.01)


def test_even_a_single_beat_has_a_length() -> None:
    pulse = track(np.zeros((1, RATE // 4)), RATE, TempoConfig(bpm=60))
    assert pulse.span_s(MusicalSpan("beats", 1, 1), 0.25) == (0, 0.25)


def test_onsets_of_clicks_are_found_from_the_first_sample_on() -> None:
    at = [0.0, 0.4, 0.55, 1.7, 1.93]
    x = sum((np.roll(clicks(30, 0.0, 2), round(s * RATE), axis=1) for s in at), np.zeros((2, 2 * RATE)))
    onsets = np.array(onsets_s(x, RATE))
    np.testing.assert_allclose(onsets, at, atol=0.04)
    assert (onsets >= 0).all()
    assert (onsets <= np.array(at) + 0.012).all()  # traced back: the attack is not cut off
    assert onsets_s(np.zeros((1, RATE)), RATE) == ()


def test_edges_snap_to_the_nearest_place() -> None:
    assert snapped((0.9, 2.2), [3, 2, 1]) == (1, 2)
    with pytest.raises(InputError, match=r"nothing is left of the span 0.9-1.2 s: both ends snap to 1.00 s"):
        snapped((0.9, 1.2), [1, 2])
    with pytest.raises(InputError, match="nothing to snap to"):
        snapped((0.9, 1.2), [])


@pytest.mark.parametrize(
    ("name", "value"),
    [("bpm", 0), ("bpm", -120), ("bpm", float("nan")), ("downbeat_s", -1), ("beats_per_bar", 0)],
)
def test_a_tempo_that_cannot_be_is_refused(name: str, value: float) -> None:
    with pytest.raises(UsageError, match=f"{name} is"):
        TempoConfig(**{name: value})
