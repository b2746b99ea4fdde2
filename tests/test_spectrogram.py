"""Columns of sound and masks, against one sample and one frame after another."""

import numpy as np
import pytest

from conftest import sine
from vampcli import Waveform
from vampcli.audio.spectrogram import SILENT_DB, band_edges, density, envelope, spectrogram

RATE = 8000


def loudest_hz(picture: np.ndarray, rate: int) -> np.ndarray:
    """The middle of the loudest band of each column."""
    borders = band_edges(rate)
    return np.sqrt(borders[:-1] * borders[1:])[picture.argmax(0)]


@pytest.mark.parametrize(("n_samples", "n_columns"), [(1000, 10), (997, 31), (5, 5), (7, 1)])
def test_envelope_is_minimum_and_maximum(n_samples: int, n_columns: int) -> None:
    x = np.random.default_rng(0).standard_normal((2, n_samples))
    low, high = envelope(x, n_columns)
    pieces = [x[:, i * n_samples // n_columns : (i + 1) * n_samples // n_columns] for i in range(n_columns)]
    np.testing.assert_array_equal(low, [piece.min() for piece in pieces])
    np.testing.assert_array_equal(high, [piece.max() for piece in pieces])


def test_density_counts_hidden_tokens() -> None:
    mask = np.random.default_rng(0).random((3, 103)) < 0.4
    expected = [[np.mean(row[i * 103 // 10 : (i + 1) * 103 // 10]) for i in range(10)] for row in mask]
    np.testing.assert_allclose(density(mask, 10), expected)


@pytest.mark.parametrize("rate", [8000, 44100, 96000])
@pytest.mark.parametrize("frequency", [100, 1000, 3000])
def test_a_tone_has_frequency_and_level(rate: int, frequency: float) -> None:
    picture = spectrogram(Waveform(0.5 * sine(frequency, rate, rate), rate), 40)[:, 4:-4]  # whole frames
    np.testing.assert_allclose(loudest_hz(picture, rate), frequency, rtol=0.015, atol=7)  # half a band, half a bin
    np.testing.assert_allclose(picture.max(0), 20 * np.log10(0.5), atol=2.5)


def test_the_side_channel_counts() -> None:
    tone = 0.5 * sine(440, RATE, RATE)
    side, mono = Waveform(np.concatenate([tone, -tone]), RATE), Waveform(tone, RATE)
    np.testing.assert_allclose(spectrogram(side, 10), spectrogram(mono, 10))


def test_few_columns_leave_no_sample_out() -> None:
    for i in np.random.default_rng(0).integers(0, 40 * RATE, 20):
        x = np.zeros((1, 40 * RATE), np.float32)
        x[0, i] = 1
        loud = spectrogram(Waveform(x, RATE), 10).max(0)
        assert loud.argmax() in {max(0, (i - 512) * 10 // (40 * RATE)), min(9, (i + 512) * 10 // (40 * RATE))}
        assert loud.max() > SILENT_DB + 10


@pytest.mark.parametrize("n_columns", [3, 700])  # many frames a column, and one
def test_blocks_leave_no_trace(n_columns: int) -> None:
    """Against one frame after another, of a sound with silence around it."""
    x = Waveform(np.random.default_rng(0).uniform(-1, 1, (2, 60 * RATE)).astype(np.float32), RATE)
    n_fft, n_each = 1024, -(-2 * x.n_samples // (n_columns * 1024))
    around = np.pad(x.samples, ((0, 0), (n_fft, n_fft))).astype(np.float64)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n_fft) / n_fft)
    borders, bins = band_edges(RATE), np.arange(n_fft // 2 + 1) * RATE / n_fft
    picture = spectrogram(x, n_columns)
    for column in (0, n_columns // 2, n_columns - 1):
        total = np.zeros(len(bins))
        for k in range(n_each):
            centre = int(((column * n_each + k) + 0.5) * x.n_samples / (n_columns * n_each))
            for channel in around:
                piece = channel[centre + n_fft // 2 : centre + 3 * n_fft // 2]
                total += np.abs(np.fft.rfft(piece * window) * 2 / window.sum()) ** 2 / (2 * n_each)
        for band in (0, 100, 255):
            middle, width = np.sqrt(borders[band] * borders[band + 1]), borders[band + 1] - borders[band]
            weights = np.clip(1 - np.abs(bins - middle) / max(width, RATE / n_fft), 0, None)
            assert picture[band, column] == pytest.approx(10 * np.log10(weights @ total), abs=0.01)
