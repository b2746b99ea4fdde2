"""Agreement of attacks with those of similar places: copies, shuffled attacks, silence."""

import numpy as np
import pytest

from vampcli import Waveform
from vampcli.config import Place
from vampcli.scoring.attacks import ExpectedAttacks, correlation
from vampcli.tasks.plan import Stretch

RATE, START, END, LAG = 22050, 8 * 22050, 10 * 22050, -6 * 22050
HITS = np.array([0.1, 0.35, 0.6, 0.9, 1.15, 1.3, 1.6, 1.85])
SHUFFLED = np.array([0.02, 0.23, 0.48, 0.75, 1.02, 1.42, 1.5, 1.73])


def hits(times_s: np.ndarray, seconds: float = 12.0) -> np.ndarray:
    """Bursts of noise at times: float32 (1, n_samples)."""
    samples, burst = np.zeros((1, round(seconds * RATE))), np.exp(-np.arange(2000) / 400)
    for i, time in enumerate(times_s):
        noise = np.random.default_rng(i).standard_normal(2000)
        samples[0, round(time * RATE) : round(time * RATE) + 2000] += 0.2 * noise * burst
    return samples.astype(np.float32)


RECORDING = Waveform(hits(np.concatenate([HITS + 2 * i for i in range(6)])), RATE)


def expected(*places: Place) -> ExpectedAttacks:
    return ExpectedAttacks.of(RECORDING, [Stretch(START, END, (0, 1), places)])


def with_span(samples: np.ndarray) -> Waveform:
    made = RECORDING.samples.copy()
    made[:, START:END] = samples[:, : END - START]
    return Waveform(made, RATE)


def test_copy_agrees_fully_and_shuffled_attacks_do_not() -> None:
    place = expected(Place(LAG, 1.0))
    assert place.agreement(with_span(RECORDING.samples[:, START + LAG : END + LAG])) == pytest.approx(1, abs=1e-3)
    shuffled = place.agreement(with_span(hits(SHUFFLED)))
    assert shuffled is not None
    assert shuffled < 0.3


def test_no_place_or_silence_gives_none() -> None:
    copy = with_span(RECORDING.samples)
    assert expected(Place(LAG, 1.0, trust=0.0)).agreement(copy) is None
    assert expected(Place(LAG, 1.0, file="other.wav")).agreement(copy) is None
    assert ExpectedAttacks((), ()).agreement(copy) is None
    silent = Waveform(np.zeros_like(RECORDING.samples), RATE)
    assert expected(Place(LAG, 1.0)).agreement(silent) is None


def test_expected_strength_is_the_mean_of_places_by_trust() -> None:
    a, b = Place(LAG, 1.0, trust=0.9), Place(LAG + 5000, 1.0, trust=0.3)
    both, first, second = (expected(*places).strengths[0] for places in ((a, b), (a,), (b,)))
    np.testing.assert_allclose(both, 0.75 * first + 0.25 * second, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("shift", [-1, 0, 1])
def test_correlation_allows_one_frame_of_shift(shift: int) -> None:
    x = np.random.default_rng(0).random(100)
    assert correlation(np.roll(x, shift), x) == pytest.approx(1)


def test_correlation_allows_no_larger_shift() -> None:
    x = np.random.default_rng(0).random(100)
    far = correlation(np.roll(x, 3), x)
    assert far is not None
    assert far < 0.5
