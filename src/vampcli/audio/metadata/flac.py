"""Metadata blocks of FLAC files.

Source: RFC 9639 (FLAC), section 8.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from vampcli.audio.metadata import id3_frames, vorbis
from vampcli.audio.metadata.base import (
    Block,
    Blocks,
    DamagedError,
    Tags,
    Timeline,
    collect,
    log,
    replace_bytes,
    show,
    undamaged,
)

_NAMES = (b"STREAMINFO", b"PADDING", b"APPLICATION", b"SEEKTABLE", vorbis.COMMENTS, b"CUESHEET", b"PICTURE")
_SKIPPED = {b"STREAMINFO", b"PADDING", b"SEEKTABLE", b"RESERVED"}
_MOST = 2**24 - 1  # bytes of a block
_LAST = 0x80


def read(path: Path, name: str) -> Blocks:
    """Read the metadata blocks of a file, but for those that describe its encoding."""
    with path.open("rb") as file:
        blocks = collect(file, _walk(file), _SKIPPED, name)
    return _without_encoding(undamaged(blocks, _check, name))


def _walk(file: BinaryIO) -> Iterator[tuple[bytes, int]]:
    """Yield names and sizes, with the file positioned at the content of each block; an ID3 tag may come first."""
    file.seek(id3_frames.size_at(file))
    if file.read(4) != b"fLaC":
        return
    while len(header := file.read(4)) == 4:
        kind, size, start = header[0] & ~_LAST, int.from_bytes(header[1:], "big"), file.tell()
        yield _NAMES[kind] if kind < len(_NAMES) else b"RESERVED", size
        if header[0] & _LAST:
            return
        file.seek(start + size)


def _check(block: Block) -> None:
    if block.name == vorbis.COMMENTS:
        vorbis.parse(block.content)
    elif block.name == b"PICTURE":
        vorbis.parse_picture(block.content)
    elif block.name == b"APPLICATION" and len(block.content) < 4:
        raise DamagedError("it has no name")


def write(path: Path, blocks: Blocks) -> None:
    """Put metadata blocks into a file without any but those of its encoder.

    Raises:
        OSError: the disk is full.
    """
    with path.open("rb") as file:
        found = [(name, file.tell(), file.read(size)) for name, size in _walk(file)]
    start, stop = found[0][1] - 4, found[-1][1] + len(found[-1][2])
    vendor = next((vorbis.parse(content)[0] for name, _, content in found if name == vorbis.COMMENTS), b"vamp")
    texts = vorbis.build(vendor, _entries(blocks))
    fits = [block for block in blocks if block.name != vorbis.COMMENTS and _fits(block, path)]
    if not _fits(Block(vorbis.COMMENTS, texts), path):
        texts = vorbis.build(vendor, ())
    own = [Block(name, content) for name, _, content in found if name not in (vorbis.COMMENTS, b"PADDING")]
    whole = [own[0], Block(vorbis.COMMENTS, texts), *own[1:], *fits]
    headers = [bytes([_NAMES.index(block.name)]) for block in whole]
    headers[-1] = bytes([headers[-1][0] | _LAST])
    content = [
        head + len(block.content).to_bytes(3, "big") + block.content for head, block in zip(headers, whole, strict=True)
    ]
    replace_bytes(path, start, stop, b"".join(content))


def _fits(block: Block, path: Path) -> bool:
    if len(block.content) > _MOST:
        log.warning("FLAC holds no %s of %d bytes: none is written", show(block.name), len(block.content))
    return len(block.content) <= _MOST


def _entries(blocks: Blocks) -> vorbis.Entries:
    return tuple(e for block in blocks if block.name == vorbis.COMMENTS for e in vorbis.parse(block.content)[1])


def _with_entries(blocks: Blocks, entries: vorbis.Entries) -> Blocks:
    others = tuple(block for block in blocks if block.name != vorbis.COMMENTS)
    return (Block(vorbis.COMMENTS, vorbis.build(b"", entries)), *others) if entries else others


def _without_encoding(blocks: Blocks) -> Blocks:
    return _with_entries(blocks, vorbis.without_encoding(_entries(blocks)))


def to_tags(blocks: Blocks) -> Tags:
    """Return what other containers can hold."""
    tags = vorbis.to_tags(_entries(blocks), tuple(block.content for block in blocks if block.name == b"PICTURE"))
    others = [show(block.name) for block in blocks if block.name not in (vorbis.COMMENTS, b"PICTURE")]
    return Tags(tags.texts, tags.pictures, lost=tuple(others))


def from_tags(tags: Tags) -> Blocks:
    """Return tags as blocks."""
    blocks = _with_entries((), vorbis.from_tags(tags, with_pictures=False))
    return (*blocks, *(Block(b"PICTURE", picture) for picture in tags.pictures))


def set_recipe(blocks: Blocks, text: str) -> Blocks:
    """Replace the recipe; it is the comment if there is no other one."""
    return _with_entries(blocks, vorbis.set_recipe(_entries(blocks), text))


def set_loop(blocks: Blocks, start: int, end: int, sample_rate: int) -> Blocks:
    """Replace the loop points: samples [start, end)."""
    return _with_entries(blocks, vorbis.set_loop(_entries(blocks), start, end))


def loop(blocks: Blocks) -> tuple[int, int] | None:
    """Read the loop points: samples [start, end); None without them."""
    return vorbis.loop(_entries(blocks))


def move(blocks: Blocks, timeline: Timeline | None) -> tuple[Blocks, tuple[str, ...]]:
    """Move what counts samples to another time line; return also the names of what was dropped."""
    entries, lost = vorbis.move(_entries(blocks), timeline)
    timeless = tuple(block for block in blocks if block.name in (vorbis.COMMENTS, b"PICTURE"))
    others = tuple(show(block.name) for block in blocks if block not in timeless)
    return _with_entries(timeless, entries), (*lost, *others)
