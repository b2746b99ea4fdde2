"""Scores of takes of a synthetic band with planted faults, and of real music."""

import json
import math
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from clips import clip, doubled
from vampcli import Take, Waveform, read
from vampcli.scoring.scores import Reference, Scores, best
from vampcli.scoring.spectra import N_BANDS, frames_at, frames_in, window_of

RATE = 22050
BPM = 110.0
MADE = ((4 * RATE, 7 * RATE),)
EXAMPLE = Path(__file__).parent.parent / "examples" / "island-dreams.wav"
Spans = tuple[tuple[int, int], ...]


def band(seconds: float = 10.0, seed: int = 0, rate: int = RATE) -> np.ndarray:
    """Kick, snare and hats at 110 bpm over chords that change every bar: float64 (2, n_samples), below 0.5."""
    rng = np.random.default_rng(seed)
    t = np.arange(round(seconds * rate)) / rate
    x = np.zeros((2, len(t)))
    eighth = 30 / BPM
    hiss = rng.standard_normal((2, len(t)))
    for i in range(math.ceil(seconds / eighth) + 1):
        after = t - i * eighth
        after = np.where(after < 0, np.inf, after)
        x += 0.02 * np.exp(-60 * after) * hiss
        if i % 2 == 0:
            x += 0.25 * np.exp(-15 * after) * np.sin(2 * np.pi * 55 * np.where(np.isinf(after), 0, after))
        if i % 4 == 2:
            x += 0.06 * np.exp(-20 * after) * hiss
    for bar in range(math.ceil(seconds / (8 * eighth))):
        inside = (t >= 8 * eighth * bar) & (t < 8 * eighth * (bar + 1))
        for note in rng.choice([0, 3, 5, 7, 10, 12], 3, replace=False):
            pitch = 220 * 2 ** (note / 12)
            for channel, gain in zip(x, rng.uniform(0.5, 1, 2), strict=True):
                channel += 0.02 * gain * inside * sum(np.sin(2 * np.pi * pitch * k * t) / k for k in (1, 2, 3))
    return x


def pasted(base: np.ndarray, made: np.ndarray, spans: Spans = MADE) -> np.ndarray:
    """What is made, inside spans, blended over 10 ms."""
    y, n_fade = base.copy(), RATE // 100
    for start, end in spans:
        n = end - start
        inward = np.minimum(np.arange(n), np.arange(n)[::-1]) / n_fade
        blend = np.sin(np.pi / 2 * np.minimum(1, inward)) ** 2
        y[:, start:end] += blend * (made[:, start:end] - base[:, start:end])
    return y


def wave(samples: np.ndarray, rate: int = RATE) -> Waveform:
    return Waveform(samples.astype(np.float32), rate)


def take(audio: Waveform, base: Waveform, spans: Spans = MADE) -> Take:
    return Take(audio, torch.zeros(1, 1, 1), torch.zeros(1, 1, dtype=torch.bool), 0, spans, base)


BASE = band()
OTHER = band(seed=1)  # the same players, other notes
T = np.arange(BASE.shape[1]) / RATE


def clicked(made: np.ndarray) -> np.ndarray:
    y = pasted(BASE, made)
    y[:, MADE[0][0] + 2] += 0.4
    return y


FAULTS: dict[str, tuple[Callable[[], np.ndarray], str]] = {
    "a click": (lambda: clicked(OTHER), "clicks"),
    "silence": (lambda: pasted(BASE, 0 * BASE), "silent"),
    "two thirds silence": (lambda: pasted(BASE, np.where(T < 5, OTHER, 0)), "silent"),
    "a third silence": (lambda: pasted(BASE, np.where(T < 6, OTHER, 0)), ""),
    "a tone": (lambda: pasted(BASE, 0.1 * np.sin(2 * np.pi * 330 * T)[None].repeat(2, 0)), ""),
    "a buzz": (lambda: pasted(BASE, 0.1 * (2 * (63 * T % 1) - 1)[None].repeat(2, 0)), ""),
    "a tone in the end": (lambda: pasted(BASE, np.where(T < 5, OTHER, 0.1 * np.sin(2 * np.pi * 330 * T))), ""),
    "saturation": (lambda: pasted(BASE, np.clip(40 * OTHER, -1, 1)), "saturated"),
    "saturation below full scale": (lambda: pasted(BASE, np.clip(10 * OTHER, -0.3, 0.3)), "saturated"),
    "12 dB too loud": (lambda: pasted(BASE, 4 * OTHER), ""),
    "12 dB too soft": (lambda: pasted(BASE, OTHER / 4), ""),
    "noise": (lambda: pasted(BASE, 0.07 * np.random.default_rng(0).standard_normal(BASE.shape)), ""),
}


