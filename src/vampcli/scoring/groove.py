"""Groove: positions of attacks within a beat, of a piece and of what is re-made in it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vampcli.audio import beats
from vampcli.audio.waveform import Waveform
from vampcli.config import TempoConfig
from vampcli.errors import InputError
from vampcli.scoring.spectra import Floats, Frames, Ranges, finite

_N_PHASES = 16
_TRACKED_S = 30.0  # on each side of the spans
_LEAST_KEPT, _LEAST_MADE = 8, 2  # beats that a profile, and an agreement, need
_STEADY = 16  # beats whose mean interval extrapolates the pulse
_LEAST_CONTRAST = 0.1


@dataclass(frozen=True)
class Groove:
    """Profile of a piece's attacks over the phase of a beat.

    Attributes:
        beats_s: float64 (n_beats,), from before the clip's beginning to after its end.
        profile: float64 (n_phases,), mean attack in each part of a beat over the mean in all parts.
        contrast: mean of the profile minus 1, weighted by the piece's attacks.
    """

    beats_s: Floats
    profile: Floats
    contrast: float

    def agreement(self, made: Frames, level: float) -> float | None:
        """Return the agreement of attacks with the profile: 1 as the piece, 0 as chance; None below two beats of sound.

        Args:
            made: frames to score.
            level: mean power of the piece.
        """
        at_s, strength = made.attacks(level)
        if _n_beats(self.beats_s, at_s) < _LEAST_MADE or not strength.any():
            return None
        expected = self.profile[_phases(self.beats_s, at_s)]
        found = np.average(expected, weights=strength) - expected.mean()
        return float(np.clip(found / self.contrast, -1, 1))


def groove_of(kept: Frames, level: float, beats_s: Floats | None) -> Groove | None:
    """Measure the profile of attacks over a beat; None without a beat, or if the profile is nearly flat.

    Args:
        kept: frames of the piece.
        level: its mean power.
        beats_s: float64 (n_beats,), from `beats_through`.
    """
    at_s, strength = kept.attacks(level)
    if beats_s is None or _n_beats(beats_s, at_s) < _LEAST_KEPT or not strength.any():
        return None
    phases = _phases(beats_s, at_s)
    profile = np.bincount(phases, strength, _N_PHASES) / np.maximum(1, np.bincount(phases, minlength=_N_PHASES))
    profile = (np.roll(profile, 1) + 2 * profile + np.roll(profile, -1)) / 4  # timing of players varies
    profile /= profile[phases].mean()
    contrast = float(np.average(profile[phases], weights=strength)) - 1
    return Groove(beats_s, profile, contrast) if contrast >= _LEAST_CONTRAST else None


def beats_through(base: Waveform, spans: Ranges, tempo: TempoConfig) -> Floats | None:
    """Track the beats near spans, and extrapolate them evenly over the clip.

    Args:
        base: the clip.
        spans: sample ranges [start, end), in order.
        tempo: used if it has a `bpm`, else tracked.

    Returns:
        float64 (n_beats,), in seconds, from before the clip's beginning to after its end; None where no beat is found.
    """
    rate, reach = base.sample_rate, round(_TRACKED_S * base.sample_rate)
    first, stop = max(0, spans[0][0] - reach), spans[-1][1] + reach
    if tempo.bpm is not None:
        first, stop = 0, base.n_samples
    known = tempo if tempo.bpm is not None else TempoConfig()
    mono = finite(base.samples[:, first:stop].mean(axis=0, dtype=np.float32, keepdims=True))
    try:
        found = np.array(beats.track(mono, rate, known).beats_s) + first / rate
    except InputError:
        return None
    if len(found) < 2:
        return None
    head, tail = (float(np.diff(part).mean()) for part in (found[: _STEADY + 1], found[-_STEADY - 1 :]))
    before = found[0] - head * np.arange(int(found[0] / head) + 1, 0, -1)
    after = found[-1] + tail * np.arange(1, int(max(0.0, base.duration_s - found[-1]) / tail) + 2)
    return np.concatenate([before, found, after])


def _phases(beats_s: Floats, at_s: Floats) -> npt.NDArray[np.int64]:
    """Return the part of the beat that each time falls in, from 0."""
    beat = np.interp(at_s, beats_s, np.arange(len(beats_s)))
    return (beat % 1 * _N_PHASES).astype(np.int64)


def _n_beats(beats_s: Floats, at_s: Floats) -> float:
    """Return the number of beats that evenly spaced times cover."""
    if len(at_s) < 2:
        return 0.0
    return float(len(at_s) * np.diff(at_s).min() / np.diff(beats_s).mean())
