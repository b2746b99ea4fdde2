"""Search for loop points, in sound that repeats exactly."""

import time

import numpy as np
import pytest

from vampcli.memory.features import compute_features
from vampcli.memory.loop_points import LoopPoints, Meter, find_loop_points, score_starts

RATE = 22050


def piece(beats: int = 24, period: int = 8, seed: int = 0) -> np.ndarray:
    """Notes of half a second, of which every `period` repeat: float32 (2, n_samples)."""
    rng, time_s = np.random.default_rng(seed), np.arange(RATE // 2) / RATE
    notes = [
        sum(np.sin(2 * np.pi * hz * time_s) for hz in rng.uniform(100, 2000, 3))
        * np.exp(-time_s / 0.15)
        * np.minimum(1, time_s / 0.002)
        for _ in range(period)
    ]
    mono = np.concatenate([notes[i % period] for i in range(beats)])
    return 0.1 * np.stack([mono, 0.5 * mono]).astype(np.float32)


def found(samples: np.ndarray, near: tuple[float, float] | None = None, meter: Meter | None = None) -> list[LoopPoints]:
    span = near and (round(near[0] * RATE), round(near[1] * RATE))
    return find_loop_points(samples, RATE, compute_features(samples, RATE), span, meter)


@pytest.mark.parametrize("near", [None, (1.3, 5.1), (0, 4.2), (7.8, 12)])
def test_length_is_that_of_the_repeat(near: tuple[float, float] | None) -> None:
    best, *others = found(piece(), near)
    assert (best.end - best.start) % (4 * RATE) == 0
    assert best.score > 0.85
    assert best.waveform_score > 0.9
    assert all(best.rank >= other.rank for other in others)
    assert all(0 <= one.start < one.end <= 12 * RATE for one in (best, *others))
    if near:
        assert abs(best.start - near[0] * RATE) <= 0.56 * RATE


def test_start_is_just_before_an_attack() -> None:
    best, *_ = found(piece(), (2.05, 6.1))
    assert -0.003 <= best.start / RATE - round(2 * best.start / RATE) / 2 <= 0


def test_meter_restricts_length_and_start() -> None:
    samples = piece(period=6)  # 3 s
    meter = Meter(tuple(RATE * i for i in range(12)), 2 * RATE)  # 6 s and whole seconds
    for one in found(samples, None, meter):
        assert (one.end - one.start) / (2 * RATE) == pytest.approx(round((one.end - one.start) / (2 * RATE)), abs=0.03)
        assert abs(one.start / RATE - round(one.start / RATE)) < 0.06
    best, *_ = found(samples, None, meter)
    assert best.end - best.start == 6 * RATE


def test_score_is_the_weighted_correlation() -> None:
    values = np.random.default_rng(0).standard_normal((3, 40)).astype(np.float32)
    starts = np.arange(0, 30)
    scores = score_starts(values, 7, starts, 5, 3)
    for start, score in zip(starts, scores, strict=True):
        frames = [t for t in range(start - 5, start + 5) if t >= 0 and t + 7 < 40]
        weights = np.array([np.exp(-abs(t - start + 0.5) / 2.5) for t in frames])
        a, b = values[:, frames], values[:, [t + 7 for t in frames]]
        expected = (weights * a * b).sum() / np.sqrt((weights * a * a).sum() * (weights * b * b).sum())
        assert score == pytest.approx(expected, abs=1e-5)
    assert (score_starts(values, 38, starts, 5, 3) == -np.inf).all()


@pytest.mark.parametrize("n", [1, 100, 2000, 20000])
def test_short_recordings(n: int) -> None:
    for near in (None, (0, n / RATE)):
        assert all(0 <= one.start < one.end <= n for one in found(piece(2)[:, :n], near))


def test_silence_has_none() -> None:
    assert found(np.zeros((1, 4 * RATE), np.float32)) == []


def test_three_minutes_take_less_than_two_seconds() -> None:
    samples = np.tile(piece(period=24), 15)
    began = time.process_time()
    assert found(samples)
    assert time.process_time() - began < 2
