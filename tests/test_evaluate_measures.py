"""Figures of takes with known answers: the original, noise, low-pass, shuffled blocks, another key."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.signal
import torch
from torch import Tensor

from vampcli.audio.waveform import Waveform
from vampcli.errors import UsageError
from vampcli.evaluate import measures, metrics, musicnn
from vampcli.evaluate.measures import FIGURES, Original, diversity
from vampcli.tasks.take import Take

RATE = 22050
MELODY = (60, 64, 67, 72, 65, 69, 72, 62)


def tones(pitches: tuple[int, ...], seconds: float = 0.5) -> np.ndarray:
    """Plucked tones one after another: float32 (n_samples,)."""
    t = np.arange(round(seconds * RATE)) / RATE
    hz = [440 * 2 ** ((pitch - 69) / 12) for pitch in pitches]
    notes = [sum(np.sin(2 * np.pi * f * k * t) / k for k in range(1, 6)) * np.exp(-4 * t) for f in hz]
    return (0.2 * np.concatenate(notes)).astype(np.float32)


SONG = tones(MELODY)
NOISE = (0.1 * np.random.default_rng(0).standard_normal(len(SONG))).astype(np.float32)
LOW = scipy.signal.sosfiltfilt(scipy.signal.butter(8, 2000, fs=RATE, output="sos"), SONG).astype(np.float32)
SHUFFLED = np.concatenate(np.split(SONG, 8)[::-1])


def original(tokens: Tensor | None = None) -> Original:
    return Original(Waveform(SONG[None], RATE), torch.zeros(2, 4, dtype=torch.int64) if tokens is None else tokens, 16)


def take(samples: np.ndarray, spans: tuple[tuple[int, int], ...] = ((0, len(SONG)),)) -> Take:
    audio = Waveform(samples[None], RATE)
    no_tokens = torch.zeros(1, 2, 4, dtype=torch.int64)
    return Take(audio, no_tokens, torch.ones(2, 4, dtype=torch.bool), 0, spans, Waveform(SONG[None], RATE))


def measured(group: str, samples: np.ndarray) -> dict[str, float]:
    return FIGURES[group](take(samples), original())


def test_measures_of_originals_are_cached() -> None:
    calls = []

    def length(audio: Waveform, spans: tuple[tuple[int, int], ...]) -> int:
        calls.append(spans)
        return sum(end - start for start, end in spans) + audio.n_samples

    excerpt, here, there = original(), ((0, 10),), ((5, 25),)
    found = [excerpt.measure_once(length, spans) - len(SONG) for spans in (here, there, here)]
    assert found == [10, 20, 10]
    assert calls == [here, there]
    assert original().measure_once(lambda audio, spans: 7, here) == 7


def test_sound_orders_damage() -> None:
    same, quiet, low, noise = (measured("sound", x) for x in (SONG, 0.5 * SONG, LOW, NOISE))
    assert same == {"mel_error": 0, "spectral_distance": 0, "level_db": 0}
    assert quiet["level_db"] == pytest.approx(-6.02, abs=0.01)
    assert quiet["spectral_distance"] == pytest.approx(0, abs=1e-5)  # brought to the same level
    assert 0.05 < low["spectral_distance"] < noise["spectral_distance"]
    assert 0.05 < low["mel_error"] < noise["mel_error"]


def test_spectral_distance_against_numpy() -> None:
    a, other = SONG[:9000], SONG[:9000] + NOISE[:9000]
    b = other * np.float32(np.sqrt((a**2).sum() / (other**2).sum()))
    wanted = []
    for n in metrics.SPECTRAL_SCALES:
        window = scipy.signal.get_window("hann", n)
        logs = []
        for x in (a, b):
            padded = np.pad(x.astype(np.float64), n // 2)
            frames = np.stack([padded[i : i + n] * window for i in range(0, len(padded) - n + 1, n // 4)])
            logs.append(np.log10(np.maximum(np.abs(np.fft.rfft(frames)), 1e-5)))
        wanted.append(np.abs(logs[0] - logs[1]).mean())
    found = metrics.spectral_distance(torch.from_numpy(b), torch.from_numpy(a))
    assert found == pytest.approx(np.mean(wanted), rel=1e-3)


def test_sound_outside_spans_does_not_count() -> None:
    a, b = len(SONG) // 4, len(SONG) // 2
    changed = SONG.copy()
    changed[a:b] = NOISE[a:b]
    assert FIGURES["sound"](take(changed, ((0, a), (b, len(SONG)))), original())["mel_error"] == 0
    assert FIGURES["sound"](take(changed, ((a, b),)), original())["mel_error"] > 0.1


def test_harmony_measures_the_key() -> None:
    same, low, other, noise = (
        measured("harmony", x)["chroma_correlation"] for x in (SONG, LOW, tones(tuple(p + 6 for p in MELODY)), NOISE)
    )
    assert same == pytest.approx(1)
    assert low > 0.95
    assert other < 0.3
    assert abs(noise) < 0.3
    assert measured("harmony", np.zeros_like(SONG))["chroma_correlation"] is None


def test_rhythm_compares_attacks() -> None:
    late = np.roll(SONG, round(0.25 * RATE))
    same, shuffled, between, noise = (measured("rhythm", x) for x in (SONG, SHUFFLED, late, np.zeros_like(SONG)))
    assert same["onset_f1"] == pytest.approx(1)
    assert same["beat_f1"] in (None, pytest.approx(1))
    assert shuffled["onset_f1"] == pytest.approx(1)  # other tones, at the same times
    assert between["onset_f1"] < 0.3
    assert noise["onset_f1"] < 0.3
    assert same["attacks"] == pytest.approx(1)
    assert shuffled["attacks"] > 0.5 > between["attacks"]
    assert noise["attacks"] is None  # silence has no attack


def test_tokens_inside_the_mask() -> None:
    target = torch.tensor([[1, 1, 2, 3], [4, 5, 6, 7]])
    made = torch.tensor([[[1, 1, 9, 9], [4, 5, 6, 0]]])
    mask = torch.tensor([[False, True, True, True], [False, False, False, True]])
    found = FIGURES["tokens"](replace(take(SONG), tokens=made, mask=mask), original(target))
    assert found["token_accuracy"] == pytest.approx(1 / 4)
    assert found["token_accuracy_first"] == pytest.approx(1 / 3)
    assert found["repeats"] == pytest.approx(2 / 3)
    assert found["kept_bits_per_s"] == pytest.approx(4 * 4 / (len(SONG) / RATE))
    assert FIGURES["tokens"](take(SONG), original(target[:, :3])) == {}


def test_seams_measure_a_jump() -> None:
    middle = ((round(1.2 * RATE), round(2.7 * RATE)),)
    broken = SONG.copy()
    broken[slice(*middle[0])] = NOISE[slice(*middle[0])]
    kept, jumped = (FIGURES["seams"](take(x, middle), original()) for x in (SONG, broken))
    assert kept["jump"] <= 1
    assert jumped["jump"] > kept["jump"]
    assert jumped["colour_db"] > kept["colour_db"]


def test_diversity_of_takes() -> None:
    assert diversity([take(SONG)]) is None
    assert diversity([take(SONG), take(SONG)]) == 0
    two = diversity([take(SONG), take(NOISE)])
    assert two is not None
    assert diversity([take(SONG), take(SONG), take(NOISE)]) == pytest.approx(2 / 3 * two, rel=0.2)


@pytest.mark.parametrize(("seconds", "n"), [(1.0, 1), (3.5, 1), (6.5, 2)])
def test_patches_lie_over_the_spans(seconds: float, n: int) -> None:
    audio = Waveform(np.random.default_rng(0).standard_normal((1, 10 * RATE)).astype(np.float32), RATE)
    start = round((10 - seconds) / 2 * RATE)
    found = measures.embed_patches(audio, ((start, start + round(seconds * RATE)),))
    assert len(found) == n
    if n == 1:
        changed = audio.samples.copy()
        changed[:, : round((5 - musicnn.PATCH / musicnn.RATE / 2 - 0.05) * RATE)] = 0
        again = measures.embed_patches(Waveform(changed, RATE), ((start, start + round(seconds * RATE)),))
        assert np.allclose(found, again, atol=1e-3)


def test_takes_of_another_length() -> None:
    longer = take(np.concatenate([SONG, NOISE]), ((len(SONG), 2 * len(SONG)),))
    for group in ("sound", "rhythm", "harmony"):
        assert FIGURES[group](longer, original()) == {}


def test_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measures, "_NEEDS", {"rhythm": "no_such_package"})
    measures.check_packages(["sound"])
    with pytest.raises(UsageError, match="rhythm needs the package no_such_package"):
        measures.check_packages(["sound", "rhythm"])
