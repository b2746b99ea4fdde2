"""Read and inspect sound files, block by block and without loss."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile as sf

from vampcli.audio import riff
from vampcli.audio.formats import BITS, native_path
from vampcli.audio.waveform import Samples, Waveform
from vampcli.errors import InputError

_BLOCK = 2**16  # samples read at once; libsndfile's Vorbis crashes on minutes in one piece
_UNKNOWN = 2**63 - 1  # libsndfile's number of samples in a stream of unknown length


def read(path: str | Path) -> Waveform:
    """Read a sound file without rounding (wav, flac, ogg, mp3, aiff and all else that libsndfile reads).

    Raises:
        InputError: the file is missing, unreadable, empty or holds NaN or infinity.
    """
    with _open(path := Path(path)) as file:
        subtype, rate = file.subtype, file.samplerate
        dtype = "float64" if subtype in ("PCM_32", "DOUBLE") else "float32"
        _length(file, path)
        data, n_bad = _read_all(file, dtype)
    if data.shape[1] == 0:
        raise InputError(f"{path} holds no audio: 0 samples", "was the recording or the copy interrupted?")
    if n_bad:
        raise InputError(
            f"{path} holds {n_bad} samples that are NaN or infinite, of {data.size}",
            "export it again, or repair it: sox broken.wav fixed.wav",
        )
    uncompressed = subtype in BITS or subtype in ("FLOAT", "DOUBLE")
    return Waveform(data, rate, "PCM_U8" if subtype == "PCM_S8" else subtype if uncompressed else "FLOAT")


@dataclass(frozen=True)
class Format:
    """Header of a sound file: libsndfile's names of container and sample format, sample rate in Hz, size."""

    container: str
    subtype: str
    sample_rate: int
    n_channels: int
    n_samples: int


def inspect(path: str | Path) -> Format:
    """Read the header of a sound file.

    Raises:
        InputError: the file is missing or unreadable.
    """
    with _open(Path(path)) as file:
        return Format(file.format, file.subtype, file.samplerate, file.channels, _length(file, path))


def read_comment(path: str | Path) -> str:
    """Read the comment in a sound file's metadata; empty without one.

    Raises:
        InputError: the file is missing or unreadable.
    """
    with _open(path := Path(path)) as file:
        in_wav = file.format in ("WAV", "WAVEX", "RF64")
        text: str = "" if in_wav else file.comment
    return riff.read_comment(path) if in_wav else text


def _length(file: sf.SoundFile, path: str | Path) -> int:
    """The number of samples in each channel of an open file."""
    if file.frames == _UNKNOWN:
        raise InputError(f"{path} does not say how long it is", "write it anew: sox stream.flac whole.flac")
    return int(file.frames)


@contextmanager
def _open(path: Path) -> Iterator[sf.SoundFile]:
    """Open a sound file to read; raise `InputError` if that or reading fails."""
    try:
        if not path.exists():
            raise InputError(f"no such file: {path}", "check the name and the folder")
        if path.is_dir():
            raise InputError(f"{path} is a folder", "name a sound file")
        with sf.SoundFile(native_path(path)) as file:
            yield file
    except (sf.LibsndfileError, OSError, RuntimeError) as error:
        why = getattr(error, "error_string", error)  # libsndfile's message without the path
        raise InputError(f"cannot read {path}: {why}", "vamp reads wav, flac, ogg, mp3 and aiff") from error


def _read_all(file: sf.SoundFile, dtype: str) -> tuple[Samples, int]:
    """Read the samples (n_channels, n_samples) of an open file, and count those that are NaN or infinite."""
    data = np.empty((file.channels, file.frames), dtype)
    n, n_bad = 0, 0
    # soundfile seeks after every read, which resets the state of the MP3 decoder
    n_block = max(1, file.frames) if file.format == "MP3" else _BLOCK
    buffer = np.empty((n_block, file.channels), dtype)
    while len(block := file.read(out=buffer)):
        data[:, n : n + len(block)] = block.T
        n += len(block)
        n_bad += block.size - int(np.count_nonzero(np.isfinite(block)))
    return np.ascontiguousarray(data[:, :n]), n_bad  # a broken file may hold less than its header says
