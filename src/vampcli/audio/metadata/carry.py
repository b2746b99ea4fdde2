"""Carry metadata from a file to a result: read it, move it in time, convert it, add recipe and loop points."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Protocol

from vampcli.audio.metadata import aiff, flac, id3_frames, mp3, ogg, vorbis, wav
from vampcli.audio.metadata.base import RECIPE, Block, Blocks, Tags, Timeline, log


class Container(Protocol):
    """Functions that the module of every container has."""

    def read(self, path: Path, name: str) -> Blocks:
        """Read the blocks of a file; warn of damaged ones."""

    def write(self, path: Path, blocks: Blocks) -> None:
        """Put blocks into a file that holds none but those of its encoder."""

    def to_tags(self, blocks: Blocks) -> Tags:
        """Return what other containers can hold."""

    def from_tags(self, tags: Tags) -> Blocks:
        """Return tags as blocks."""

    def set_recipe(self, blocks: Blocks, text: str) -> Blocks:
        """Replace the recipe; an empty text removes it."""

    def set_loop(self, blocks: Blocks, start: int, end: int, sample_rate: int) -> Blocks:
        """Replace the loop points."""

    def loop(self, blocks: Blocks) -> tuple[int, int] | None:
        """Read the loop points."""

    def move(self, blocks: Blocks, timeline: Timeline | None) -> tuple[Blocks, tuple[str, ...]]:
        """Move what counts samples to another time line; return also the names of what was dropped."""


CONTAINERS: dict[str, Container] = {"WAV": wav, "AIFF": aiff, "FLAC": flac, "OGG": ogg, "MP3": mp3}
_MAGIC = {b"RIFF": "WAV", b"RF64": "WAV", b"FORM": "AIFF", b"fLaC": "FLAC", b"OggS": "OGG"}
_OF_FFMPEG = {
    **{"track": "TRACKNUMBER", "disc": "DISCNUMBER", "album_artist": "ALBUMARTIST", "tmpo": "BPM"},
    **dict.fromkeys(("major_brand", "minor_version", "compatible_brands", "handler_name", "vendor_id"), ""),
    **dict.fromkeys(("creation_time", "language", "encoder"), ""),
}
"""FFmpeg's names -> those of Vorbis comments; empty = describes the file that was read."""
_WITH_ID3 = {"WAV", "AIFF", "MP3"}


@dataclass(frozen=True)
class Metadata:
    """Metadata of a file, as its container holds it.

    Attributes:
        container: libsndfile's name of the container.
        blocks: as that container holds them.
        name: of the file, for messages.
    """

    container: str = "WAV"
    blocks: Blocks = ()
    name: str = ""

    def tags(self) -> Tags:
        """Return what other containers can hold."""
        return CONTAINERS[self.container].to_tags(self.blocks)

    @property
    def comment(self) -> str:
        """The text that holds a recipe, or else the comment; empty without either."""
        tags = self.tags()
        return next((value for _, value in tags.texts if RECIPE in value), tags.get("COMMENT"))

    def loop(self) -> tuple[int, int] | None:
        """Return the loop points, samples [start, end); None without them."""
        return CONTAINERS[self.container].loop(self.blocks)

    def tempo(self) -> tuple[float, str] | None:
        """Return the beats per minute that the file states, and where; None if it states none."""
        where = "acid chunk" if self.container == "WAV" and wav.tempo(self.blocks) else "tag"
        try:
            bpm = float(self.tags().get("BPM").replace(",", "."))
        except ValueError:
            return None
        return (bpm, where) if 10 <= bpm <= 1000 else None


def of_texts(texts: dict[str, str]) -> Metadata:
    """Return texts by FFmpeg's names as metadata, but for those of the container."""
    known = {_OF_FFMPEG.get(name.lower(), name.upper()): text for name, text in texts.items() if text}
    entries = tuple((name, text) for name, text in known.items() if name)
    return Metadata("OGG", ogg.from_tags(Tags(vorbis.without_encoding(entries))))


def read(path: str | Path, name: str = "") -> Metadata | None:
    """Read the metadata of a sound file; warn of what is damaged, which is left out.

    Args:
        path: the file.
        name: of the file in messages, if not its own.

    Returns:
        None if the file is neither WAV, AIFF, FLAC, Ogg nor MP3.

    Raises:
        OSError: the file cannot be read.
    """
    path = Path(path)
    with path.open("rb") as file:
        head = file.read(4)
        if head[:3] == b"ID3":  # some programs put it before FLAC, too
            file.seek(id3_frames.size_at(file))
            head = b"fLaC" if file.read(4) == b"fLaC" else head
    kind = _MAGIC.get(head) or ("MP3" if head[:3] == b"ID3" or head[:1] == b"\xff" else None)
    return Metadata(kind, CONTAINERS[kind].read(path, name or path.name), name or path.name) if kind else None


@lru_cache(maxsize=4)  # so that several takes warn once
def moved(metadata: Metadata, timeline: Timeline | None) -> Metadata:
    """Move what counts samples to another time line, and warn of what is dropped.

    Args:
        metadata: of the input.
        timeline: where the input's samples lie in the result; None if they lie nowhere, or scattered.
    """
    if timeline and timeline.shift == 0 and timeline.start == 0 and timeline.stop == timeline.n_samples:
        return metadata
    blocks, lost = CONTAINERS[metadata.container].move(metadata.blocks, timeline)
    if lost:
        log.warning("%s: the time line changes: the result is without all or part of %s", metadata.name, _list(lost))
    return Metadata(metadata.container, blocks, metadata.name)


@lru_cache(maxsize=4)
def _converted(metadata: Metadata, container: str) -> Blocks:
    """Convert metadata to another container, and warn of what that cannot hold."""
    if metadata.container == container:
        return metadata.blocks
    tags = metadata.tags()
    texts = tuple(entry for entry in tags.texts if RECIPE not in entry[1])
    tags = Tags(texts, tags.pictures, tags.id3, tags.lost, tags.lost_frames)
    lost = tags.lost if container in _WITH_ID3 else (*tags.lost, *tags.lost_frames)
    if lost:
        log.warning("%s: %s cannot hold its %s: the result is without", metadata.name, container, _list(lost))
    return CONTAINERS[container].from_tags(tags)


def _list(names: tuple[str, ...]) -> str:
    return ", ".join(dict.fromkeys(names))


def prepare(
    container: str, metadata: Metadata | None, recipe: str, loop: tuple[int, int] | None, sample_rate: int
) -> Blocks:
    """Return the blocks of a result.

    Args:
        container: of the result.
        metadata: of the input, on the result's time line.
        recipe: replaces that of the input; empty = none.
        loop: samples [start, end) for samplers to repeat.
        sample_rate: in Hz.
    """
    module = CONTAINERS[container]
    blocks = module.set_recipe(_converted(metadata or Metadata(), container), recipe)
    return module.set_loop(blocks, *loop, sample_rate) if loop else blocks


def put(path: Path, container: str, blocks: Blocks) -> None:
    """Put blocks into a file that libsndfile has written.

    Raises:
        OSError: the disk is full.
    """
    CONTAINERS[container].write(path, blocks)


def n_bytes(blocks: tuple[Block, ...]) -> int:
    """Return the most bytes that blocks take in a WAV file."""
    return sum(len(block.content) + 9 for block in blocks)
