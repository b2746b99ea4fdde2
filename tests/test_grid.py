"""Conversions between samples and frames, against counting."""

import numpy as np
import pytest

import oracles
from vampcli.tokens.grid import TokenGrid

GRID = TokenGrid(sample_rate=44100, hop_length=768, n_codebooks=14, codebook_size=1024)


def test_mask_id() -> None:
    assert GRID.mask_id == 1024


def test_frame_rate() -> None:
    assert GRID.frame_rate == pytest.approx(57.42, abs=0.005)


@pytest.mark.parametrize(("n_samples", "n_frames"), [(0, 0), (1, 1), (767, 1), (768, 1), (769, 2), (44100, 58)])
def test_n_frames_rounds_up(n_samples: int, n_frames: int) -> None:
    assert GRID.n_frames(n_samples) == n_frames


@pytest.mark.parametrize("rate", [8000, 22050, 44099, 44100, 48000, 96000])
def test_n_samples_rounds_up(rate: int) -> None:
    for n in (0, 1, 2, 999, 12345):
        held = GRID.n_samples(n, rate)
        assert held * rate >= n * GRID.sample_rate
        assert held == 0 or (held - 1) * rate < n * GRID.sample_rate


@pytest.mark.parametrize("seed", range(5))
def test_frames_touched_by_every_sample(seed: int) -> None:
    rng = np.random.default_rng(seed)
    for _ in range(40):
        codec_rate, hop = int(rng.integers(10, 60000)), int(rng.integers(1, 900))
        file_rate = int(rng.integers(10, 200000))
        start = int(rng.integers(0, 100000))
        end = start + int(rng.integers(1, 200))
        grid = TokenGrid(codec_rate, hop, 1, 2)
        expected = oracles.frames_touched(start, end, file_rate, codec_rate, hop)
        assert grid.frames_touched(start, end, file_rate) == expected


def test_span_on_frame_borders() -> None:
    assert GRID.frames_touched(768 * 3, 768 * 5, 44100) == (3, 5)
    assert GRID.frames_touched(768 * 3 - 1, 768 * 5 + 1, 44100) == (2, 6)
