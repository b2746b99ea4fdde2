"""Search for similar places, paths through a recording, and guided rendering."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np
import pytest
import torch

from conftest import music, random_codec
from vampcli.codec.base import Codec
from vampcli.codec.config import DacConfig, LacConfig
from vampcli.codec.dac import DacCodec
from vampcli.codec.lac import LacCodec
from vampcli.config import MOST_PLACES
from vampcli.memory.features import compute_features
from vampcli.memory.path import PathFinder
from vampcli.memory.render import edit_audio
from vampcli.memory.search import (
    Library,
    exact_lag,
    find_places,
    peaks,
    score_lags,
    surrounding_weights,
    trust_of,
)

RATE = 44100
BAR_S = 3.0


def repeating(seconds: float = 18.0, bar_s: float = BAR_S, n_channels: int = 1) -> np.ndarray:
    """A bar of notes again and again, exactly, with a little noise over it: float64 (n_channels, n_samples)."""
    n = round(seconds * RATE)
    bars = np.tile(music(bar_s, RATE, n_channels), (1, int(seconds / bar_s) + 1))[:, :n]
    return bars + 0.001 * np.random.default_rng(1).standard_normal(bars.shape)


def library(samples: np.ndarray, *unknown: tuple[int, int]) -> Library:
    return Library(samples, compute_features(samples, RATE), unknown)


def test_scores_equal_slow_oracle() -> None:
    rng = np.random.default_rng(0)
    values, there = rng.standard_normal((5, 300)).astype(np.float32), rng.standard_normal((5, 200)).astype(np.float32)
    weights, span, hidden = rng.random(300) * (np.arange(300) > 100) * (np.arange(300) < 190), (130, 150), [(20, 40)]
    lags, scores = score_lags(values, weights, span, there, hidden)
    known = there.copy()
    known[:, 20:40] = 0
    assert lags.tolist() == list(range(-130, 51))
    for lag, score in zip(lags, scores, strict=True):
        if span[0] + lag < 40 and span[1] + lag > 20:
            assert score == -np.inf
            continue
        cross = own = energy = 0.0
        for t in range(300):
            q, f = values[:, t], known[:, t + lag] if 0 <= t + lag < 200 else np.zeros(5)
            cross, own, energy = cross + weights[t] * q @ f, own + weights[t] * q @ q, energy + weights[t] * f @ f
        assert score == pytest.approx(cross / np.sqrt(own * energy), abs=1e-5)


def test_weights_fall_from_the_span() -> None:
    weights = surrounding_weights(400, (200, 220), [(200, 220), (180, 190)])
    assert weights[199] == weights[220] == 1
    assert not weights[200:220].any()
    assert not weights[180:190].any()
    assert not surrounding_weights(400, (200, 220), after=False)[200:].any()


def test_too_little_known_finds_nothing() -> None:
    values = np.random.default_rng(0).standard_normal((3, 100)).astype(np.float32)
    weights = surrounding_weights(100, (10, 90), [(10, 90)])
    assert np.isneginf(score_lags(values, weights, (10, 90))[1]).all()


def test_peaks_lie_apart() -> None:
    found = peaks(np.arange(100), np.cos(np.arange(100) / 5), most=3)
    lags = [lag for lag, _ in found]
    assert lags[0] == 0
    assert min(abs(a - b) for a in lags for b in lags if a != b) > 8


@pytest.mark.parametrize("n_channels", [1, 2])
def test_repeat_is_found_to_the_sample(n_channels: int) -> None:
    samples = repeating(n_channels=n_channels)
    span = (8 * RATE, 9 * RATE)
    places = find_places(library(samples, span), RATE, span)
    assert {abs(place.lag) for place in places[:4]} <= {round(BAR_S * RATE) * i for i in range(1, 6)}
    assert places[0].score > 0.7
    assert places[0].trust == 0.9
    assert places[0].waveform_score > 0.9
    assert len(places) <= MOST_PLACES
    assert all(place.lag + span[1] <= span[0] or place.lag + span[0] >= span[1] for place in places)


def test_polarity_of_channels_does_not_matter() -> None:
    mono = repeating()
    opposite = np.concatenate([mono, -mono])
    np.testing.assert_allclose(compute_features(opposite, RATE).values, compute_features(mono, RATE).values, atol=1e-3)


def test_gain_restores_the_level() -> None:
    samples = repeating()
    samples[:, 9 * RATE :] *= 0.6
    span = (4 * RATE, 5 * RATE)
    later = next(p for p in find_places(library(samples, span), RATE, span) if p.lag >= 6 * RATE)
    assert later.gains == pytest.approx((1 / 0.6, 1 / 0.6), rel=0.02)


def test_no_place_overlaps_another_span() -> None:
    samples, spans = repeating(), [(8 * RATE, 9 * RATE), (5 * RATE, 6 * RATE)]
    places = find_places(library(samples, *spans), RATE, spans[0])
    assert places
    for place in places:
        start, end = spans[0][0] + place.lag, spans[0][1] + place.lag
        assert all(end <= a or b <= start for a, b in spans)


@pytest.mark.parametrize("kind", ["noise", "silence"])
def test_nothing_matches_with_confidence(kind: str) -> None:
    n = 20 * RATE
    samples = np.random.default_rng(0).standard_normal((1, n)) * 0.1 if kind == "noise" else np.zeros((1, n))
    span = (10 * RATE, 11 * RATE)
    assert all(place.trust == 0 for place in find_places(library(samples, span), RATE, span))


def test_drifting_tempo_lowers_the_score() -> None:
    steady = repeating(24)
    times = np.cumsum(np.linspace(1, 1.15, steady.shape[1]))
    drifting = np.interp(times[times < steady.shape[1]], np.arange(steady.shape[1]), steady[0])[None]
    span = (9 * RATE, 10 * RATE)
    best, worse = (find_places(library(x, span), RATE, span)[0] for x in (steady, drifting))
    assert worse.score < 0.7 * best.score


def test_trust_grows_with_the_score() -> None:
    assert [trust_of(score) for score in (-1, 0.1, 0.25, 0.4, 1)] == pytest.approx([0, 0, 0.5, 0.9, 0.9])


def test_place_in_another_recording() -> None:
    samples, span = repeating(), (8 * RATE, 9 * RATE)
    own = library(samples, span)
    other = samples[:, round(0.7 * RATE) : 8 * RATE]
    best = find_places(own, RATE, span, Library(other, own.features.of(other), file="other.wav"))[0]
    assert best.file == "other.wav"
    assert (best.lag + round(0.7 * RATE)) % round(BAR_S * RATE) == 0
    assert best.score > 0.7


def test_features_of_the_same_recording_are_equal() -> None:
    samples = repeating(5)
    features = compute_features(samples, RATE)
    np.testing.assert_allclose(features.of(samples).values, features.values, atol=1e-3)
    np.testing.assert_array_equal(features.backward().values[:, ::-1], features.values)


def test_exact_lag_is_that_of_the_waveform() -> None:
    x = np.random.default_rng(0).standard_normal((2, 30_000))
    x[:, 20_000:22_000] = x[:, 5_000:7_000]
    assert exact_lag(x, [(5_000, 7_000)], 15_100, 300) == (15_000, pytest.approx(1))


def test_silent_sides_leave_the_lag() -> None:
    assert exact_lag(np.zeros((1, 9000)), [(4000, 5000)], 1000, 300) == (1000, 0.0)


@pytest.mark.parametrize("n", [127, 128, 250, 256])
def test_known_frames_far_from_the_span(n: int) -> None:
    values = np.random.default_rng(0).standard_normal((3, n)).astype(np.float32)
    for first in range(70, n - 30):
        weights = np.where((np.arange(n) >= first) & (np.arange(n) < first + 30), 1.0, 0.0)
        assert len(score_lags(values, weights, (0, 1))[1]) == n


class TestPath:
    def test_uses_much_of_the_recording(self) -> None:
        samples = music(20, RATE)
        steps = PathFinder(samples, RATE, compute_features(samples, RATE)).find([2 * RATE] * 40)
        assert len(steps) == 40
        used = np.zeros(20)
        for step in steps:
            assert 0 <= step.start <= samples.shape[1] - 2 * RATE
            used[step.start // RATE : step.start // RATE + 2] += 1
        assert (used > 0).mean() >= 0.75
        assert used.max() <= 4 * used[used > 0].mean()

    def test_no_place_twice_in_a_row(self) -> None:
        samples = repeating(12)
        steps = PathFinder(samples, RATE, compute_features(samples, RATE)).find([2 * RATE] * 20)
        assert all(abs(a.start - b.start) > RATE // 4 for a, b in pairwise(steps))

    def test_only_place_is_used_again(self) -> None:
        samples = repeating(10)
        steps = PathFinder(samples, RATE, compute_features(samples, RATE)).find([round(7.9 * RATE)] * 3)
        assert len(steps) == 3

    def test_stretch_longer_than_the_recording_has_no_path(self) -> None:
        samples = repeating(10)
        assert PathFinder(samples, RATE, compute_features(samples, RATE)).find([11 * RATE]) == []

    def test_joins_where_the_bar_continues(self) -> None:
        samples = repeating(13.5)  # ends in the middle of a bar
        first = PathFinder(samples, RATE, compute_features(samples, RATE)).find([RATE])[0]
        assert (first.start - samples.shape[1]) % round(BAR_S * RATE) == 0


SMALL: dict[str, Any] = {
    "encoder_dim": 8,
    "decoder_dim": 32,
    "encoder_rates": (2, 4),
    "decoder_rates": (4, 2),
    "n_codebooks": 3,
}
AnyCodec = TypeVar("AnyCodec", bound=Codec)


def small_dac() -> DacCodec:
    return small(DacCodec(DacConfig(**SMALL)))


def small_lac() -> LacCodec:
    return small(LacCodec(LacConfig(**SMALL)))


def small(codec: AnyCodec) -> AnyCodec:
    torch.manual_seed(0)
    codec.eval()
    codec.quantizer.codebooks.data.normal_()
    return codec


@pytest.mark.parametrize("make", [random_codec, small_dac, small_lac])
@torch.inference_mode()
def test_edit_of_equal_tokens_is_the_source(make: Callable[[], Codec]) -> None:
    codec = make()
    n_frames, grid = 24, codec.grid
    source = torch.from_numpy(music(1, RATE, 2)[:, : n_frames * grid.hop_length]).float()
    tokens = torch.randint(grid.codebook_size, (1, grid.n_codebooks, n_frames))
    other = torch.randint(grid.codebook_size, tokens.shape)
    torch.testing.assert_close(edit_audio(codec, source, tokens, tokens, 1.0), source, atol=1e-5, rtol=0)
    torch.testing.assert_close(edit_audio(codec, source, other, tokens, 0.0), source, atol=1e-5, rtol=0)
    edited = edit_audio(codec, source, other, tokens, 1.0)
    assert edited.shape == source.shape
    assert (edited - source).abs().max() > 0.01
    spectra = [codec.stft.spectrum(x).abs().square().sum() for x in (edited, source)]
    assert 0.5 < spectra[0] / spectra[1] < 1.5
