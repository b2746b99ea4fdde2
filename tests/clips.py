"""Helpers of the tests of tasks: music-like clips, and checks of kept samples."""

from dataclasses import replace

import numpy as np

from conftest import music
from vampcli import SamplingConfig, Take, Waveform

QUICK = SamplingConfig(steps=2, fine_steps=1)


def clip(seconds: float = 2.0, rate: int = 44100, n_channels: int = 1, seed: int = 0) -> Waveform:
    """Music-like sound in float32."""
    return Waveform(music(seconds, rate, n_channels, seed).astype(np.float32), rate)


def doubled(mono: Waveform) -> Waveform:
    """Copy to two channels."""
    return replace(mono, samples=np.repeat(mono.samples, 2, axis=0))


def inside(take: Take) -> np.ndarray:
    """Mask of the samples inside a take's spans: bool (n_samples,)."""
    made = np.zeros(take.audio.n_samples, dtype=bool)
    for start, end in take.spans:
        made[start:end] = True
    return made


def check_kept(take: Take) -> None:
    """Check that a take equals its base outside its spans, and only there."""
    made, audio, base = inside(take), take.audio.samples, take.base.samples
    assert audio.shape == base.shape
    assert audio.dtype == base.dtype
    assert np.array_equal(audio[:, ~made], base[:, ~made])
    assert np.isfinite(audio).all()
    assert np.mean(audio[:, made] != base[:, made]) > 0.9
