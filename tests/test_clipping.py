"""Samples beyond full scale: clamped, lowered in the generated spans alone, or refused; replays do the same."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
import torch

from conftest import Vamp, music
from recipes import recipe
from vampcli import Take, Waveform, read
from vampcli.audio.clipping import rescale
from vampcli.errors import InputError
from vampcli.recipe.embed import recipe_of
from vampcli.recipe.recipe import recipe_from_table, to_table

RATE, N = 44100, 44100
FADE = 441


def loud(spans: list[tuple[int, int]], peak: float = 1.6, subtype: str = "PCM_16") -> Waveform:
    """A tone whose level rises inside the spans."""
    samples = 0.9 * np.sin(2 * np.pi * 441 * np.arange(N) / RATE)[None].repeat(2, axis=0)
    for start, end in spans:
        samples[:, start:end] *= peak / 0.9
    return Waveform(samples.astype(np.float32), RATE, subtype)


def kept(spans: list[tuple[int, int]]) -> np.ndarray:
    mask = np.ones(N, bool)
    for start, end in spans:
        mask[start:end] = False
    return mask


SPANS = [[(0, N)], [(9000, 21000)], [(0, 4000), (30000, N)], [(5000, 5400), (5401, 9000)], [(7, 8)]]


@pytest.mark.parametrize("spans", SPANS)
@pytest.mark.parametrize(("subtype", "limit"), [("PCM_16", 1 - 2.0**-15), ("PCM_S8", 1 - 2.0**-7)])
def test_rescale_lowers_spans_by_one_gain(spans: list[tuple[int, int]], subtype: str, limit: float) -> None:
    made = loud(spans)
    found = rescale(made, spans, subtype).samples
    assert (found[:, kept(spans)] == made.samples[:, kept(spans)]).all()
    gain = limit / max(made.samples[:, s:e].max() for s, e in spans) if spans != [(7, 8)] else 1.0
    for start, end in spans:
        first, last = start + (FADE if start else 0), end - (FADE if end < N else 0)
        inside = slice(first, max(first, last))
        np.testing.assert_allclose(found[:, inside], gain * made.samples[:, inside], rtol=1e-6)
        if last > first:
            assert found[:, inside].max() <= limit + 1e-6


@pytest.mark.parametrize("is_loop", [False, True])
def test_gain_begins_at_kept_borders(is_loop: bool) -> None:
    spans = [(0, 20000)]
    made = Waveform(np.full((1, N), 2.0, np.float32), RATE)
    factor = rescale(made, spans, "PCM_16", is_loop).samples[0, :20000] / 2
    assert factor[-1] > 0.999  # a kept sample follows
    assert (factor[0] == 1.0) == is_loop  # in a loop, a kept sample precedes
    assert np.abs(np.diff(factor)).max() < 0.5 * np.pi / 2 / FADE * 1.01
    assert factor[10000] == pytest.approx((1 - 2.0**-15) / 2)


def test_nothing_changes_within_full_scale_or_in_floats() -> None:
    made = loud([(9000, 21000)], peak=0.99)
    assert rescale(made, [(9000, 21000)], "PCM_16") is made
    too_loud = loud([(9000, 21000)])
    assert rescale(too_loud, [(9000, 21000)], "FLOAT") is too_loud
    assert rescale(too_loud, [], "PCM_16") is too_loud


def take(made: Waveform, spans: list[tuple[int, int]]) -> Take:
    return Take(made, torch.zeros(1, 1, 1), torch.zeros(1, 1, dtype=torch.bool), 0, tuple(spans), made)


def test_takes_are_written_in_each_mode(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    spans = [(9000, 21000)]
    made = take(loud(spans), spans)
    made.write(tmp_path / "clamp.wav")
    assert "clamped" in caplog.text
    caplog.clear()
    made.write(tmp_path / "rescale.wav", clip_mode="rescale")
    assert "generated spans are lowered by 4.1 dB" in caplog.text
    with pytest.raises(InputError, match=r"a\.wav: \d+ samples lie beyond full scale, the peak at \+4\.1 dBFS"):
        made.write(tmp_path / "a.wav", clip_mode="error")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clamp.wav", "rescale.wav"]
    clamped, lowered = read(tmp_path / "clamp.wav").samples, read(tmp_path / "rescale.wav").samples
    assert (clamped[:, kept(spans)] == lowered[:, kept(spans)]).all()
    assert np.count_nonzero(lowered.max(axis=0) >= 1 - 2.0**-15) < np.count_nonzero(clamped.max(axis=0) >= 1 - 2.0**-15)


@pytest.fixture
def hot(tmp_path: Path) -> Path:
    """Music so near full scale that what is made of it lies beyond."""
    path, samples = tmp_path / "hot.wav", music(1, RATE)[0]
    sf.write(path, np.tanh(20 * samples), RATE, "PCM_16")
    return path


@pytest.mark.parametrize("mode", ["clamp", "rescale"])
def test_recipe_keeps_the_mode(vamp: Vamp, quick: Vamp, hot: Path, mode: str) -> None:
    made = quick("inpaint", hot, "--span", "0.3-0.6", "--memory", "off", "--clip-mode", mode)
    assert ("clamped" if mode == "clamp" else "lowered by") in made.err
    samples, source = read(made.path).samples, read(hot).samples
    outside = np.r_[: round(0.3 * RATE), round(0.6 * RATE) : RATE]
    assert (samples[:, outside] == source[:, outside]).all()
    found = recipe_of(made.path)
    assert found is not None
    assert found.clip_mode == mode
    again = vamp("replay", made.path, "--json")
    assert again.facts[0]["identical"], again.err


def test_error_mode_writes_nothing(quick: Vamp, hot: Path) -> None:
    options = ("--span", "0.3-0.6", "--memory", "off", "--clip-mode", "error")
    quick("inpaint", hot, *options).refuses(3, "beyond full scale", "--clip-mode clamp or rescale")
    assert [path.name for path in hot.parent.iterdir() if "inpaint" in path.name] == []
    assert quick("inpaint", hot, *options, "--float32").code == 0


def test_recipes_without_a_mode_are_clamped() -> None:
    table = json.loads(json.dumps(to_table(replace(recipe(), clip_mode="rescale"))))
    del table["clip_mode"]
    assert recipe_from_table(table, "it").clip_mode == "clamp"
