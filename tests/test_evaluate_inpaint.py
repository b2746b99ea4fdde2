"""Re-made spans beside silence and loops, on a model that makes noise."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from conftest import music
from test_evaluate_musicnn import small_weights
from vampcli import SamplingConfig
from vampcli.api import Model
from vampcli.evaluate import musicnn
from vampcli.evaluate.clips import Clip
from vampcli.evaluate.inpaint import evaluate_inpaint, excerpts, untrained

RATE = 44100


def repeating(period_s: float, seconds: float) -> np.ndarray:
    part = music(period_s, RATE)[0]
    return np.tile(part, round(seconds / period_s))


def test_a_loop_is_right_where_music_repeats_and_silence_never_is(tiny: Model) -> None:
    cuts = excerpts([Clip("a", torch.from_numpy(repeating(1, 40)).float(), RATE)], 2, 1)
    figures = evaluate_inpaint(tiny, cuts, small_weights(96), SamplingConfig(n_steps=1, n_fine_steps=1))
    ways = figures["by_way"]
    assert figures["n_excerpts"] == 2
    assert set(ways) == {"model", "untrained", "silence", "loop"}
    assert ways["loop"]["mel_error"] == pytest.approx(0, abs=1e-4)
    assert ways["loop"]["level_db"] == pytest.approx(0, abs=1e-3)
    assert ways["loop"]["frechet"] == pytest.approx(0, abs=1e-3)
    assert ways["silence"]["level_db"] < -40
    for way in ("silence", "model", "untrained"):
        assert ways[way]["mel_error"] > 0.1
        assert ways[way]["frechet"] > ways["loop"]["frechet"]
    assert ways["model"]["mel_error"] != ways["untrained"]["mel_error"]


def test_excerpts_come_from_all_recordings() -> None:
    clips = [Clip(name, torch.zeros(n * RATE), RATE) for name, n in (("a", 100), ("short", 14), ("b", 40))]
    found = excerpts(clips, 6, 3)
    assert [cut.name for cut in found] == ["a", "a", "b", "b"]
    assert {cut.seconds for cut in found} == {15.0}


def test_untrained_transformers_know_the_codec_and_nothing_else(tiny: Model) -> None:
    fresh, again = untrained(tiny), untrained(tiny)
    assert torch.equal(fresh.coarse.codebooks, tiny.coarse.codebooks)
    assert torch.equal(fresh.fine.classifier.weight, again.fine.classifier.weight)
    assert not torch.equal(fresh.fine.classifier.weight, tiny.fine.classifier.weight)
    assert fresh.codec is tiny.codec


def test_a_patch_of_the_network_covers_the_span() -> None:
    assert 2 < musicnn.PATCH / musicnn.RATE < 3
