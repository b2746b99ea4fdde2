"""The frames of ID3v2 tags, as bytes in the version that they have.

Source: id3.org, ID3 tag version 2.2, 2.3.0 and 2.4.0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import BinaryIO, NamedTuple

from vampcli.audio.metadata.base import DamagedError, check_count

_UNSYNCHRONISED, _EXTENDED = 0x80, 0x40
_FRAME_UNSYNCHRONISED = 0x02


class Frame(NamedTuple):
    """A frame: its name in the tag's version, two bytes of flags (none in version 2.2), its content."""

    name: bytes
    flags: bytes
    body: bytes


@dataclass(frozen=True)
class Tag:
    """A tag: its version (2 to 4) and its frames."""

    version: int = 4
    frames: tuple[Frame, ...] = ()


def size_at(file: BinaryIO, start: int = 0) -> int:
    """Return the number of bytes of the ID3v2 tag at a place of an open file; 0 without one."""
    file.seek(start)
    header = file.read(10)
    if len(header) < 10 or header[:3] != b"ID3" or max(header[6:]) > 0x7F:
        return 0
    return 10 + _synchsafe(header[6:]) + 10 * bool(header[5] & 0x10)


def _synchsafe(size: bytes) -> int:
    """A number whose bytes hold seven bits each."""
    number = 0
    for byte in size:
        number = number << 7 | (byte & 0x7F)
    return number


def _to_synchsafe(number: int) -> bytes:
    return bytes(number >> shift & 0x7F for shift in (21, 14, 7, 0))


def parse(content: bytes) -> Tag:
    """Read a tag.

    Raises:
        DamagedError: it is cut off, a frame exceeds it, or it is of an unknown version.
    """
    if len(content) < 10 or content[:3] != b"ID3" or content[3] not in (2, 3, 4):
        raise DamagedError("it is no ID3 tag of version 2.2 to 2.4")
    version, flags = content[3], content[5]
    size = _synchsafe(content[6:10])
    if 10 + size > len(content):
        raise DamagedError(f"it counts {size} bytes and has {len(content) - 10}")
    body = content[10 : 10 + size]
    unsynchronised = bool(flags & _UNSYNCHRONISED)
    if unsynchronised and version < 4:
        body = body.replace(b"\xff\0", b"\xff")
    if flags & _EXTENDED and version > 2:
        n = _synchsafe(body[:4]) if version == 4 else 4 + int.from_bytes(body[:4], "big")
        body = body[max(n, 4) :]
    frames = _frames(body, version)
    return Tag(version, tuple(_synchronise(f, unsynchronised) for f in frames) if version == 4 else tuple(frames))


def _synchronise(frame: Frame, always: bool) -> Frame:
    """Take out the zeros of an unsynchronised frame of version 2.4."""
    if not (always or frame.flags[1] & _FRAME_UNSYNCHRONISED):
        return frame
    flags = bytes([frame.flags[0], frame.flags[1] & ~_FRAME_UNSYNCHRONISED])
    return Frame(frame.name, flags, frame.body.replace(b"\xff\0", b"\xff"))


def _frames(body: bytes, version: int) -> list[Frame]:
    n_name, n_size, n_flags = (3, 3, 0) if version == 2 else (4, 4, 2)
    frames: list[Frame] = []
    offset = 0
    while offset + n_name + n_size + n_flags <= len(body) and body[offset]:  # zeros are padding
        name = body[offset : offset + n_name]
        if not _is_name(name):
            raise DamagedError(f"a frame has the name {name!r}")
        start = offset + n_name + n_size + n_flags
        number = body[offset + n_name : start - n_flags]
        size = int.from_bytes(number, "big")
        safe = _synchsafe(number)
        if version == 4 and (_ends_well(body, start + safe) or not _ends_well(body, start + size)):
            size = safe  # old versions of iTunes wrote plain numbers
        if start + size > len(body):
            raise DamagedError(f"the frame {name.decode()} counts {size} bytes and has {len(body) - start}")
        check_count(len(frames))
        frames.append(Frame(name, body[start - n_flags : start], body[start : start + size]))
        offset = start + size
    return frames


def _is_name(name: bytes) -> bool:
    return all(48 <= byte <= 57 or 65 <= byte <= 90 for byte in name)


def _ends_well(body: bytes, stop: int) -> bool:
    """Say whether a frame can end at a place: another begins there, or padding, or the tag ends."""
    return stop == len(body) or (stop < len(body) and (body[stop] == 0 or _is_name(body[stop : stop + 4])))


def build(tag: Tag) -> bytes:
    """Write a tag, without padding.

    Raises:
        DamagedError: it is too large.
    """
    body = b"".join(_frame_bytes(frame, tag.version) for frame in tag.frames)
    if len(body) >= 2**28:
        raise DamagedError(f"an ID3 tag holds no {len(body)} bytes")
    return b"ID3" + bytes([tag.version, 0, 0]) + _to_synchsafe(len(body)) + body


def _frame_bytes(frame: Frame, version: int) -> bytes:
    size = len(frame.body)
    number = _to_synchsafe(size) if version == 4 else size.to_bytes(4 if version == 3 else 3, "big")
    return frame.name + number + frame.flags + frame.body
