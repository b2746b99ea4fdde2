"""Attacks near onsets, against clicks, drums and plucked notes at known times."""

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest

from vampcli.audio import attacks
from vampcli.audio.beats import onsets_s
from vampcli.audio.waveform import Waveform
from vampcli.tasks.recording import Recording
from vampcli.tasks.spans import SpanRequest

RATE = 22050
TIMES_S = np.cumsum(np.random.default_rng(5).uniform(0.28, 0.6, 16))
HERTZ = (196, 247, 65, 330, 82, 220, 110)


def decay(per_s: float, seconds: float) -> np.ndarray:
    return np.exp(-per_s * np.arange(round(seconds * RATE)) / RATE)


def tone(hertz: float, envelope: np.ndarray) -> np.ndarray:
    return envelope * np.sin(2 * np.pi * hertz * np.arange(len(envelope)) / RATE)


def pluck(hertz: float) -> np.ndarray:
    """A string by Karplus and Strong, which rings on under the next note; it rises within 2 ms."""
    n, period = 2 * RATE, round(RATE / hertz)
    wave = np.random.default_rng(round(hertz)).uniform(-1, 1, n)
    for i in range(period, n):
        wave[i] = 0.499 * (wave[i - period] + wave[max(0, i - period - 1)])
    wave[: RATE // 500] *= np.linspace(0, 1, RATE // 500)
    return wave


SOUNDS: dict[str, Callable[[int], np.ndarray]] = {
    "clicks": lambda _: tone(1000, decay(80, 0.05)),
    "kicks": lambda _: tone(55, decay(15, 0.2)),
    "snares": lambda i: decay(60, 0.1) * np.random.default_rng(i).standard_normal(round(0.1 * RATE)),
    "plucked notes": lambda i: pluck(HERTZ[i % len(HERTZ)]),
}


@cache
def played(kind: str) -> Waveform:
    """Sounds at `TIMES_S` on hiss: float64 (2, n_samples)."""
    samples = 0.002 * np.random.default_rng(0).standard_normal((2, round((TIMES_S[-1] + 1) * RATE)))
    for i, time_s in enumerate(TIMES_S):
        sound = 0.3 * SOUNDS[kind](i)
        part = samples[:, round(time_s * RATE) :][:, : len(sound)]
        part += sound[: part.shape[1]]
    return Waveform(samples, RATE)


@pytest.mark.parametrize("kind", SOUNDS)
def test_attacks_are_found_within_5_ms(kind: str) -> None:
    found = np.array(Recording(played(kind)).attacks_s)
    nearest = found[np.abs(found[:, None] - TIMES_S).argmin(axis=0)]
    np.testing.assert_allclose(nearest, TIMES_S, rtol=0, atol=0.005)


def test_edges_snap_to_attacks() -> None:
    recording, asked = Recording(played("clicks")), (TIMES_S[3] + 0.04, TIMES_S[7] - 0.06)
    (span,) = SpanRequest([asked], snap="onset").seconds(recording)
    np.testing.assert_allclose(span, (TIMES_S[3], TIMES_S[7]), rtol=0, atol=0.005)
    (older,) = SpanRequest([asked], snap="before-onset").seconds(recording)
    assert set(older) <= set(onsets_s(recording.clip.samples, RATE))


@pytest.mark.parametrize("begin_s", [0.0, 0.004, 0.995])
def test_attack_at_an_edge_of_the_clip(begin_s: float) -> None:
    samples = np.zeros((1, RATE))
    samples[0, round(begin_s * RATE) :] = 0.5
    assert attacks.refine(samples, RATE, [begin_s - 0.003]) == pytest.approx([begin_s], abs=1 / RATE)


def test_silence_keeps_its_times_and_equal_attacks_are_one() -> None:
    assert attacks.refine(np.zeros((1, RATE)), RATE, [0.5, 0.2]) == (0.2, 0.5)
    samples = np.zeros((2, RATE))
    samples[:, 5000] = 1
    assert attacks.refine(samples, RATE, [5000 / RATE - 0.03, 5000 / RATE - 0.02]) == (5000 / RATE,)
