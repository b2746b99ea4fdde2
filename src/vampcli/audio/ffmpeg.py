"""Decode sound files by FFmpeg: those that libsndfile cannot open, or does not read to their end."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import chain
from typing import Any, BinaryIO

import av
import numpy as np
import numpy.typing as npt
from av.audio.stream import AudioStream
from av.codec.context import Flags2
from av.container import InputContainer
from av.packet import Packet

from vampcli.audio.decoded import SAMPLES_A_BYTE, Decoded, Header, collect
from vampcli.audio.waveform import Samples

Numbers = npt.NDArray[Any]
"""Samples as a decoder makes them: integers or floats."""

Unreadable = (av.FFmpegError, OSError, ValueError)
"""Exceptions of FFmpeg for a file that it cannot read."""

_RESERVED = 2**16  # samples in each channel that memory is reserved for beside those of the header

# Demuxers that read the one file alone: no lists, whose entries can name other files and addresses.
_DEMUXERS = (
    "aac,ac3,aiff,amr,ape,asf,au,caf,dsf,dts,eac3,flac,matroska,mov,mp3,mpc,mpc8,ogg,oma,rm,shn,tak,truehd,tta,voc,w64,"
    "wav,wv"
)
_MP4 = "mov,mp4,m4a,3gp,3g2,mj2"
# Containers whose headers hold the length; FFmpeg estimates that of others from the bit rate.
_STATE_LENGTH = (
    _MP4,
    "matroska,webm",
    "aiff",
    "ape",
    "asf",
    "au",
    "caf",
    "flac",
    "ogg",
    "tak",
    "tta",
    "w64",
    "wav",
    "wv",
)
_GAPLESS = "iTunSMPB"  # an entry of iTunes: zeros, samples before, samples after, samples of sound, in hexadecimals


def count_samples(file: BinaryIO) -> int | None:
    """Count the samples in the packets of an MP3 or FLAC file, without decoding; None for others."""
    try:
        with _open(file) as (container, stream):
            if container.format.name not in ("mp3", "flac") or stream.time_base is None:
                return None
            n_ticks = sum(packet.duration or 0 for packet in _packets(container, stream))
            return round(n_ticks * stream.time_base * stream.rate)
    except Unreadable:
        return None


def read_header(file: BinaryIO) -> Header:
    """Read the header of a file; see `Unreadable`."""
    with _open(file) as (container, stream):
        return _header(container, stream, stream.rate, stream.channels)


def read_texts(file: BinaryIO) -> dict[str, str]:
    """Read the texts of a file by FFmpeg's names, such as `title` and `album_artist`; see `Unreadable`."""
    with _open(file) as (container, stream):
        return {**stream.metadata, **container.metadata}


