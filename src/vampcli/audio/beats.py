"""Beat, bar and onset tracking."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from vampcli.audio import rhythm
from vampcli.config import MusicalSpan, TempoConfig
from vampcli.errors import InputError

Floats = npt.NDArray[np.floating[Any]]

RATE = 22050  # Hz: librosa's default, to which its parameters are tuned
N_FFT, HOP = 1024, 256
_FLOOR_DB = 40  # level below the loudest that still counts as an attack: hiss and the clip's cut edge hardly do
_BEAT_TILT, _BAR_TILT = 0.5, 2.0  # extra weight of low bands: beats are marked in the bass, bars still more
SILENCE = round(4 * RATE / HOP)  # frames of padding, more than two slow beats: the tracker errs at edges
_START_BPM, _STD_BPM = 124, 0.7  # prior: tempi are ambiguous by a factor of two, those from 88 to 175 are preferred
_TEMPO_S = 120  # of the middle, from which the tempo is estimated: its memory grows fast
_FAINTEST = 0.2  # share of the average attack; before the first and after the last such beat there is silence
_LEAST_POWER = 1e-10
_LEAST_S = 0.05  # a shorter remainder at the clip's end is no beat


@dataclass(frozen=True)
class Pulse:
    """The beats of a clip.

    Attributes:
        beats_s: times in seconds, ascending, including beats before bar 1.
        first_downbeat: index of the first beat of bar 1.
        beats_per_bar: beats in a bar.
        bpm: beats per minute, on average.
        confidence: that the tempo is steady, 0 to 1; 1 if it was given.
    """

    beats_s: tuple[float, ...]
    first_downbeat: int
    beats_per_bar: int
    bpm: float
    confidence: float = 1.0

    @property
    def downbeats_s(self) -> tuple[float, ...]:
        """Times of first beats of bars in seconds, including bars before bar 1."""
        return self.beats_s[self.first_downbeat % self.beats_per_bar :: self.beats_per_bar]

    def span_s(self, counted: MusicalSpan, duration_s: float) -> tuple[float, float]:
        """Convert bars or beats, counted from bar 1, to start and end in seconds.

        After the last tracked beat, beats continue at the last interval; the last of them ends with the clip.

        Args:
            counted: the bars or beats.
            duration_s: length of the clip.

        Raises:
            InputError: the clip has fewer.
        """
        size = self.beats_per_bar if counted.unit == "bars" else 1
        if counted.last > (n := self._count(size, duration_s)):
            raise self._lacks(str(counted), n, counted.unit)
        start, end = (self._at_s(self.first_downbeat + size * i) for i in (counted.first - 1, counted.last))
        return start, min(end, duration_s)

    def position_s(self, unit: Literal["bar", "beat"], number: int, duration_s: float) -> float:
        """Return the start of a bar or beat, counted from bar 1; that after the last is where the last ends.

        Raises:
            InputError: the clip of this duration ends before it.
        """
        size = self.beats_per_bar if unit == "bar" else 1
        if number > (n := self._count(size, duration_s)) + 1:
            raise self._lacks(f"{unit}:{number}", n, f"{unit}s")
        return min(self._at_s(self.first_downbeat + size * (number - 1)), duration_s)

    def _count(self, size: int, duration_s: float) -> int:
        """Number of groups of `size` beats that begin in a clip, from bar 1 on."""
        left_s = duration_s - _LEAST_S - self.beats_s[-1]
        n_beats = len(self.beats_s) + math.floor(left_s / self._last_interval_s) - self.first_downbeat
        return -(-n_beats // size)

    def _lacks(self, wanted: str, n: int, unit: str) -> InputError:
        return InputError(
            f"{wanted} is asked for but the clip has {n} {unit}",
            f"bar 1 begins at {self._at_s(self.first_downbeat):.2f} s, at {self.bpm:.1f} bpm; if that is not so, "
            "give --bpm and --downbeat",
        )

    @property
    def _last_interval_s(self) -> float:
        return self.beats_s[-1] - self.beats_s[-2] if len(self.beats_s) > 1 else 60 / self.bpm

    def _at_s(self, beat: int) -> float:
        beyond = beat - (len(self.beats_s) - 1)
        return self.beats_s[beat] if beyond <= 0 else self.beats_s[-1] + beyond * self._last_interval_s


def track(samples: Floats, sample_rate: int, config: TempoConfig) -> Pulse:
    """Track the beats and bars of a clip, or compute them from a given tempo.

    With a tempo, nothing is tracked: beats are an exact grid through the downbeat, by default the clip's beginning.

    Args:
        samples: float (n_channels, n_samples).
        sample_rate: in Hz.
        config: the tempo and a downbeat, if known.

    Raises:
        InputError: there are no beats, or the downbeat lies outside the clip.

    Source: librosa's tracker, see `vampcli.audio.rhythm`, after Ellis, "Beat Tracking by Dynamic Programming", 2007.
    """
    duration_s = samples.shape[1] / sample_rate
    if config.downbeat is not None and config.downbeat >= duration_s:
        raise InputError(
            f"the downbeat is at {config.downbeat:g} s but the clip is {duration_s:.2f} s long",
            "--downbeat takes seconds from the beginning",
        )
    if config.bpm is not None:
        return _grid(duration_s, config.bpm, config.downbeat or 0.0, config.beats_per_bar)
    spectrum = log_mel(samples, sample_rate)
    frames, confidence = _track_frames(attack_strength(spectrum, _BEAT_TILT))
    if len(frames) < 2:
        raise InputError(
            f"no beat was found in {duration_s:.2f} s of sound", "give the tempo: --bpm 120, and --downbeat 0.5"
        )
    beats_s = _seconds(frames)
    if config.downbeat is None:
        first = _find_downbeat(attack_strength(spectrum, _BAR_TILT), frames, config.beats_per_bar)
    else:
        first = int(np.abs(np.array(beats_s) - config.downbeat).argmin())
    bpm = 60 * (len(beats_s) - 1) / (beats_s[-1] - beats_s[0])
    return Pulse(beats_s, first, config.beats_per_bar, bpm, confidence)


def onsets_s(samples: Floats, sample_rate: int) -> tuple[float, ...]:
    """Return the times at which sounds begin, in seconds, including one at the very start.

    Args:
        samples: float (n_channels, n_samples).
        sample_rate: in Hz.

    Source: librosa; each peak of the onset strength is traced back to the start of its rise.
    """
    attack = attack_strength(log_mel(samples, sample_rate))
    return _seconds(rhythm.find_onsets(attack, RATE / HOP))


def snap(span: tuple[float, float], times_s: Sequence[float]) -> tuple[float, float]:
    """Move both ends of a span to the nearest beats or onsets.

    Args:
        span: start and end in seconds.
        times_s: beats or onsets in seconds, in any order.

    Raises:
        InputError: there are no beats or onsets, or both ends have the same nearest one.
    """
    if not times_s:
        raise InputError("there is nothing to snap to", "leave --snap out")
    start, end = (min(times_s, key=lambda time: abs(time - edge)) for edge in span)
    if start >= end:
        raise InputError(
            f"nothing is left of the span {span[0]:g}-{span[1]:g} s: both ends snap to {start:.2f} s",
            "make it longer, or leave --snap out",
        )
    return start, end


def _grid(duration_s: float, bpm: float, downbeat_s: float, beats_per_bar: int) -> Pulse:
    """Lay beats on an exact grid through a downbeat."""
    n_before = math.floor(downbeat_s * bpm / 60)
    n_after = math.ceil((duration_s - downbeat_s) * bpm / 60)
    beats_s = tuple(downbeat_s + 60 * i / bpm for i in range(-n_before, n_after))
    return Pulse(beats_s, n_before, beats_per_bar, bpm)


def log_mel(samples: Floats, sample_rate: int) -> Floats:
    """Mel spectrum in dB below the loudest (n_bands, n_frames), after `SILENCE` frames of silence."""
    import soxr

    mono = samples.mean(axis=0, dtype=np.float32)
    peak = np.abs(mono).max()
    mono = mono / peak if peak > 0 else mono
    n = math.ceil(len(mono) * RATE / sample_rate)
    mono = soxr.resample(mono, sample_rate, RATE, quality="soxr_hq")[:n] if sample_rate != RATE else mono
    mono = np.pad(mono, (SILENCE * HOP, n - len(mono)))
    powers = np.maximum(rhythm.mel_powers(mono, RATE, N_FFT, HOP, 80), _LEAST_POWER)
    spectrum: Floats = 10 * np.log10(powers)
    spectrum -= 10 * np.log10(powers.max())
    floored: Floats = np.maximum(spectrum, spectrum.max() - _FLOOR_DB)
    return floored


def attack_strength(spectrum: Floats, tilt: float = 0.0) -> Floats:
    """Mean rise of the bands in each frame, weighted by frequency to the power of -tilt: (n_frames,)."""
    hz = rhythm.mel_frequencies(len(spectrum) + 2, RATE / 2)[1:-1]
    # not centred: attacks are found some ms early, so that a cut there spares them; centred, 17 ms late
    rises = np.maximum(0, np.diff(spectrum, axis=1, prepend=spectrum[:, :1]))
    rise = np.average(rises, axis=0, weights=hz**-tilt).astype(np.float32)
    rise[-(N_FFT // HOP) :] = 0  # a sound cut off at the end is broadband
    return rise


def _track_frames(attack: Floats) -> tuple[npt.NDArray[np.int64], float]:
    """Track the beats of an attack strength: frames, int64 (n_beats,), and the confidence in the tempo."""
    inside = attack[SILENCE:]
    if not inside.any():
        return np.zeros(0, np.int64), 0.0
    margin = max(0, len(inside) - _TEMPO_S * RATE // HOP) // 2
    middle = inside[margin : len(inside) - margin]
    scores = rhythm.tempo_scores(middle, RATE / HOP)
    bpm = rhythm.estimate_tempo(scores, RATE / HOP, _START_BPM, _STD_BPM)
    confidence = rhythm.steadiness(scores, RATE / HOP, bpm)
    frames = rhythm.track_beats(np.pad(attack, (0, SILENCE)), RATE / HOP, bpm)
    frames = frames[(frames > SILENCE - N_FFT // HOP) & (frames < len(attack))]
    # trim silence at both ends; librosa's trimming would also remove beats weaker than the average
    near = np.array([attack[frame - 2 : frame + 3].max() for frame in frames])
    loud = np.flatnonzero(near > _FAINTEST * near.mean()) if len(near) else near
    return np.asarray(frames[loud[0] : loud[-1] + 1] if len(loud) else frames[:0], np.int64), confidence


def _find_downbeat(attack: Floats, frames: npt.NDArray[np.int64], beats_per_bar: int) -> int:
    """Return the phase of the bar whose beats are the strongest on average."""
    strengths = np.array([attack[frame - 1 : frame + 4].sum() for frame in frames])
    phases = range(min(beats_per_bar, len(frames)))
    return max(phases, key=lambda phase: float(strengths[phase::beats_per_bar].mean()))


def _seconds(frames: npt.NDArray[Any]) -> tuple[float, ...]:
    return tuple(max(0.0, (int(frame) - SILENCE) * HOP / RATE) for frame in frames)