@pytest.fixture(scope="module")
def reference() -> Reference:
    return Reference.of(wave(BASE), MADE)


@pytest.fixture(scope="module")
def clean(reference: Reference) -> Scores:
    return reference.score(take(wave(pasted(BASE, OTHER)), wave(BASE)))


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_lower_the_score(reference: Reference, clean: Scores, fault: str) -> None:
    made, reason = FAULTS[fault]
    scores = reference.score(take(wave(made()), wave(BASE)))
    assert scores.hopeless == reason
    assert scores.total < clean.total - 0.5
    assert best([scores, clean], 1) == [1]


def test_scores_of_a_clean_take(clean: Scores) -> None:
    assert clean.hopeless == ""
    assert clean.total > -1
    assert clean.level_db == pytest.approx(0, abs=2)
    assert clean.click < 1


def test_original_scores_best(reference: Reference, clean: Scores) -> None:
    original = reference.score(take(wave(BASE), wave(BASE)))
    assert original.hopeless == ""
    assert original.total >= clean.total


def test_level_in_decibels(reference: Reference, clean: Scores) -> None:
    louder = reference.score(take(wave(pasted(BASE, 2 * OTHER)), wave(BASE)))
    assert louder.level_db is not None
    assert clean.level_db is not None
    assert louder.level_db - clean.level_db == pytest.approx(20 * math.log10(2), abs=0.1)


@pytest.mark.parametrize("fault", ["noise", "a click", "12 dB too loud"])
def test_scores_ignore_gain_and_channels(fault: str) -> None:
    mono, made = BASE[:1] / 2, FAULTS[fault][0]()[:1] / 2  # within full scale

    def parts(base: np.ndarray, audio: np.ndarray) -> dict[str, float]:
        scores = Reference.of(wave(base), MADE).score(take(wave(audio), wave(base)))
        return {name: part for name, part in asdict(scores).items() if name not in ("hopeless", "attacks")}

    plain = parts(mono, made)
    assert parts(mono / 2, made / 2) == pytest.approx(plain, rel=1e-3, abs=1e-3)
    assert parts(mono.repeat(2, 0), made.repeat(2, 0)) == pytest.approx(plain, rel=1e-5, abs=1e-6)


def test_click_in_one_channel(reference: Reference) -> None:
    y = pasted(BASE, OTHER)
    y[1, MADE[0][1] - 2] += 0.4
    assert reference.score(take(wave(y), wave(BASE))).hopeless == "clicks"


def test_order_of_the_best() -> None:
    scores = [
        Scores(0, 0, hopeless="silent", total=-1),
        Scores(0, 0, total=-5),
        Scores(0, 0, total=-2),
        Scores(0, 0, total=-5),
        Scores(0, 0, hopeless="clicks", total=0),
    ]
    assert best(scores, 3) == [2, 1, 3]
    assert best(scores, 9) == [2, 1, 3, 4, 0]
    assert best(scores, 0) == best([], 3) == []


@pytest.mark.parametrize(
    "seconds", [[(4, 6)], [(0, 2)], [(8, 10)], [(0, 10)], [(5, 5.02)], [(0, 0.15), (9.85, 10)], [(1, 2), (3, 9.9)]]
)
def test_music_is_never_hopeless(seconds: list[tuple[float, float]]) -> None:
    piece = read(EXAMPLE)
    spans = tuple((round(start * 44100), round(end * 44100)) for start, end in seconds)
    scores = Reference.of(piece, spans).score(take(piece, piece, spans))
    assert scores.hopeless == ""
    assert scores.click <= 1
    assert scores.total > -3


def test_bare_end_excuses_no_click() -> None:
    n = round(5.4 * RATE)  # the bare end itself clicks
    spans = ((n, BASE.shape[1]),)
    base = np.where(np.arange(BASE.shape[1]) < n, BASE, 0)
    reference = Reference.of(wave(base), spans)
    assert reference.score(take(wave(BASE), wave(base), spans)).hopeless == ""
    assert reference.score(take(wave(base), wave(base), spans)).hopeless == "silent"
    cut = BASE.copy()
    cut[:, n:] += 0.3
    assert reference.score(take(wave(cut), wave(base), spans)).hopeless == "clicks"


