"""Chunks of WAV files that count samples: read, checked, and moved to another time line."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from pathlib import Path

from vampcli.audio import riff
from vampcli.audio.metadata.base import Block, Blocks, DamagedError, Timeline, check_count, decode
from vampcli.errors import InputError

_REFERENCE = struct.Struct("<Q")
_REFERENCE_OFFSET = 338  # of `bext`: after description, originator, its reference, date and time
_CUE = struct.Struct("<II4sIII")  # number, position, chunk, chunk's start, block's start, sample
_MOST = 2**32 - 1  # of a number of 32 bits
_LOOP = struct.Struct("<6I")  # number, kind, first and last sample, fraction, count
_ACID = struct.Struct("<IHHfIHHf")  # kind, root, 2 unknown, beats, meter, tempo
_LEAST = {b"bext": 602, b"cue ": 4, b"smpl": 36, b"acid": _ACID.size}
_NOTES = (b"labl", b"note", b"ltxt")  # of `adtl`, each begins with the number of a cue point
_MIDNIGHT = rb"(<TIMESTAMP_SAMPLES_SINCE_MIDNIGHT_%s>)\s*(\d{1,10})\s*(<)"
_COPIED = rb"(<BWF_TIME_REFERENCE_%s>)\s*(\d{1,10})\s*(<)"


def check(block: Block) -> None:
    """Raise DamagedError if a chunk is too short for what it counts."""
    least, n = _LEAST.get(block.name, 0), len(block.content)
    if n < least:
        raise DamagedError(f"it has {n} bytes of {least}")
    if block.name == b"cue ":
        _points(block.content)
    elif block.name == b"smpl":
        _loops(block.content)
    elif block.content[:4] == b"adtl" and block.name == b"LIST":
        _notes(block.content)


def _points(content: bytes) -> list[tuple[int, int, bytes, int, int, int]]:
    (n,) = struct.unpack_from("<I", content)
    check_count(n)
    if 4 + _CUE.size * n > len(content):
        raise DamagedError(f"it counts {n} points, more than it has")
    return [_CUE.unpack_from(content, 4 + _CUE.size * i) for i in range(n)]


def _loops(content: bytes) -> list[tuple[int, ...]]:
    (n,) = struct.unpack_from("<I", content, 28)
    check_count(n)
    if 36 + _LOOP.size * n > len(content):
        raise DamagedError(f"it counts {n} loops, more than it has")
    return [_LOOP.unpack_from(content, 36 + _LOOP.size * i) for i in range(n)]


def _notes(content: bytes) -> list[tuple[bytes, int, bytes]]:
    """Kinds, cue points and contents of notes; the content begins with the number of the point."""
    try:
        return [(name, struct.unpack_from("<I", note)[0], note) for name, note in riff.list_items(content)]
    except struct.error as error:
        raise DamagedError("a note is cut off") from error


def first_loop(content: bytes) -> tuple[int, int] | None:
    """Return the samples [start, end) of the first loop of a `smpl` chunk; None without one."""
    loops = _loops(content)
    return (loops[0][2], loops[0][3] + 1) if loops else None


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
        chunks = riff.read_chunks(path, b"fmt ", b"cue ", b"LIST")
        by_name = dict(chunks)
        if b"cue " not in by_name:
            return 0, ()
        (sample_rate,) = struct.unpack_from("<4xI", by_name.get(b"fmt ", b""))
        if sample_rate == 0:
            raise DamagedError("the sample rate is 0")
        points = _points(by_name[b"cue "])
        notes = [note for _, content in chunks if content.startswith(b"adtl") for note in _notes(content)]
        lengths = {cue: struct.unpack_from("<I", note, 4)[0] for kind, cue, note in notes if kind == b"ltxt"}
    except (struct.error, DamagedError) as error:
        raise InputError(
            f"the cue points of {path} are cut off or damaged", "save it again in the program that set them"
        ) from error
    names = {cue: decode(note[4:]) for kind, cue, note in notes if kind == b"labl"}
    return sample_rate, tuple(CuePoint(at, lengths.get(n, 0), names.get(n, "")) for n, *_, at in points)


def kept_cues(blocks: Blocks, timeline: Timeline | None) -> dict[int, int]:
    """Return the numbers of the cue points that a result holds, with their samples in it."""
    points = [point for block in blocks if block.name == b"cue " for point in _points(block.content)]
    if timeline is None:
        return {}
    return {point[0]: to for point in points if (to := timeline.move(point[5])) is not None and to < 2**32}


def move(block: Block, timeline: Timeline | None, cues: dict[int, int]) -> tuple[bytes, bool]:
    """Move a chunk that counts samples to another time line.

    Args:
        block: any chunk.
        timeline: None if no sample of the input lies in the result.
        cues: see `kept_cues`.

    Returns:
        The content, empty if the chunk is dropped, and whether all of it was kept.
    """
    name, content = block.name, block.content
    if name == b"smpl":
        return _move_sampler(content, timeline)
    if timeline is None:
        return b"", False
    if name == b"bext":
        return _move_reference(content, timeline)
    if name == b"iXML":
        return _move_ixml(content, timeline)
    if name == b"cue ":
        points = [point for point in _points(content) if point[0] in cues]
        moved = [(n, min(max(0, at + timeline.shift), _MOST), *more, cues[n]) for n, at, *more, _ in points]
        packed = b"".join(_CUE.pack(*point) for point in moved)
        return (struct.pack("<I", len(moved)) + packed if moved else b""), len(moved) == len(_points(content))
    if name == b"LIST" and content[:4] == b"adtl":
        items = [(kind, note) for kind, cue, note in _notes(content) if kind not in _NOTES or cue in cues]
        packed = b"".join(kind + struct.pack("<I", len(note)) + note + bytes(len(note) % 2) for kind, note in items)
        return (b"adtl" + packed if items else b""), len(items) == len(_notes(content))
    if name == b"acid":
        return _move_acid(content, timeline), True
    return b"", False  # of an unknown kind, and maybe about time


def _move_sampler(content: bytes, timeline: Timeline | None) -> tuple[bytes, bool]:
    loops, kept = _loops(content), []
    for number, kind, first, last, *more in loops:
        moved = timeline.move_range(first, last + 1) if timeline else None
        if moved and moved[1] - moved[0] == last + 1 - first:
            kept.append((number, kind, moved[0], moved[1] - 1, *more))
    packed = content[:28] + struct.pack("<I", len(kept)) + content[32:36] + b"".join(_LOOP.pack(*loop) for loop in kept)
    return packed + content[36 + _LOOP.size * len(loops) :], len(kept) == len(loops)


def _move_reference(content: bytes, timeline: Timeline) -> tuple[bytes, bool]:
    """The time reference is the time of day of the first sample."""
    (before,) = _REFERENCE.unpack_from(content, _REFERENCE_OFFSET)
    after = before - timeline.shift
    packed = _REFERENCE.pack(after if 0 <= after < 2**64 else 0)
    return content[:_REFERENCE_OFFSET] + packed + content[_REFERENCE_OFFSET + 8 :], 0 <= after < 2**64


def _move_ixml(content: bytes, timeline: Timeline) -> tuple[bytes, bool]:
    """Move the times of day in the text, which are numbers of 64 bits in two halves."""
    whole = True
    for pattern, high, low in ((_MIDNIGHT, b"HI", b"LO"), (_COPIED, b"HIGH", b"LOW")):
        halves = [re.search(pattern % half, content) for half in (high, low)]
        if halves[0] is None or halves[1] is None:
            continue
        after = (int(halves[0][2]) << 32 | int(halves[1][2])) - timeline.shift
        whole = whole and 0 <= after < 2**64
        after = after if 0 <= after < 2**64 else 0
        for half, number in ((high, after >> 32), (low, after & 0xFFFFFFFF)):
            content = re.sub(pattern % half, rb"\g<1>%d\g<3>" % number, content, count=1)
    return content, whole


def _move_acid(content: bytes, timeline: Timeline) -> bytes:
    """The tempo stays; the number of beats follows the length."""
    values = list(_ACID.unpack_from(content))
    values[4] = round(timeline.n_samples / timeline.sample_rate * values[7] / 60) if 0 < values[7] < 10_000 else 0
    return _ACID.pack(*values) + content[_ACID.size :]
