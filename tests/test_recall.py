"""Spans, extensions and loops that are made from similar places of the recording."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from conftest import music
from test_memory import repeating
from vampcli import Waveform, write
from vampcli.api import Model
from vampcli.config import MemoryConfig, Place, SamplingConfig, Source
from vampcli.errors import InputError, UsageError
from vampcli.tasks import sources
from vampcli.tasks.base import Task
from vampcli.tasks.inpaint import Inpaint
from vampcli.tasks.loop import Loop
from vampcli.tasks.outpaint import Outpaint
from vampcli.tasks.plan import Margin
from vampcli.tasks.recording import Recording
from vampcli.tasks.registry import task_from_table
from vampcli.tasks.spans import SpanRequest
from vampcli.tasks.take import Take, TakeOptions

RATE = 44100
FEW = SamplingConfig(steps=1, fine_steps=1)
SPAN_S = (6.2, 7.1)
BAR = 3 * RATE


def song(seconds: float = 12.0, rate: int = RATE, n_channels: int = 1) -> Waveform:
    x = repeating(12, n_channels=n_channels)[:, : round(seconds * RATE)].astype(np.float32)
    return Waveform(x if rate == RATE else x[:, :: RATE // rate], rate)


def inpaint(memory: MemoryConfig | None = None, *spans: tuple[float, float]) -> Inpaint:
    return Inpaint(SpanRequest(spans or [SPAN_S]), memory=memory or MemoryConfig())


def takes(model: Model, audio: Waveform | Recording, task: Task, *seeds: int) -> list[Take]:
    return list(model.takes(audio, task, TakeOptions(seeds or (0,), FEW)))


@pytest.mark.parametrize("rate", [44100, 22050])
@pytest.mark.parametrize("n_channels", [1, 2])
def test_without_edit_the_place_is_copied(tiny: Model, rate: int, n_channels: int) -> None:
    clip = song(rate=rate, n_channels=n_channels)
    (take,) = takes(tiny, clip, inpaint(MemoryConfig(edit=0.0)))
    (start, end), (source,) = take.spans[0], take.sources
    outside = np.r_[0:start, end : clip.n_samples]
    np.testing.assert_array_equal(take.audio.samples[:, outside], clip.samples[:, outside])
    inside = slice(start + rate // 50, end - rate // 50)
    place = clip.samples[:, inside.start + source.place.lag : inside.stop + source.place.lag]
    np.testing.assert_allclose(take.audio.samples[:, inside], place, atol=1e-3)
    assert abs(source.place.lag) % (BAR * rate // RATE) <= 1


def test_edit_changes_the_copy(tiny: Model) -> None:
    clip = song()
    copy, half, all_ = (
        takes(tiny, clip, inpaint(MemoryConfig(edit=edit)))[0].audio.samples for edit in (0.0, 0.5, 1.0)
    )
    assert 0 < np.abs(half - copy).mean() < np.abs(all_ - copy).mean()


def test_take_depends_on_its_seed_alone(tiny: Model) -> None:
    clip = song()
    both = takes(tiny, clip, inpaint(), 0, 1)
    (alone,) = takes(tiny, clip, inpaint(), 1)
    np.testing.assert_array_equal(alone.audio.samples, both[1].audio.samples)
    assert alone.sources == both[1].sources
    assert both[0].sources != both[1].sources


@pytest.mark.parametrize(
    "task",
    [inpaint(), Outpaint(after=5, before=3), Loop(SpanRequest([(3, 6)]), 3, variation=0.5)],
    ids=lambda t: t.command,
)
def test_recipe_makes_the_take_again(tiny: Model, task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = song()
    (take,) = takes(tiny, clip, task, 1)
    assert take.sources
    recipe = take.recipe
    assert recipe is not None
    for name in ("find_places", "PathFinder", "score_lags"):
        monkeypatch.setattr(sources, name, None)
    again = task_from_table(recipe.command, recipe.request, "recipe")
    (same,) = takes(tiny, clip, again, 1)
    np.testing.assert_array_equal(same.audio.samples, take.audio.samples)


def test_recipe_without_memory_uses_none(tiny: Model) -> None:
    (take,) = takes(tiny, song(), inpaint(MemoryConfig(memory=0.0)))
    assert take.recipe is not None
    table = {name: value for name, value in take.recipe.request.items() if name != "memory"}
    (same,) = takes(tiny, song(), task_from_table("inpaint", table, "old"))
    assert not same.sources
    np.testing.assert_array_equal(same.audio.samples, take.audio.samples)


def test_take_of_the_models_alone_says_so(tiny: Model) -> None:
    (take,) = takes(tiny, song(8), inpaint())
    assert not take.sources
    assert take.recipe is not None
    assert take.recipe.request["memory"]["sources"] == []
    again = task_from_table("inpaint", take.recipe.request, "recipe")
    np.testing.assert_array_equal(takes(tiny, song(8), again)[0].audio.samples, take.audio.samples)


@pytest.mark.parametrize("kind", ["short", "noise", "silence", "off"])
def test_no_place_is_used(tiny: Model, kind: str) -> None:
    rng, memory = np.random.default_rng(0), MemoryConfig(memory=0.0 if kind == "off" else None)
    samples = {"noise": 0.1 * rng.standard_normal((1, 12 * RATE)), "silence": np.zeros((1, 12 * RATE))}
    clip = song(9.5 if kind == "short" else 12)
    if kind in samples:
        clip = Waveform(samples[kind].astype(np.float32), RATE)
    assert inpaint(memory).plan(Recording(clip), tiny.codec, 80).stretches == ()


def test_places_lie_outside_all_spans(tiny: Model) -> None:
    task = inpaint(None, (3.2, 4.1), (6.2, 7.1), (9.2, 10.0))
    plan = task.plan(Recording(song()), tiny.codec, 80)
    assert len(plan.stretches) == 3
    for stretch in plan.stretches:
        for place in stretch.places:
            a, b = stretch.start + place.lag, stretch.end + place.lag
            assert all(b <= start or end <= a for start, end in plan.spans)


def test_span_without_match_is_left_to_the_models(tiny: Model) -> None:
    clip = song()
    samples = clip.samples.copy()
    samples[:, : 5 * RATE] = 0.1 * np.random.default_rng(0).standard_normal((1, 5 * RATE))
    mixed = replace(clip, samples=samples)
    plan = inpaint(None, (2.0, 2.5), (9.0, 9.5)).plan(Recording(mixed), tiny.codec, 80)
    recalled = [stretch.start for stretch in plan.stretches if stretch.places[0].score > 0.5]
    assert recalled == [9 * RATE]


def test_opposite_channels_keep_their_level(tiny: Model) -> None:
    mono = song().samples
    clip = Waveform(np.concatenate([mono, -mono]), RATE)
    (take,) = takes(tiny, clip, inpaint())
    start, end = take.spans[0]
    made, real = (np.sqrt(np.square(x[:, start:end]).mean()) for x in (take.audio.samples, clip.samples))
    assert abs(20 * np.log10(made / real)) < 3
    np.testing.assert_allclose(take.audio.samples[0, start:end], -take.audio.samples[1, start:end], atol=1e-4)


def test_extension_keeps_the_recording(tiny: Model) -> None:
    clip = song()
    (take,) = takes(tiny, clip, Outpaint(after=6, before=4))
    n = clip.n_samples
    np.testing.assert_array_equal(take.audio.samples[:, 4 * RATE : 4 * RATE + n], clip.samples)
    for source in take.sources:
        start = source.start + source.place.lag
        assert start >= 0
        assert start + source.end - source.start <= n
    assert [source.start for source in take.sources][:1] == [0]
    level = np.sqrt(np.square(take.audio.samples).mean(0).reshape(-1, RATE // 2).mean(1))
    assert level.min() > 0.3 * level.max()


def test_varied_copies_differ(tiny: Model) -> None:
    (take,) = takes(tiny, song(), Loop(SpanRequest([(3, 6)]), 3, variation=0.5))
    copies = take.audio.samples.reshape(3, -1)
    assert np.abs(copies[1] - copies[2]).max() > 0.01
    assert {source.start for source in take.sources} == {3 * RATE, 6 * RATE}


def test_place_is_named_by_hand(tiny: Model) -> None:
    (take,) = takes(tiny, song(), inpaint(MemoryConfig(place=2.0)))
    assert take.sources[0].place.lag == 2 * RATE - round(SPAN_S[0] * RATE)


@pytest.mark.parametrize(("place_s", "words"), [(11.5, "lies outside the clip"), (6.5, "overlaps the span")])
def test_named_place_that_does_not_fit(tiny: Model, place_s: float, words: str) -> None:
    with pytest.raises(InputError, match=words):
        inpaint(MemoryConfig(place=place_s)).plan(Recording(song()), tiny.codec, 80)


def test_place_from_another_file(tiny: Model, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    samples = music(14, RATE).astype(np.float32)  # repeats nothing
    clip, other, broken = Waveform(samples[:, : 12 * RATE], RATE), tmp_path / "other.wav", tmp_path / "broken.wav"
    write(other, Waveform(np.concatenate([samples[:, 2 * RATE :]] * 2), RATE))
    broken.write_text("no sound")
    (take,) = takes(tiny, clip, inpaint(MemoryConfig(memory_from=(str(broken), str(other)))))
    assert "broken.wav" in caplog.text
    assert [(source.place.file, source.place.lag) for source in take.sources] == [(str(other), -2 * RATE)]


@pytest.mark.parametrize("kind", ["itself", "renamed copy", "take of it", "what it was made from"])
def test_versions_of_the_recording_are_left_out(
    tiny: Model, tmp_path: Path, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    path, other = tmp_path / "song.wav", tmp_path / "other.wav"
    write(path, song())
    take = takes(tiny, Recording.of(path), inpaint(None, (1.0, 1.5)))[0]
    if kind == "itself":
        other = path
    elif kind == "renamed copy":
        other.write_bytes(path.read_bytes())
    elif kind == "take of it":
        take.write(other)
    else:
        take.write(other)
        path, other = other, path
    plan = inpaint(MemoryConfig(memory_from=(str(other),))).plan(Recording.of(path), tiny.codec, 80)
    assert plan.stretches
    assert {place.file for stretch in plan.stretches for place in stretch.places} == {""}
    assert "is a version of the recording" in caplog.text


@pytest.mark.parametrize("margin", [0, 25, 40, 70, "auto"])
def test_wide_margins(tiny: Model, margin: Margin) -> None:
    clip, task = song(), inpaint(MemoryConfig(edit=1.0))
    (take,) = takes(tiny, clip, replace(task, margin=margin))
    assert take.sources
    start, end = take.spans[0]
    np.testing.assert_array_equal(take.audio.samples[:, :start], clip.samples[:, :start])
    np.testing.assert_array_equal(take.audio.samples[:, end:], clip.samples[:, end:])


@pytest.mark.parametrize("kind", ["noise", "silence"])
def test_extension_without_match_is_left_to_the_models(tiny: Model, kind: str) -> None:
    samples = (
        0.1 * np.random.default_rng(0).standard_normal((1, 15 * RATE)) if kind == "noise" else np.zeros((1, 15 * RATE))
    )
    clip = Waveform(samples.astype(np.float32), RATE)
    assert Outpaint(after=4, before=2).plan(Recording(clip), tiny.codec, 80).stretches == ()


def test_short_loop_stands_for_its_own_copies(tiny: Model) -> None:
    plan = Loop(SpanRequest([(1, 3)]), 2, variation=0.5).plan(Recording(song(9)), tiny.codec, 80)
    assert [place.is_loop for stretch in plan.stretches for place in stretch.places] == [True]


@pytest.mark.parametrize("longest", [50, 100, 171])
def test_recipe_of_long_copies(tiny: Model, longest: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "_MOST_FRAMES", longest)
    task = Loop(SpanRequest([(3, 6.01)]), 4, variation=0.5)
    (take,) = takes(tiny, song(), task)
    assert take.recipe is not None
    again = task_from_table("loop", take.recipe.request, "recipe")
    plans = [one.plan(Recording(song()), tiny.codec, 80) for one in (task, again)]
    assert len(plans[0].stretches) > 3
    assert [s.hidden for s in plans[0].stretches] == [s.hidden for s in plans[1].stretches]
    np.testing.assert_array_equal(takes(tiny, song(), again)[0].audio.samples, take.audio.samples)


def test_removed_sound_of_a_near_span_does_not_leak(tiny: Model) -> None:
    clip, spans = song(), ((6.0, 6.5), (6.505, 7.0))
    loud = replace(clip, samples=clip.samples.copy())
    first, second = (slice(round(a * RATE), round(b * RATE)) for a, b in spans)
    loud.samples[:, second] += 0.3 * np.random.default_rng(0).standard_normal((1, second.stop - second.start))
    edited = [takes(tiny, x, inpaint(MemoryConfig(edit=0.0), *spans))[0] for x in (clip, loud)]
    assert edited[0].sources[0].place.lag == edited[1].sources[0].place.lag
    np.testing.assert_array_equal(*(take.audio.samples[:, first] for take in edited))


def test_named_place_has_its_own_score(tiny: Model) -> None:
    scores = []
    for place_s in (3.2, 4.4):  # a bar before the span, and the middle of a bar
        plan = inpaint(MemoryConfig(place=place_s)).plan(Recording(song()), tiny.codec, 80)
        scores.append(plan.stretches[0].places[0].score)
    assert scores[0] > 0.7 > 0.4 > scores[1]


@pytest.mark.parametrize("memory", [MemoryConfig(memory_from=("a.wav",)), MemoryConfig(place=1.0)])
def test_other_recordings_are_for_spans_alone(memory: MemoryConfig) -> None:
    for make in (lambda: Outpaint(after=1, memory=memory), lambda: Loop(memory=memory)):
        with pytest.raises(UsageError, match="is named"):
            make()


def test_contradictions_are_refused() -> None:
    for options in ({"memory": 0.0, "place": 1.0}, {"memory": 1.5}, {"edit": -0.1}):
        with pytest.raises(UsageError):
            MemoryConfig(**options)  # type: ignore[arg-type]


def test_sources_are_read_from_tables() -> None:
    memory = MemoryConfig(sources=(Source(0, 10, Place(5, 0.7, 0.5, (1.0, 1.1), 0.9, "a.wav")),))
    table = {
        "at": {"span": [[0.0, 1.0]]},
        "memory": {
            "sources": [
                {
                    "start": 0,
                    "end": 10,
                    "place": {
                        "lag": 5,
                        "score": 0.7,
                        "waveform_score": 0.5,
                        "gains": [1.0, 1.1],
                        "trust": 0.9,
                        "file": "a.wav",
                    },
                }
            ]
        },
    }
    task = task_from_table("inpaint", table, "recipe")
    assert isinstance(task, Inpaint)
    assert task.memory == memory
