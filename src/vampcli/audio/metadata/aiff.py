"""Chunks of AIFF files beside the sound: texts, markers, instrument, ID3.

Source: Apple, Audio Interchange File Format, version 1.3.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from vampcli.audio.metadata import id3
from vampcli.audio.metadata.base import (
    RECIPE,
    Block,
    Blocks,
    DamagedError,
    Tags,
    Timeline,
    collect,
    decode,
    replace_bytes,
    show,
    undamaged,
)

_SKIPPED = {b"COMM", b"SSND", b"FVER", b"PEAK"}
_ID3 = b"ID3 "
_COMMENT = b"ANNO"
_TEXTS = {b"NAME": "TITLE", b"AUTH": "ARTIST", b"(c) ": "COPYRIGHT", _COMMENT: "COMMENT"}
_CHUNKS = {name: chunk for chunk, name in _TEXTS.items()}
_TIMELESS = {*_TEXTS, _ID3, b"COMT"}
_LONGEST = 8_189  # bytes of a text: libsndfile 1.2.2 refuses files with longer ones
_MIDDLE_C, _LOUDEST, _FORWARD = 60, 127, 1
_NOTE = struct.Struct(">6bh")  # base note, detune, low and high note, low and high velocity, gain
_LOOP = struct.Struct(">3h")  # kind, numbers of the markers at its start and end

Markers = dict[int, tuple[int, bytes]]
"""Number of a marker -> its sample, its name as a string with a count."""


def read(path: Path, name: str) -> Blocks:
    """Read the chunks of a file, but for those of the sound."""
    with path.open("rb") as file:
        blocks = collect(file, _walk(file), _SKIPPED, name, b"SSND")
    blocks = undamaged(blocks, _check, name)
    return tuple(clean for block in blocks if (clean := _without_encoding(block)).content)


def _walk(file: BinaryIO) -> Iterator[tuple[bytes, int]]:
    """Yield names and sizes, with the file positioned at the content of each chunk."""
    n_bytes = file.seek(0, 2)
    file.seek(0)
    form, _, kind = struct.unpack("4s4s4s", file.read(12).ljust(12, b"\0"))
    while form == b"FORM" and kind in (b"AIFF", b"AIFC") and len(header := file.read(8)) == 8:
        name, size = struct.unpack(">4sI", header)
        start = file.tell()
        yield name, size
        if size > n_bytes:
            return
        file.seek(start + size + size % 2)


def _check(block: Block) -> None:
    if block.name == _ID3:
        id3.to_tags(block.content)
    elif block.name == b"MARK":
        _markers(block.content)
    elif block.name in _TEXTS and len(block.content) > _LONGEST:
        raise DamagedError(f"a text of {len(block.content)} bytes")
    elif block.name == b"INST" and len(block.content) < 20:
        raise DamagedError(f"it has {len(block.content)} bytes of 20")


def _without_encoding(block: Block) -> Block:
    return block._replace(content=id3.move(block.content, same=True)[0]) if block.name == _ID3 else block


def write(path: Path, blocks: Blocks) -> None:
    """Append chunks to a file without any but those of its sound.

    Raises:
        OSError: the disk is full.
    """
    if not blocks:
        return
    chunks = (b.name + struct.pack(">I", len(b.content)) + b.content + bytes(len(b.content) % 2) for b in blocks)
    size = path.stat().st_size
    added = bytes(size % 2) + b"".join(chunks)
    replace_bytes(path, size, size, added)
    replace_bytes(path, 4, 8, struct.pack(">I", size + len(added) - 8))


def correct_length(path: Path, n_samples: int, n_channels: int) -> None:
    """Correct the counts of an 8-bit file of an odd number of bytes: libsndfile 1.2.2 counts the padding as sound.

    Args:
        path: of the file, changed in place.
        n_samples: in each channel.
        n_channels: of the file.
    """
    with path.open("r+b") as file:
        for name, _ in _walk(file):
            start = file.tell()
            if name == b"COMM":
                file.seek(start + 2)
                file.write(struct.pack(">I", n_samples))
            elif name == b"SSND":
                file.seek(start - 4)
                file.write(struct.pack(">I", 8 + n_samples * n_channels))


def to_tags(blocks: Blocks) -> Tags:
    """Return what other containers can hold."""
    texts = [(_TEXTS[b.name], decode(b.content)) for b in blocks if b.name in _TEXTS]
    inside = id3.to_tags(content) if (content := _find(blocks, _ID3)) else Tags()
    there = {name for name, _ in texts}
    texts += [(name, value) for name, value in inside.texts if name not in there]
    lost = dict.fromkeys(show(b.name) for b in blocks if b.name not in (*_TEXTS, _ID3))
    return Tags(tuple(texts), inside.pictures, inside.id3, tuple(lost), inside.lost_frames)


def from_tags(tags: Tags) -> Blocks:
    """Return tags as chunks of texts, and as an ID3 tag if these do not hold all."""
    texts = tuple(Block(_CHUNKS[name], value.encode()) for name, value in tags.texts if name in _CHUNKS)
    texts = tuple(block for block in texts if len(block.content) <= _LONGEST)
    if tags.id3 or tags.pictures or len(texts) < len(tags.texts):
        return (*texts, Block(_ID3, id3.from_tags(tags)))
    return texts


def set_recipe(blocks: Blocks, text: str) -> Blocks:
    """Replace the recipe: an annotation of its own, or a frame of the ID3 tag if it is too long for that."""
    others = tuple(b for b in blocks if not (b.name in _TEXTS and RECIPE.encode() in b.content))
    is_long = len(text) > _LONGEST
    tag = id3.set_recipe(_find(others, _ID3), text if is_long else "")
    added = (Block(_ID3, tag), Block(_COMMENT, b"" if is_long else text.encode()))
    return tuple(block for block in (*_without(others, _ID3), *added) if block.content)


def set_loop(blocks: Blocks, start: int, end: int, sample_rate: int) -> Blocks:
    """Replace the loop by an endless forward loop of samples [start, end), between two new markers."""
    markers = _markers(_find(blocks, b"MARK"))
    first, last = [number for number in range(1, 2**15) if number not in markers][:2]
    markers |= {first: (start, b"\x0abegin loop\0"), last: (end, b"\x08end loop\0")}
    instrument = _find(blocks, b"INST")[:8] or _NOTE.pack(_MIDDLE_C, 0, 0, _LOUDEST, 1, _LOUDEST, 0)
    instrument += _LOOP.pack(_FORWARD, first, last) + _LOOP.pack(0, 0, 0)
    return (*_without(blocks, b"MARK", b"INST"), Block(b"MARK", _markers_bytes(markers)), Block(b"INST", instrument))


def loop(blocks: Blocks) -> tuple[int, int] | None:
    """Read the loop: samples [start, end); None without one."""
    instrument = _find(blocks, b"INST")
    if len(instrument) < 20:
        return None
    markers = _markers(_find(blocks, b"MARK"))
    kind, first, last = _LOOP.unpack_from(instrument, 8)
    return (markers[first][0], markers[last][0]) if kind and first in markers and last in markers else None


def move(blocks: Blocks, timeline: Timeline | None) -> tuple[Blocks, tuple[str, ...]]:
    """Move what counts samples to another time line; return also the names of what was dropped."""
    kept: list[Block] = []
    lost: list[str] = []
    for block in blocks:
        if block.name == _ID3:
            content, frames = id3.move(block.content, same=False)
            kept.append(block._replace(content=content))
            lost += frames
        elif block.name in _TIMELESS:
            kept.append(block)
        elif block.name not in (b"MARK", b"INST"):
            lost.append(show(block.name))
    markers, instrument = _markers(_find(blocks, b"MARK")), _find(blocks, b"INST")
    moved = {n: (to, name) for n, (at, name) in markers.items() if timeline and (to := timeline.move(at)) is not None}
    lost += ["MARK"] if len(moved) < len(markers) else []
    if instrument:
        loops = [_LOOP.unpack_from(instrument, offset) for offset in (8, 14)]
        stay = [one if one[1] in moved and one[2] in moved else (0, 0, 0) for one in loops]
        lost += ["loop of INST"] if any(one[0] for one in loops) and stay != loops else []
        kept.append(Block(b"INST", instrument[:8] + b"".join(_LOOP.pack(*one) for one in stay)))
    if moved:
        kept.append(Block(b"MARK", _markers_bytes(moved)))
    return tuple(block for block in kept if block.content), tuple(lost)


def _find(blocks: Blocks, name: bytes) -> bytes:
    return next((block.content for block in blocks if block.name == name), b"")


def _without(blocks: Blocks, *names: bytes) -> Blocks:
    return tuple(block for block in blocks if block.name not in names)


def _markers(content: bytes) -> Markers:
    """Read markers.

    Raises:
        DamagedError: they are cut off.
    """
    markers: Markers = {}
    try:
        (n_markers,) = struct.unpack_from(">H", content) if content else (0,)
        offset = 2
        for _ in range(n_markers):
            number, sample, count = struct.unpack_from(">hIB", content, offset)
            name = content[offset + 6 : offset + 7 + count]
            if len(name) <= count:
                raise DamagedError("a name is cut off")
            markers[number] = sample, name + bytes(len(name) % 2)  # some programs leave the last zero out
            offset += 6 + len(markers[number][1])
    except struct.error as error:
        raise DamagedError("it is cut off") from error
    return markers


def _markers_bytes(markers: Markers) -> bytes:
    items = [struct.pack(">hI", number, sample) + name for number, (sample, name) in markers.items()]
    return struct.pack(">H", len(items)) + b"".join(items)
