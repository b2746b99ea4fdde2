"""Headers of sound files: what they say of the length, and where they are wrong about it."""

from __future__ import annotations

import io
import os
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from vampcli.audio import riff
from vampcli.audio.metadata.id3_frames import size_at

_TAG_WITHIN = 4096  # bytes from the first frame to its Xing tag, at most
_HAS_FRAMES = 1
_LAME_PADS = 141  # bytes from the start of a Xing tag with all its fields to the LAME tag's delay and padding
_DECODER_DELAY = 529  # samples, of every MP3 decoder
_OGG = struct.Struct("<4sBBqIIIB")
_BEGINS = 2  # flag of the first page of an Ogg stream
_PAST_END_S = 0.1


@dataclass(frozen=True)
class MP3Tag:
    """A Xing or Info tag: how many frames follow, and the samples that the encoder added before and after."""

    n_frames: int
    delay: int
    padding: int

    @property
    def start(self) -> int:
        """Samples to leave out at the start of what a decoder without skipping returns."""
        return self.delay + _DECODER_DELAY if self.delay or self.padding else 0


def mp3_tag(file: BinaryIO) -> MP3Tag | None:
    """Read the Xing tag of an MP3 file; None without one, or if it counts no frames.

    Source: G. Bouvigne, Mp3 Info Tag revision 1 specifications (LAME); Xing VBR header.
    """
    start = 0
    while size := size_at(file, start):
        start += size
    file.seek(start)
    found = re.search(rb"(?:Xing|Info)(?=\0\0\0[\0-\x0f])", frame := file.read(_TAG_WITHIN))
    if found is None:
        return None
    tag = frame[found.start() :].ljust(_LAME_PADS + 3, b"\0")
    flags, n_frames = struct.unpack_from(">4xII", tag)
    if not flags & _HAS_FRAMES or not n_frames:
        return None
    pads = int.from_bytes(tag[_LAME_PADS : _LAME_PADS + 3], "big") if tag[120:124] in (b"LAME", b"Lavf", b"Lavc") else 0
    return MP3Tag(n_frames, pads >> 12, pads & 0xFFF)


def ogg_links(file: BinaryIO) -> list[BinaryIO]:
    """Return the parts of a chained Ogg file, each a file in memory; any other file as the only part."""
    file.seek(0)
    if file.read(4) != b"OggS":
        return [file]
    starts = list(_link_starts(file))
    if len(starts) < 2:
        return [file]
    ends = [*starts[1:], file.seek(0, os.SEEK_END)]
    links: list[BinaryIO] = []
    for start, end in zip(starts, ends, strict=True):
        file.seek(start)
        links.append(io.BytesIO(file.read(end - start)))
    return links


def _link_starts(file: BinaryIO) -> Iterator[int]:
    """Yield where the links of a chain begin: at a first page of a stream that follows a page of sound.

    Source: RFC 3533, section 6 (pages) and 4 (chains).
    """
    offset, follows_sound = 0, True
    while True:
        file.seek(offset)
        header = file.read(_OGG.size)
        if len(header) < _OGG.size or not header.startswith(b"OggS"):
            return
        n_segments, begins = header[-1], bool(header[5] & _BEGINS)
        if begins and follows_sound:
            yield offset
        follows_sound = not begins
        offset += _OGG.size + n_segments + sum(file.read(n_segments))


def mended_wav(file: BinaryIO) -> tuple[BinaryIO, int | None]:
    """Return a WAV file whose sound goes on past its `data` chunk with a chunk that reaches the end, in memory.

    A recorder that was stopped leaves such a header: with the size 0, or that of an earlier moment. What follows a
    right chunk of sound is the name of another chunk, a tag or nothing.

    Returns:
        The file, and how many samples its header counts; any other file as it is, and None.
    """
    file.seek(0)
    if file.read(4) != b"RIFF":
        return file, None
    n_bytes, rate, frame = file.seek(0, os.SEEK_END), 0, 1  # bytes per second, and per sample of all channels
    for name, size in riff.walk_chunks(file, n_bytes):
        content = file.tell()
        if name == b"fmt ":
            rate, frame = struct.unpack("<8xIH", file.read(14).ljust(14, b"\0"))
        if name == b"data":
            end = content + size + size % 2
            return (
                (file, None)
                if _ends_well(file, end, n_bytes, rate)
                else (_without_size(file, content), size // (frame or 1))
            )
    return file, None


def _ends_well(file: BinaryIO, end: int, n_bytes: int, rate: int) -> bool:
    """Return whether little follows the end of the sound, or something else than sound."""
    if n_bytes - end <= max(8.0, _PAST_END_S * rate):
        return True
    file.seek(end)
    after = file.read(64)
    return re.match(rb"[ -~]{4}|ID3|TAG", after) is not None or not after.strip(b"\0")


def _without_size(file: BinaryIO, content: int) -> BinaryIO:
    """Copy a WAV file to memory, with the size that stands for an unknown one before the content of its `data`."""
    file.seek(0)
    whole = bytearray(file.read())
    struct.pack_into("<I", whole, content - 4, 0xFFFFFFFF)
    return io.BytesIO(whole)
