"""Pasting changes the spans alone, without a step at their borders."""

import numpy as np
import pytest

import oracles
from vampcli.audio import splice
from vampcli.audio.splice import Patch, Render, paste
from vampcli.audio.waveform import Waveform

PASTE_RATE = 1000  # the fade is 10 samples


def rendered(g: np.ndarray, first: int = 0) -> Render:
    """Render from an array that begins at sample `first` of the recording."""

    def render(start: int, stop: int) -> np.ndarray:
        assert first <= start <= stop <= first + g.shape[1]
        return g[:, start - first : stop - first]

    return render


def pasted(x: np.ndarray, g: np.ndarray, spans: list[tuple[int, int]]) -> np.ndarray:
    """Paste pieces of `g`, which end 10 ms from the spans."""
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
    "none": [],
    "shorter than the fade": [(40, 46)],
    "one sample": [(40, 41)],
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n_channels", [1, 2])
@pytest.mark.parametrize("spans", SPANS.values(), ids=SPANS)
def test_paste_follows_the_formula(spans: list[tuple[int, int]], n_channels: int, dtype: type) -> None:
    x, g = np.random.default_rng(0).standard_normal((2, n_channels, 150)).astype(dtype)
    before, y = x.copy(), pasted(x, g, spans)
    assert y.dtype == dtype
    np.testing.assert_allclose(y, oracles.paste(x, spans, g, 10), rtol=0, atol=np.finfo(dtype).eps * 8)
    kept = np.ones(150, dtype=bool)
    for start, end in spans:
        kept[start:end] = False
    assert y[:, kept].tobytes() == x[:, kept].tobytes()
    assert np.array_equal(x, before)
    np.testing.assert_allclose(pasted(x, x, spans), x, rtol=0, atol=np.finfo(dtype).eps)


@pytest.mark.parametrize("block", [20, 33, 40])
def test_block_size_does_not_matter(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    x, g = np.random.default_rng(0).standard_normal((2, 2, 150))
    whole = pasted(x, g, [(20, 50), (54, 120)])
    monkeypatch.setattr(splice, "_BLOCK", block)
    assert np.array_equal(pasted(x, g, [(20, 50), (54, 120)]), whole)
