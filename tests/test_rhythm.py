"""Beats, onsets and mel spectra equal librosa's."""

import librosa
import numpy as np
import pytest

from vampcli.audio import rhythm
from vampcli.audio.beats import HOP, N_FFT, RATE, SILENCE, attack_strength, log_mel

FRAME_RATE = RATE / HOP


def uneven_beats(seed: int) -> np.ndarray:
    """Bursts of noise near a tempo, of varying level: float64 (1, n_samples)."""
    rng = np.random.default_rng(seed)
    x = 0.02 * rng.standard_normal((1, 9 * RATE))
    for at in np.arange(0.2, 8.7, 60 / rng.uniform(70, 180)) + rng.uniform(-0.02, 0.02):
        n = round(0.05 * RATE)
        x[0, round(at * RATE) :][:n] += rng.uniform(0.3, 1) * np.exp(-np.arange(n) / 400) * rng.standard_normal(n)
    return x


@pytest.mark.parametrize("seed", range(6))
def test_beats_and_onsets_equal_librosas(seed: int) -> None:
    spectrum = log_mel(uneven_beats(seed), RATE)
    attack, plain = attack_strength(spectrum, 0.5), attack_strength(spectrum)
    wanted = librosa.feature.tempo(onset_envelope=attack[SILENCE:], sr=RATE, hop_length=HOP, start_bpm=124, std_bpm=0.7)
    bpm = rhythm.estimate_tempo(rhythm.tempo_scores(attack[SILENCE:], FRAME_RATE), FRAME_RATE, 124, 0.7)
    assert bpm == wanted[0]
    padded = np.pad(attack, (0, SILENCE))
    _, beats = librosa.beat.beat_track(onset_envelope=padded, sr=RATE, hop_length=HOP, bpm=bpm, trim=False)
    np.testing.assert_array_equal(rhythm.track_beats(padded, FRAME_RATE, bpm), beats)
    onsets = librosa.onset.onset_detect(onset_envelope=plain, sr=RATE, hop_length=HOP, backtrack=True)
    np.testing.assert_array_equal(rhythm.find_onsets(plain, FRAME_RATE), onsets)


def test_mel_powers_equal_librosas() -> None:
    mono = np.random.default_rng(0).standard_normal(RATE).astype(np.float32)
    wanted = librosa.feature.melspectrogram(y=mono, sr=RATE, n_fft=N_FFT, hop_length=HOP, n_mels=80)
    np.testing.assert_allclose(rhythm.mel_powers(mono, RATE, N_FFT, HOP, 80), wanted, rtol=1e-4)
    np.testing.assert_allclose(rhythm.mel_frequencies(40, 11025), librosa.mel_frequencies(40, fmax=11025), atol=1e-9)


def test_attack_strength_equals_librosas() -> None:
    spectrum = log_mel(uneven_beats(0), RATE)
    wanted = librosa.onset.onset_strength(S=spectrum, sr=RATE, center=False)
    wanted[-(N_FFT // HOP) :] = 0
    np.testing.assert_allclose(attack_strength(spectrum), wanted, atol=1e-5)


def test_steadiness() -> None:
    noise = np.abs(np.random.default_rng(0).standard_normal(2000))
    even = np.where(np.arange(2000) % 43 == 0, 1.0, 0.0)
    period, bpm = 43, 60 * FRAME_RATE / 43
    assert period == round(60 * FRAME_RATE / bpm)
    assert rhythm.steadiness(rhythm.tempo_scores(even, FRAME_RATE), FRAME_RATE, bpm) > 0.9
    assert rhythm.steadiness(rhythm.tempo_scores(noise, FRAME_RATE), FRAME_RATE, bpm) < 0.1
