"""The ID3 tag before the sound of MP3 files; that of version 1 after the sound is read if there is no other.

Source: id3.org.
"""

from __future__ import annotations

from pathlib import Path

from vampcli.audio.metadata import id3, id3_frames
from vampcli.audio.metadata.base import (
    LIMIT,
    Block,
    Blocks,
    Tags,
    Timeline,
    decode,
    log,
    replace_bytes,
    undamaged,
)

TAG = b"ID3"
_V1_SIZE = 128


def read(path: Path, name: str) -> Blocks:
    """Read the tag of a file."""
    with path.open("rb") as file:
        size = id3_frames.size_at(file)
        if size > LIMIT:
            log.warning(
                "%s: the ID3 tag exceeds the %d MiB that are carried: the result is without it", name, LIMIT >> 20
            )
            return ()
        if size:
            file.seek(0)
            blocks = undamaged((Block(TAG, file.read(size)),), lambda block: id3.to_tags(block.content), name)
            return _replaced(id3.move(blocks[0].content, same=True)[0]) if blocks else ()
        n_bytes = file.seek(0, 2)
        file.seek(max(0, n_bytes - _V1_SIZE))
        old = file.read(_V1_SIZE)
    return from_tags(Tags(_first_version(old))) if old[:3] == b"TAG" and len(old) == _V1_SIZE else ()


def _first_version(tag: bytes) -> tuple[tuple[str, str], ...]:
    """Title, artist, album, year and comment, at most 30 characters each."""
    fields = {"TITLE": tag[3:33], "ARTIST": tag[33:63], "ALBUM": tag[63:93], "DATE": tag[93:97], "COMMENT": tag[97:125]}
    texts = {name: decode(text).strip() for name, text in fields.items()}
    return tuple((name, text) for name, text in texts.items() if text)


def _replaced(content: bytes) -> Blocks:
    return (Block(TAG, content),) if content else ()


def _content(blocks: Blocks) -> bytes:
    return blocks[0].content if blocks else b""


def write(path: Path, blocks: Blocks) -> None:
    """Put the tag before the sound of a file without any.

    Raises:
        OSError: the disk is full.
    """
    if blocks:
        replace_bytes(path, 0, 0, _content(blocks))


def to_tags(blocks: Blocks) -> Tags:
    """Return what other containers can hold."""
    return id3.to_tags(_content(blocks)) if blocks else Tags()


def from_tags(tags: Tags) -> Blocks:
    """Return tags as an ID3 tag."""
    return _replaced(id3.from_tags(tags)) if tags.texts or tags.pictures or tags.id3 else ()


def set_recipe(blocks: Blocks, text: str) -> Blocks:
    """Replace the recipe; it is the comment if there is no other one."""
    return _replaced(id3.set_recipe(_content(blocks), text))


def set_loop(blocks: Blocks, start: int, end: int, sample_rate: int) -> Blocks:
    """Return the blocks as they are: the delay of the encoder moves samples, so there are no loop points."""
    log.warning("MP3 files hold no loop points: none are written; write .wav, .aiff, .flac or .ogg")
    return blocks


def loop(blocks: Blocks) -> tuple[int, int] | None:
    """Return None: there are no loop points."""
    return None


def move(blocks: Blocks, timeline: Timeline | None) -> tuple[Blocks, tuple[str, ...]]:
    """Leave out what counts time; return also its names."""
    if not blocks:
        return (), ()
    content, lost = id3.move(_content(blocks), same=False)
    return _replaced(content), lost
