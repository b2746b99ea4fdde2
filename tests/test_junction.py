"""Junctions of loops: figures, and the least treatment that leaves no click."""

import numpy as np
import pytest

from vampcli.audio.clicks import LIMIT, junction_figure
from vampcli.audio.junction import Junction, Sides, attack_db, click_between, decide, treat

RATE = 44100
MADE, FADE = 5292, 176
TIME_S = np.arange(4 * RATE) / RATE


def tone(hz: float, n: int, gain: float = 0.3) -> np.ndarray:
    return (gain * np.sin(2 * np.pi * hz * TIME_S[:n])).astype(np.float32)


def saw(hz: float, n: int, gain: float = 0.3) -> np.ndarray:
    return (gain * (2 * (hz * TIME_S[:n] % 1) - 1)).astype(np.float32)


def decided(samples: np.ndarray, start: int, end: int, around: bool = True) -> tuple[Sides, Junction]:
    sides = Sides.of(samples[None], start, end, RATE)
    return sides, decide(sides, MADE, around)


def after(sides: Sides, junction: Junction) -> float:
    figure = click_between(*treat(sides, junction), RATE)
    assert figure is not None
    return figure


def test_attack_is_the_rise_above_200_hz() -> None:
    quiet, loud = (np.random.default_rng(0).standard_normal((2, 4410)) * gain for gain in (0.01, 0.1))
    assert attack_db(quiet, loud, RATE) == pytest.approx(20, abs=1)
    hum = tone(40, 4410)[None]
    assert abs(attack_db(quiet, loud / 10 + hum, RATE)) < 4  # a hum of 0.3 is 27 dB louder
    assert attack_db(quiet[:, :0], loud, RATE) == 0


def test_click_figure_is_that_of_the_loop() -> None:
    samples = np.stack([tone(111.1, 30000), tone(222.2, 30000)])
    sides = Sides.of(samples, 0, 30000, RATE)
    assert click_between(sides.end, sides.start, RATE) == junction_figure(samples, RATE, 0)
    inner = Sides.in_loop(np.tile(samples, 3), 30000, 30000, RATE)
    assert np.array_equal(inner.end, sides.end)
    assert np.array_equal(inner.start, sides.start)


def test_whole_periods_stay_as_they_are() -> None:
    sides, junction = decided(tone(100, 88200), 4410, 48510)
    assert (junction.method, junction.start, junction.end) == ("copied", 0, 0)
    assert np.array_equal(treat(sides, junction)[0], sides.end)


def test_end_fades_into_what_lies_before_the_start() -> None:
    samples = tone(111.1, 88200)
    sides, junction = decided(samples, 5000, 60000)
    assert (junction.method, junction.start, junction.end) == ("crossfaded", -FADE, 0)
    end, start = treat(sides, junction)
    assert np.array_equal(start, sides.start)
    assert np.array_equal(end[:, :-FADE], sides.end[:, :-FADE])
    assert end[0, -1] == pytest.approx(samples[4999], abs=1e-4)
    assert junction.click is not None
    assert junction.click > LIMIT >= after(sides, junction)


def test_start_of_the_recording_fades_from_what_follows_the_end() -> None:
    samples = tone(111.1, 88200)
    sides, junction = decided(samples, 0, 60000)
    assert (junction.method, junction.start, junction.end) == ("crossfaded", 0, FADE)
    end, start = treat(sides, junction)
    assert np.array_equal(end, sides.end)
    assert start[0, 0] == pytest.approx(samples[60000], abs=1e-4)
    assert after(sides, junction) <= LIMIT


def test_attack_at_the_start_of_the_recording_follows_a_fade_to_silence() -> None:
    kick = tone(90, 8820, 0.9) * np.exp(-TIME_S[:8820] / 0.05)
    kick[:200] += 0.3 * np.random.default_rng(0).standard_normal(200)
    samples = np.concatenate([kick, tone(333.3, 40000, 0.02)]).astype(np.float32)
    sides, junction = decided(samples, 0, len(samples) - 30)
    assert junction.attack_db > 6
    end, start = treat(sides, junction)
    assert np.array_equal(start, sides.start)
    if junction.method == "crossfaded":
        assert junction.end == 0
        assert abs(end[0, -1]) < 1e-3


def test_attack_that_the_recording_has_is_no_click() -> None:
    beat = np.concatenate([tone(90, 600, 0.9)[::-1] + 0.2, np.zeros(21450)]).astype(np.float32)
    samples = np.tile(beat, 4)
    _, junction = decided(samples, 22050, 66150)
    assert junction.click is not None
    assert junction.click > LIMIT
    assert junction.method == "copied"
    assert junction.allowed >= junction.click


def test_sides_that_do_not_fit_are_generated() -> None:
    samples = np.concatenate([tone(60, 44100), saw(223, 44100)])
    _, junction = decided(samples, 0, 88200)
    assert (junction.method, junction.start, junction.end) == ("generated", -MADE // 2, MADE // 2)
    _, junction = decided(samples, 0, 88200, around=False)
    assert (junction.method, junction.start, junction.end) == ("generated", -MADE, 0)
    sides = Sides.of(samples[None], 0, 88200, RATE)
    assert decide(sides, 0).method == "crossfaded"  # too short for the models


def test_generated_samples_end_before_an_attack() -> None:
    loud = saw(110, 88200) * np.minimum(1, TIME_S[:88200] / 0.005).astype(np.float32)
    samples = np.concatenate([tone(150, 44100, 0.0005), loud])
    sides, junction = decided(samples, 44100, 132000)
    assert (junction.method, junction.attack) == ("generated", True)
    assert (junction.start, junction.end, junction.hold) == (-441 - MADE, -441, 441)
    end, start = treat(sides, junction)
    assert np.array_equal(start, sides.start)
    assert np.array_equal(end[0, -441:], samples[44100 - 441 : 44100])


@pytest.mark.parametrize("n", [1, 2, 5, 64, 65, 200, 3000])
@pytest.mark.parametrize("rate", [1000, 44100])
def test_loops_of_a_few_samples(n: int, rate: int) -> None:
    samples = np.random.default_rng(n).standard_normal((2, 3000)).astype(np.float32)
    for start in (0, 3000 - n):
        sides = Sides.of(samples, start, start + n, rate)
        junction = decide(sides, 0)
        end, begin = treat(sides, junction)
        assert (end.shape, begin.shape) == (sides.end.shape, sides.start.shape)
        assert np.isfinite(end).all()
        assert (junction.click is None) == (n // 2 * 2 <= 64)


def test_silence_is_clean() -> None:
    sides, junction = decided(np.zeros(44100, np.float32), 0, 44100)
    assert (junction.method, junction.click, junction.attack_db) == ("copied", 0, 0)
    assert not treat(sides, junction)[0].any()
