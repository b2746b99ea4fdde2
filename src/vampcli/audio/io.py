"""Read, write and inspect sound files, block by block and without loss."""

from __future__ import annotations

import io
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile as sf

from vampcli.audio.formats import BITS, container, holds
from vampcli.audio.riff import add_comment, add_loop, comment_of
from vampcli.audio.waveform import Samples, Waveform
from vampcli.errors import InputError, UsageError
from vampcli.files import replacing

log = logging.getLogger(__name__)

_BLOCK = 2**16  # samples read or written at once; libsndfile's Vorbis crashes on minutes in one piece
_WAV_LIMIT = 2**32 - 4096  # bytes that a RIFF header can count
_AIFF_COMMENT = 2**13  # libsndfile cannot write a header of much more
_UNKNOWN = 2**63 - 1  # libsndfile's number of samples in a stream that does not say


def read(path: str | Path) -> Waveform:
    """Read a sound file, every sample exactly (wav, flac, ogg, mp3, aiff and what else libsndfile reads).

    Raises:
        InputError: the file is missing, unreadable, empty or holds NaN or infinity.
    """
    with _opened(path := Path(path)) as file:
        subtype, rate = file.subtype, file.samplerate
        dtype = "float64" if subtype in ("PCM_32", "DOUBLE") else "float32"
        _n_samples(file, path)
        data, n_bad = _read_all(file, dtype)
    if data.shape[1] == 0:
        raise InputError(f"{path} holds no audio: 0 samples", "was the recording or the copy interrupted?")
    if n_bad:
        raise InputError(
            f"{path} holds {n_bad} samples that are NaN or infinite, of {data.size}",
            "export it again, or repair it: sox broken.wav fixed.wav",
        )
    return Waveform(data, rate, _lossless(subtype))


@dataclass(frozen=True)
class Format:
    """What a sound file says of itself: container and sample format in libsndfile's words, rate in Hz, size."""

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
    with _opened(Path(path)) as file:
        return Format(file.format, file.subtype, file.samplerate, file.channels, _n_samples(file, path))


def comment(path: str | Path) -> str:
    """The comment in a sound file's metadata; empty without one.

    Raises:
        InputError: the file is missing or unreadable.
    """
    with _opened(path := Path(path)) as file:
        in_wav = file.format in ("WAV", "WAVEX", "RF64")
        text: str = "" if in_wav else file.comment
    return comment_of(path) if in_wav else text


def _n_samples(file: sf.SoundFile, path: str | Path) -> int:
    if file.frames == _UNKNOWN:
        raise InputError(f"{path} does not say how long it is", "write it anew: sox stream.flac whole.flac")
    return int(file.frames)


@contextmanager
def _opened(path: Path) -> Iterator[sf.SoundFile]:
    """A sound file, open to be read; what is wrong with it is an `InputError`."""
    try:
        if not path.exists():
            raise InputError(f"no such file: {path}", "check the name and the folder")
        if path.is_dir():
            raise InputError(f"{path} is a folder", "name a sound file")
        with sf.SoundFile(_native(path)) as file:
            yield file
    except (sf.LibsndfileError, OSError, RuntimeError) as error:
        why = getattr(error, "error_string", error)  # libsndfile's, without the name once more
        raise InputError(f"cannot read {path}: {why}", "vamp reads wav, flac, ogg, mp3 and aiff") from error


def _read_all(file: sf.SoundFile, dtype: str) -> tuple[Samples, int]:
    """The samples (n_channels, n_samples) of an open file, and how many are NaN or infinite."""
    data = np.empty((file.channels, file.frames), dtype)
    n, n_bad = 0, 0
    # soundfile seeks after every read, and MP3 decoders lose their past by that
    n_block = max(1, file.frames) if file.format == "MP3" else _BLOCK
    buffer = np.empty((n_block, file.channels), dtype)
    while len(block := file.read(out=buffer)):
        data[:, n : n + len(block)] = block.T
        n += len(block)
        n_bad += block.size - int(np.count_nonzero(np.isfinite(block)))
    return np.ascontiguousarray(data[:, :n]), n_bad  # a broken file may hold less than it says


def _native(path: Path) -> str | bytes:
    """A path as libsndfile takes it: names need not be UTF-8, and a bare `-` would be stdin."""
    path = Path(os.path.abspath(path))
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


