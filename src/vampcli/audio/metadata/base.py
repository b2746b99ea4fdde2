"""Types of metadata: blocks as a container holds them, tags that all containers share, a change of the time line."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple

log = logging.getLogger(__name__)

LIMIT = 2**26
"""Most bytes that are carried from a file to a result; blocks beyond are left out with a warning."""

RECIPE = "vamp_recipe"
"""The first key of a recipe's JSON, by which it is found among the texts of a file."""

_MOST_BLOCKS = 2**10
_MOST_ITEMS = 2**16  # of a block: each takes more memory than it has bytes
_MOVED_AT_ONCE = 2**20  # bytes


class DamagedError(ValueError):
    """Metadata that is cut off, or whose sizes contradict each other."""


class Block(NamedTuple):
    """A chunk of RIFF or AIFF, a metadata block of FLAC, the comments of Ogg, or an ID3 tag.

    Attributes:
        name: of the kind.
        content: without name and size.
        leads: it lies before the samples.
    """

    name: bytes
    content: bytes
    leads: bool = False


Blocks = tuple[Block, ...]


@dataclass(frozen=True)
class Tags:
    """Texts and pictures that most containers can hold, each in a form of its own.

    Attributes:
        texts: names, as Vorbis comments use them (upper case), and values; a name may occur more than once.
        pictures: each as the content of a FLAC picture block.
        id3: a whole ID3v2 tag that holds some of these texts and pictures, and maybe more; empty without one.
        lost: names of blocks that only their own container can hold.
        lost_frames: names of ID3 frames without an equivalent among the texts.
    """

    texts: tuple[tuple[str, str], ...] = ()
    pictures: tuple[bytes, ...] = ()
    id3: bytes = b""
    lost: tuple[str, ...] = ()
    lost_frames: tuple[str, ...] = ()

    def get(self, name: str) -> str:
        """Return the first value of a name; empty without one."""
        return next((value for key, value in self.texts if key == name), "")


@dataclass(frozen=True)
class Timeline:
    """Position of the samples of an input in a result.

    Attributes:
        start: first sample of the input that the result holds.
        stop: one past the last.
        shift: is added to the number of a sample in the input to give its number in the result.
        n_samples: length of the result.
        sample_rate: of both, in Hz.
    """

    start: int
    stop: int
    shift: int
    n_samples: int
    sample_rate: int

    def move(self, sample: int) -> int | None:
        """Return the number of a sample in the result; None if the result does not hold it."""
        return sample + self.shift if self.start <= sample <= self.stop else None

    def move_range(self, start: int, stop: int) -> tuple[int, int] | None:
        """Return a range of samples in the result, cut to what the result holds; None if it holds none of it."""
        first, last = max(start, self.start), min(stop, self.stop)
        return (first + self.shift, last + self.shift) if first < last else None


def check_count(n_items: int) -> None:
    """Raise DamagedError if a block counts more items than any program writes."""
    if n_items > _MOST_ITEMS:
        raise DamagedError(f"it counts {n_items} items, more than {_MOST_ITEMS}")


def collect(
    file: BinaryIO, chunks: Iterable[tuple[bytes, int]], skipped: Collection[bytes], name: str, sound: bytes = b""
) -> Blocks:
    """Read the blocks of an open file, `LIMIT` bytes at most; warn of those that are cut off or too large.

    Args:
        file: positioned at the content of each chunk when the iterator yields it.
        chunks: names and sizes, as the file states them.
        skipped: names of chunks that are not metadata.
        name: of the file in warnings.
        sound: name of the chunk that holds the samples.
    """
    blocks: list[Block] = []
    room, leads = LIMIT, True
    for chunk, size in chunks:
        leads = leads and chunk != sound
        if chunk in skipped:
            continue
        if not (chunk.isascii() and chunk.decode().isprintable()):
            log.warning("%s: a chunk has the damaged name %r: the result is without it and what follows", name, chunk)
            break
        if len(blocks) == _MOST_BLOCKS:
            log.warning("%s holds more than %d chunks: the result is without the others", name, _MOST_BLOCKS)
            break
        if size > room:
            n_left = file.seek(0, 2)
            why = "is cut off" if size > n_left else f"exceeds the {LIMIT >> 20} MiB that are carried"
            log.warning("%s: the chunk %s %s: the result is without it", name, show(chunk), why)
            continue
        content = file.read(size)
        if len(content) < size:
            log.warning("%s: the chunk %s is cut off: the result is without it", name, show(chunk))
            break
        room -= size
        blocks.append(Block(chunk, content, leads))
    return tuple(blocks)


def undamaged(blocks: Blocks, check: Callable[[Block], object], name: str) -> Blocks:
    """Return the blocks that `check` can parse; warn of the others."""
    kept = []
    for block in blocks:
        try:
            check(block)
        except ValueError as error:
            log.warning("%s: %s is damaged (%s): the result is without it", name, show(block.name), error)
        else:
            kept.append(block)
    return tuple(kept)


def show(name: bytes) -> str:
    """A name of a block as text for messages."""
    return name.decode("latin-1").strip()


def decode(text: bytes) -> str:
    """Decode a text that ends with a zero byte and is UTF-8 or, in older files, Windows' Latin-1."""
    text = text.split(b"\0")[0]
    try:
        return text.decode()
    except UnicodeDecodeError:
        return text.decode("cp1252", "replace")


def replace_bytes(path: Path, start: int, stop: int, content: bytes) -> None:
    """Replace the bytes [start, stop) of a file in place; what follows moves.

    Raises:
        OSError: the disk is full.
    """
    with path.open("r+b") as file:
        end, shift = file.seek(0, 2), len(content) - (stop - start)
        moved = range(stop, end, _MOVED_AT_ONCE) if shift else range(0)
        for at in reversed(moved) if shift > 0 else moved:
            file.seek(at)
            some = file.read(_MOVED_AT_ONCE)[: end - at]
            file.seek(at + shift)
            file.write(some)
        file.seek(start)
        file.write(content)
        file.truncate(end + shift)
