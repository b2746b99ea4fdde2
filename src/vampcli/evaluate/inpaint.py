"""How a re-made span sounds, beside silence, a loop, and the same model untrained."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vampcli.api import Model
from vampcli.audio.clicks import LIMIT, click_figure
from vampcli.audio.resample import resample_range
from vampcli.audio.waveform import Waveform
from vampcli.config import SamplingConfig
from vampcli.evaluate import metrics, musicnn
from vampcli.evaluate.clips import Clip
from vampcli.evaluate.frechet import frechet_distance
from vampcli.evaluate.token_accuracy import spread
from vampcli.model.transformer import VampNet

EXCERPT_S = 10.0
SPAN_S = (4.0, 6.0)
REAL, LOOP, SILENCE, MODEL, UNTRAINED = "original", "loop", "silence", "model", "untrained"
_LATER_S = 5.0  # where in a second excerpt the floor's patches lie: half an excerpt after the first ones'


def excerpts(clips: Iterable[Clip], n: int, n_clips: int) -> list[Clip]:
    """Take excerpts of `EXCERPT_S` and half as much after it: as many of each recording, spread evenly.

    Args:
        clips: recordings; those shorter than 1.5 excerpts give none.
        n: how many in all, at most.
        n_clips: how many recordings there are.
    """
    length_s, found = EXCERPT_S + _LATER_S, []
    each = -(-n // max(1, n_clips))
    for clip in clips:
        places = spread(clip.samples, round(length_s * clip.sample_rate), each)
        found += [replace(clip, samples=samples.clone()) for samples in places]
    return found[:n]


def evaluate_inpaint(
    model: Model,
    cuts: Sequence[Clip],
    weights: Mapping[str, Tensor],
    config: SamplingConfig | None = None,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Re-make `SPAN_S` of excerpts, and measure how far that is from what was there.

    Args:
        model: what re-makes.
        cuts: from `excerpts`, at the model's rate.
        weights: of `musicnn`.
        config: how to draw.
        seed: excerpt i is made with seed + i.
        progress: told after each excerpt.

    Returns:
        For each way of filling the span means of its mel error and level difference in dB, the share of its two
        borders that click, and the Fréchet distance of patches of 3 s around it to the originals'; and as a floor the
        distance to as many real patches, from 5 s later in the same recordings.
    """
    ways: dict[str, Callable[[Waveform, int], Waveform]] = {
        MODEL: _filler(model, config),
        UNTRAINED: _filler(untrained(model), config),
        SILENCE: lambda clip, _: _silence(clip),
        LOOP: lambda clip, _: _loop(clip),
    }
    figures: dict[str, list[dict[str, float]]] = {way: [] for way in ways}
    heard: dict[str, list[Tensor]] = {way: [] for way in (REAL, "later", *ways)}
    for i, cut in enumerate(cuts):
        stop = round(EXCERPT_S * cut.sample_rate)
        original = Waveform(cut.samples.numpy()[None, :stop], cut.sample_rate)
        heard[REAL].append(_patch(original))
        heard["later"].append(_patch(Waveform(cut.samples.numpy()[None], cut.sample_rate), _LATER_S))
        for way, fill in ways.items():
            made = fill(original, seed + i)
            figures[way].append(_figures(made, original))
            heard[way].append(_patch(made))
        if progress is not None:
            progress(i + 1, len(cuts))
    embeddings = {way: musicnn.embed(weights, torch.stack(patches)).numpy() for way, patches in heard.items()}
    distances = {way: frechet_distance(embeddings[way], embeddings[REAL]) for way in ("later", *ways)}
    means = {way: {k: float(np.mean([row[k] for row in rows])) for k in rows[0]} for way, rows in figures.items()}
    return {
        "n_excerpts": len(cuts),
        "excerpt_s": EXCERPT_S,
        "span_s": SPAN_S,
        "frechet_floor": distances["later"],
        "by_way": {way: {**means[way], "frechet": distances[way]} for way in ways},
    }


def untrained(model: Model, seed: int = 0) -> Model:
    """The same model with transformers that have learned nothing; the codec stays."""

    def fresh(trained: VampNet) -> VampNet:
        module = VampNet(trained.config)
        module.codebooks.copy_(trained.codebooks)
        module.mask_rows.data.normal_()
        return module.to(model.device).eval().requires_grad_(False)

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return replace(model, coarse=fresh(model.coarse), fine=fresh(model.fine))


def _filler(model: Model, config: SamplingConfig | None) -> Callable[[Waveform, int], Waveform]:
    return lambda clip, seed: model.inpaint(clip, [SPAN_S], seed=seed, config=config)[0].audio


def _span(clip: Waveform) -> slice:
    return slice(*(round(s * clip.sample_rate) for s in SPAN_S))


def _silence(clip: Waveform) -> Waveform:
    samples = clip.samples.copy()
    samples[:, _span(clip)] = 0
    return replace(clip, samples=samples)


def _loop(clip: Waveform) -> Waveform:
    """What came just before, once more."""
    samples, span = clip.samples.copy(), _span(clip)
    samples[:, span] = clip.samples[:, 2 * span.start - span.stop : span.start]
    return replace(clip, samples=samples)


def _figures(made: Waveform, original: Waveform) -> dict[str, float]:
    span, rate = _span(original), original.sample_rate
    a, b = (torch.from_numpy(x.samples[0, span].astype(np.float32)) for x in (made, original))
    clicks = [click_figure(made.samples[0], rate, place) > LIMIT for place in (span.start, span.stop)]
    return {
        "mel_error": metrics.piece_mel_error(a, b, rate),
        "level_db": metrics.level_difference_db(a, b),
        "click_share": sum(clicks) / 2,
    }


def _patch(clip: Waveform, later_s: float = 0.0) -> Tensor:
    """The patch around the span (or as much later): float32 (`musicnn.PATCH`,) at 16 kHz."""
    middle = round((sum(SPAN_S) / 2 + later_s) * musicnn.RATE)
    start = middle - musicnn.PATCH // 2
    found = resample_range(clip.samples, clip.sample_rate, musicnn.RATE, start, start + musicnn.PATCH)
    return torch.from_numpy(found[0].copy())
