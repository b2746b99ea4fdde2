"""Chunks of WAV and RF64 files beside the sound, among them those of editors, samplers and field recorders.

Source: IBM and Microsoft, Multimedia Programming Interface and Data Specifications 1.0 (`LIST`, `cue `, `plst`);
Microsoft, New Multimedia Data Types and Data Techniques 3.0 (`smpl`); EBU Tech 3285 (`bext`); Sonic Foundry, ACID
chunk as libsndfile documents it; iXML specification 3.01.
"""

from __future__ import annotations

import struct
from pathlib import Path

from vampcli.audio import riff
from vampcli.audio.metadata import id3, wav_time
from vampcli.audio.metadata.base import (
    RECIPE,
    Block,
    Blocks,
    DamagedError,
    Tags,
    Timeline,
    collect,
    decode,
    show,
    undamaged,
)

_SKIPPED = {b"fmt ", b"fact", b"data", b"ds64", b"PEAK", b"levl", b"JUNK", b"junk", b"FLLR", b"PAD ", b"filr", b"FAKE"}
_LEADING = {b"bext"}  # readers of streams expect it before the samples
_ID3 = {b"id3 ", b"ID3 "}
_TIMELESS = {b"_PMX", b"DISP", b"inst"}
_TEXTS = {
    b"INAM": "TITLE",
    b"IART": "ARTIST",
    b"IPRD": "ALBUM",
    b"ICRD": "DATE",
    b"IGNR": "GENRE",
    b"ITRK": "TRACKNUMBER",
    b"IPRT": "TRACKNUMBER",
    b"ICMT": "COMMENT",
    b"ICOP": "COPYRIGHT",
    b"IENG": "ENGINEER",
    b"ILNG": "LANGUAGE",
    b"ISFT": "ENCODER",
}
_ITEMS = {name: item for item, name in reversed(_TEXTS.items())}
_RECIPE_ITEMS = (b"ICMT", b"ISBJ", b"IKEY")  # FFmpeg copies these, and no unknown ones
_INFO = b"INFO"
_MIDDLE_C = 60
_ONE_SHOT = 1

Items = tuple[tuple[bytes, bytes], ...]


def read(path: Path, name: str) -> Blocks:
    """Read the chunks of a file, but for those of the sound."""
    with path.open("rb") as file:
        blocks = collect(file, riff.walk_chunks(file, file.seek(0, 2)), _SKIPPED, name, b"data")
    blocks = undamaged(blocks, _check, name)
    return tuple(clean for block in blocks if (clean := _without_encoding(block)).content)


def _check(block: Block) -> None:
    if block.name in _ID3:
        id3.to_tags(block.content)
    elif block.name == b"LIST" and block.content[:4] == _INFO:
        _items(block)
    else:
        wav_time.check(block)


def _without_encoding(block: Block) -> Block:
    return block._replace(content=id3.move(block.content, same=True)[0]) if block.name in _ID3 else block


def write(path: Path, blocks: Blocks) -> None:
    """Put chunks into a file without any but those of its sound: `leads` says which before the samples.

    Raises:
        OSError: the disk is full.
    """
    before = [block for block in blocks if block.leads or block.name in _LEADING]
    if before:
        riff.insert(path, [(block.name, block.content) for block in before])
    for block in blocks:
        if block not in before:
            riff.append(path, block.name, block.content)


def _items(block: Block) -> Items:
    """The texts of a `LIST` chunk of the kind `INFO`; none in others."""
    if block.name != b"LIST" or block.content[:4] != _INFO:
        return ()
    try:
        return tuple(riff.list_items(block.content))
    except struct.error as error:
        raise DamagedError("a text is cut off") from error


def _info(items: Items) -> Block:
    content = b"".join(name + struct.pack("<I", len(text)) + text + bytes(len(text) % 2) for name, text in items)
    return Block(b"LIST", _INFO + content)


