"""Inpainting generates spans from their surroundings; test_api covers the rest."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from clips import QUICK, check_kept, clip
from vampcli import Take, Waveform
from vampcli.api import Model
from vampcli.audio.clicks import LIMIT, junction_figure
from vampcli.codec.base import Codec
from vampcli.config import MusicalSpan, TempoConfig
from vampcli.recipe.recipe import RENDERING
from vampcli.tasks import regenerate, render
from vampcli.tasks.inpaint import Inpaint
from vampcli.tasks.level import Level
from vampcli.tasks.spans import SpanRequest
from vampcli.tasks.take import TakeOptions


def made(tiny: Model, source: Waveform, request: Inpaint) -> Take:
    (take,) = tiny.takes(source, request, TakeOptions([4], QUICK))
    return take


@pytest.fixture
def level(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fix the gain, which depends on the whole clip."""
    monkeypatch.setattr(regenerate, "set_level", lambda *_: Level(1.5, True, (0.0,), False, RENDERING))


@pytest.mark.usefixtures("level")
def test_distant_spans_are_independent(tiny: Model) -> None:
    source, spans = clip(5.0), [(0.5, 0.7), (3.5, 3.9)]
    both = made(tiny, source, Inpaint(SpanRequest(spans))).audio.samples
    for start, end in spans:
        alone = made(tiny, source, Inpaint(SpanRequest([(start, end)]))).audio.samples
        inside = slice(round(start * 44100), round(end * 44100))
        assert np.array_equal(both[:, inside], alone[:, inside])


@pytest.mark.parametrize("spans", [[(6.0, 6.2)], [(0.5, 0.7), (9.0, 9.4)], [(4.0, 6.5)]])
def test_frames_that_no_window_shows_are_not_encoded(
    tiny: Model, spans: list[tuple[float, float]], monkeypatch: pytest.MonkeyPatch
) -> None:
    source, own = clip(10.0), Codec.encode
    lengths: list[int] = []
    monkeypatch.setattr(Codec, "encode", lambda self, samples: (lengths.append(len(samples)), own(self, samples))[1])
    few = made(tiny, source, Inpaint(SpanRequest(spans)))
    n_few = sum(lengths)
    monkeypatch.setattr(
        regenerate, "_needed_frames", lambda _, plan, __: [(plan.first_frame, plan.first_frame + plan.n_frames)]
    )
    lengths.clear()
    whole = made(tiny, source, Inpaint(SpanRequest(spans)))
    assert n_few < sum(lengths)
    assert np.array_equal(few.audio.samples, whole.audio.samples)
    assert torch.equal(few.tokens[:, few.mask], whole.tokens[:, whole.mask])


@pytest.mark.usefixtures("level")
@pytest.mark.parametrize("spans", [[(1.0, 1.2)], [(0.6, 0.7), (1.5, 1.6)]])
def test_samples_beyond_context_do_not_matter(tiny: Model, spans: list[tuple[float, float]]) -> None:
    source = clip(2.5)
    reach = round((0.1 + (tiny.codec.halo_frames + 3) * 768 / 44100) * 44100)
    far = np.ones(source.n_samples, dtype=bool)
    for start, end in spans:
        far[max(0, round(start * 44100) - reach) : round(end * 44100) + reach] = False
    assert far.any()
    other = replace(source, samples=np.where(far, source.samples[:, ::-1], source.samples))
    takes = [made(tiny, c, Inpaint(SpanRequest(spans), context=0.1)) for c in (source, other)]
    hidden = takes[0].mask
    assert torch.equal(takes[0].tokens[:, hidden], takes[1].tokens[:, hidden])
    seeing = [made(tiny, c, Inpaint(SpanRequest(spans))) for c in (source, other)]
    assert not torch.equal(seeing[0].tokens[:, seeing[0].mask], seeing[1].tokens[:, seeing[1].mask])


def test_bars_and_beats(tiny: Model) -> None:
    request = Inpaint(SpanRequest([MusicalSpan("bars", 2, 2), MusicalSpan("beats", 1, 1)], TempoConfig(bpm=240)))
    take = made(tiny, clip(2.4), request)
    assert take.spans == ((0, 11025), (44100, 88200))
    check_kept(take)


def test_no_edge_clicks(tiny: Model) -> None:
    take = made(tiny, clip(2.0), Inpaint(SpanRequest([(0.3, 0.5), (0.52, 0.9), (1.4, 1.7)])))
    for span in take.spans:
        for place in span:
            assert junction_figure(take.audio.samples, 44100, place) <= LIMIT


@pytest.mark.parametrize("rate", [44100, 48000])
@pytest.mark.parametrize("n_channels", [1, 2])
@pytest.mark.parametrize("at_once", [80, 1024])
def test_close_spans_are_decoded_together(
    tiny: Model, rate: int, n_channels: int, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = clip(3.0, rate, n_channels)
    request = Inpaint(SpanRequest([(0.2, 0.25), (0.4, 0.5), (0.6, 0.7), (0.8, 0.9), (2.5, 2.6)]))
    decoded: list[int] = []
    own = render.decode_long

    def watched(codec: Codec, codes: torch.Tensor) -> torch.Tensor:
        decoded.append(codes.shape[1])
        return own(codec, codes)

    def samples(at_once: int) -> np.ndarray:
        monkeypatch.setattr(render, "_MOST_DECODED", at_once)
        decoded.clear()
        (take,) = tiny.takes(source, request, TakeOptions([3], QUICK))
        return take.audio.samples

    monkeypatch.setattr(render, "decode_long", watched)
    each = samples(0)
    assert len(decoded) == 5
    np.testing.assert_allclose(samples(at_once), each, rtol=0, atol=1e-4)
    assert len(decoded) < 5
    assert max(decoded) <= at_once
