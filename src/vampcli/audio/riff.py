"""Chunks of WAV files beside the sound: loop points of samplers, cue points of editors; chunks are added."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from vampcli.audio.metadata.base import DamagedError, check_count, decode, replace_bytes
from vampcli.errors import InputError

_IN_DS64 = 0xFFFFFFFF  # stands for a size of 64 bits in the ds64 chunk of an RF64 file
_DS64_SIZE_OFFSET = 20  # RF64, 4 bytes of size, WAVE, ds64, 4 bytes of size; then the file's size in 64 bits


def append(path: str | Path, name: bytes, content: bytes) -> None:
    """Append a chunk of any kind, with a name of 4 bytes, to a WAV or RF64 file and count it in the header."""
    size = Path(path).stat().st_size
    _put(Path(path), size, bytes(size % 2) + _chunk(name, content))


def insert(path: str | Path, chunks: Iterable[tuple[bytes, bytes]]) -> None:
    """Insert chunks, each a name and a content, before the samples of a WAV or RF64 file, and count them."""
    with Path(path).open("rb") as file:
        start = next(file.tell() - 8 for name, _ in walk_chunks(file, file.seek(0, 2)) if name == b"data")
        file.seek(0)
        if file.read(4) == b"RF64":  # libsndfile 1.2.2 finds no chunk after one of odd size
            chunks = [(name, content + bytes(len(content) % 2)) for name, content in chunks]
    _put(Path(path), start, b"".join(_chunk(*chunk) for chunk in chunks))


def _chunk(name: bytes, content: bytes) -> bytes:
    return name + struct.pack("<I", len(content)) + content + bytes(len(content) % 2)


def _put(path: Path, offset: int, added: bytes) -> None:
    """Insert bytes into a file, and write its new size into its header."""
    replace_bytes(path, offset, offset, added)
    with path.open("r+b") as file:
        is_rf64, size = file.read(4) == b"RF64", file.seek(0, 2) - 8
        file.seek(_DS64_SIZE_OFFSET if is_rf64 else 4)
        file.write(struct.pack("<Q" if is_rf64 else "<I", size))


def loop_points(path: str | Path) -> tuple[int, int] | None:
    """Read the first loop of a WAV or RF64 file: its samples [start, end); None without one."""
    try:
        for _, content in _read_chunks(path, b"smpl"):
            n_loops, start, last = (struct.unpack_from("<I", content, offset)[0] for offset in (28, 44, 48))
            return (start, last + 1) if n_loops else None
    except struct.error:
        pass
    return None


@dataclass(frozen=True)
class CuePoint:
    """A marker: its first sample, its length in samples (0 = a point), its name (may be empty)."""

    start: int
    n_samples: int
    name: str


def cue_points(path: str | Path) -> tuple[int, tuple[CuePoint, ...]]:
    """Read sample rate (Hz) and cue points of a WAV or RF64 file, in the order of its table; 0 and none without one.

    Raises:
        InputError: a chunk that describes them is cut off or damaged.

    Source: IBM and Microsoft, Multimedia Programming Interface and Data Specifications 1.0 (`cue `, `adtl`).
    """
    try:
        chunks = _read_chunks(path, b"fmt ", b"cue ", b"LIST")
        by_name = dict(chunks)
        if b"cue " not in by_name:
            return 0, ()
        table = by_name[b"cue "]
        (sample_rate,) = struct.unpack_from("<4xI", by_name.get(b"fmt ", b""))
        if sample_rate == 0:
            raise struct.error("the sample rate is 0")
        (n_points,) = struct.unpack_from("<I", table)
        points = [struct.unpack_from("<I16xI", table, 4 + 24 * i) for i in range(n_points)]  # id, first sample
        # Lengths (`ltxt`) and names (`labl`) begin with the id of their point.
        items = [item for _, content in chunks if content.startswith(b"adtl") for item in list_items(content)]
        notes = [(name, struct.unpack_from("<I", note)[0], note) for name, note in items if name in (b"ltxt", b"labl")]
        lengths = {cue: struct.unpack_from("<I", note, 4)[0] for name, cue, note in notes if name == b"ltxt"}
    except (struct.error, DamagedError) as error:
        raise InputError(
            f"the cue points of {path} are cut off or damaged", "save it again in the program that set them"
        ) from error
    names = {cue: decode(note[4:]) for name, cue, note in notes if name == b"labl"}
    return sample_rate, tuple(CuePoint(start, lengths.get(cue, 0), names.get(cue, "")) for cue, start in points)


def list_items(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield names and contents of the items of a `LIST` chunk; struct.error where one is cut off."""
    offset, n_items = 4, 0
    while offset + 8 <= len(content):
        name, size = struct.unpack_from("<4sI", content, offset)
        yield name, struct.unpack_from(f"{size}s", content, offset + 8)[0]
        offset += 8 + size + size % 2
        n_items += 1
        check_count(n_items)


def _read_chunks(path: str | Path, *wanted: bytes) -> list[tuple[bytes, bytes]]:
    """Read names and contents of chunks with these names; struct.error where one is cut off."""
    chunks = []
    with Path(path).open("rb") as file:
        n_bytes = file.seek(0, 2)
        for name, size in walk_chunks(file, n_bytes):
            if name in wanted:
                content = file.read(min(size, n_bytes))  # a damaged size must not allocate more than the file holds
                if len(content) < size:
                    raise struct.error(f"{name.decode()!r} counts {size} bytes and has {len(content)}")
                chunks.append((name, content))
    return chunks


def walk_chunks(file: BinaryIO, n_bytes: int) -> Iterator[tuple[bytes, int]]:
    """Yield names and sizes, with the file positioned at the content of each chunk."""
    file.seek(0)
    riff, _, wave = struct.unpack("<4sI4s", file.read(12).ljust(12, b"\0"))
    data_size = _IN_DS64
    while riff in (b"RIFF", b"RF64") and wave == b"WAVE" and len(header := file.read(8)) == 8:
        name, size = struct.unpack("<4sI", header)
        start = file.tell()
        if name == b"data" and size == _IN_DS64:
            size = data_size
        yield name, size
        if name == b"ds64":
            file.seek(start)
            data_size = struct.unpack("<8xQ", file.read(16).ljust(16, b"\0"))[0]
        if size > n_bytes:  # damaged, and maybe more than seek accepts
            return
        file.seek(start + size + size % 2)
