"""Does what was made keep to the beat: are its attacks where the piece's own attacks lie within a beat."""

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
_LEAST_KEPT, _LEAST_MADE = 8, 2  # beats: what fewer show is chance
_STEADY = 16  # beats whose mean interval goes on where no beat was heard
_LEAST_CONTRAST = 0.1


@dataclass(frozen=True)
class Groove:
    """Where within a beat a piece's attacks lie.

    Attributes:
        beats_s: float64 (n_beats,), from before the clip's beginning to after its end.
        profile: float64 (n_phases,), mean attack in each part of a beat, over that in all.
        contrast: by how much an attack of the piece finds more than 1 there, on average.
    """

    beats_s: Floats
    profile: Floats
    contrast: float

    def agreement(self, made: Frames, level: float) -> float | None:
        """How well attacks keep to the beat: 1 as the piece does, 0 as chance does; None for under two beats of sound.

        Args:
            made: frames to judge.
            level: mean power of the piece.
        """
        at_s, strength = made.attacks(level)
        if _n_beats(self.beats_s, at_s) < _LEAST_MADE or not strength.any():
            return None
        expected = self.profile[_phases(self.beats_s, at_s)]
        found = np.average(expected, weights=strength) - expected.mean()
        return float(np.clip(found / self.contrast, -1, 1))


def groove_of(kept: Frames, level: float, beats_s: Floats | None) -> Groove | None:
    """Learn where attacks lie within a beat; None where there is no beat, or they lie anywhere.

    Args:
        kept: frames of the piece.
        level: its mean power.
        beats_s: float64 (n_beats,), as of `beats_through`.
    """
    at_s, strength = kept.attacks(level)
    if beats_s is None or _n_beats(beats_s, at_s) < _LEAST_KEPT or not strength.any():
        return None
    phases = _phases(beats_s, at_s)
    profile = np.bincount(phases, strength, _N_PHASES) / np.maximum(1, np.bincount(phases, minlength=_N_PHASES))
    profile = (np.roll(profile, 1) + 2 * profile + np.roll(profile, -1)) / 4  # players are not exact
    profile /= profile[phases].mean()
    contrast = float(np.average(profile[phases], weights=strength)) - 1
    return Groove(beats_s, profile, contrast) if contrast >= _LEAST_CONTRAST else None


def beats_through(base: Waveform, spans: Ranges, tempo: TempoConfig) -> Floats | None:
    """Find the beats near spans, and let them go on evenly through the clip.

    Args:
        base: the clip.
        spans: sample ranges [start, end), in order.
        tempo: taken as it is if it has a `bpm`, else tracked.

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
    """Which part of its beat each time lies in, from 0 on."""
    beat = np.interp(at_s, beats_s, np.arange(len(beats_s)))
    return (beat % 1 * _N_PHASES).astype(np.int64)


def _n_beats(beats_s: Floats, at_s: Floats) -> float:
    """How many beats times that follow each other evenly cover."""
    if len(at_s) < 2:
        return 0.0
    return float(len(at_s) * np.diff(at_s).min() / np.diff(beats_s).mean())
