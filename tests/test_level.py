"""What is made has the level, the offset and the silence of its surroundings or of what it replaces."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from clips import QUICK, check_kept, clip, doubled
from vampcli import PromptConfig, Take, Waveform
from vampcli.api import Model
from vampcli.audio.loudness import weighted_powers
from vampcli.audio.matching import follow_level, match_level, match_sides
from vampcli.audio.waveform import Samples
from vampcli.config import MemoryConfig
from vampcli.errors import UsageError
from vampcli.recipe import token_file
from vampcli.tasks.base import Task
from vampcli.tasks.compress import Compress
from vampcli.tasks.inpaint import Inpaint
from vampcli.tasks.level import set_level
from vampcli.tasks.outpaint import Outpaint
from vampcli.tasks.spans import SpanRequest
from vampcli.tasks.take import Stereo, TakeOptions
from vampcli.tasks.vamp import Vamp

RATE = 44100
SPAN = (0.8, 1.4)
TASKS: dict[str, Task] = {
    "inpaint": Inpaint(SpanRequest([SPAN])),
    "vamp": Vamp(PromptConfig(3), SpanRequest([SPAN])),
}


def take_of(model: Model, source: Waveform, task: Task, stereo: Stereo = "mid", rendering: int = 2) -> Take:
    (take,) = model.takes(source, task, TakeOptions([5], QUICK, stereo, rendering=rendering))  # type: ignore[arg-type]
    return take


def steady(n_channels: int = 1, seconds: float = 2.2, seed: int = 0) -> Samples:
    """Low-passed noise, at about -20 dBFS: float32 (n_channels, n_samples)."""
    white = np.random.default_rng(seed).standard_normal((n_channels, round(seconds * RATE) + 7))
    smooth = sum(white[:, i : i + round(seconds * RATE)] for i in range(8))
    return (0.1 * smooth / smooth.std()).astype(np.float32)


def rms_db(samples: Samples) -> float:
    centred = samples - samples.mean(axis=1, keepdims=True, dtype=np.float64)
    return float(10 * np.log10(np.square(centred).mean() + 1e-30))


def excess_db(take: Take) -> list[float]:
    """Level of each channel in the span against that of the base around it."""
    start, end = take.spans[0]
    made, base = take.audio.samples, take.base.samples
    around = np.concatenate([base[:, max(0, start - RATE // 2) : start], base[:, end : end + RATE // 2]], axis=1)
    return [rms_db(made[i : i + 1, start:end]) - rms_db(around[i : i + 1]) for i in range(len(made))]


RELATIONS = {
    "alike": steady().repeat(2, axis=0),
    "opposite": steady() * np.float32([[1], [-1]]),
    "nearly opposite": steady() * np.float32([[1], [-0.95]]),
    "opposite, 6 dB lower": steady() * np.float32([[1], [-0.5]]),
    "independent": steady(2),
    "20 dB apart": steady(2) * np.float32([[1], [0.1]]),
    "delayed": np.stack([steady()[0], np.roll(steady()[0], 30)]),
}


@pytest.mark.parametrize("samples", RELATIONS.values(), ids=RELATIONS)
@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
@pytest.mark.parametrize("stereo", ["mid", "channels"])
def test_level_of_both_channels(tiny: Model, samples: Samples, task: Task, stereo: Stereo) -> None:
    take = take_of(tiny, Waveform(samples, RATE), task, stereo)
    check_kept(take)
    assert max(map(abs, excess_db(take))) < 6


@pytest.mark.parametrize("samples", [RELATIONS["opposite"], RELATIONS["nearly opposite"]])
def test_polarity_stays(tiny: Model, samples: Samples) -> None:
    left, right = take_of(tiny, Waveform(samples, RATE), TASKS["inpaint"]).audio.samples
    assert np.corrcoef(left, right)[0, 1] < -0.98


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
@pytest.mark.parametrize("stereo", ["mid", "channels"])
def test_a_silent_channel_stays_silent(tiny: Model, task: Task, stereo: Stereo) -> None:
    take = take_of(tiny, Waveform(steady() * np.float32([[1], [0]]), RATE), task, stereo)
    assert not take.audio.samples[1].any()
    assert abs(excess_db(take)[0]) < 6


@pytest.mark.parametrize("db", [-30, -60, -85])
@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_quiet_surroundings(tiny: Model, task: Task, db: float) -> None:
    loud = Waveform(steady(2), RATE)
    quiet = replace(loud, samples=loud.samples * np.float32(10 ** (db / 20)))
    takes = [take_of(tiny, source, task) for source in (loud, quiet)]
    assert max(map(abs, excess_db(takes[1]))) < 6
    assert torch.equal(takes[0].mask, takes[1].mask)
    assert (takes[0].tokens != takes[1].tokens).float().mean() < 0.01  # the models hear the same


def test_a_quiet_part_of_a_loud_recording(tiny: Model) -> None:
    samples = steady(2, 5.0)
    samples[:, : 3 * RATE] *= np.float32(0.0003)  # -90 dBFS
    assert max(excess_db(take_of(tiny, Waveform(samples, RATE), TASKS["inpaint"]))) < 6


def test_24_bits_of_which_few_are_used(tiny: Model) -> None:
    samples = (np.round(steady(2) * 30) / 2**23).astype(np.float32)  # some steps of 24 bits
    take = take_of(tiny, Waveform(samples, RATE, "PCM_24"), TASKS["inpaint"])
    assert max(map(abs, excess_db(take))) < 6


@pytest.mark.parametrize("offset", [0.0, 0.1])
@pytest.mark.parametrize("n_channels", [1, 2])
@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_silence_stays_silence(tiny: Model, task: Task, n_channels: int, offset: float) -> None:
    samples = np.full((n_channels, 2 * RATE), offset, np.float32)
    made = take_of(tiny, Waveform(samples, RATE), task).audio.samples
    np.testing.assert_allclose(made, samples, rtol=0, atol=1e-7)


def test_silence_between_loud_parts(tiny: Model) -> None:
    samples = steady(2, 5.0)
    samples[:, RATE : 4 * RATE] = 0
    take = take_of(tiny, Waveform(samples, RATE), Inpaint(SpanRequest([(2.0, 3.0)])))
    assert not take.audio.samples[:, RATE : 4 * RATE].any()


@pytest.mark.parametrize("offsets", [[[0.1]], [[0.1], [0.1]], [[0.1], [-0.05]]])
@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
@pytest.mark.parametrize("stereo", ["mid", "channels"])
def test_an_offset_stays(tiny: Model, task: Task, offsets: list[list[float]], stereo: Stereo) -> None:
    source = Waveform(steady(len(offsets)) + np.float32(offsets), RATE)
    take = take_of(tiny, source, task, stereo)
    start, end = take.spans[0]
    np.testing.assert_allclose(take.audio.samples[:, start:end].mean(axis=1), np.ravel(offsets), atol=0.01)
    assert max(map(abs, excess_db(take))) < 6


@pytest.mark.parametrize("rate", [44100, 48000])
@pytest.mark.parametrize("task", [*TASKS.values(), Vamp(), Outpaint(0.5), Compress()], ids=lambda task: task.command)
@pytest.mark.parametrize("stereo", ["mid", "channels"])
def test_equal_channels_give_the_take_of_one(tiny: Model, rate: int, task: Task, stereo: Stereo) -> None:
    mono = clip(2.0, rate)
    one, two = (take_of(tiny, source, task, stereo) for source in (mono, doubled(mono)))
    assert torch.equal(two.tokens, one.tokens.expand_as(two.tokens))
    assert np.array_equal(two.audio.samples, one.audio.samples.repeat(2, axis=0))


@pytest.mark.parametrize("span", [(0.0, 0.5), (1.6, 2.2), (0.0, 2.2)])
@pytest.mark.parametrize("relation", ["opposite", "independent"])
def test_spans_at_the_ends(tiny: Model, span: tuple[float, float], relation: str) -> None:
    take = take_of(tiny, Waveform(RELATIONS[relation], RATE), Inpaint(SpanRequest([span])))
    assert np.isfinite(take.audio.samples).all()
    whole = span == (0.0, 2.2)  # nothing says what its level is
    assert whole or max(map(abs, excess_db(take))) < 6


def test_extensions_have_the_level_of_the_recording(tiny: Model) -> None:
    source = Waveform(steady(2) * np.float32(0.001), RATE)
    take = take_of(tiny, source, Outpaint(0.5, 0.4, memory=MemoryConfig(memory=0.0)))
    for start, end in take.spans:
        assert abs(rms_db(take.audio.samples[:, start:end]) - rms_db(source.samples)) < 6


@pytest.mark.parametrize(
    "prompt", [PromptConfig(5), PromptConfig(0), PromptConfig(1, keep_codebooks=2), PromptConfig(7, stretch=2)]
)
@pytest.mark.parametrize("n_channels", [1, 2])
def test_variations_have_the_loudness_of_the_original(tiny: Model, prompt: PromptConfig, n_channels: int) -> None:
    source = clip(3.0, n_channels=n_channels)
    source.samples[:, RATE : 2 * RATE] *= np.float32(0.1)
    take = take_of(tiny, source, Vamp(prompt))
    was, now = (weighted_powers(x, RATE).sum() for x in (source.samples, take.audio.samples))
    assert 10 * np.log10(now / was) == pytest.approx(0, abs=0.5)


@pytest.mark.parametrize("request_", [Vamp(amount=0), Vamp(PromptConfig(1)), Vamp(at=SpanRequest([SPAN]), amount=0)])
@pytest.mark.parametrize("n_channels", [1, 2])
def test_nothing_generated_is_a_copy(tiny: Model, request_: Vamp, n_channels: int) -> None:
    source = clip(2.0, n_channels=n_channels)
    take = take_of(tiny, source, request_)
    assert np.array_equal(take.audio.samples, source.samples)
    assert take.recipe is not None
    assert take.recipe.synthetic == ()


@pytest.mark.parametrize("samples", [steady(2), RELATIONS["opposite"], RELATIONS["20 dB apart"], steady() * 1e-4])
def test_compressed_sound_has_the_loudness_of_the_original(tiny: Model, samples: Samples) -> None:
    source, task = Waveform(samples.astype(np.float32), RATE), Compress(5)  # all codebooks: the codec's loss alone
    take = take_of(tiny, source, task)
    was, now = (weighted_powers(x, RATE).sum() for x in (source.samples, take.audio.samples))
    assert 10 * np.log10(now / was) == pytest.approx(0, abs=0.5)
    file = tiny.squeeze(source, task, seed=5, sampling=QUICK)
    (again,) = tiny.expand(file)
    assert np.array_equal(again.audio.samples, take.audio.samples)


# --- older recipes


def test_recipes_name_the_version_of_the_rule(tiny: Model) -> None:
    source = clip(1.6, n_channels=2)
    for rendering in (1, 2, 3):
        recipe = take_of(tiny, source, TASKS["inpaint"], rendering=rendering).recipe
        assert recipe is not None
        assert recipe.rendering == rendering
    with pytest.raises(UsageError, match="rendering is 4"):
        take_of(tiny, source, TASKS["inpaint"], rendering=4)


def test_the_old_rule_stays(tiny: Model) -> None:
    """It measures all channels, leaves the offset to the models, and returns what the codec makes."""
    source = doubled(clip(1.6))
    old = [set_level(source.samples[:n], RATE, "mid", 1).gain for n in (1, 2)]
    assert old[0] / old[1] == pytest.approx(np.sqrt(2), rel=1e-6)
    assert set_level(source.samples * 1e-4, RATE, "mid", 1).gain == 1.0
    file = tiny.squeeze(source, Compress(5), sampling=QUICK, rendering=1)
    assert file.gain == old[1]
    assert token_file.file_hash(file) != token_file.file_hash(tiny.squeeze(source, Compress(5), sampling=QUICK))
    take = take_of(tiny, source, Vamp(amount=0), rendering=1)
    assert not np.array_equal(take.audio.samples, source.samples)
    assert take.recipe is not None
    assert take.recipe.synthetic == take.spans


# --- the pieces, on numbers


def reader(samples: Samples) -> object:
    return lambda start, stop: samples[:, start:stop]


def test_gain_goes_from_side_to_side() -> None:
    original, made = steady(2, 3.0), steady(2, 3.0)
    original[:, :RATE] *= 2  # before the span
    original[:, 2 * RATE :] *= 0.5
    sides = [(RATE // 2, RATE), (2 * RATE, 5 * RATE // 2)]
    matched = match_sides(reader(made), reader(original), RATE, (RATE, 2 * RATE), sides)  # type: ignore[arg-type]
    ratio = matched(RATE, 2 * RATE)[0] / made[0, RATE : 2 * RATE]
    assert (ratio[0], ratio[-1]) == (pytest.approx(2, rel=0.01), pytest.approx(0.5, rel=0.01))
    assert (np.diff(ratio.astype(np.float64)) < 1e-4).all()


@pytest.mark.parametrize(("made_db", "share", "expected_db"), [(12, 1, 5), (-12, 1, -5), (3, 1, 3), (4, 0.25, 1)])
def test_levels_approach_the_surroundings(made_db: float, share: float, expected_db: float) -> None:
    sound, span = steady(2, 4.0), (RATE, 3 * RATE)
    around = [sound[:, :RATE], sound[:, 3 * RATE :]]
    render = reader(sound * np.float32(10 ** (made_db / 20)))
    matched = match_level(render, RATE, span, around, around, share)  # type: ignore[arg-type]
    assert rms_db(matched(*span)) - rms_db(sound) == pytest.approx(expected_db, abs=0.2)


def test_levels_follow_block_by_block() -> None:
    original, made = steady(2, 4.0, seed=1), steady(2, 4.0, seed=2)
    original[:, : 2 * RATE] *= np.float32(0.1)
    original[:, 3 * RATE :] = 0
    follow = follow_level(reader(made), reader(original), RATE, (100, 4 * RATE - 100))  # type: ignore[arg-type]
    whole = follow(0, 4 * RATE)
    assert rms_db(whole[:, RATE // 2 : RATE]) - rms_db(original[:, :RATE]) == pytest.approx(0, abs=0.5)
    assert not whole[:, -RATE // 2 + 200 : -100].any()
    parts = [follow(a, b) for a, b in ((0, 30000), (30000, 100001), (100001, 4 * RATE))]
    assert np.array_equal(np.concatenate(parts, axis=1), whole)


def test_silence_beside_sound_stays_silent() -> None:
    made, original = steady(2, 4), steady(2, 4, seed=1)
    original[0, : 2 * RATE] = 0.25
    original[1, 2 * RATE :] = 0
    span, fade = (0, 4 * RATE), RATE // 10
    follow = follow_level(reader(made), reader(original), RATE, span)  # type: ignore[arg-type]
    result = follow(*span)
    assert not result[0, : 2 * RATE - fade].any()
    assert not result[1, 2 * RATE + fade :].any()
    assert np.count_nonzero(result[0, 2 * RATE :]) == np.count_nonzero(result[1, : 2 * RATE]) == 2 * RATE
    pieces = [follow(start, start + RATE) for start in range(0, 4 * RATE, RATE)]
    assert np.allclose(np.concatenate(pieces, axis=1), result, atol=1e-7)
