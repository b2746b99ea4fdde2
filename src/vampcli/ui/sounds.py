"""Recordings and takes for the page: peaks of any range and zoom, and windows of sound."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from vampcli.audio.read import inspect, read
from vampcli.audio.spectrogram import Floats, envelope
from vampcli.audio.waveform import Waveform
from vampcli.audio.write import encode
from vampcli.errors import InputError
from vampcli.page.picture import decibels
from vampcli.page.tracks import LEAST_TOP_DB
from vampcli.tasks.recording import Recording
from vampcli.ui.order import Source

MOST_SAMPLES = 2**29
"""Of a recording, of all channels: 2 GB of memory, 101 minutes of stereo at 44.1 kHz."""
MOST_COLUMNS = 8192
"""Columns of peaks in one answer."""
LONGEST_WINDOW_S = 300.0
"""Sound in one answer."""

_BLOCK = 256  # samples reduced once; windows of many blocks are drawn from these
_HELD = 3  # decoded sounds that stay in memory


@dataclass(frozen=True)
class Sound:
    """A recording that was opened or uploaded.

    Attributes:
        source: the file and its samples.
        folder: of takes that are kept.
        is_uploaded: the file is a copy, which goes with the server.
    """

    source: Source
    folder: Path
    is_uploaded: bool

    @classmethod
    def open(cls, path: Path, name: str, folder: Path, is_uploaded: bool) -> Sound:
        """Read a recording.

        Raises:
            InputError: it is no sound, or too long.
        """
        facts = inspect(path)
        if (n := facts.n_samples * facts.n_channels) > MOST_SAMPLES:
            longest_s = MOST_SAMPLES / facts.n_channels / facts.sample_rate
            raise InputError(
                f"{name} is too long: {n / facts.n_channels / facts.sample_rate:.0f} s",
                f"the editor takes {longest_s:.0f} s of such a recording: cut it, or use the command in a terminal",
            )
        return cls(Source(path, name, Recording(read(path), path, name)), folder, is_uploaded)

    @property
    def clip(self) -> Waveform:
        """The samples."""
        return self.source.recording.clip

    @cached_property
    def peaks(self) -> Peaks:
        """Peaks of the recording."""
        return Peaks.of(self.clip)

    @cached_property
    def levels(self) -> Floats:
        """Spectrogram of the recording in dB: (n_rows, `page.picture.N_COLUMNS` at most)."""
        return decibels(self.clip)

    @property
    def top_db(self) -> float:
        """Level of the brightest color of spectrograms."""
        return max(LEAST_TOP_DB, float(self.levels.max()))


@dataclass(frozen=True)
class Peaks:
    """Least and greatest samples of the blocks of a sound.

    Attributes:
        low: (n_blocks,).
        high: (n_blocks,).
    """

    low: Floats
    high: Floats

    @classmethod
    def of(cls, sound: Waveform) -> Peaks:
        """Reduce a sound to blocks."""
        return cls(*envelope(sound.samples, -(-sound.n_samples // _BLOCK)))

    @property
    def top(self) -> float:
        """Greatest magnitude; 1 for silence."""
        return float(max(-self.low.min(), self.high.max())) or 1.0

    def columns(self, sound: Waveform, start: int, end: int, n: int, top: float) -> npt.NDArray[np.int8]:
        """Return least and greatest samples of n equal pieces of a range, from -127 to 127: (2, n).

        Args:
            sound: the samples, for ranges of few blocks.
            start: first sample.
            end: one past the last; at least n samples after the first.
            n: columns.
            top: magnitude that becomes 127.
        """
        if end - start < 4 * _BLOCK * n:
            low, high = envelope(sound.samples[:, start:end], n)
        else:
            first, last = (round(at * len(self.low) / sound.n_samples) for at in (start, end))
            (low, _), (_, high) = (envelope(edge[None, first:last], n) for edge in (self.low, self.high))
        return np.clip(np.round(127 * np.stack([low, high]) / top), -127, 127).astype(np.int8)


@lru_cache(maxsize=_HELD)
def decoded(path: Path) -> Waveform:
    """Read a take; the last few stay in memory."""
    return read(path)


@lru_cache(maxsize=64)
def peaks_of(path: Path) -> Peaks:
    """Return the peaks of a take."""
    return Peaks.of(decoded(path))


def check_range(start: int, end: int, n_samples: int) -> tuple[int, int]:
    """Return a range of samples.

    Raises:
        InputError: it is empty, or not within the sound.
    """
    if not 0 <= start < end <= n_samples:
        raise InputError(f"samples {start} to {end} are asked for, of {n_samples}", "name a range within the sound")
    return start, end


def window(sound: Waveform, start: int, end: int) -> bytes:
    """Return a range of a sound as a FLAC file, to the sample (floats are rounded to 24 bits).

    Raises:
        InputError: the range is not within the sound, or too long.
    """
    check_range(start, end, sound.n_samples)
    if (end - start) / sound.sample_rate > LONGEST_WINDOW_S:
        raise InputError(f"{(end - start) / sound.sample_rate:.0f} s are asked for", f"{LONGEST_WINDOW_S:.0f} at most")
    return encode(replace(sound, samples=sound.samples[:, start:end]), ".flac")
