"""Loops have an exact length, no click at a junction, and the original between seams."""

from dataclasses import replace

import numpy as np
import pytest

from clips import QUICK, check_kept, clip
from conftest import sine, tiny_parts
from vampcli import Take, Waveform
from vampcli.api import Model
from vampcli.audio.clicks import LIMIT, junction_figure
from vampcli.config import TempoConfig
from vampcli.errors import InputError
from vampcli.tasks.loop import Loop
from vampcli.tasks.recording import Recording
from vampcli.tasks.spans import SpanRequest

CODEC = tiny_parts().codec
HALF = round(0.15 * 44100)  # of the default seam


def copies(take: Take, repeats: int) -> np.ndarray:
    """float (n_repeats, n_channels, n)."""
    samples = take.audio.samples
    return samples.reshape(len(samples), repeats, -1).swapaxes(0, 1)


@pytest.mark.parametrize("seed", range(30))
def test_length_is_exact(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rate, repeats = int(rng.choice([8000, 44100, 48000])), int(rng.integers(1, 9))
    source = Waveform(np.zeros((1, int(rng.integers(2 * rate, 3 * rate))), np.float32), rate)
    start, end = float(rng.uniform(0, 1)), float(rng.choice([rng.uniform(1.7, 2), source.duration_s]))
    plan = Loop(SpanRequest([(start, end)]), repeats).plan(Recording(source), CODEC, 80)
    assert plan.spans[-1][1] == repeats * round((end - start) * rate)


@pytest.mark.parametrize(
    ("rate", "span", "repeats", "variation"),
    [
        (8000, None, 1, 0),
        (44100, (0.2, 1.45678), 3, 0),
        (44100, (0.33333, 1.3), 2, 0.4),
        (48000, (0.1, 0.9), 4, 1),
    ],
)
def test_samples_outside_spans_stay(
    tiny: Model, rate: int, span: tuple[float, float] | None, repeats: int, variation: float
) -> None:
    source = clip(1.5, rate, 2)
    start, end = span or (0, 1.5)
    (take,) = tiny.loop(source, span, repeats=repeats, variation=variation, config=QUICK)
    n, first = round((end - start) * rate), round(start * rate)
    once = source.samples[:, first : first + n]
    assert np.array_equal(take.base.samples, np.tile(once, repeats))
    plan = Loop(SpanRequest([span] if span else []), repeats, variation).plan(Recording(source), tiny.codec, 80)
    assert take.spans == plan.spans
    check_kept(take)


def test_copies_are_equal_without_variation(tiny: Model) -> None:
    source = clip(1.2, n_channels=2)
    for take in tiny.loop(source, repeats=4, n_takes=2, config=QUICK):
        first, *others = copies(take, 4)
        assert all(np.array_equal(first, other) for other in others)


def test_copies_differ_with_variation(tiny: Model) -> None:
    source = clip(1.2)
    (take,) = tiny.loop(source, repeats=3, variation=0.5, config=QUICK)
    first, second, third = copies(take, 3)
    middle = slice(HALF, first.shape[1] - HALF)
    assert np.array_equal(first[:, middle], source.samples[:, middle])
    for one, other in ((first, second), (second, third), (first, third)):
        assert np.mean(one[:, middle] != other[:, middle]) > 0.9


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("repeats", "variation"), [(1, 0), (3, 0.5)])
def test_no_junction_clicks(tiny: Model, seed: int, repeats: int, variation: float) -> None:
    source = clip(1.3, seed=seed)
    (take,) = tiny.loop(source, (0.1, 1.2345), repeats=repeats, variation=variation, config=QUICK, seed=seed)
    n = round(1.1345 * 44100)
    for junction in range(0, repeats * n, n):
        for place in (junction - HALF, junction, junction + HALF):
            assert junction_figure(take.audio.samples, 44100, place % (repeats * n)) <= LIMIT


@pytest.mark.parametrize("variation", [0, 0.5])
def test_raw_cuts_click_loops_do_not(tiny: Model, variation: float) -> None:
    tone = clip(1.3, seed=1).samples + 0.2 * sine(111.1, 44100, 57330).astype(np.float32)
    (take,) = tiny.loop(Waveform(tone, 44100), repeats=2, variation=variation, config=QUICK)
    for place in (0, 57330):
        assert junction_figure(take.base.samples, 44100, place) > LIMIT
        assert junction_figure(take.audio.samples, 44100, place) <= LIMIT


def test_loop_of_beats(tiny: Model) -> None:
    source = clip(2.0)
    places = SpanRequest([(0.1, 1.1)], TempoConfig(bpm=150), snap="beat")
    plan = Loop(places, 2).plan(Recording(source), tiny.codec, 80)
    assert plan.spans[-1][1] == 2 * round(1.2 * 44100)  # 0 to the beat at 1.2 s


def test_seam_proposed_by_the_error_fits() -> None:
    with pytest.raises(InputError) as caught:
        Loop(seam_s=1.7).plan(Recording(clip()), CODEC, 80)
    proposed = float(caught.value.hint.split()[-1])
    assert replace(Loop(), seam_s=proposed).plan(Recording(clip()), CODEC, 80).spans[-1][1] == 88200
