"""Read and inspect sound files without loss: what is there, whatever their headers say."""

from __future__ import annotations

import logging
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

import numpy as np

from vampcli.audio import sndfile
from vampcli.audio.decoded import Decoded, Header, join
from vampcli.audio.formats import READ, NaN
from vampcli.audio.headers import mended_wav, mp3_tag, ogg_links
from vampcli.audio.metadata import carry
from vampcli.audio.metadata.carry import Metadata
from vampcli.audio.waveform import Samples, Waveform
from vampcli.errors import InputError

log = logging.getLogger(__name__)

_BLOCK = 2**18  # samples checked at once
_N_NAMED = 3


def read(path: str | Path, nan: NaN = "error") -> Waveform:
    """Read a sound file without rounding: wav, flac, ogg, mp3, aiff, m4a and all else that is decoded here.

    All that the file holds is read. If its header says another length, a warning names both.

    Args:
        path: the file; a pipe is read to its end.
        nan: zero = samples that are NaN or infinite become 0, with a warning.

    Raises:
        InputError: the file is missing, unreadable, empty or holds NaN or infinity.
    """
    with _open(path := Path(path)) as file:
        sound = _decode(file, path)
    rate = sound.header.sample_rate
    if sound.n_samples == 0:
        raise InputError(f"{path} holds no audio: 0 samples", "was the recording or the copy interrupted?")
    if sound.differs:
        log.warning("%s says %s, holds %s: what it holds is used", path.name, *_lengths(sound))
    _check_finite(sound.samples, rate, path, nan)
    return Waveform(sound.samples, rate, sound.subtype)


@dataclass(frozen=True)
class Format:
    """Format of a sound file: the decoder's names of container and sample format, sample rate in Hz, size.

    The number of samples is that of the header; where it does not say, that of the packets.
    """

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
    with _open(path := Path(path)) as file:
        links = ogg_links(file)
        headers = [_read_header(link, path) for link in links]
        lengths = [
            header.n_samples
            if header.n_samples is not None
            else _count_samples(link) or _decode_link(link, path).n_samples
            for header, link in zip(headers, links, strict=True)
        ]
    header = headers[0]
    return Format(header.container, header.subtype, header.sample_rate, header.n_channels, sum(lengths))


def read_metadata(path: str | Path, name: str = "") -> Metadata:
    """Read what a sound file carries beside its sound; nothing from a pipe, which is read once.

    A warning names what is damaged. Of files that FFmpeg decodes, texts are read, and no pictures.

    Args:
        path: the file.
        name: of the file in warnings, if not its own.

    Raises:
        InputError: the file is missing or unreadable.
    """
    if (path := Path(path)).is_fifo():
        return Metadata()
    with _open(path) as file:
        _read_header(file, path)
        if metadata := carry.read(path, name):
            return metadata
        try:
            return carry.of_texts({"comment": sndfile.read_comment(file)})
        except sndfile.Unreadable:
            from vampcli.audio import ffmpeg

            return carry.of_texts(ffmpeg.read_texts(file))


def read_comment(path: str | Path) -> str:
    """Read the recipe in a sound file's metadata, or else the comment; empty without either, and for a pipe.

    Raises:
        InputError: the file is missing or unreadable.
    """
    return read_metadata(path).comment


@contextmanager
def _open(path: Path) -> Iterator[BinaryIO]:
    """Open a file to read, or a copy of what comes out of a pipe."""
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise InputError(f"{path} is a folder", "name a sound file")
        if not (stat.S_ISREG(mode) or stat.S_ISFIFO(mode)):
            raise InputError(f"{path} is a device", "name a sound file or a pipe")
        with path.open("rb", buffering=0) as file:
            if stat.S_ISREG(mode):
                yield file
                return
            with tempfile.TemporaryFile(buffering=0) as copy:
                shutil.copyfileobj(file, copy)
                yield copy
    except FileNotFoundError:
        raise InputError(f"no such file: {path}", "check the name and the folder") from None
    except (OSError, ValueError) as error:  # ValueError: a name that no file can have
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> InputError:
    why = getattr(error, "error_string", None) or getattr(error, "strerror", None) or error
    return InputError(f"cannot read {path}: {why}", f"vamp reads {READ}")


