"""Decode sound files by libsndfile, without seeks."""

from __future__ import annotations

import io
import os
import re
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import BinaryIO

import numpy as np
import soundfile as sf

from vampcli.audio.decoded import SAMPLES_A_BYTE, Decoded, Header, collect
from vampcli.audio.formats import BITS
from vampcli.audio.headers import MP3Tag, mp3_tag
from vampcli.audio.waveform import Samples

Unreadable = (sf.LibsndfileError, OSError, RuntimeError)
"""Exceptions of libsndfile for a file that it cannot read."""

_BLOCK = 2**16  # samples read at once; libsndfile's Vorbis crashes on minutes in one piece
_MOST_SAMPLES = 2**40  # a longer stream is one of unknown length
_MP3_SLACK = 2 * 1152  # samples by which decoders of MP3 differ at the ends

# How libsndfile's log names chunks larger than the file holds: that of the sound, else that of the whole file.
_CUT = (
    re.compile(r"^ *(?:data|SSND|Data Size) *: (\d+) \(should be (\d+)\)", re.MULTILINE),
    re.compile(r"^ *(?:riff|Riff size) *: (\d+) \(should be (\d+)\)", re.MULTILINE),
)
_IN_STREAMS = ((0x7FFF0000, 0x80001000), (0xFFFF0000, 0x100000000))  # sizes that programs write into pipes
_NOT_MPEG = (b"RIFF", b"RF64", b"FORM", b"fLaC", b"OggS", b".snd", b"caff", b"riff")
_OF_MPG123 = re.compile(rb"\[src/libmpg123|(?:Warning|Note|Fatal|Message): |\s*$")

_lock = threading.Lock()


class _Stream(sf.SoundFile):  # type: ignore[misc]
    """A sound file that is read as a stream: `SoundFile` seeks after every read.

    A seek resets the state of the MP3 decoder, can be some samples late in Ogg Vorbis, and fails in FLAC of unknown
    length.
    """

    def seekable(self) -> bool:
        """Return False."""
        return False


def may_be_mpeg(file: BinaryIO) -> bool:
    """Return whether a file begins like none of the formats that have a signature."""
    file.seek(0)
    return file.read(4) not in _NOT_MPEG


def may_hold_more(file: BinaryIO) -> bool:
    """Return whether the format is one whose headers libsndfile believes: FLAC or MP3."""
    file.seek(0)
    return file.read(4) == b"fLaC" or may_be_mpeg(file)


def read_header(file: BinaryIO) -> Header:
    """Read the header of a file; see `Unreadable`."""
    tag = mp3_tag(file) if may_be_mpeg(file) else None
    with _open(file) as stream:
        return _header(stream, tag)


def read_comment(file: BinaryIO) -> str:
    """Read the comment of a file; see `Unreadable`."""
    with _open(file) as stream:
        text: str = stream.comment
        return text


def decode(file: BinaryIO, n_counted: int | None = None) -> Decoded:
    """Decode a file, or what is before the first error; see `Unreadable`.

    Args:
        file: the file.
        n_counted: samples in the packets of the file; None = unknown.
    """
    tag = mp3_tag(file) if may_be_mpeg(file) else None
    n_bytes = file.seek(0, os.SEEK_END)
    errors: list[Exception] = []
    with _open(file) as stream:
        header, is_mp3 = _header(stream, tag), stream.format == "MP3"
        expected = n_counted if n_counted is not None else stream.frames
        dtype = "float64" if stream.subtype in ("PCM_32", "DOUBLE") else "float32"
        reserved = min(expected, SAMPLES_A_BYTE * n_bytes // stream.channels)
        samples = collect(_blocks(stream, dtype, errors), stream.channels, dtype, reserved)
        if is_mp3:
            expected -= _MP3_SLACK + (tag.delay + tag.padding if tag else 0)
        complete = not errors and (expected > _MOST_SAMPLES or samples.shape[1] >= expected)
        exact = stream.subtype in BITS or stream.subtype in ("FLOAT", "DOUBLE")
        return Decoded(header, samples, stream.subtype if exact else "FLOAT", _MP3_SLACK if is_mp3 else 0, complete)


def _blocks(stream: sf.SoundFile, dtype: str, errors: list[Exception]) -> Iterator[Samples]:
    """Yield the samples (n_channels, n) in one buffer, up to the first error, which is kept."""
    buffer = np.empty((_BLOCK, stream.channels), dtype)
    try:
        while len(block := stream.read(out=buffer)):
            yield block.T
    except Unreadable as error:
        errors.append(error)


def _header(stream: sf.SoundFile, tag: MP3Tag | None) -> Header:
    n: int | None = stream.frames
    if stream.format == "MP3":
        a_frame = 1152 if stream.samplerate >= 32000 else 576
        n = max(0, tag.n_frames * a_frame - tag.delay - tag.padding) if tag else None
    elif stream.frames > _MOST_SAMPLES:
        n = None
    else:
        n = stream.frames + _n_cut(stream)
    return Header(stream.format, stream.subtype, stream.samplerate, stream.channels, n)


def _n_cut(stream: sf.SoundFile) -> int:
    """Return how many samples more than the file holds its header counts."""
    bits = BITS.get(stream.subtype, {"FLOAT": 32, "DOUBLE": 64}.get(stream.subtype))
    if bits is None:
        return 0
    for pattern in _CUT:
        if found := pattern.search(stream.extra_info):
            stated, held = int(found[1]), int(found[2])
            if stated < held or any(low <= stated < high for low, high in _IN_STREAMS):
                return 0
            n_missing: int = -((held - stated) * 8 // (bits * stream.channels))
            return n_missing  # rounded up: the last one may be cut
    return 0


@contextmanager
def _open(file: BinaryIO) -> Iterator[sf.SoundFile]:
    """Open a file to read, by its descriptor: by its path, libsndfile would look for a resource fork beside it."""
    quiet = _without_mpg123() if may_be_mpeg(file) else nullcontext()
    file.seek(0)
    in_python = os.name == "nt" or isinstance(file, io.BytesIO)
    with quiet, _Stream(file if in_python else file.fileno(), closefd=False) as stream:
        if stream.format == "VOC":  # libsndfile 1.2.2 reads the headers of its blocks as sound
            raise RuntimeError("VOC is decoded by FFmpeg alone")
        yield stream


@contextmanager
def _without_mpg123() -> Iterator[None]:
    """Keep the lines of libsndfile's MP3 decoder off stderr, which it writes to by itself; pass on all others."""
    with _lock, tempfile.TemporaryFile() as lines:
        try:
            stderr = os.dup(2)
        except OSError:  # it is closed
            yield
            return
        try:
            os.dup2(lines.fileno(), 2)
            yield
        finally:
            os.dup2(stderr, 2)
            lines.seek(0)
            os.write(stderr, b"".join(line for line in lines if not _OF_MPG123.match(line)))
            os.close(stderr)
