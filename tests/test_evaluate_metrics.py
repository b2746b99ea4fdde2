"""Metrics against their definitions in numpy."""

import math

import numpy as np
import pytest
import torch

from conftest import music
from vampcli.audio.clicks import LIMIT, click_figure
from vampcli.evaluate import metrics

RATE = 44100


def sound(seconds: float = 0.3, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(music(seconds, RATE, seed=seed)[0]).float()


def frames(x: np.ndarray, n: int) -> np.ndarray:
    """Magnitudes of windows centred on every quarter window: (n_frames, bins)."""
    padded = np.pad(x, n // 2)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n) / n)
    return np.array([np.abs(np.fft.rfft(window * padded[i * n // 4 :][:n])) for i in range(4 * len(x) // n + 1)])


def test_mel_error_equals_its_definition(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "_BLOCK", 5000)  # several blocks, the last one short
    made, target = sound(seed=0), sound(seed=1)
    matched = made.numpy() * float(target.norm() / made.norm())
    errors = []
    for n, bands in ((64, 10), (128, 20), (256, 40), (512, 80), (1024, 160), (2048, 320)):
        filters = metrics.mel_filters(n, bands, RATE).numpy()
        a, b = (np.log10(np.maximum(frames(x, n) @ filters, 1e-5)) for x in (matched, target.numpy()))
        errors.append(np.abs(a - b).mean())
    assert metrics.piece_mel_error(made, target, RATE) == pytest.approx(np.mean(errors), rel=1e-4)


def test_mel_filters_tile_the_band() -> None:
    filters = metrics.mel_filters(2048, 40, RATE)
    assert filters.shape == (1025, 40)
    assert 0.5 < float(filters.max(0).values.min()) <= float(filters.max()) <= 1
    inside = slice(int(filters[:, 0].argmax()), int(filters[:, -1].argmax()))
    assert filters.sum(1)[inside] == pytest.approx(1.0, abs=1e-5)


def test_level_counts_in_training_only() -> None:
    x = sound()
    assert float(metrics.mel_error(x[None] * 10**0.5, x[None], RATE, ((64, 10),))) == pytest.approx(0.5, abs=0.01)
    assert metrics.piece_mel_error(0.1 * x, x, RATE) == pytest.approx(0, abs=1e-3)
    assert metrics.level_difference_db(0.1 * x, x) == pytest.approx(-20, abs=1e-3)
    assert metrics.level_difference_db(0 * x, 0 * x) == 0


def test_silence_is_far_and_finite() -> None:
    x = sound()
    assert 1 < metrics.piece_mel_error(0 * x, x, RATE) < 10
    assert metrics.piece_spectral_convergence(0 * x, x) == pytest.approx(1)


def test_spectral_convergence_block_by_block(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "_BLOCK", 5000)
    made, target = sound(seed=0), sound(seed=1)
    whole = float(metrics.spectral_convergence(made[None], target[None]))
    assert metrics.piece_spectral_convergence(made, target) == pytest.approx(whole, rel=1e-4)


def test_si_sdr_of_added_noise() -> None:
    rng = np.random.default_rng(0)
    x, noise = (torch.from_numpy(rng.standard_normal(100_000)).float()[None] for _ in range(2))
    assert float(metrics.si_sdr(3 * (x + 0.1 * noise), x)) == pytest.approx(20, abs=0.1)


def test_perplexity_counts_codes_in_use() -> None:
    evenly, one, two = torch.arange(32), torch.full((32,), 5), torch.arange(32) % 2
    assert metrics.perplexity(torch.stack([evenly, one, two]), 32).tolist() == pytest.approx([32, 1, 2])


def test_cuts_click_and_music_does_not() -> None:
    x = music(2, RATE, seed=0)[0]
    places = range(5000, 80000, 4321)
    assert max(click_figure(x, RATE, place) for place in places) <= LIMIT
    for place in places:
        cut = np.concatenate([x[:place], np.sign(-x[place]) * 0.1 + x[place:]])
        assert click_figure(cut, RATE, place) > LIMIT


def test_click_figure_at_its_limits() -> None:
    assert click_figure(np.zeros(10_000, np.float32), RATE, 5000) == 0
    assert math.isfinite(click_figure(np.sin(np.arange(10_000)), RATE, 3))
    with pytest.raises(ValueError, match="10 samples around position 4 of 10"):
        click_figure(np.ones(10, np.float32), RATE, 4)


def test_cached_filters_work_in_training() -> None:
    metrics.mel_filters.cache_clear()
    with torch.inference_mode():
        metrics.log_mel(torch.ones(1, 129, 2), 20, 44100)
    magnitude = torch.ones(1, 129, 2, requires_grad=True)
    metrics.log_mel(magnitude, 20, 44100).sum().backward()
    assert magnitude.grad is not None
