"""Tracks of a page: a recording, and of each take only what differs from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from vampcli.audio.formats import PageAudio, holds
from vampcli.audio.loudness import SHORTEST_MEASURED_S, loudness
from vampcli.audio.ranges import merge_ranges
from vampcli.audio.spectrogram import Floats
from vampcli.audio.waveform import Waveform
from vampcli.audio.write import encode
from vampcli.errors import InputError
from vampcli.page.picture import decibels, n_columns, outline, png
from vampcli.recipe.recipe import Ranges, Recipe

AROUND_S = 1.0
"""Unchanged sound that is stored on either side of what a take changes."""

MOST_DB = 12.0
"""Largest attenuation that matches levels: a take that is nearly silent does not silence the others."""

_SUFFIXES: dict[PageAudio, str] = {"vorbis": ".ogg", "flac": ".flac"}
_MOST_CHANNELS = 5  # of which the loudness is measured
LEAST_TOP_DB = -40.0
"""Lower bound of the level of the brightest color: silence stays dark."""


@dataclass(frozen=True)
class Version:
    """What a page says about a recording or a take.

    Attributes:
        name: of its file.
        spans: sample ranges that were made.
        scores: names and values.
        recipe: of a take; None = the page shows none.
        command: makes the take again.
    """

    name: str
    spans: Ranges = ()
    scores: Mapping[str, float | str] = field(default_factory=dict)
    recipe: Recipe | None = None
    command: str = ""


@dataclass(frozen=True)
class Segment:
    """A stretch of a track, encoded.

    Attributes:
        start: its first sample.
        n_samples: its length.
        data: a sound file.
        columns: first column of its picture, and one past the last.
        picture: its spectrogram, a PNG.
    """

    start: int
    n_samples: int
    data: bytes
    columns: tuple[int, int]
    picture: bytes


@dataclass(frozen=True)
class Track:
    """A recording or a take as a page holds it.

    Attributes:
        version: what the page says about it.
        lufs: loudness; None = silent or too short to measure.
        path: outline of the waveform.
        segments: of a recording, all of it; of a take, what differs, and `AROUND_S` around that.
    """

    version: Version
    lufs: float | None
    path: str
    segments: tuple[Segment, ...]


@dataclass(frozen=True)
class Encoder:
    """Encodes a recording and its takes, which are as long.

    Attributes:
        base: the recording, or what takes are without generated samples.
        audio: codec.
    """

    base: Waveform
    audio: PageAudio = "vorbis"

    @property
    def is_exact(self) -> bool:
        """True if the page holds every sample of the recording exactly; floats are rounded to 24 bits."""
        return self.audio == "flac" and holds("PCM_24", self.base.subtype)

    def encode_base(self, name: str) -> Track:
        """Encode the recording."""
        return self._encode(Version(name), self.base, [(0, self.base.n_samples)])

    def encode(self, version: Version, take: Waveform) -> Track:
        """Encode a take."""
        return self._encode(version, take, self.changes(take))

    def changes(self, take: Waveform) -> list[tuple[int, int]]:
        """Return the sample ranges of a take that differ from the recording, with `AROUND_S` on either side."""
        differs = np.zeros(take.n_samples + 2, bool)
        for one, other in zip(take.samples, self.base.samples, strict=True):
            differs[1:-1] |= one != other
        edges = np.flatnonzero(differs[1:] != differs[:-1]).reshape(-1, 2)
        around = round(AROUND_S * take.sample_rate)
        return merge_ranges((max(0, a - around), min(take.n_samples, b + around)) for a, b in edges.tolist())

    @cached_property
    def _peak(self) -> float:
        return float(np.abs(np.nan_to_num(self.base.samples)).max(initial=0.0))

    @cached_property
    def _levels(self) -> Floats:
        return decibels(self.base)

    def _encode(self, version: Version, sound: Waveform, ranges: Sequence[tuple[int, int]]) -> Track:
        levels = self._levels if sound is self.base or not ranges else decibels(sound)
        segments = tuple(self._segment(sound, levels, start, end) for start, end in ranges)
        return Track(version, measure(sound), outline(sound, self._peak), segments)

    def _segment(self, sound: Waveform, levels: Floats, start: int, end: int) -> Segment:
        n, columns = sound.n_samples, n_columns(sound)
        first, last = start * columns // n, -(-end * columns // n)
        picture = png(levels[:, first:last], max(LEAST_TOP_DB, float(self._levels.max())))
        data = self._sound_file(replace(sound, samples=sound.samples[:, start:end]))
        return Segment(start, end - start, data, (first, last), picture)

    def _sound_file(self, sound: Waveform) -> bytes:
        try:
            return encode(sound, _SUFFIXES[self.audio])
        except InputError:
            return encode(sound, _SUFFIXES["flac"])  # Vorbis has no such rate


def measure(sound: Waveform) -> float | None:
    """Return the loudness of a sound in LUFS; None if it is silent, is too short or has too many channels."""
    if sound.duration_s < SHORTEST_MEASURED_S or sound.n_channels > _MOST_CHANNELS:
        return None
    lufs = loudness(sound.samples, sound.sample_rate)
    return lufs if np.isfinite(lufs) else None


def gains_db(tracks: Sequence[Track]) -> list[float]:
    """Return gains that make tracks as loud as the quietest, but for one that is much quieter than the loudest.

    Args:
        tracks: of one page.

    Returns:
        0 or less, at least -`MOST_DB`; 0 for tracks without a loudness.
    """
    measured = [track.lufs for track in tracks if track.lufs is not None]
    target = max(min(measured, default=0.0), max(measured, default=0.0) - MOST_DB)
    return [0.0 if track.lufs is None else min(0.0, target - track.lufs) for track in tracks]
