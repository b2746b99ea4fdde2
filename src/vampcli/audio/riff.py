"""Chunks of WAV files beside the sound: loop points, where a sampler repeats it, and cue points, set in editors."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from vampcli.errors import InputError

_MIDDLE_C = 60
_IN_DS64 = 0xFFFFFFFF  # a size of 32 bits that an RF64 file counts in 64 elsewhere
_DS64_SIZE_PLACE = 20  # RF64, 4 bytes of size, WAVE, ds64, 4 bytes of size; then the file's in 64 bits


def add_loop(path: str | Path, start: int, end: int, sample_rate: int) -> None:
    """Append one forward loop without end to a WAV or RF64 file, as a `smpl` chunk.

    Args:
        path: a whole file; changed in place.
        start: first sample of the loop.
        end: one past its last; the chunk stores the last.
        sample_rate: in Hz.

    Source: Microsoft, New Multimedia Data Types and Data Techniques 3.0 (`smpl`); EBU Tech 3306 (RF64).
    """
    period_ns = round(1e9 / sample_rate)
    sampler = struct.pack("<9I", 0, 0, period_ns, _MIDDLE_C, 0, 0, 0, 1, 0)  # of no maker; 1 loop
    loop = struct.pack("<6I", 0, 0, start, end - 1, 0, 0)  # forward, for ever
    append(path, b"smpl", sampler + loop)


def add_comment(path: str | Path, text: str) -> None:
    """Append a comment of any length to a WAV or RF64 file, as `ICMT` of a `LIST` chunk.

    Source: Microsoft, New Multimedia Data Types and Data Techniques 3.0 (`INFO`).
    """
    content = text.encode() + b"\0"
    append(path, b"LIST", b"INFO" + b"ICMT" + struct.pack("<I", len(content)) + content + bytes(len(content) % 2))


def comment_of(path: str | Path) -> str:
    """The comment of a WAV or RF64 file; empty without one, or if it is cut off."""
    with Path(path).open("rb") as file:
        lists = [file.read(size) for name, size in _chunks(file) if name == b"LIST"]
    try:
        notes = dict(note for content in lists if content.startswith(b"INFO") for note in _pieces(content))
    except struct.error:
        return ""
    return notes.get(b"ICMT", b"").split(b"\0")[0].decode("utf-8", "replace")


def append(path: str | Path, name: bytes, content: bytes) -> None:
    """Append a chunk of any kind to a WAV or RF64 file and count it in the header: name of 4 bytes."""
    with Path(path).open("r+b") as file:
        is_rf64 = file.read(4) == b"RF64"
        size = file.seek(0, 2)
        added = bytes(size % 2) + name + struct.pack("<I", len(content)) + content + bytes(len(content) % 2)
        file.write(added)
        file.seek(_DS64_SIZE_PLACE if is_rf64 else 4)
        file.write(struct.pack("<Q" if is_rf64 else "<I", size + len(added) - 8))


def loop_points(path: str | Path) -> tuple[int, int] | None:
    """The first loop of a WAV or RF64 file: its samples [start, end); None without one."""
    with Path(path).open("rb") as file:
        for name, size in _chunks(file):
            if name == b"smpl" and len(content := file.read(min(size, 60))) == 60:
                n_loops, start, last = (struct.unpack_from("<I", content, place)[0] for place in (28, 44, 48))
                return (start, last + 1) if n_loops else None
    return None


@dataclass(frozen=True)
class CuePoint:
    """A marked place: its sample, the samples from there on (0 = a point), its name (may be empty)."""

    start: int
    n_samples: int
    name: str


def cue_points(path: str | Path) -> tuple[int, tuple[CuePoint, ...]]:
    """Sample rate in Hz and cue points of a WAV or RF64 file, in the order of its table; 0 and none without one.

    Raises:
        InputError: a chunk that tells of them is cut off or damaged.

    Source: IBM and Microsoft, Multimedia Programming Interface and Data Specifications 1.0 (`cue `, `adtl`).
    """
    try:
        contents = _marking_chunks(Path(path))
        by_name = dict(contents)
        if b"cue " not in by_name:
            return 0, ()
        table = by_name[b"cue "]
        (sample_rate,) = struct.unpack_from("<4xI", by_name.get(b"fmt ", b""))
        if sample_rate == 0:
            raise struct.error("the sample rate is 0")
        (n_points,) = struct.unpack_from("<I", table)
        points = [struct.unpack_from("<I16xI", table, 4 + 24 * i) for i in range(n_points)]
        notes = [note for _, content in contents if content.startswith(b"adtl") for note in _notes(content)]
        lengths = {cue: struct.unpack_from("<I", note)[0] for kind, cue, note in notes if kind == b"ltxt"}
    except struct.error as error:
        raise InputError(
            f"the cue points of {path} are cut off or damaged", "save it again in the program that set them"
        ) from error
    names = {cue: note.split(b"\0")[0].decode("utf-8", "replace") for kind, cue, note in notes if kind == b"labl"}
    return sample_rate, tuple(CuePoint(start, lengths.get(cue, 0), names.get(cue, "")) for cue, start in points)


def _marking_chunks(path: Path) -> list[tuple[bytes, bytes]]:
    n_bytes = path.stat().st_size  # a damaged size must not ask for more memory than there are bytes
    found = []
    with path.open("rb") as file:
        for name, size in _chunks(file):
            if name in (b"fmt ", b"cue ", b"LIST"):
                content = file.read(min(size, n_bytes))
                if len(content) < size:
                    raise struct.error(f"{name.decode()!r} counts {size} bytes and has {len(content)}")
                found.append((name, content))
    return found


def _notes(content: bytes) -> Iterator[tuple[bytes, int, bytes]]:
    """Kind, cue point and the rest of every `ltxt` (length) and `labl` (name) in an `adtl` list."""
    for kind, note in _pieces(content):
        if kind in (b"ltxt", b"labl"):
            yield kind, struct.unpack_from("<I", note)[0], note[4:]


def _pieces(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Names and contents of what a `LIST` chunk lists."""
    place = 4
    while place + 8 <= len(content):
        name, size = struct.unpack_from("<4sI", content, place)
        yield name, struct.unpack_from(f"{size}s", content, place + 8)[0]
        place += 8 + size + size % 2


def _chunks(file: BinaryIO) -> Iterator[tuple[bytes, int]]:
    """Names and sizes; the file stands at each one's content."""
    n_bytes = file.seek(0, 2)
    file.seek(0)
    riff, _, wave = struct.unpack("<4sI4s", file.read(12).ljust(12, b"\0"))
    data_size = _IN_DS64
    while riff in (b"RIFF", b"RF64") and wave == b"WAVE" and len(header := file.read(8)) == 8:
        name, size = struct.unpack("<4sI", header)
        place = file.tell()
        if name == b"data" and size == _IN_DS64:
            size = data_size
        yield name, size
        if name == b"ds64":
            file.seek(place)
            data_size = struct.unpack("<8xQ", file.read(16).ljust(16, b"\0"))[0]
        if size > n_bytes:  # damaged, and perhaps more than seek can take
            return
        file.seek(place + size + size % 2)