def test_attack_may_occur_again() -> None:
    at = round(8 * 60 / BPM * RATE)
    base = BASE.copy()
    base[:, at:] += 0.3 * np.exp(-30 * (T[at:] - T[at]))
    spans = ((at, at + 2 * RATE),)
    scores = Reference.of(wave(base), spans).score(take(wave(base), wave(base), spans))
    assert (scores.click, scores.hopeless) == (1, "")
    assert scores.jump is not None
    assert scores.jump <= 1


def test_whole_clip_is_compared_with_itself() -> None:
    spans = ((0, BASE.shape[1]),)
    reference = Reference.of(wave(BASE), spans)
    noise = 0.07 * np.random.default_rng(0).standard_normal(BASE.shape)
    good, bad = (reference.score(take(wave(x), wave(BASE), spans)) for x in (OTHER, noise))
    assert (good.hopeless, good.jump, good.click) == ("", None, 0)
    assert good.total > bad.total + 0.5
    assert reference.score(take(wave(0 * BASE), wave(BASE), spans)).hopeless == "silent"


def test_silent_recording() -> None:
    silence = Waveform(np.broadcast_to(np.zeros((), np.float32), BASE.shape), RATE)
    for spans in (MADE, ((0, BASE.shape[1]),)):
        reference = Reference.of(silence, spans)
        assert reference.score(take(silence, silence, spans)) == Scores(0, 0)
        assert reference.score(take(wave(pasted(0 * BASE, OTHER)), silence, spans)).hopeless == ""


def test_silence_between_silence() -> None:
    base = np.where(T < 3, 0, BASE)
    spans = ((RATE // 2, RATE),)
    assert Reference.of(wave(base), spans).score(take(wave(base), wave(base), spans)).hopeless == ""


@pytest.mark.parametrize("rate", [8000, 44100, 192000])
@pytest.mark.parametrize("seconds", [0.1, 1.5])
@pytest.mark.parametrize("place", ["all", "start", "end", "frame", "both ends"])
def test_any_rate_length_and_place(rate: int, seconds: float, place: str) -> None:
    base = clip(seconds, rate, 2)
    n, frame = base.n_samples, round(rate * 0.0175)
    spans = {
        "all": ((0, n),),
        "start": ((0, n // 2),),
        "end": ((n // 3, n),),
        "frame": ((n // 2, n // 2 + frame),),
        "both ends": ((0, frame), (n - frame, n)),
    }[place]
    reference = Reference.of(base, spans)
    same = reference.score(take(base, base, spans))
    assert same.hopeless == ""
    for audio in (base.samples, 0 * base.samples, 1e30 * base.samples, np.nan * base.samples, base.samples[:, ::-1]):
        scores = reference.score(take(Waveform(audio, rate), base, spans))
        json.dumps(asdict(scores), allow_nan=False)


def test_frames_beyond_the_ends_are_silent() -> None:
    sound, n = clip(1.0, n_channels=2), 3000
    padded = replace(sound, samples=np.pad(sound.samples, ((0, 0), (n, n))))
    starts = np.array([-n, -100, 0, 12345, sound.n_samples - 500, sound.n_samples + 10])
    np.testing.assert_array_equal(frames_at(sound, starts).powers, frames_at(padded, starts + n).powers)


def test_frames_equal_a_plain_spectrum() -> None:
    sound = doubled(clip(0.5))
    sound.samples[1] *= -1  # what is out of phase is heard
    frames = frames_in(sound, [(1000, 9000)])
    window = window_of(44100)
    i = len(frames.starts) - 1
    piece = sound.samples[0, frames.starts[i] : frames.starts[i] + window].astype(np.float64)
    k = np.arange(window // 2 + 1)
    hann = np.sin(np.pi * (np.arange(window) + 1) / (window + 1)) ** 2
    power = np.abs(np.exp(-2j * np.pi * np.outer(k, np.arange(window)) / window) @ (piece * hann)) ** 2 / window**2
    hz = k * 44100 / window
    assert frames.powers.shape == (i + 1, N_BANDS)
    assert frames.power[i] == pytest.approx(power[(hz > 100) & (hz < 14000)].sum(), rel=0.05)