def _read_header(file: BinaryIO, path: Path) -> Header:
    try:
        return sndfile.read_header(file)
    except sndfile.Unreadable as error:
        from vampcli.audio import ffmpeg

        try:
            return ffmpeg.read_header(file)
        except ffmpeg.Unreadable:
            raise _unreadable(path, error) from error


def _decode(file: BinaryIO, path: Path) -> Decoded:
    """Decode a file, or all parts of a chain."""
    file, n_stated = mended_wav(file)
    parts = [_decode_link(link, path) for link in ogg_links(file)]
    kinds = {(part.header.sample_rate, part.header.n_channels) for part in parts}
    if len(kinds) > 1:
        raise InputError(
            f"{path} is a chain of sounds of different rates or channels",
            f"make it one sound first: ffmpeg -i {path.name} whole.flac",
        )
    sound = join(parts)
    return sound if n_stated is None else replace(sound, header=replace(sound.header, n_samples=n_stated))


def _decode_link(file: BinaryIO, path: Path) -> Decoded:
    """Decode a file by libsndfile, or by FFmpeg if libsndfile cannot open it or returns less than there is.

    Both decode lossless formats to the same samples. Of MP3 and Vorbis they differ in the last bits, so that the
    choice must not change from one reading to the next: it depends on the content alone.
    """
    try:
        sound = sndfile.decode(file, _count_samples(file))
    except sndfile.Unreadable as error:
        if other := _decode_by_ffmpeg(file):
            return other
        raise _unreadable(path, error) from error
    if sound.complete:
        return sound
    tag = mp3_tag(file) if sound.header.container == "MP3" else None
    other = _decode_by_ffmpeg(file, tag.start if tag else None)
    return replace(other, header=sound.header) if other and other.n_samples > sound.n_samples else sound


def _count_samples(file: BinaryIO) -> int | None:
    """Count the samples in the packets of an MP3 or FLAC file, which takes a fiftieth of decoding them."""
    if not sndfile.may_hold_more(file):
        return None
    from vampcli.audio import ffmpeg  # loaded where it is needed, as it takes 13 MB

    return ffmpeg.count_samples(file)


def _decode_by_ffmpeg(file: BinaryIO, skip: int | None = None) -> Decoded | None:
    from vampcli.audio import ffmpeg

    try:
        return ffmpeg.decode(file, skip)
    except ffmpeg.Unreadable:
        return None


def _lengths(sound: Decoded) -> tuple[str, str]:
    """The length that the header says and that of the content: in seconds, or in samples where these are equal."""
    stated, held = sound.header.n_samples or 0, sound.n_samples
    said, has = (f"{n / sound.header.sample_rate:.2f} s" for n in (stated, held))
    return (said, has) if said != has else (f"{stated} samples", str(held))


def _check_finite(samples: Samples, rate: int, path: Path, nan: NaN) -> None:
    """Raise for samples that are NaN or infinite, or replace them by 0."""
    n_bad, first = 0, list[int]()
    for start in range(0, samples.shape[1], _BLOCK):
        block = samples[:, start : start + _BLOCK]
        if (is_good := np.isfinite(block)).all():
            continue
        n_bad += is_good.size - int(np.count_nonzero(is_good))
        first += [start + int(i) for i in np.flatnonzero(~is_good.all(axis=0))[: _N_NAMED - len(first)]]
        if nan == "zero":
            block[~is_good] = 0
    if not n_bad:
        return
    what = "1 sample that is" if n_bad == 1 else f"{n_bad} samples that are"
    places = ", ".join(f"{i / rate:.4f} s (sample {i})" for i in first)
    more = ", ..." if n_bad > len(first) else ""
    fact = f"{path} holds {what} NaN or infinite, of {samples.size}: at {places}{more}"
    if nan == "error":
        raise InputError(fact, "export it again, or count them as 0 with --nan zero")
    log.warning("%s: counted as 0", fact)
