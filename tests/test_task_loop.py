"""Loops have an exact length, no click at a junction, and the original between seams."""

from dataclasses import replace

import numpy as np
import pytest

from clips import QUICK, check_kept, clip
from conftest import sine, tiny_parts
from vampcli import Take, Waveform
from vampcli.api import Model, TakeOptions
from vampcli.audio.clicks import LIMIT, junction_figure
from vampcli.config import TempoConfig
from vampcli.errors import InputError
from vampcli.tasks.loop import Loop
from vampcli.tasks.recording import Recording
from vampcli.tasks.registry import task_from_table
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
    assert plan.n_canvas_samples == repeats * round((end - start) * rate)


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
    (take,) = tiny.loop(source, span, repeats=repeats, variation=variation, seam=0.3, sampling=QUICK)
    n, first = round((end - start) * rate), round(start * rate)
    once = source.samples[:, first : first + n]
    assert np.array_equal(take.base.samples, np.tile(once, repeats))
    plan = Loop(SpanRequest([span] if span else []), repeats, variation, 0.3).plan(Recording(source), tiny.codec, 80)
    assert take.spans == plan.spans
    check_kept(take)


@pytest.mark.parametrize("seam", [None, 0, 0.3])
def test_copies_are_equal_without_variation(tiny: Model, seam: float | None) -> None:
    source = clip(1.2, n_channels=2)
    for take in tiny.loop(source, repeats=4, seam=seam, takes=2, sampling=QUICK):
        first, *others = copies(take, 4)
        assert all(np.array_equal(first, other) for other in others)


def test_copies_differ_with_variation(tiny: Model) -> None:
    source = clip(1.2)
    (take,) = tiny.loop(source, repeats=3, variation=0.5, sampling=QUICK)
    first, second, third = copies(take, 3)
    middle = slice(HALF, first.shape[1] - HALF)
    assert np.array_equal(first[:, middle], source.samples[:, middle])
    for one, other in ((first, second), (second, third), (first, third)):
        assert np.mean(one[:, middle] != other[:, middle]) > 0.9


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("repeats", "variation"), [(1, 0), (3, 0.5)])
@pytest.mark.parametrize("seam", [None, 0.3])
def test_no_junction_clicks(tiny: Model, seed: int, repeats: int, variation: float, seam: float | None) -> None:
    source, options = clip(1.3, seed=seed), TakeOptions([seed], QUICK)
    task = Loop(SpanRequest([(0.1, 1.2345)]), repeats, variation, seam)
    (take,) = tiny.takes(source, task, options)
    n = round(1.1345 * 44100)
    for junction in range(0, repeats * n, n):
        for place in (junction - HALF, junction, junction + HALF):
            assert junction_figure(take.audio.samples, 44100, place % (repeats * n)) <= LIMIT


@pytest.mark.parametrize("variation", [0, 0.5])
def test_raw_cuts_click_loops_do_not(tiny: Model, variation: float) -> None:
    tone = clip(1.3, seed=1).samples + 0.2 * sine(111.1, 44100, 57330).astype(np.float32)
    (take,) = tiny.loop(Waveform(tone, 44100), repeats=2, variation=variation, seam=0.3, sampling=QUICK)
    for place in (0, 57330):
        assert junction_figure(take.base.samples, 44100, place) > LIMIT
        assert junction_figure(take.audio.samples, 44100, place) <= LIMIT


def test_loop_of_beats(tiny: Model) -> None:
    source = clip(2.0)
    places = SpanRequest([(0.1, 1.1)], TempoConfig(bpm=150), snap="beat")
    plan = Loop(places, 2).plan(Recording(source), tiny.codec, 80)
    assert plan.n_canvas_samples == 2 * round(1.2 * 44100)  # 0 to the beat at 1.2 s


def test_seam_proposed_by_the_error_fits() -> None:
    with pytest.raises(InputError) as caught:
        Loop(seam=1.7).plan(Recording(clip()), CODEC, 80)
    proposed = float(caught.value.hint.split()[-1])
    assert replace(Loop(), seam=proposed).plan(Recording(clip()), CODEC, 80).spans[-1][1] == 88200


# --- the least treatment of a junction


