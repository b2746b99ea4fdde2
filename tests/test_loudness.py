"""Loudness against torchaudio and the standard; spans are ignored."""

import math
import tracemalloc

import numpy as np
import pytest
import torch
import torchaudio

from conftest import music, sine
from vampcli.audio.loudness import level_gain, loudness


def lufs(samples: np.ndarray, rate: int, scale: float = 1 / 16) -> float:
    """torchaudio's loudness of the whole, far below full scale, where its filters clip."""
    return float(torchaudio.functional.loudness(torch.from_numpy(samples * scale), rate)) - 20 * math.log10(scale)


@pytest.mark.parametrize("n_channels", [1, 2, 5])
@pytest.mark.parametrize(("seconds", "rate"), [(0.4, 44100), (0.77, 11025), (2.7, 8000), (1.3, 96000)])
def test_loudness_equals_torchaudio(
    seconds: float, rate: int, n_channels: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vampcli.audio.loudness._GATES_AT_ONCE", 4)
    x = music(seconds, rate, n_channels) + 0.2  # an offset, which the filters remove
    assert loudness(x, rate) == pytest.approx(lufs(x, rate), abs=0.001)


@pytest.mark.parametrize("n_samples", [5599, 5600, 6399, 6400, 24000])
def test_lengths_near_a_block(n_samples: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vampcli.audio.loudness._GATES_AT_ONCE", 4)  # of 3200 samples, one each 800: 5600 in all
    x = music(n_samples / 8000, 8000).astype(np.float32)
    x[:, : n_samples // 2] *= 0.03  # below the relative gate
    assert loudness(x, 8000) == pytest.approx(lufs(x.astype(np.float64), 8000), abs=0.001)


@pytest.mark.parametrize("volume", [0.1, 8, 1e4])
def test_loudness_follows_the_volume(volume: float) -> None:
    x = music(1, 44100, 2)
    expected = lufs(x, 44100) + 20 * math.log10(volume)
    assert loudness(volume * x, 44100) == pytest.approx(expected, abs=0.001)


def test_loudness_of_ranges(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vampcli.audio.loudness._GATES_AT_ONCE", 4)
    x = music(4, 44100, 2)
    kept = [(0, 100), (5000, 50000), (50001, 50003), (60000, 130000), (176000, 176400)]
    whole = np.concatenate([x[:, start:end] for start, end in kept], axis=1)
    assert loudness(x, 44100, kept) == pytest.approx(lufs(whole, 44100), abs=0.001)


@pytest.mark.parametrize(
    "spans", [[(30000, 60000), (100, 2000)], [(0, 50000), (40000, 60000)], [(0, 88200)], [(10000, 88200)], []]
)
def test_gain_ignores_spans(spans: list[tuple[int, int]]) -> None:
    x = music(2, 44100, 2)
    mask = np.ones(x.shape[1], dtype=bool)
    for start, end in spans:
        mask[start:end] = False
    kept = x[:, mask] if mask.sum() >= 0.4 * 44100 else x
    expected = min(10 ** ((-24 - lufs(kept, 44100)) / 20), 1 / np.abs(kept).max())
    assert level_gain(x, 44100, spans) == pytest.approx(expected, rel=1e-4)


def test_memory_of_a_block() -> None:
    short, long = (np.random.default_rng(0).standard_normal((1, 8000 * n)).astype(np.float32) for n in (20, 200))
    peaks = []
    for samples in (short, long):
        tracemalloc.start()
        level_gain(samples, 8000, [(100, 200), (40000, 50000)])
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0]


@pytest.mark.parametrize("rate", [8000, 44100, 96000])
@pytest.mark.parametrize("amplitude", [0.01, 0.1, 1.0])
def test_sine_of_the_standard(rate: int, amplitude: float) -> None:
    expected_lufs = -3.01 + 20 * math.log10(amplitude)  # ITU-R BS.1770: 997 Hz in one channel
    gain_db = 20 * math.log10(level_gain(amplitude * sine(997, rate, rate), rate))
    assert gain_db == pytest.approx(-24 - expected_lufs, abs=0.2)


def test_peaks_stay_below_full_scale() -> None:
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
    assert level_gain(0.5 * sine(997, 44100, 17640), 44100) < 0.3  # 0.4 s


@pytest.mark.parametrize("inside", [0.0, 0.999, 50.0])
def test_content_of_spans_is_ignored(inside: float) -> None:
    x = music(2, 44100, 2)
    spans = [(0, 5000), (30000, 50000), (88000, 88200)]
    expected = level_gain(x, 44100, spans)
    for start, end in spans:
        x[:, start:end] = inside
    assert level_gain(x, 44100, spans) == expected


@pytest.mark.parametrize(("seconds", "rate", "n_channels"), [(12, 44100, 2), (0.42, 48000, 1), (1, 8000, 1)])
def test_quick_loudness_is_the_same(seconds: float, rate: int, n_channels: int) -> None:
    x = 0.3 * np.random.default_rng(0).standard_normal((n_channels, round(seconds * rate)))
    assert loudness(x, rate, quick=True) == pytest.approx(loudness(x, rate), abs=1e-9)
