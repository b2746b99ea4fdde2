"""Beats, bars and onsets, against clicks at known times."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock, Timeout

from conftest import music
from vampcli.audio import librosa_loader
from vampcli.audio.beats import Pulse, onsets_s, snap, track
from vampcli.config import MusicalSpan, TempoConfig
from vampcli.errors import InputError, UsageError

RATE = 44100
TRACKED = TempoConfig()


def clicks(bpm: float, first_s: float, duration_s: float, accent: int | None = None, rate: int = RATE) -> np.ndarray:
    """A woodblock on every beat, on hiss: float64 (2, n_samples); of four beats, one may be twice as loud."""
    x = 0.002 * np.random.default_rng(0).standard_normal((2, round(duration_s * rate)))
    for i, at in enumerate(times(bpm, first_s, duration_s)):
        t = np.arange(min(round(0.05 * rate), x.shape[1] - round(at * rate))) / rate
        gain = 0.4 if i % 4 == accent else 0.2
        x[:, round(at * rate) :][:, : len(t)] += gain * np.exp(-80 * t) * np.sin(2 * np.pi * 1000 * t)
    return x


def times(bpm: float, first_s: float, duration_s: float) -> np.ndarray:
    return np.arange(first_s, duration_s - 0.05, 60 / bpm)


@pytest.mark.parametrize(
    ("bpm", "first_s", "rate", "gain"),
    [(90, 0.0, RATE, 1), (117, 0.37, RATE, 1), (128, 0.02, 8000, 1e-4), (155, 1.3, 48000, 1), (170, 0.37, RATE, 1)],
)
def test_beats_of_clicks(bpm: float, first_s: float, rate: int, gain: float) -> None:
    pulse = track(gain * clicks(bpm, first_s, 8, rate=rate).astype(np.float32), rate, TRACKED)
    np.testing.assert_allclose(pulse.beats_s, times(bpm, first_s, 8), atol=0.03)
    assert pulse.bpm == pytest.approx(bpm, rel=0.02)


@pytest.mark.parametrize("accent", range(4))
def test_bars_begin_at_accents(accent: int) -> None:
    pulse = track(clicks(120, 0.2, 8, accent), RATE, TRACKED)
    np.testing.assert_allclose(pulse.downbeats_s, 0.2 + 0.5 * accent + 2 * np.arange(4), atol=0.03)


def test_bass_marks_the_bar() -> None:
    x = 0.001 * np.random.default_rng(0).standard_normal((1, 8 * RATE))
    t = np.arange(round(0.15 * RATE)) / RATE
    kick, snare = np.sin(2 * np.pi * 60 * t), np.random.default_rng(1).standard_normal(len(t))
    for i in range(16):
        start = round((0.1 + 0.5 * i) * RATE)
        x[:, start : start + len(t)] += 0.3 * np.exp(-30 * t) * (kick if i % 2 else snare)
    assert track(x, RATE, TempoConfig(beats_per_bar=2)).first_downbeat == 1


def test_given_downbeat_takes_nearest_beat() -> None:
    x = clicks(120, 0.2, 8, accent=0)
    pulse = track(x, RATE, TempoConfig(downbeat=3.3, beats_per_bar=3))
    assert pulse.first_downbeat == 6
    assert pulse.downbeats_s[0] == pytest.approx(0.2, abs=0.03)  # bars before bar 1 count, too


def test_tempo_of_the_middle(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vampcli.audio.beats._TEMPO_S", 6)
    pulse = track(clicks(100, 0.5, 15), RATE, TRACKED)
    np.testing.assert_allclose(pulse.beats_s, times(100, 0.5, 15), atol=0.03)


def test_given_tempo_is_an_exact_grid() -> None:
    x = clicks(97, 0.3, 4)
    pulse = track(x, RATE, TempoConfig(bpm=150, downbeat=1.3))
    np.testing.assert_allclose(pulse.beats_s, [0.1, 0.5, 0.9, 1.3, 1.7, 2.1, 2.5, 2.9, 3.3, 3.7], rtol=0, atol=1e-12)
    assert (pulse.first_downbeat, pulse.beats_s[3], pulse.bpm) == (3, 1.3, 150)
    np.testing.assert_allclose(pulse.downbeats_s, [1.3, 2.9])
    assert track(x, RATE, TempoConfig(bpm=120)).beats_s == tuple(np.arange(8) / 2)


def test_given_tempo_loads_no_librosa() -> None:
    code = (
        "import sys, numpy as np; from vampcli.audio.beats import track; from vampcli.config import TempoConfig\n"
        "track(np.zeros((1, 44100)), 44100, TempoConfig(bpm=120))\n"
        "print([m for m in ('torch', 'librosa') if m in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


TONE = 0.3 * np.sin(2 * np.pi * 440 * np.arange(3 * RATE) / RATE)[None]


@pytest.mark.parametrize(
    "samples",
    [np.zeros((1, 3 * RATE)), np.zeros((2, 1)), clicks(60, 0.1, 0.5), 0.1 * np.ones((1, 2000)), music(0.2, RATE), TONE],
    ids=["silence", "a sample", "a click", "an offset", "a note", "a tone"],
)
def test_audio_without_beats(samples: np.ndarray) -> None:
    with pytest.raises(InputError, match="no beat was found") as caught:
        track(samples, RATE, TRACKED)
    assert "--bpm" in caught.value.hint


def test_downbeat_outside_the_clip() -> None:
    for config in (TempoConfig(downbeat=4), TempoConfig(bpm=120, downbeat=4)):
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
def test_bars_and_beats_as_spans(counted: MusicalSpan, span: tuple[float, float]) -> None:
    assert GRID.span_s(counted, 10.01) == pytest.approx(span)


@pytest.mark.parametrize(
    ("counted", "fact"),
    [
        (MusicalSpan("bars", 5, 6), "bars:5-6 is asked for but the clip has 5 bars"),
        (MusicalSpan("beats", 19, 24), "beats:19-24 is asked for but the clip has 18 beats"),
    ],
)
def test_missing_bars_are_counted(counted: MusicalSpan, fact: str) -> None:
    with pytest.raises(InputError, match=fact) as caught:
        GRID.span_s(counted, 10.01)
    assert "1.25 s, at 120.0 bpm" in caught.value.hint


def test_clip_slightly_longer_than_bars() -> None:
    pulse = track(np.zeros((1, round(10.01 * RATE))), RATE, TempoConfig(bpm=120))
    assert pulse.span_s(MusicalSpan("bars", 2, 5), 10.01) == (2, 10)
    assert pulse.span_s(MusicalSpan("beats", 5, 12), 10.01) == (2, 6)
    with pytest.raises(InputError, match="has 20 beats"):  # 10 ms are no beat
        pulse.span_s(MusicalSpan("beats", 21, 21), 10.01)


def test_single_beat() -> None:
    pulse = track(np.zeros((1, RATE // 4)), RATE, TempoConfig(bpm=60))
    assert pulse.span_s(MusicalSpan("beats", 1, 1), 0.25) == (0, 0.25)


def test_onsets_of_clicks() -> None:
    at = [0.0, 0.4, 0.55, 1.7, 1.93]
    x = sum((np.roll(clicks(30, 0.0, 2), round(s * RATE), axis=1) for s in at), np.zeros((2, 2 * RATE)))
    onsets = np.array(onsets_s(x, RATE))
    np.testing.assert_allclose(onsets, at, atol=0.04)
    assert (onsets >= 0).all()
    assert (onsets <= np.array(at) + 0.012).all()  # traced back: the attack is not cut off
    assert onsets_s(np.zeros((1, RATE)), RATE) == ()


def test_snap() -> None:
    assert snap((0.9, 2.2), [3, 2, 1]) == (1, 2)
    with pytest.raises(InputError, match=r"nothing is left of the span 0.9-1.2 s: both ends snap to 1.00 s"):
        snap((0.9, 1.2), [1, 2])
    with pytest.raises(InputError, match="nothing to snap to"):
        snap((0.9, 1.2), [])


@pytest.mark.parametrize(
    ("name", "value"),
    [("bpm", 0), ("bpm", float("nan")), ("downbeat", -1), ("beats_per_bar", 0)],
)
def test_impossible_tempo(name: str, value: float) -> None:
    with pytest.raises(UsageError, match=f"{name} is"):
        TempoConfig(**{name: value})


def test_one_process_compiles_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("NUMBA_CACHE_DIR", "set")  # so that it is restored
    monkeypatch.delenv("NUMBA_CACHE_DIR")

    def compile_() -> str:
        with pytest.raises(Timeout):
            FileLock(tmp_path / "vamp/numba/compiling.lock").acquire(timeout=0)
        return os.environ["NUMBA_CACHE_DIR"]

    monkeypatch.setattr(librosa_loader, "_compile", compile_)
    assert librosa_loader.load_librosa.__wrapped__() == str(tmp_path / "vamp/numba")
    with FileLock(tmp_path / "vamp/numba/compiling.lock", timeout=0):
        pass


def test_compiling_without_cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "vamp").write_text("no folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("NUMBA_CACHE_DIR", "elsewhere")
    monkeypatch.setattr(librosa_loader, "_compile", lambda: "librosa")
    assert librosa_loader.load_librosa.__wrapped__() == "librosa"
    assert os.environ["NUMBA_CACHE_DIR"] == "elsewhere"