def check_output(path: str | Path, waveform: Waveform, asked: str = "") -> None:
    """Find out before any work whether a file of that name can hold a waveform.

    Args:
        path: the output.
        waveform: what it is to hold, or something of the same rate and channels.
        asked: the sample format somebody insists on; none if empty.

    Raises:
        UsageError: the suffix names no format we write, or not one with the format asked for.
        InputError: the format does not know the rate.
    """
    kind, stored = output_format(path, asked or waveform.subtype)
    if asked and asked != stored:
        raise UsageError(f"{kind} holds no {asked} samples", "leave --int16, --int24 or --float32 out, or write .wav")
    try:
        sf.SoundFile(io.BytesIO(), "w", waveform.sample_rate, waveform.n_channels, stored, format=kind).close()
    except sf.LibsndfileError as error:
        raise InputError(
            f"{kind} cannot hold {waveform.n_channels} channels at {waveform.sample_rate} Hz", "write .wav instead"
        ) from error


def most_comment(path: str | Path) -> int:
    """How many ASCII characters of comment a file of that name can hold."""
    return _AIFF_COMMENT if container(path) == "AIFF" else _WAV_LIMIT // 2


def write(
    path: str | Path,
    waveform: Waveform,
    subtype: str = "",
    overwrite: bool = False,
    loop: tuple[int, int] | None = None,
    comment: str = "",
) -> None:
    """Write a sound file whole or not at all; samples that came from a file of that format stay bit-identical.

    Args:
        path: the suffix names the container (wav, flac, ogg, mp3, aiff).
        waveform: what to write.
        subtype: sample format; empty = the waveform's own.
        overwrite: replace a file that exists.
        loop: samples [start, end) that a sampler is to repeat; only WAV files say so.
        comment: ASCII text for the file's metadata; left out with a warning if it is longer than `most_comment`.

    Raises:
        InputError: the file exists, or the folder is not writable or full.
        UsageError: the suffix names no format we write, or the loop is not within the sound.
    """
    path = Path(path)
    check_output(path, waveform)
    kind, stored = output_format(path, subtype or waveform.subtype)
    if loop and not 0 <= loop[0] < loop[1] <= waveform.n_samples:
        raise UsageError(f"a loop of samples {loop[0]} to {loop[1]} in {waveform.n_samples}", "start < end <= length")
    if loop and kind != "WAV":
        log.info("%s files hold no loop points: none are written", kind)
    if len(comment) > most_comment(path):
        log.warning("%s: AIFF holds no comment of %d characters: none is written", path.name, len(comment))
        comment = ""
    with replacing(path, overwrite) as temp:
        if not holds(stored, waveform.subtype):
            log.warning("%s cannot hold %s samples exactly: the kept part is rounded, too", stored, waveform.subtype)
        try:
            n_clamped = _encode(temp, waveform, kind, stored, comment)
        except (AssertionError, sf.LibsndfileError) as error:  # soundfile asserts that all was written
            raise OSError("the system took no more") from error
        if n_clamped:
            log.warning("%s: %d samples were too loud for the format and were clamped", path.name, n_clamped)
        if kind == "WAV" and loop:
            add_loop(temp, *loop, waveform.sample_rate)
        if kind == "WAV" and comment:
            add_comment(temp, comment)


def _encode(path: Path, waveform: Waveform, kind: str, stored: str, comment: str) -> int:
    """Fill a file with a waveform, in that container and sample format; a full disk is an error.

    Returns:
        How many samples had to be clamped.
    """
    samples, bits, n_clamped = waveform.samples, BITS.get(stored), 0
    bytes_each = bits // 8 if bits else 8 if stored == "DOUBLE" else 4
    if kind == "WAV" and samples.size * bytes_each + len(comment) > _WAV_LIMIT:
        kind = "RF64"
    encoded = io.BytesIO()  # of what compresses: its encoders do not notice a full disk
    target = encoded if kind in ("OGG", "MP3") else _native(path)
    with sf.SoundFile(target, "w", waveform.sample_rate, waveform.n_channels, stored, format=kind) as file:
        if comment and kind not in ("WAV", "RF64"):  # those get it later: libsndfile's own ends at 8 kB
            file.comment = comment
        for start in range(0, waveform.n_samples, _BLOCK):
            block = samples[:, start : start + _BLOCK]
            if bits is None:
                file.write(block.T)
            else:
                integers, n = _quantised(block, bits)
                file.write(integers.T)
                n_clamped += n
    if target is encoded:
        path.write_bytes(encoded.getbuffer())
    elif sf.info(_native(path)).frames != waveform.n_samples:
        raise OSError("the disk is full")
    return n_clamped


def _quantised(samples: Samples, bits: int) -> tuple[npt.NDArray[np.int32], int]:
    """Round to integers of that many bits, left-justified in 32; count what had to be clamped."""
    scaled = np.round(samples.astype(np.float64) * 2.0 ** (bits - 1))
    low, high = -(2.0 ** (bits - 1)), 2.0 ** (bits - 1) - 1
    n_clamped = int(np.count_nonzero((scaled < low) | (scaled > high)))
    return (np.clip(scaled, low, high).astype(np.int64) << (32 - bits)).astype(np.int32), n_clamped