def to_tags(blocks: Blocks) -> Tags:
    """Return what other containers can hold; the tempo of a loop's `acid` is the text BPM."""
    items = [item for block in blocks for item in _items(block)]
    texts = [(_TEXTS.get(name, show(name)), decode(text)) for name, text in items]
    inside = next((id3.to_tags(block.content) for block in blocks if block.name in _ID3), Tags())
    there = {name for name, _ in texts}
    texts += [(name, value) for name, value in inside.texts if name not in there]
    if "BPM" not in dict(texts) and (bpm := tempo(blocks)):
        texts.append(("BPM", f"{bpm:.6g}"))
    lost = dict.fromkeys(show(block.name) for block in blocks if block.name not in _ID3 and not _items(block))
    return Tags(tuple(texts), inside.pictures, inside.id3, tuple(lost), inside.lost_frames)


def tempo(blocks: Blocks) -> float | None:
    """Return the beats per minute of a loop's `acid` chunk; None without one, or of a sound that is no loop."""
    for block in blocks:
        if block.name == b"acid":
            kind, bpm = struct.unpack_from("<I16xf", block.content)
            return float(bpm) if bpm > 0 and not kind & _ONE_SHOT else None
    return None


def from_tags(tags: Tags) -> Blocks:
    """Return tags as a list of texts, and as an ID3 tag if that does not hold all."""
    values: dict[bytes, list[str]] = {}
    for name, value in tags.texts:
        if name in _ITEMS:
            values.setdefault(_ITEMS[name], []).append(value)
    items = tuple((item, "; ".join(texts).encode() + b"\0") for item, texts in values.items())
    blocks = (_info(items),) if items else ()
    if tags.id3 or tags.pictures or any(name not in _ITEMS for name, _ in tags.texts):
        return (*blocks, Block(b"id3 ", id3.from_tags(tags)))
    return blocks


def set_recipe(blocks: Blocks, text: str) -> Blocks:
    """Replace the recipe; it is the comment if there is no other one."""
    kept = []
    for block in blocks:
        if block.name in _ID3:
            block = block._replace(content=id3.set_recipe(block.content, ""))
        elif any(RECIPE.encode() in value for _, value in _items(block)):
            items = tuple(item for item in _items(block) if RECIPE.encode() not in item[1])
            block = _info(items) if items else block._replace(content=b"")
        if block.content:
            kept.append(block)
    if not text:
        return tuple(kept)
    taken = {name for block in kept for name, _ in _items(block)}
    if to_tags(tuple(kept)).get("COMMENT"):
        taken.add(b"ICMT")
    item = next((name for name in _RECIPE_ITEMS if name not in taken), _RECIPE_ITEMS[-1])
    return (*kept, _info(((item, text.encode() + b"\0"),)))


def set_loop(blocks: Blocks, start: int, end: int, sample_rate: int) -> Blocks:
    """Replace the loops of `smpl` by an endless forward loop of samples [start, end); its root note stays."""
    header = next((b.content[:28] for b in blocks if b.name == b"smpl"), b"")
    if len(header) < 28:
        header = struct.pack("<7I", 0, 0, round(1e9 / sample_rate), _MIDDLE_C, 0, 0, 0)
    sampler = header + struct.pack("<2I", 1, 0) + struct.pack("<6I", 0, 0, start, end - 1, 0, 0)
    return (*(block for block in blocks if block.name != b"smpl"), Block(b"smpl", sampler))


def loop(blocks: Blocks) -> tuple[int, int] | None:
    """Read the first loop: samples [start, end); None without one."""
    return next((wav_time.first_loop(block.content) for block in blocks if block.name == b"smpl"), None)


def move(blocks: Blocks, timeline: Timeline | None) -> tuple[Blocks, tuple[str, ...]]:
    """Move what counts samples to another time line; return also the names of what was dropped."""
    kept: list[Block] = []
    lost: list[str] = []
    cues = wav_time.kept_cues(blocks, timeline)
    for block in blocks:
        if block.name in _ID3:
            content, frames = id3.move(block.content, same=False)
            kept.append(block._replace(content=content))
            lost += frames
        elif _items(block) or block.name in _TIMELESS:
            kept.append(block)
        else:
            content, whole = wav_time.move(block, timeline, cues)
            kept.append(block._replace(content=content))
            lost += [] if whole else [show(block.name)]
    return tuple(block for block in kept if block.content), tuple(dict.fromkeys(lost))