def drums(shift_ms: float = 0, bars: int = 4) -> Waveform:
    """Kick and snare at 120 bpm, two channels; all bars are equal."""
    rng, time_s = np.random.default_rng(0), np.arange(11025) / 44100
    kick = np.sin(2 * np.pi * (50 * time_s - 2.4 * np.exp(-time_s / 0.02))) * np.exp(-time_s / 0.09)
    kick += 0.4 * rng.standard_normal(11025) * np.exp(-time_s / 0.003)
    snare = 0.4 * rng.standard_normal(11025) * np.exp(-time_s / 0.05)
    beat = np.concatenate([np.pad(one, (0, 11025)) for one in (kick, snare)])
    once = np.roll(np.tile(beat, 2), round(shift_ms * 44.1))
    return Waveform(0.7 * np.stack([np.tile(once, bars)] * 2).astype(np.float32), 44100)


def jump() -> Waveform:
    """A low tone, then a sawtooth: the end of a loop of it does not fit the start."""
    time_s = np.arange(44100) / 44100
    samples = np.concatenate([0.3 * np.sin(2 * np.pi * 60 * time_s), 0.3 * (2 * (223 * time_s % 1) - 1)])
    return Waveform(samples[None].astype(np.float32), 44100)


@pytest.fixture
def no_networks(tiny: Model, monkeypatch: pytest.MonkeyPatch) -> Model:
    """The model, whose networks fail if they run."""
    for name in ("encode_ranges", "generate"):
        monkeypatch.setattr(f"vampcli.tasks.regenerate.{name}", lambda *_, **__: pytest.fail("a model ran"))
    return tiny


@pytest.mark.parametrize("span", [None, (0, 4), (2, 6), (4, 8)])
def test_clean_loop_is_a_copy(no_networks: Model, span: tuple[float, float] | None) -> None:
    source = drums()
    (take,) = no_networks.loop(source, span, repeats=2)
    start, end = (round(44100 * time_s) for time_s in span or (0, 8))
    assert np.array_equal(take.audio.samples, np.tile(source.samples[:, start:end], 2))
    assert (take.spans, {one.method for one in take.junctions}) == ((), {"copied"})
    assert take.recipe is not None
    assert (take.recipe.synthetic, take.recipe.licences, take.recipe.made_by.model_sha256) == ((), [], "")


@pytest.mark.parametrize("shift_ms", [-5, 3, 8, 20])
def test_shifted_drums_keep_the_attack(no_networks: Model, shift_ms: float) -> None:
    source = drums(shift_ms)
    (take,) = no_networks.loop(source, (2, 6))
    kept = take.audio.samples[:, : -round(0.004 * 44100)]
    assert np.array_equal(kept, source.samples[:, 88200 : 88200 + kept.shape[1]])
    assert junction_figure(take.audio.samples, 44100, 0) <= take.junctions[0].allowed


@pytest.mark.parametrize("n_channels", [1, 2])
def test_end_fades_into_the_recording_before_the_loop(no_networks: Model, n_channels: int) -> None:
    tone = np.repeat(0.3 * sine(111.1, 44100, 88200).astype(np.float32).reshape(1, -1), n_channels, axis=0)
    (take,) = no_networks.loop(Waveform(tone, 44100), (0.5, 1.25), repeats=2)
    n = round(0.75 * 44100)
    assert take.junctions[0].method == "crossfaded"
    assert np.array_equal(take.audio.samples[:, : n - 176], tone[:, 22050 : 22050 + n - 176])
    assert junction_figure(tone[:, 22050 : 22050 + n], 44100, 0) > LIMIT
    for place in (0, n):
        assert junction_figure(take.audio.samples, 44100, place) <= LIMIT
    assert np.array_equal(take.base.samples, take.audio.samples)


@pytest.mark.parametrize("repeats", [1, 3])
def test_junction_that_does_not_fit_is_generated(tiny: Model, repeats: int) -> None:
    source = jump()
    (take,) = tiny.loop(source, repeats=repeats, sampling=QUICK)
    assert {one.method for one in take.junctions} == {"generated"}
    assert sum(end - start for start, end in take.spans) == repeats * 5292
    assert junction_figure(take.audio.samples, 44100, 0) <= LIMIT < junction_figure(take.base.samples, 44100, 0)
    check_kept(take)
    copy, *others = copies(take, repeats)
    assert all(np.array_equal(copy, other) for other in others)


