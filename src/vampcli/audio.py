"""Sound as arrays: read and write without loss, measure the level."""

from __future__ import annotations

import io
import logging
import math
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import soundfile as sf
import torch
import torchaudio.functional

from vampcli.errors import InputError, UsageError
from vampcli.formats import BITS, container, holds

log = logging.getLogger(__name__)

Samples = npt.NDArray[np.floating[Any]]
"""float32 or float64 (n_channels, n_samples); full scale is 1."""

TARGET_LUFS = -24.0
QUIETEST_LUFS = -60.0
SHORTEST_MEASURED_S = 0.4
_LOUDEST_MEASURED = 0.25  # peak; torchaudio's filters clamp at full scale, and what is louder reads too quiet

_BLOCK = 2**16  # samples written at once; libsndfile's Vorbis crashes on minutes in one piece
_WAV_LIMIT = 2**32 - 4096  # bytes that a RIFF header can count


@dataclass(frozen=True)
class Waveform:
    """Audio and the sample format it came in.

    Attributes:
        samples: float32 (n_channels, n_samples), full scale 1; float64 where the file holds more bits
            (32-bit integers, doubles). Every sample of the file is represented exactly.
        sample_rate: in Hz.
        subtype: sample format in libsndfile's words, such as `PCM_16` or `FLOAT`.
    """

    samples: Samples
    sample_rate: int
    subtype: str = "FLOAT"

    @property
    def n_channels(self) -> int:
        """How many channels."""
        return int(self.samples.shape[0])

    @property
    def n_samples(self) -> int:
        """Samples in each channel."""
        return int(self.samples.shape[1])

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.n_samples / self.sample_rate


def read(path: str | Path) -> Waveform:
    """Read a sound file, every sample exactly (wav, flac, ogg, mp3, aiff and what else libsndfile reads).

    Raises:
        InputError: the file is missing, unreadable, empty or holds NaN or infinity.
    """
    path = Path(path)
    try:
        if not path.exists():
            raise InputError(f"no such file: {path}", "check the name and the folder")
        if path.is_dir():
            raise InputError(f"{path} is a folder", "name a sound file")
        with sf.SoundFile(_native(path)) as file:
            subtype, rate = file.subtype, file.samplerate
            dtype = "float64" if subtype in ("PCM_32", "DOUBLE") else "float32"
            data = file.read(dtype=dtype, always_2d=True).T
    except (sf.LibsndfileError, OSError, RuntimeError) as error:
        raise InputError(f"cannot read {path}: {error}", "vamp reads wav, flac, ogg, mp3 and aiff") from error
    if data.shape[1] == 0:
        raise InputError(f"{path} holds no audio: 0 samples", "was the recording or the copy interrupted?")
    bad = int(np.count_nonzero(~np.isfinite(data)))
    if bad:
        raise InputError(
            f"{path} holds {bad} samples that are NaN or infinite, of {data.size}",
            "export it again, or repair it: sox broken.wav fixed.wav",
        )
    return Waveform(np.ascontiguousarray(data), rate, _lossless(subtype))


def _native(path: Path) -> str | bytes:
    """A path as libsndfile takes it: names need not be UTF-8."""
    return str(path) if os.name == "nt" else os.fsencode(path)


def _lossless(subtype: str) -> str:
    """The uncompressed sample format that holds all of a file's format."""
    if subtype in ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"):
        return subtype
    return "PCM_U8" if subtype == "PCM_S8" else "FLOAT"


def output_format(path: str | Path, subtype: str) -> tuple[str, str]:
    """Which container and sample format a file of that name gets.

    Args:
        path: the output; its suffix names the container.
        subtype: the sample format to keep, if the container can hold it.

    Returns:
        Format and subtype in libsndfile's words.

    Raises:
        UsageError: the suffix names no format we write.
    """
    kind = container(path)
    if sf.check_format(kind, subtype):
        return kind, subtype
    if kind in ("OGG", "MP3"):
        return kind, sf.default_subtype(kind)
    return kind, "PCM_S8" if subtype == "PCM_U8" else "PCM_24"


def check_output(path: str | Path, waveform: Waveform, asked: str | None = None) -> None:
    """Find out before any work whether a file of that name can hold a waveform.

    Args:
        path: the output.
        waveform: what it is to hold, or something of the same rate and channels.
        asked: the sample format somebody insists on.

    Raises:
        UsageError: the suffix names no format we write, or not one with the format asked for.
        InputError: the format does not know the rate.
    """
    kind, stored = output_format(path, asked or waveform.subtype)
    if asked not in (None, stored):
        raise UsageError(f"{kind} holds no {asked} samples", "leave --int16, --int24 or --float32 out, or write .wav")
    try:
        sf.SoundFile(io.BytesIO(), "w", waveform.sample_rate, waveform.n_channels, stored, format=kind).close()
    except sf.LibsndfileError as error:
        raise InputError(
            f"{kind} cannot hold {waveform.n_channels} channels at {waveform.sample_rate} Hz", "write .wav instead"
        ) from error


