"""Where the beats, the bars and the attacks of a recording are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from vampcli.config import MusicalSpan, TempoConfig
from vampcli.errors import InputError

Floats = npt.NDArray[np.floating[Any]]

RATE = 22050  # Hz: librosa's own, for which its defaults were found
N_FFT, HOP = 1024, 256
_FLOOR_DB = 40  # what is that far below the loudest is no attack: neither hiss nor the clip's cut edge counts for much
_BEAT_TILT, _BAR_TILT = 0.5, 2.0  # how much more low bands weigh: beats are felt in the bass, bars still more
_SILENCE = round(4 * RATE / HOP)  # frames around the clip, more than two slow beats: the tracker errs at edges
_START_BPM, _STD_BPM = 124, 0.7  # tempi are ambiguous by a factor of two: those from 88 to 175 are preferred
_TEMPO_S = 120  # the tempo is measured over so much of the middle: its memory grows fast
_FAINTEST = 0.2  # beats before the first and after the last with this share of the average attack lie in silence
_LEAST_S = 0.05  # less than this of a beat at the clip's end is not counted as one


@dataclass(frozen=True)
class Pulse:
    """The beats of a clip.

    Attributes:
        beats_s: where they are, in seconds, in order; those before bar 1, too.
        first_downbeat: index of the beat where bar 1 begins.
        beats_per_bar: how many beats a bar has.
        bpm: beats in a minute, on average.
    """

    beats_s: tuple[float, ...]
    first_downbeat: int
    beats_per_bar: int
    bpm: float

    @property
    def downbeats_s(self) -> tuple[float, ...]:
        """Where bars begin, in seconds; those before bar 1, too."""
        return self.beats_s[self.first_downbeat % self.beats_per_bar :: self.beats_per_bar]

    def span_s(self, counted: MusicalSpan, duration_s: float) -> tuple[float, float]:
        """Turn bars or beats, counted from the beginning of bar 1, into start and end in seconds.

        Beats go on at the last interval until the clip ends; the last of them ends with the clip.

        Args:
            counted: which bars or beats.
            duration_s: length of the clip.

        Raises:
            InputError: the clip has fewer.
        """
        size = self.beats_per_bar if counted.unit == "bars" else 1
        left_s = duration_s - _LEAST_S - self.beats_s[-1]
        n_beats = len(self.beats_s) + math.floor(left_s / self._last_interval_s) - self.first_downbeat
        n = -(-n_beats // size)
        if counted.last > n:
            raise InputError(
                f"{counted} is asked for but the clip has {n} {counted.unit}",
                f"bar 1 begins at {self._at_s(self.first_downbeat):.2f} s, at {self.bpm:.1f} bpm; if that is not so, "
                "give --bpm and --downbeat",
            )
        start, end = (self._at_s(self.first_downbeat + size * i) for i in (counted.first - 1, counted.last))
        return start, min(end, duration_s)

    @property
    def _last_interval_s(self) -> float:
        return self.beats_s[-1] - self.beats_s[-2] if len(self.beats_s) > 1 else 60 / self.bpm

    def _at_s(self, beat: int) -> float:
        beyond = beat - (len(self.beats_s) - 1)
        return self.beats_s[beat] if beyond <= 0 else self.beats_s[-1] + beyond * self._last_interval_s


def track(samples: Floats, sample_rate: int, config: TempoConfig) -> Pulse:
    """Find the beats and the bars of a clip, or lay them where the tempo says.

    With a tempo given nothing is tracked: beats are an exact grid through the downbeat given, or the clip's beginning.

    Args:
        samples: float (n_channels, n_samples).
        sample_rate: in Hz.
        config: the tempo and a downbeat, if known.

    Raises:
        InputError: there is no beat to find, or the downbeat lies outside the clip.

    Source: the tracker is librosa's, after Ellis, "Beat Tracking by Dynamic Programming", 2007.
    """
    duration_s = samples.shape[1] / sample_rate
    if config.downbeat_s is not None and config.downbeat_s >= duration_s:
        raise InputError(
            f"the downbeat is at {config.downbeat_s:g} s but the clip is {duration_s:.2f} s long",
            "--downbeat takes seconds from the beginning",
        )
    if config.bpm is not None:
        return _grid(duration_s, config.bpm, config.downbeat_s or 0.0, config.beats_per_bar)
    spectrum = _log_mel(samples, sample_rate)
    frames = _tracked(_attack(spectrum, _BEAT_TILT))
    if len(frames) < 2:
        raise InputError(
            f"no beat was found in {duration_s:.2f} s of sound", "give the tempo: --bpm 120, and --downbeat 0.5"
        )
    beats_s = _seconds(frames)
    if config.downbeat_s is None:
        first = _downbeat(_attack(spectrum, _BAR_TILT), frames, config.beats_per_bar)
    else:
        first = int(np.abs(np.array(beats_s) - config.downbeat_s).argmin())
    bpm = 60 * (len(beats_s) - 1) / (beats_s[-1] - beats_s[0])
    return Pulse(beats_s, first, config.beats_per_bar, bpm)


def onsets_s(samples: Floats, sample_rate: int) -> tuple[float, ...]:
    """Find where notes and other sounds begin, in seconds; also right at the beginning.

    Args:
        samples: float (n_channels, n_samples).
        sample_rate: in Hz.

    Source: librosa, each peak of the onset strength traced back to where its rise began.
    """
    import librosa

    attack = _attack(_log_mel(samples, sample_rate))
    frames = librosa.onset.onset_detect(onset_envelope=attack, sr=RATE, hop_length=HOP, backtrack=True)
    return _seconds(frames)


def snapped(span: tuple[float, float], places: Sequence[float]) -> tuple[float, float]:
    """Move both ends of a span to the nearest places.

    Args:
        span: start and end in seconds.
        places: beats or onsets in seconds, in any order.

    Raises:
        InputError: there are no places, or both ends have the same nearest one.
    """
    if not places:
        raise InputError("there is nothing to snap to", "leave --snap out")
    start, end = (min(places, key=lambda place: abs(place - edge)) for edge in span)
    if start >= end:
        raise InputError(
            f"nothing is left of the span {span[0]:g}-{span[1]:g} s: both ends snap to {start:.2f} s",
            "make it longer, or leave --snap out",
        )
    return start, end


def _grid(duration_s: float, bpm: float, downbeat_s: float, beats_per_bar: int) -> Pulse:
    n_before = math.floor(downbeat_s * bpm / 60)
    n_after = math.ceil((duration_s - downbeat_s) * bpm / 60)
    beats_s = tuple(downbeat_s + 60 * i / bpm for i in range(-n_before, n_after))
    return Pulse(beats_s, n_before, beats_per_bar, bpm)


def _log_mel(samples: Floats, sample_rate: int) -> Floats:
    """Mel spectrum in dB below the loudest (n_bands, n_frames), behind `_SILENCE` frames of silence."""
    import librosa

    mono = samples.mean(axis=0, dtype=np.float32)
    peak = np.abs(mono).max()
    mono = librosa.resample(mono / peak if peak > 0 else mono, orig_sr=sample_rate, target_sr=RATE)
    mono = np.pad(mono, (_SILENCE * HOP, 0))
    mel = librosa.feature.melspectrogram(y=mono, sr=RATE, n_fft=N_FFT, hop_length=HOP, n_mels=80)
    spectrum: Floats = librosa.power_to_db(mel, ref=np.max, top_db=_FLOOR_DB)
    return spectrum


def _attack(spectrum: Floats, tilt: float = 0.0) -> Floats:
    """How much sound begins in each frame: the mean rise of the bands, weighted by frequency to the power of -tilt."""
    import librosa

    hz = librosa.mel_frequencies(len(spectrum) + 2, fmax=RATE / 2)[1:-1]
    mean = partial(np.average, weights=hz**-tilt)
    # not centred: then an attack is found some ms early, and a cut there spares it; centred, it would be 17 ms late
    rise: Floats = librosa.onset.onset_strength(S=spectrum, sr=RATE, aggregate=mean, center=False)
    rise[-(N_FFT // HOP) :] = 0  # a sound that is cut off splashes
    return rise


def _tracked(attack: Floats) -> npt.NDArray[np.int64]:
    """Frames of the beats."""
    import librosa

    inside = attack[_SILENCE:]
    if not inside.any():
        return np.zeros(0, np.int64)
    margin = max(0, len(inside) - _TEMPO_S * RATE // HOP) // 2
    middle = inside[margin : len(inside) - margin]
    tempo = librosa.feature.tempo(
        onset_envelope=middle, sr=RATE, hop_length=HOP, start_bpm=_START_BPM, std_bpm=_STD_BPM
    )
    _, frames = librosa.beat.beat_track(
        onset_envelope=np.pad(attack, (0, _SILENCE)), sr=RATE, hop_length=HOP, bpm=tempo, trim=False
    )
    frames = frames[(frames > _SILENCE - N_FFT // HOP) & (frames < len(attack))]
    # librosa's own trimming takes beats that are weaker than the average
    near = np.array([attack[frame - 2 : frame + 3].max() for frame in frames])
    heard = np.flatnonzero(near > _FAINTEST * near.mean()) if len(near) else near
    return np.asarray(frames[heard[0] : heard[-1] + 1] if len(heard) else frames[:0], np.int64)


def _downbeat(attack: Floats, frames: npt.NDArray[np.int64], beats_per_bar: int) -> int:
    """The phase of a bar whose beats are the strongest, on average."""
    strengths = np.array([attack[frame - 1 : frame + 4].sum() for frame in frames])
    phases = range(min(beats_per_bar, len(frames)))
    return max(phases, key=lambda phase: float(strengths[phase::beats_per_bar].mean()))


def _seconds(frames: npt.NDArray[Any]) -> tuple[float, ...]:
    return tuple(max(0.0, (int(frame) - _SILENCE) * HOP / RATE) for frame in frames)