def decode(file: BinaryIO, skip: int | None = None) -> Decoded:
    """Decode what a file holds; damaged packets are left out.

    Args:
        file: the file.
        skip: samples to leave out at the start, and none elsewhere; None = as the container says.

    Raises:
        ValueError: nothing can be decoded, or more packets are damaged than not. See `Unreadable`.
    """
    n_bytes = file.seek(0, os.SEEK_END)
    with _open(file) as (container, stream):
        if skip is not None:
            stream.codec_context.flags2 |= Flags2.skip_manual
        frames = _Frames(container, stream)
        blocks = iter(frames)
        first = next(blocks, None)
        if first is None:
            raise ValueError("it holds no sound that can be decoded")
        header = _header(container, stream, frames.rate, len(first))
        reserved = min(_RESERVED + (header.n_samples or 0), SAMPLES_A_BYTE * n_bytes // len(first))
        samples = collect(chain([first], blocks), len(first), first.dtype.name, reserved)
        if frames.n_damaged > frames.n_good:
            raise ValueError(f"{frames.n_damaged} of {frames.n_damaged + frames.n_good} packets are damaged")
        if container.format.name == _MP4 and header.n_samples:
            header = replace(header, n_samples=frames.short_end or header.n_samples)
            if 0 < samples.shape[1] - (header.n_samples or 0) <= 2 * frames.n_largest:
                samples = samples[:, : header.n_samples]  # without the padding of the last packet
        lossless, exact = stream.codec_context.codec.lossless, _is_exact(container, stream)
        tolerance = 0 if lossless and exact else 2 * frames.n_largest
    as_floats, subtype = _to_floats(samples[:, skip or 0 :], frames.stored, lossless)
    return Decoded(header, as_floats, subtype, tolerance)


class _Frames:
    """The decoded frames of a stream, as arrays (n_channels, n); those unlike the first one are left out.

    Attributes:
        n_largest: samples of the largest frame.
        n_good: packets that were decoded.
        n_damaged: packets and frames that are left out.
    """

    def __init__(self, container: InputContainer, stream: AudioStream) -> None:
        self.container, self.stream = container, stream
        self.n_largest = self.n_good = self.n_damaged = 0
        self.kind: tuple[int, int, str] | None = None
        self.last: Packet[AudioStream] | None = None

    def __iter__(self) -> Iterator[Numbers]:
        for packet in chain(_packets(self.container, self.stream), [None]):  # None: what the decoder still holds
            try:
                frames = self.stream.decode(packet)
            except av.FFmpegError:
                self.n_damaged += 1
                continue
            self.n_good, self.last = self.n_good + 1, packet or self.last
            for frame in frames:
                block = frame.to_ndarray()
                if not frame.format.is_planar:
                    block = block.reshape(-1, frame.layout.nb_channels).T
                kind = frame.sample_rate, len(block), block.dtype.name
                self.kind = self.kind or kind
                if kind != self.kind:
                    self.n_damaged += 1
                    continue
                self.n_largest = max(self.n_largest, frame.samples)
                yield _scaled(block)

    @property
    def rate(self) -> int:
        """Sample rate in Hz, once there is a frame."""
        return self.kind[0] if self.kind else 0

    @property
    def stored(self) -> str:
        """Numpy's name of the kind of numbers that the decoder makes, once there is a frame."""
        return self.kind[2] if self.kind else ""

    @property
    def short_end(self) -> int | None:
        """The samples up to the end of the last packet, if it says that a part of it is padding; else None.

        It is exact. FFmpeg's own muxer rounds the length of the whole to milliseconds.
        """
        if self.last is None or self.last.pts is None or not self.last.duration or self.last.time_base is None:
            return None
        n, end = (round(t * self.last.time_base * self.rate) for t in (self.last.duration, self.last.pts))
        return end + n if n < self.n_largest else None


def _packets(container: InputContainer, stream: AudioStream) -> Iterator[Packet[AudioStream]]:
    """Yield the packets of a stream, up to the first error of the container."""
    try:
        for packet in container.demux(stream):
            if packet.size:
                yield packet
    except av.FFmpegError:
        return


def _scaled(numbers: Numbers) -> Numbers:
    """Return integers of 8 or 16 bits as float32 at full scale 1, others as they are."""
    if numbers.dtype == np.uint8:
        return (numbers.astype(np.float32) - 128) / 128
    return numbers.astype(np.float32) / 2**15 if numbers.dtype == np.int16 else numbers


def _to_floats(numbers: Numbers, stored: str, lossless: bool) -> tuple[Samples, str]:
    """Return samples at full scale 1, and libsndfile's name of the sample format that represents them exactly."""
    names = {"uint8": "PCM_U8", "int16": "PCM_16", "float64": "DOUBLE"}
    if stored != "int32":
        return numbers, names.get(stored, "FLOAT") if lossless else "FLOAT"
    if lossless and any(np.any(channel & 0xFF) for channel in numbers):
        return numbers / 2.0**31, "PCM_32"
    samples = numbers.astype(np.float32)
    samples /= 2**31
    return samples, "PCM_24" if lossless else "FLOAT"


def _header(container: InputContainer, stream: AudioStream, rate: int, n_channels: int) -> Header:
    name = "MP4" if container.format.name == _MP4 else container.format.name.partition(",")[0].upper()
    return Header(name, stream.codec_context.name.upper(), rate, n_channels, _stated(container, stream, rate))


def _is_exact(container: InputContainer, stream: AudioStream) -> bool:
    """Return whether the header counts the samples, and not packets or milliseconds."""
    return bool(stream.duration and stream.time_base and stream.time_base * stream.rate <= 1) and (
        container.format.name != "caf"
    )


def _stated(container: InputContainer, stream: AudioStream, rate: int) -> int | None:
    """Return how many samples the container says that there are; None if it does not say."""
    gapless = container.metadata.get(_GAPLESS, "").split()
    if len(gapless) >= 4:
        try:
            return int(gapless[3], 16)
        except ValueError:
            pass
    if container.format.name not in _STATE_LENGTH:
        return None
    if stream.duration and stream.time_base:
        n = round(stream.duration * stream.time_base * rate)
    else:
        n = round((container.duration or 0) * rate / 1e6)
    return max(n, stream.frames if container.format.name == "caf" else 0) or None


@contextmanager
def _open(file: BinaryIO) -> Iterator[tuple[InputContainer, AudioStream]]:
    file.seek(0)
    try:
        opened = av.open(file, "r", metadata_errors="replace", options={"format_whitelist": _DEMUXERS})
    except MemoryError as error:
        raise ValueError("its header asks for more memory than there is") from error
    with opened as container:
        if not container.streams.audio or container.streams.audio[0].codec_context is None:
            raise ValueError("it holds no sound that can be decoded")
        yield container, container.streams.audio[0]