def test_attack_stays_exact_where_its_junction_is_generated(tiny: Model) -> None:
    time_s = np.arange(88200) / 44100
    loud = 0.3 * (2 * (110 * time_s % 1) - 1) * np.minimum(1, time_s / 0.005)
    samples = np.concatenate([0.0005 * np.sin(2 * np.pi * 150 * time_s[:44100]), loud])[None].astype(np.float32)
    (take,) = tiny.loop(Waveform(samples, 44100), (1, 132000 / 44100), repeats=2, sampling=QUICK)
    n = 87900
    for start in (0, n):
        assert np.array_equal(
            take.audio.samples[:, start : start + n - 5292 - 2 * 441], samples[:, 44100:][:, : n - 6174]
        )
    assert take.spans == ((n - 441 - 5292, n - 441), (2 * n - 441 - 5292, 2 * n - 441))
    assert np.array_equal(take.audio.samples[:, n - 441 : n], samples[:, 44100 - 441 : 44100])
    check_kept(take)


def test_wrap_of_varied_copies_follows_the_same_rule(tiny: Model) -> None:
    source = jump()
    (take,) = tiny.loop(source, repeats=3, variation=0.5, sampling=QUICK)
    n = source.n_samples
    assert np.array_equal(take.audio.samples[:, :n], source.samples)
    assert take.spans == ((n, 3 * n),)
    assert [one.method for one in take.junctions[1:]] == ["varied", "generated"]  # the recording ends at the second
    assert take.junctions[0].end <= 0
    for place in (0, n, 2 * n):
        assert junction_figure(take.audio.samples, 44100, place) <= LIMIT


@pytest.mark.parametrize("variation", [0, 0.5])
def test_no_seam_leaves_raw_cuts(tiny: Model, variation: float) -> None:
    source = jump()
    (take,) = tiny.loop(source, repeats=2, variation=variation, seam=0, sampling=QUICK)
    assert np.array_equal(take.audio.samples[:, : source.n_samples], source.samples)
    assert take.junctions[0].method == "cut"
    assert take.spans == (((source.n_samples, 2 * source.n_samples),) if variation else ())


@pytest.mark.parametrize("n_channels", [1, 2])
@pytest.mark.parametrize("n", [1, 3, 100])
@pytest.mark.parametrize("seam", [None, 0])
def test_loops_of_a_few_samples(no_networks: Model, n_channels: int, n: int, seam: float | None) -> None:
    source = clip(0.1, n_channels=n_channels)
    source = replace(source, samples=source.samples[:, :n])
    (take,) = no_networks.loop(source, repeats=3, seam=seam)
    assert take.audio.samples.shape == (n_channels, 3 * n)
    assert np.isfinite(take.audio.samples).all()


def test_silence_is_copied(no_networks: Model) -> None:
    (take,) = no_networks.loop(Waveform(np.zeros((2, 44100), np.float32), 44100), (0.2, 0.7))
    assert take.junctions[0].method == "copied"
    assert not take.audio.samples.any()


def test_equal_takes_are_reported(no_networks: Model, caplog: pytest.LogCaptureFixture) -> None:
    first, second = no_networks.loop(drums(), (2, 6), takes=2)
    assert np.array_equal(first.audio.samples, second.audio.samples)
    assert "the 2 takes are equal" in caplog.text


# --- loop points


def test_points_found_are_those_of_the_recipe(no_networks: Model) -> None:
    source = drums(3)
    (take,) = no_networks.loop(source, (2.2, 6.3), find=True)
    assert take.loop is not None
    start, end = take.loop
    assert end - start == 4 * 44100
    assert take.recipe is not None
    again = task_from_table("loop", take.recipe.request, "recipe")
    assert isinstance(again, Loop)
    assert again.found == take.loop
    (same,) = no_networks.takes(source, again)
    assert np.array_equal(same.audio.samples, take.audio.samples)


def test_points_of_an_earlier_take_are_not_searched(tiny: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vampcli.tasks.recording.find_loop_points", lambda *_: pytest.fail("searched"))
    plan = Loop(find=True, found=(100, 88300)).plan(Recording(drums()), CODEC, 80)
    assert plan.loop is not None
    assert (plan.loop.start, plan.loop.end) == (100, 88300)
    with pytest.raises(InputError, match="ends at sample 400000 but the clip has 352800"):
        Loop(find=True, found=(100, 400000)).plan(Recording(drums()), CODEC, 80)


@pytest.mark.parametrize(("span", "words"), [(None, "in 2.00 s of sound"), ((0.5, 1.5), "near 0.5-1.5 s")])
def test_silence_has_no_loop_points(span: tuple[float, float] | None, words: str) -> None:
    silent = Recording(Waveform(np.zeros((1, 88200), np.float32), 44100))
    with pytest.raises(InputError, match=f"no loop points were found {words}"):
        Loop(SpanRequest([span] if span else []), find=True).plan(silent, CODEC, 80)
