"""Chunks of WAV files that libsndfile does not write: loop points, where a sampler repeats the sound."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

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


def _chunks(file: BinaryIO) -> Iterator[tuple[bytes, int]]:
    """Names and sizes; the file stands at each one's content."""
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
        file.seek(place + size + size % 2)
