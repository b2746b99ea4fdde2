"""What is pasted changes its span alone, without a jump."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

import oracles
from conftest import music, quiet
from vampcli.audio import splice
from vampcli.audio.io import read, write
from vampcli.audio.splice import Patch, Render, paste
from vampcli.audio.waveform import Waveform

PASTE_RATE = 1000  # the fade is 10 samples


def rendered(g: np.ndarray, first: int = 0) -> Render:
    """Made audio out of an array that begins at sample `first` of the recording."""

    def render(start: int, stop: int) -> np.ndarray:
        assert first <= start <= stop <= first + g.shape[1]
        return g[:, start - first : stop - first]

    return render


def pasted(x: np.ndarray, g: np.ndarray, spans: list[tuple[int, int]]) -> np.ndarray:
    """Paste pieces of `g`; nothing is made further than 10 ms from them."""
    reach = [(max(0, start - 10), min(x.shape[1], end + 10)) for start, end in spans]
    patches = [Patch(start, end, rendered(g[:, a:b], a)) for (start, end), (a, b) in zip(spans, reach, strict=True)]
    return paste(Waveform(x, PASTE_RATE), patches).samples


SPANS = {
    "one in the middle": [(40, 90)],
    "at the start": [(0, 50)],
    "at the end": [(60, 150)],
    "all": [(0, 150)],
    "little kept before": [(3, 60)],
    "little kept after": [(60, 146)],
    "two": [(20, 50), (90, 120)],
    "two less than a fade apart": [(20, 50), (54, 120)],
    "three touching": [(20, 50), (50, 70), (71, 120)],
    "shorter than the fade": [(40, 46)],
    "one sample": [(40, 41)],
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n_channels", [1, 2])
@pytest.mark.parametrize("spans", SPANS.values(), ids=SPANS)
def test_paste_is_the_formula(spans: list[tuple[int, int]], n_channels: int, dtype: type) -> None:
    x, g = np.random.default_rng(0).standard_normal((2, n_channels, 150)).astype(dtype)
    y = pasted(x, g, spans)
    assert y.dtype == dtype
    np.testing.assert_allclose(y, oracles.paste(x, spans, g, 10), rtol=0, atol=np.finfo(dtype).eps * 8)


@pytest.mark.parametrize("block", [20, 33, 40])
def test_blocks_give_what_the_whole_gives(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    x, g = np.random.default_rng(0).standard_normal((2, 2, 150))
    whole = pasted(x, g, [(20, 50), (54, 120)])
    monkeypatch.setattr(splice, "_BLOCK", block)
    assert np.array_equal(pasted(x, g, [(20, 50), (54, 120)]), whole)


@pytest.mark.parametrize("spans", SPANS.values(), ids=SPANS)
def test_outside_the_spans_every_bit_stays(spans: list[tuple[int, int]]) -> None:
    x, g = np.random.default_rng(1).standard_normal((2, 2, 150)).astype(np.float32)
    before = x.copy()
    y = pasted(x, g, spans)
    kept = np.ones(150, dtype=bool)
    for start, end in spans:
        kept[start:end] = False
    assert np.array_equal(y[:, kept].view(np.uint32), x[:, kept].view(np.uint32))
    assert np.array_equal(x, before)


@pytest.mark.parametrize(
    "spans",
    [[(40, 90)], [(3, 60)], [(60, 146)], [(20, 50), (54, 120)], [(20, 50), (52, 120)], [(40, 52)], [(40, 60)]],
)
def test_no_step_is_larger_than_a_fade_makes(spans: list[tuple[int, int]]) -> None:
    x, g = np.full((1, 150), 0.5), np.full((1, 150), -0.5)
    y = pasted(x, g, spans)[0]
    for start, end in spans:
        assert abs(y[start] - y[start - 1]) < 1e-9
        assert abs(y[end] - y[end - 1]) < 1e-9
    # cos^2 over n samples makes steps of at most pi / 2n, and two fades may meet.
    shortest = min(
        10, *(b - a for a, b in zip([0, *(e for _, e in spans)], [*(s for s, _ in spans), 150], strict=True))
    )
    assert np.abs(np.diff(y)).max() < 2 * math.pi / 2 / shortest


def test_the_removed_sound_does_not_leak() -> None:
    x, g = np.random.default_rng(2).standard_normal((2, 1, 150))
    other = x.copy()
    other[:, 40:90] = 99
    assert np.array_equal(pasted(x, g, [(40, 90)])[:, 40:90], pasted(other, g, [(40, 90)])[:, 40:90])


def test_perfect_sound_is_pasted_without_a_trace() -> None:
    x = music(0.15, PASTE_RATE)
    np.testing.assert_allclose(pasted(x, x, [(20, 50), (54, 120)]), x, rtol=0, atol=1e-15)


def test_nothing_to_paste_changes_nothing() -> None:
    clip = quiet(2, subtype="PCM_24")
    result = paste(clip, [])
    assert np.array_equal(result.samples, clip.samples)
    assert (result.sample_rate, result.subtype) == (clip.sample_rate, clip.subtype)


def test_a_pasted_file_differs_only_inside_the_span(tmp_path: Path, song: Callable[..., Path]) -> None:
    path = song(seconds=1, n_channels=2, subtype="PCM_16")
    clip = read(path)
    made = 0.1 * np.random.default_rng(0).standard_normal((2, 10882))
    write(tmp_path / "b.wav", paste(clip, [Patch(20000, 30000, rendered(made, 19559))]))
    before, after = (sf.read(p, dtype="int16")[0] for p in (path, tmp_path / "b.wav"))
    changed = np.nonzero((before != after).any(1))[0]
    assert (changed.min(), changed.max()) == pytest.approx((20000, 29999), abs=5)
    assert changed.min() >= 20000
    assert changed.max() < 30000
