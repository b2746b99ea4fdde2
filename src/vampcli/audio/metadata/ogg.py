"""The comments of Ogg files, which are written anew by laying out the pages of the headers again.

Source: RFC 3533 (Ogg pages); Xiph.Org, Ogg Vorbis I format specification (headers); RFC 7845 (Opus).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from vampcli.audio.metadata import vorbis
from vampcli.audio.metadata.base import LIMIT, Block, Blocks, DamagedError, Tags, Timeline, log, undamaged

_HEAD = struct.Struct("<4sBBqIIIB")  # magic, version, flags, position, stream, number, checksum, segments
_VORBIS, _OPUS = b"\x03vorbis", b"OpusTags"
_CONTINUED = 1
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


class Page(NamedTuple):
    """A page: flags, position in samples, number of its stream, sizes of its segments, content."""

    flags: int
    position: int
    stream: int
    segments: bytes
    content: bytes


def read(path: Path, name: str) -> Blocks:
    """Read the comments of the first stream of a file."""
    with path.open("rb") as file:
        try:
            packet = _packets(file, 2)[1]
        except DamagedError as error:
            log.warning("%s: the comments are damaged (%s): the result is without them", name, error)
            return ()
    head = next((head for head in (_VORBIS, _OPUS) if packet.startswith(head)), None)
    if head is None:
        return ()
    blocks = undamaged((Block(vorbis.COMMENTS, packet[len(head) :]),), lambda b: vorbis.parse(b.content), name)
    return _replaced(vorbis.without_encoding(_entries(blocks)))


def _pages(file: BinaryIO) -> Iterator[Page]:
    while len(head := file.read(_HEAD.size)) == _HEAD.size:
        magic, _, flags, position, stream, _, _, n_segments = _HEAD.unpack(head)
        if magic != b"OggS":
            raise DamagedError("a page does not begin where it should")
        segments = file.read(n_segments)
        yield Page(flags, position, stream, segments, file.read(sum(segments)))


def _packets(file: BinaryIO, n: int) -> list[bytes]:
    """Read the first packets of the first stream.

    Raises:
        DamagedError: they are cut off, or too large.
    """
    packets, parts, size, stream = [], [], 0, None
    for page in _pages(file):
        stream = page.stream if stream is None else stream
        if page.stream != stream:
            continue
        offset = 0
        for segment in page.segments:
            parts.append(page.content[offset : offset + segment])
            offset, size = offset + segment, size + segment
            if segment < 255:
                packets.append(b"".join(parts))
                parts = []
            if len(packets) == n:
                return packets
            if size > LIMIT:
                raise DamagedError(f"they exceed {LIMIT >> 20} MiB")
    raise DamagedError("they are cut off")


def write(path: Path, blocks: Blocks) -> None:
    """Put comments into a Vorbis file that libsndfile has written.

    The pages of comments and setup are laid out again, the others get new numbers and checksums.

    Raises:
        OSError: the disk is full.
    """
    if not blocks:
        return
    with path.open("rb") as file:
        pages = list(_pages(file))
        file.seek(0)
        _, comments, setup = _packets(file, 3)
    vendor, _ = vorbis.parse(comments[len(_VORBIS) :])
    comments = _VORBIS + vorbis.build(vendor, _entries(blocks)) + b"\1"
    n_packets = n_headers = 0  # the setup ends its page: sound begins on a new one
    while n_packets < 3:
        n_packets += sum(segment < 255 for segment in pages[n_headers].segments)
        n_headers += 1
    whole = [pages[0], *_lay_out((comments, setup), pages[0].stream), *pages[n_headers:]]
    with path.open("wb") as file:
        for number, page in enumerate(whole):
            file.write(_page_bytes(page, number))


def _lay_out(packets: tuple[bytes, ...], stream: int) -> Iterator[Page]:
    """Distribute header packets over pages of at most 255 segments."""
    segments = b"".join(b"\xff" * (len(packet) // 255) + bytes([len(packet) % 255]) for packet in packets)
    content, offset = b"".join(packets), 0
    for start in range(0, len(segments), 255):
        some = segments[start : start + 255]
        ends = any(segment < 255 for segment in some)
        flags = _CONTINUED if start and segments[start - 1] == 255 else 0
        yield Page(flags, 0 if ends else -1, stream, some, content[offset : offset + sum(some)])
        offset += sum(some)


def _page_bytes(page: Page, number: int) -> bytes:
    rest = page.segments + page.content
    head = (b"OggS", 0, page.flags, page.position, page.stream, number)
    checksum = _checksum(_HEAD.pack(*head, 0, len(page.segments)) + rest)
    return _HEAD.pack(*head, checksum, len(page.segments)) + rest


def _checksum(data: bytes) -> int:
    """CRC-32 with the bits of zlib's in reverse order, and zero as its start and final mask."""
    mirrored = zlib.crc32(data.translate(_REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{mirrored:032b}"[::-1], 2)


def _entries(blocks: Blocks) -> vorbis.Entries:
    return vorbis.parse(blocks[0].content)[1] if blocks else ()


def _replaced(entries: vorbis.Entries) -> Blocks:
    return (Block(vorbis.COMMENTS, vorbis.build(b"", entries)),) if entries else ()


def to_tags(blocks: Blocks) -> Tags:
    """Return what other containers can hold."""
    return vorbis.to_tags(_entries(blocks))


def from_tags(tags: Tags) -> Blocks:
    """Return tags as comments."""
    return _replaced(vorbis.from_tags(tags, with_pictures=True))


def set_recipe(blocks: Blocks, text: str) -> Blocks:
    """Replace the recipe; it is the comment if there is no other one."""
    return _replaced(vorbis.set_recipe(_entries(blocks), text))


def set_loop(blocks: Blocks, start: int, end: int, sample_rate: int) -> Blocks:
    """Replace the loop points: samples [start, end)."""
    return _replaced(vorbis.set_loop(_entries(blocks), start, end))


def loop(blocks: Blocks) -> tuple[int, int] | None:
    """Read the loop points: samples [start, end); None without them."""
    return vorbis.loop(_entries(blocks))


def move(blocks: Blocks, timeline: Timeline | None) -> tuple[Blocks, tuple[str, ...]]:
    """Move what counts samples to another time line; return also the names of what was dropped."""
    entries, lost = vorbis.move(_entries(blocks), timeline)
    return _replaced(entries), lost