def write(path: str | Path, waveform: Waveform, subtype: str | None = None, overwrite: bool = False) -> None:
    """Write a sound file whole or not at all; samples that came from a file of that format stay bit-identical.

    Args:
        path: the suffix names the container (wav, flac, ogg, mp3, aiff).
        waveform: what to write.
        subtype: sample format; the waveform's own by default.
        overwrite: replace a file that exists.

    Raises:
        InputError: the file exists, or the folder is not writable or full.
        UsageError: the suffix names no format we write.
    """
    path = Path(path)
    check_output(path, waveform)
    kind, stored = output_format(path, subtype or waveform.subtype)
    if path.exists() and not overwrite:
        raise InputError(f"{path} exists", "replace it with overwrite, or name another file")
    if not holds(stored, waveform.subtype):
        log.warning("%s cannot hold %s samples exactly: the kept part is rounded, too", stored, waveform.subtype)
    data = _quantised(waveform.samples, BITS[stored]) if stored in BITS else waveform.samples
    if kind == "WAV" and data.size * data.itemsize > _WAV_LIMIT:
        kind = "RF64"
    temp = None
    try:
        descriptor, temp = tempfile.mkstemp(prefix=f".{path.stem[:40]}.", suffix=path.suffix, dir=path.parent)
        os.close(descriptor)
        os.chmod(temp, 0o666 & ~_umask())
        encoded = io.BytesIO()  # of what compresses: its encoders do not notice a full disk
        target = encoded if kind in ("OGG", "MP3") else _native(Path(temp))
        with sf.SoundFile(target, "w", waveform.sample_rate, waveform.n_channels, stored, format=kind) as file:
            for start in range(0, waveform.n_samples, _BLOCK):
                file.write(data.T[start : start + _BLOCK])
        if target is encoded:
            Path(temp).write_bytes(encoded.getbuffer())
        elif sf.info(_native(Path(temp))).frames != waveform.n_samples:
            raise OSError("the disk is full")
        os.replace(temp, path)
    except (OSError, AssertionError, sf.LibsndfileError) as error:  # soundfile asserts that all was written
        raise InputError(f"cannot write {path}: {error}", "is the disk full, the folder there and writable?") from error
    finally:
        if temp is not None and os.path.exists(temp):
            os.unlink(temp)


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current


def _quantised(samples: Samples, bits: int) -> npt.NDArray[np.int32]:
    """Round to integers of that many bits, left-justified in 32; count what had to be clamped."""
    scaled = np.round(samples.astype(np.float64) * 2.0 ** (bits - 1))
    low, high = -(2.0 ** (bits - 1)), 2.0 ** (bits - 1) - 1
    clamped = int(np.count_nonzero((scaled < low) | (scaled > high)))
    if clamped:
        log.warning("%d samples were too loud for the format and were clamped", clamped)
    return (np.clip(scaled, low, high).astype(np.int64) << (32 - bits)).astype(np.int32)


def level_gain(samples: Samples, sample_rate: int, spans: Sequence[tuple[int, int]] = ()) -> float:
    """Find the gain that brings what is kept to -24 LUFS, or less where peaks would pass full scale.

    Args:
        samples: float (n_channels, n_samples), at most 5 channels.
        sample_rate: in Hz.
        spans: sample ranges [start, end) that must not matter. Where under 0.4 s remain, all matters.

    Returns:
        A factor; 1 for audio under 0.4 s or below -60 LUFS. Undo it with its inverse.
    """
    kept_mask = np.ones(samples.shape[1], dtype=bool)
    for start, end in spans:
        kept_mask[start:end] = False
    shortest = SHORTEST_MEASURED_S * sample_rate
    kept = samples[:, kept_mask] if kept_mask.sum() >= shortest else samples
    peak = float(np.abs(kept).max(initial=0.0))
    if kept.shape[1] < shortest or peak == 0.0:
        return 1.0
    scale = min(1.0, _LOUDEST_MEASURED / peak)
    scaled = torch.from_numpy((kept * scale).astype(np.float32))
    lufs = float(torchaudio.functional.loudness(scaled, sample_rate)) - 20 * math.log10(scale)
    if not lufs >= QUIETEST_LUFS:  # also NaN: all blocks below the gate
        return 1.0
    return min(10 ** ((TARGET_LUFS - lufs) / 20), 1 / peak)
