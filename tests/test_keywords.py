"""Keywords of the tasks in Python, arrays as input, and short representations."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf

from clips import clip
from vampcli import MusicalSpan, PromptConfig, SamplingConfig, Waveform, read
from vampcli.api import Model
from vampcli.config import MemoryConfig, TempoConfig
from vampcli.errors import UsageError
from vampcli.tasks.keywords import span_request
from vampcli.tasks.spans import SpanRequest

QUICK: dict[str, Any] = {"steps": 2, "fine_steps": 1}


def test_keywords_equal_the_configuration(tiny: Model) -> None:
    source, sampling = clip(1.0), SamplingConfig(steps=2, fine_steps=1, temperature=0.8)
    (one,) = tiny.inpaint(source, (0.4, 0.6), steps=2, fine_steps=1, temperature=0.8)
    (two,) = tiny.inpaint(source, [(0.4, 0.6)], sampling=sampling)
    (three,) = tiny.inpaint(source, [(0.4, 0.6)], sampling=replace(sampling, steps=9), steps=2)
    assert np.array_equal(one.audio.samples, two.audio.samples)
    assert np.array_equal(one.audio.samples, three.audio.samples)
    assert one.recipe is not None
    assert one.recipe.sampling == sampling


def test_steps_alone_keep_what_the_model_recommends(tiny: Model) -> None:
    model = replace(tiny, sampling=SamplingConfig(steps=7, temperature=0.7, sampler="halton", fine_steps=1))
    (take,) = model.inpaint(clip(1.0), (0.4, 0.6), steps=2)
    assert take.recipe is not None
    assert take.recipe.sampling == replace(model.sampling, steps=2)


def test_prompt_keywords(tiny: Model) -> None:
    source = clip(0.6)
    (one,) = tiny.vamp(source, period=3, keep_codebooks=2, **QUICK)
    (two,) = tiny.vamp(source, PromptConfig(period=3), keep_codebooks=2, **QUICK)
    assert np.array_equal(one.tokens, two.tokens)
    assert one.recipe is not None
    assert one.recipe.request["prompt"]["keep_codebooks"] == 2


def test_musical_spans_and_memory(tiny: Model) -> None:
    span = MusicalSpan("beats", 2, 2)
    (take,) = tiny.inpaint(clip(2.0), span, bpm=120, downbeat=0.5, memory=0.0, edit=0.3, context=0.5, **QUICK)
    assert take.recipe is not None
    assert take.recipe.request["at"]["tempo"] == {"bpm": 120, "downbeat": 0.5, "beats_per_bar": 4}
    assert (take.recipe.request["memory"]["memory"], take.recipe.request["memory"]["edit"]) == (0.0, 0.3)
    assert take.spans == ((44100, 66150),)


@pytest.mark.parametrize(
    ("given", "spans"),
    [
        (None, ()),
        ((1, 2), ((1, 2),)),
        ([1.0, 2.0], ([1.0, 2.0],)),
        ([(1, 2), (3, 4)], ((1, 2), (3, 4))),
        ("1-2", ((1, 2),)),
        (["1-2", (3, 4)], ((1, 2), (3, 4))),
        (((1, 2), (3, 4)), ((1, 2), (3, 4))),
        ("bars:1-2", (MusicalSpan("bars", 1, 2),)),
        (MusicalSpan("bars", 1, 2), (MusicalSpan("bars", 1, 2),)),
        ((MusicalSpan("bars", 1, 1), MusicalSpan("bars", 3, 3)),) * 2,
    ],
)
def test_one_span_or_several(given: Any, spans: Any) -> None:
    assert span_request(given, {"bpm": 90}) == SpanRequest(spans, TempoConfig(bpm=90))


@pytest.mark.parametrize(
    ("task", "keyword", "near"),
    [
        ("inpaint", "step", "steps"),
        ("inpaint", "n_takes", "takes"),
        ("outpaint", "afer", "after"),
        ("outpaint", "place", "takes"),
        ("loop", "repeat", "repeats"),
        ("vamp", "beat", "beats"),
        ("compress", "codebooks", "keep_codebooks"),
    ],
)
def test_unknown_keywords_name_the_nearest(tiny: Model, task: str, keyword: str, near: str) -> None:
    more = {"span": (0, 1)} if task == "inpaint" else {}
    with pytest.raises(TypeError, match=rf"{task}\(\) takes no keyword '{keyword}'.*\b{near}\b"):
        getattr(tiny, task)(clip(1.0), **more, **{keyword: 1})


def test_keywords_are_checked_as_fields(tiny: Model) -> None:
    with pytest.raises(UsageError, match="steps is 0"):
        tiny.inpaint(clip(1.0), (0.4, 0.6), steps=0)
    with pytest.raises(UsageError, match="period is -1"):
        tiny.vamp(clip(1.0), period=-1)
    assert MemoryConfig(0.5).memory == 0.5


@pytest.mark.parametrize("n_channels", [1, 2])
@pytest.mark.parametrize("dtype", ["int16", "int32", "float32", "float64"])
def test_arrays_are_read_as_soundfile_gives_them(tmp_path: Path, dtype: str, n_channels: int) -> None:
    subtype = {"int16": "PCM_16", "int32": "PCM_32", "float32": "FLOAT", "float64": "DOUBLE"}[dtype]
    path = tmp_path / "a.wav"
    sf.write(path, clip(0.3, 44100, n_channels).samples.T, 44100, subtype=subtype)
    array, rate = sf.read(path, dtype=dtype)
    found, wanted = Waveform.from_array(array, rate), read(path)
    assert array.shape == ((13230,) if n_channels == 1 else (13230, 2))
    assert (found.sample_rate, found.subtype) == (wanted.sample_rate, wanted.subtype)
    assert found.samples.dtype == wanted.samples.dtype
    assert np.array_equal(found.samples, wanted.samples)


def test_an_array_makes_the_take_of_its_waveform(tiny: Model) -> None:
    source = clip(1.0, 44100, 2)
    (one,) = tiny.inpaint((source.samples.T, 44100), (0.4, 0.6), **QUICK)
    (two,) = tiny.inpaint(source, (0.4, 0.6), **QUICK)
    assert np.array_equal(one.audio.samples, two.audio.samples)


@pytest.mark.parametrize(
    ("array", "says"),
    [
        (np.zeros((2, 44100), np.float32), r"\(2, 44100\), more channels than samples"),
        (np.zeros((1, 2, 3), np.float32), r"\(1, 2, 3\)"),
        (np.zeros((0, 2), np.float32), r"\(0, 2\)"),
        (np.zeros(5, np.uint8), "uint8"),
        (np.zeros(5, complex), "complex128"),
    ],
)
def test_odd_arrays_are_refused(array: Any, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        Waveform.from_array(array, 44100)


def test_representations_are_one_short_line(tiny: Model) -> None:
    (take,) = tiny.inpaint(clip(1.0, 44100, 2), (0.4, 0.6), seed=7, **QUICK)
    assert repr(take) == "Take(inpaint, seed 7, Waveform(1.00 s, 44100 Hz, stereo, FLOAT), 1 span generated)"
    assert repr(tiny) == f"Model({tiny.name}, cpu, fp32, 5 codebooks at 57.42 Hz)"
