"""The level is that of the standard, whatever the length, and spans do not matter to it."""

from __future__ import annotations

import math
import tracemalloc

import numpy as np
import pytest
import torch
import torchaudio

from conftest import music, sine
from vampcli.audio.loudness import level_gain, loudness


def lufs(samples: np.ndarray, rate: int, scale: float = 1 / 16) -> float:
    """The slow way, all at once, far below full scale: torchaudio's filters clamp there."""
    return float(torchaudio.functional.loudness(torch.from_numpy(samples * scale), rate)) - 20 * math.log10(scale)


@pytest.mark.parametrize("n_channels", [1, 2, 5])
@pytest.mark.parametrize("rate", [8000, 11025, 44100, 192000])
@pytest.mark.parametrize("seconds", [0.4, 0.77, 2.7])
def test_loudness_in_pieces_is_that_of_the_whole(
    seconds: float, rate: int, n_channels: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vampcli.audio.loudness._GATES_AT_ONCE", 4)
    x = music(seconds, rate, n_channels) + 0.2  # an offset, which the filters take away
    assert loudness(x, rate) == pytest.approx(lufs(x, rate), abs=0.001)


@pytest.mark.parametrize("n_samples", [5599, 5600, 6399, 6400, 24000])
def test_loudness_at_lengths_about_a_piece(n_samples: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vampcli.audio.loudness._GATES_AT_ONCE", 4)  # of 3200 samples, one each 800: 5600 in all
    x = music(n_samples / 8000, 8000).astype(np.float32)
    x[:, : n_samples // 2] *= 0.03  # below the relative gate
    assert loudness(x, 8000) == pytest.approx(lufs(x.astype(np.float64), 8000), abs=0.001)


@pytest.mark.parametrize("volume", [0.1, 8, 1e4])
def test_loudness_follows_the_volume(volume: float) -> None:
    x = music(1, 44100, 2)
    expected = lufs(x, 44100) + 20 * math.log10(volume)
    assert loudness(volume * x, 44100) == pytest.approx(expected, abs=0.001)


def test_loudness_of_ranges_is_that_of_them_laid_end_to_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vampcli.audio.loudness._GATES_AT_ONCE", 4)
    x = music(4, 44100, 2)
    kept = [(0, 100), (5000, 50000), (50001, 50003), (60000, 130000), (176000, 176400)]
    whole = np.concatenate([x[:, start:end] for start, end in kept], axis=1)
    assert loudness(x, 44100, kept) == pytest.approx(lufs(whole, 44100), abs=0.001)


@pytest.mark.parametrize("spans", [[(30000, 60000), (100, 2000)], [(0, 50000), (40000, 60000)], [(0, 88200)], []])
def test_the_gain_is_that_of_what_no_span_covers(spans: list[tuple[int, int]]) -> None:
    x = music(2, 44100, 2)
    mask = np.ones(x.shape[1], dtype=bool)
    for start, end in spans:
        mask[start:end] = False
    kept = x[:, mask] if mask.any() else x
    expected = min(10 ** ((-24 - lufs(kept, 44100)) / 20), 1 / np.abs(kept).max())
    assert level_gain(x, 44100, spans) == pytest.approx(expected, rel=1e-4)


def test_measuring_takes_the_memory_of_a_piece_not_of_the_whole() -> None:
    short, long = (np.random.default_rng(0).standard_normal((1, 8000 * n)).astype(np.float32) for n in (20, 200))
    peaks = []
    for samples in (short, long):
        tracemalloc.start()
        level_gain(samples, 8000, [(100, 200), (40000, 50000)])
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0]


@pytest.mark.parametrize("rate", [8000, 22050, 44100, 48000, 96000])
@pytest.mark.parametrize("amplitude", [0.01, 0.1, 1.0])
def test_the_level_of_a_sine_is_that_of_the_standard(rate: int, amplitude: float) -> None:
    expected_lufs = -3.01 + 20 * math.log10(amplitude)  # ITU-R BS.1770: 997 Hz in one channel
    gain_db = 20 * math.log10(level_gain(amplitude * sine(997, rate, rate), rate))
    assert gain_db == pytest.approx(-24 - expected_lufs, abs=0.2)


@pytest.mark.parametrize("n_channels", [1, 2])
@pytest.mark.parametrize("volume", [0.05, 0.5, 1.6])
def test_minus_24_lufs_is_reached(n_channels: int, volume: float) -> None:
    x = volume * music(2, 44100, n_channels)
    x += 0.1 * volume * np.sin(2 * np.pi * 300 * np.arange(x.shape[1]) / 44100)
    gain = level_gain(x, 44100)
    assert gain * np.abs(x).max() < 1
    assert lufs(gain * x, 44100) == pytest.approx(-24, abs=0.05)


@pytest.mark.parametrize("volume", [2, 4, 100])
def test_sound_beyond_full_scale_is_measured_as_any_other(volume: float) -> None:
    x = np.random.default_rng(0).uniform(-1, 1, (1, 44100))
    assert volume * level_gain(volume * x, 44100) == pytest.approx(level_gain(x / 8, 44100) / 8, rel=1e-3)


def test_peaks_stay_within_full_scale() -> None:
    x = 0.001 * sine(300, 44100, 44100)
    x[0, ::9000] = 0.9
    assert level_gain(x, 44100) == pytest.approx(1 / 0.9)


@pytest.mark.parametrize(
    "samples",
    [
        np.zeros((1, 44100)),
        0.5 * sine(997, 44100, 17639),  # one sample under 0.4 s
        0.0005 * sine(997, 44100, 44100),  # -69 LUFS
        0.00001 * sine(997, 44100, 44100),  # every block below the gate
        np.zeros((1, 1)),
    ],
)
def test_silence_and_snippets_keep_their_level(samples: np.ndarray) -> None:
    assert level_gain(samples, 44100) == 1.0


@pytest.mark.parametrize("seconds", [0.4, 0.45, 1.0])
def test_from_0_4_s_on_the_level_is_set(seconds: float) -> None:
    assert level_gain(0.5 * sine(997, 44100, round(seconds * 44100)), 44100) < 0.3


@pytest.mark.parametrize("inside", [0.0, 0.999, 50.0])
def test_what_lies_in_spans_does_not_matter(inside: float) -> None:
    x = music(2, 44100, 2)
    spans = [(0, 5000), (30000, 50000), (88000, 88200)]
    expected = level_gain(x, 44100, spans)
    for start, end in spans:
        x[:, start:end] = inside
    assert level_gain(x, 44100, spans) == expected


def test_with_under_0_4_s_kept_all_matters() -> None:
    x = music(2, 44100)
    spans = [(10000, 88200)]
    assert level_gain(x, 44100, spans) == level_gain(x, 44100)
