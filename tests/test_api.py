"""The Python API, shown on `inpaint`."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from clips import check_kept, clip, inside
from conftest import Song, tiny_parts
from vampcli import SamplingConfig, Waveform, read, write
from vampcli.api import Model, load
from vampcli.errors import InputError, UsageError
from vampcli.tasks.inpaint import Inpaint
from vampcli.tasks.plan import plan_spans
from vampcli.tasks.spans import SpanRequest
from vampcli.tasks.take import Stereo, TakeOptions

QUICK = SamplingConfig(steps=3, fine_steps=1)


def span_of(waveform: Waveform, start: float, end: float) -> slice:
    return slice(round(start * waveform.sample_rate), round(end * waveform.sample_rate))


@pytest.mark.parametrize(
    ("rate", "n_channels", "subtype"),
    [(8000, 1, "FLOAT"), (22050, 2, "PCM_16"), (44100, 1, "PCM_24"), (48000, 2, "FLOAT"), (96000, 1, "PCM_16")],
)
def test_samples_outside_spans_stay(
    tiny: Model, song: Song, tmp_path: Path, rate: int, n_channels: int, subtype: str
) -> None:
    source = song("in.wav", 1.5, rate, n_channels, subtype)
    (take,) = tiny.inpaint(source, [(0.5, 0.9)], sampling=QUICK)
    write(tmp_path / "out.wav", take.audio)
    before, after, made = read(source), read(tmp_path / "out.wav"), inside(take)
    assert (after.sample_rate, after.subtype, after.samples.shape) == (rate, subtype, before.samples.shape)
    assert made.tolist() == [round(0.5 * rate) <= i < round(0.9 * rate) for i in range(before.n_samples)]
    assert np.array_equal(after.samples[:, ~made], before.samples[:, ~made])
    assert np.mean(after.samples[:, made] != before.samples[:, made]) > 0.9


@pytest.mark.parametrize("spans", [[(0, 0.5)], [(2.5, 3.0)], [(0, 3.0)], [(0.2, 2.9)], [(0.3, 0.6), (2.0, 2.4)]])
@pytest.mark.parametrize("stereo", ["mid", "channels"])
def test_spans_anywhere(tiny: Model, spans: list[tuple[float, float]], stereo: Stereo) -> None:
    (take,) = tiny.inpaint(clip(3.0, n_channels=2), spans, sampling=QUICK, stereo=stereo)
    assert take.spans == tuple((round(start * 44100), round(end * 44100)) for start, end in spans)
    check_kept(take)
    assert take.tokens.max() < tiny.grid.codebook_size


@pytest.mark.parametrize("dtype", ["fp32", "auto"])
@pytest.mark.parametrize("n_takes", [2, 8])
def test_take_depends_on_seed_alone(tiny_folder: Path, n_takes: int, dtype: str) -> None:
    model = load(tiny_folder, "cpu", dtype)
    source = clip(2.345)
    takes = model.inpaint(source, [(0.7, 1.9)], seed=7, takes=n_takes, sampling=QUICK)
    assert [take.seed for take in takes] == list(range(7, 7 + n_takes))
    for take in takes:
        (alone,) = model.inpaint(source, [(0.7, 1.9)], seed=take.seed, sampling=QUICK)
        assert np.array_equal(alone.audio.samples, take.audio.samples)
        assert torch.equal(alone.tokens, take.tokens)
    assert not np.array_equal(takes[0].audio.samples, takes[1].audio.samples)


@pytest.mark.parametrize("rate", [44100, 48000, 32000])
@pytest.mark.parametrize("n_channels", [1, 2])
def test_margin_auto_hides_all_traces(tiny: Model, rate: int, n_channels: int) -> None:
    one = clip(2.5, rate, n_channels)
    other = replace(one, samples=one.samples.copy())
    span = span_of(one, 1.0, 1.3)
    other.samples[:, span] = np.random.default_rng(3).uniform(-1, 1, other.samples[:, span].shape)
    takes = [tiny.inpaint(c, [(1.0, 1.3)], sampling=QUICK, margin="auto")[0] for c in (one, other)]
    assert np.array_equal(takes[0].audio.samples, takes[1].audio.samples)


def test_models_see_the_context_alone(tiny: Model) -> None:
    hop, context = tiny.grid.hop_length, tiny.coarse.config.context_frames + tiny.codec.halo_frames + 2
    long = clip(8.0)
    long = replace(long, samples=long.samples * np.float32(1e-4))  # by the older rule too quiet for a level of its own
    plan = plan_spans(long, [(4.0, 4.5)], tiny.codec, tiny.coarse.config.context_frames)
    begin = (plan.first_frame - context) * hop
    part = replace(long, samples=long.samples[:, begin : begin + (plan.n_frames + 2 * context) * hop])
    greedy = replace(QUICK, temperature=0, mask_temperature=0)  # noise belongs to places in the file
    (from_long,) = tiny.inpaint(long, [(4.0, 4.5)], sampling=greedy, rendering=1)
    (from_part,) = tiny.inpaint(part, [(4.0 - begin / 44100, 4.5 - begin / 44100)], sampling=greedy, rendering=1)
    assert torch.equal(from_part.tokens, from_long.tokens)


def test_kept_tokens_and_mask(tiny: Model) -> None:
    source = clip(1.2)
    (take,) = tiny.inpaint(source, [(0.5, 0.7)], sampling=QUICK)
    encoded = tiny.encode(source)
    kept = ~take.mask
    # the level is measured on what is kept, so codes may differ a little: compare where levels agree
    agreement = (take.tokens[0][kept] == encoded[kept]).float().mean()
    assert agreement > 0.8
    first, last = tiny.grid.frames_touched(round(0.5 * 44100), round(0.7 * 44100), 44100)
    assert take.mask.any(0).nonzero()[:, 0].tolist() == list(range(first - 1, last + 1))


def test_decode_gives_mono_at_grid_rate(tiny: Model) -> None:
    tokens = tiny.encode(clip(1.0, 48000, 2))
    assert tokens.shape == (5, tiny.grid.n_frames(44100))
    decoded = tiny.decode(tokens)
    assert (decoded.n_channels, decoded.sample_rate) == (1, 44100)
    assert decoded.n_samples == tokens.shape[1] * tiny.grid.hop_length


@pytest.mark.parametrize(
    ("spans", "options", "error", "says"),
    [
        ([], {}, UsageError, "no span"),
        ([(2, 1)], {}, UsageError, "ends at 1 s"),
        ([(1, 1.001)], {}, UsageError, "1.0 ms"),
        ([(2, 60)], {}, InputError, "60 s but the clip is 3.00 s"),
        ([(3, 4)], {}, InputError, "starts at 3 s"),
        ([(-1, 1)], {}, InputError, "no span in the clip"),
        ([(math.nan, 2)], {}, InputError, "no span in the clip"),
        ([(1, math.inf)], {}, InputError, "no span in the clip"),
        ([(1, 2)], {"margin": -40}, UsageError, "-40 frames"),
        ([(1, 2)], {"stereo": "both"}, UsageError, "'both'"),
        ([(1, 2)], {"takes": 0}, UsageError, "0 takes"),
    ],
)
def test_bad_arguments(
    tiny: Model, spans: list[tuple[float, float]], options: dict[str, Any], error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        tiny.inpaint(clip(3.0), spans, **options)


def test_overlapping_spans_merge() -> None:
    plan = plan_spans(clip(3.0), [(1.5, 2), (1, 1.7)], tiny_parts().codec, 80)
    assert plan.spans == ((44100, 88200),)


def test_takes_come_one_by_one(tiny: Model) -> None:
    told: list[tuple[int, int]] = []
    request = Inpaint(SpanRequest([(1, 2)]))
    options = TakeOptions([5, 9], QUICK, progress=lambda *step: told.append(step))
    takes = tiny.takes(clip(3.0), request, options)
    assert next(takes).seed == 5
    assert told[-1] == (4, 8)
    assert next(takes).seed == 9
    assert told == [(i, 8) for i in range(1, 9)]


def test_temperatures_are_multiplied(tiny: Model) -> None:
    source, config, cool = clip(1.5), replace(QUICK, temperature=0.5), replace(tiny, temperature=0.5)

    def made(model: Model, temperature: float) -> np.ndarray:
        return model.inpaint(source, [(0.5, 1)], sampling=replace(config, temperature=temperature))[0].audio.samples

    assert np.array_equal(made(cool, 1.0), made(tiny, 0.5))
    assert np.array_equal(made(cool, 0.0), made(tiny, 0.0))
    assert not np.array_equal(made(cool, 1.0), made(tiny, 1.0))
