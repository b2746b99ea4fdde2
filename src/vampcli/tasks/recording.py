"""A recording and its analysis: beats, onsets, loudness, content hash and stored recipe, each computed once."""

from __future__ import annotations

import logging
from copy import copy
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from vampcli.audio import attacks, beats
from vampcli.audio.formats import NaN
from vampcli.audio.loudness import SHORTEST_MEASURED_S, loudness
from vampcli.audio.metadata.carry import Metadata
from vampcli.audio.read import read, read_metadata
from vampcli.audio.resample import resample
from vampcli.audio.waveform import Waveform
from vampcli.config import TempoConfig
from vampcli.memory.features import Features, compute_features
from vampcli.memory.loop_points import LoopPoints, Meter, find_loop_points
from vampcli.recipe.embed import recipe_of
from vampcli.recipe.recipe import InputSource, Ranges, audio_hash

log = logging.getLogger(__name__)

_MOST_CHANNELS = 5  # of which ITU-R BS.1770 weighs the loudness


@dataclass(frozen=True)
class Recording:
    """A clip with its analysis, which is computed at first use and then kept.

    Attributes:
        clip: the samples.
        path: the file that they were read from; None = samples without a file.
        name: of the file in recipes and messages, if not its path; `-` for stdin.
        nan: what becomes of samples of other recordings that are NaN or infinite.
    """

    clip: Waveform
    path: Path | None = None
    name: str = ""
    nan: NaN = "error"

    @classmethod
    def of(cls, audio: Audio) -> Recording:
        """Make a recording of a waveform, of an array with its rate, or of the file at a path; a recording stays."""
        if isinstance(audio, Recording):
            return audio
        if isinstance(audio, tuple):
            return cls(Waveform.from_array(*audio))
        return cls(audio) if isinstance(audio, Waveform) else cls(read(audio), Path(audio))

    def pulse(self, tempo: TempoConfig) -> beats.Pulse:
        """Return the beats and bars at a tempo, or track what it leaves open; see `vampcli.audio.beats.track`."""
        if tempo not in self._pulses:
            self._pulses[tempo] = beats.track(self.clip.samples, self.clip.sample_rate, tempo)
        return self._pulses[tempo]

    def known_pulse(self, tempo: TempoConfig) -> beats.Pulse | None:
        """Return the beats and bars if that needs no tracking: the tempo is given, or was tracked before."""
        return self.pulse(tempo) if tempo.bpm is not None or tempo in self._pulses else None

    @cached_property
    def _pulses(self) -> dict[TempoConfig, beats.Pulse]:
        return {}

    @cached_property
    def onsets_s(self) -> tuple[float, ...]:
        """Onsets of notes and other sounds, in seconds."""
        return beats.onsets_s(self.clip.samples, self.clip.sample_rate)

    @cached_property
    def attacks_s(self) -> tuple[float, ...]:
        """Attacks of the onsets, in seconds, to a few milliseconds."""
        return attacks.refine(self.clip.samples, self.clip.sample_rate, self.onsets_s)

    @cached_property
    def features(self) -> Features:
        """Features by which similar places are found."""
        return compute_features(self.clip.samples, self.clip.sample_rate)

    def loop_points(self, near: tuple[int, int] | None, meter: Meter | None) -> list[LoopPoints]:
        """Return the best loop points; see `vampcli.memory.loop_points.find_loop_points`."""
        key = near, meter
        if key not in self._loop_points:
            clip = self.clip
            self._loop_points[key] = find_loop_points(clip.samples, clip.sample_rate, self.features, near, meter)
        return self._loop_points[key]

    @cached_property
    def _loop_points(self) -> dict[tuple[tuple[int, int] | None, Meter | None], list[LoopPoints]]:
        return {}

    def other(self, path: str) -> Recording:
        """Return another recording, at the rate and with the channels of this one; an empty path returns this one.

        Raises:
            InputError: it cannot be read.
        """
        if not path:
            return self
        if path not in self._others:
            self._others[path] = Recording(_adapted(read(path, self.nan), self.clip), Path(path))
        return self._others[path]

    @cached_property
    def _others(self) -> dict[str, Recording]:
        return {}

    @cached_property
    def lufs(self) -> float | None:
        """Loudness in LUFS; None = silence, under 0.4 s, or more than 5 channels."""
        clip = self.clip
        if clip.duration_s < SHORTEST_MEASURED_S or clip.n_channels > _MOST_CHANNELS:
            return None
        measured = loudness(clip.samples, clip.sample_rate, quick=True)
        return measured if np.isfinite(measured) else None

    @cached_property
    def metadata(self) -> Metadata:
        """Metadata of the file; empty without a file."""
        return read_metadata(self.path, Path(self.name).name) if self.path else Metadata()

    @cached_property
    def source(self) -> InputSource:
        """The input of a recipe: name, content hash and stored recipe.

        Raises:
            InputError: the file holds a recipe that is damaged or was changed by hand.
        """
        recipe = recipe_of(self.path, self.name, self.metadata) if self.path else None
        return InputSource(self.name or str(self.path or ""), audio_hash(self.clip), recipe)

    @property
    def versions(self) -> set[str]:
        """Content hashes of the recording and of the inputs that earlier edits made it from."""
        recipe = self.source.recipe
        earlier = [recipe, *recipe.earlier] if recipe else []
        return {self.source.sha256, *(one.source.sha256 for one in earlier)}

    def with_source(self, source: InputSource) -> Recording:
        """Return the same recording, its analysis included, with another source."""
        other = copy(self)
        vars(other)["source"] = source
        return other

    @property
    def synthetic(self) -> Ranges:
        """Sample ranges that earlier edits generated: everything, if the length has changed since."""
        recipe = self.source.recipe
        if recipe is None:
            return ()
        if recipe.n_samples != self.clip.n_samples:
            log.warning("%s was cut after vamp made it: all of it counts as synthetic", self.source.name)
            return ((0, self.clip.n_samples),)
        return recipe.synthetic


Audio = Recording | Waveform | str | Path | tuple[npt.ArrayLike, int]
"""A clip, the path of one, or an array with its rate; see `Waveform.from_array`."""


def _adapted(clip: Waveform, like: Waveform) -> Waveform:
    """Resample a clip and mix its channels, or repeat the mix, as another clip has them."""
    samples = clip.samples
    if clip.n_channels != like.n_channels:
        samples = np.repeat(samples.mean(axis=0, keepdims=True), like.n_channels, axis=0)
    return replace(like, samples=resample(samples, clip.sample_rate, like.sample_rate))


def silence_like(clip: Waveform, n_samples: int) -> Waveform:
    """Return silence in the format of a clip; it takes no memory."""
    return replace(clip, samples=np.broadcast_to(np.zeros((), clip.samples.dtype), (clip.n_channels, n_samples)))
