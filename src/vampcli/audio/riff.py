"""Chunks of WAV and RF64 files: read, appended, inserted before the samples."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from vampcli.audio.metadata.base import check_count, replace_bytes

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


def list_items(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield names and contents of the items of a `LIST` chunk; struct.error where one is cut off."""
    offset, n_items = 4, 0
    while offset + 8 <= len(content):
        name, size = struct.unpack_from("<4sI", content, offset)
        yield name, struct.unpack_from(f"{size}s", content, offset + 8)[0]
        offset += 8 + size + size % 2
        n_items += 1
        check_count(n_items)


def read_chunks(path: str | Path, *wanted: bytes) -> list[tuple[bytes, bytes]]:
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
