"""Vorbis comments and pictures, as FLAC and Ogg hold them.

Source: Xiph.Org, Ogg Vorbis I format specification: comment field; RFC 9639 (FLAC), sections 8.6 and 8.8.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Iterable

from vampcli.audio.metadata.base import RECIPE, DamagedError, Tags, Timeline, check_count

COMMENTS = b"VORBIS_COMMENT"
_PICTURE = "METADATA_BLOCK_PICTURE"  # a picture block in base64, in Ogg
_RECIPE_KEYS = ("COMMENT", "VAMP_RECIPE")
_COMMENT_KEYS = {"COMMENT", "DESCRIPTION"}  # FFmpeg exchanges the first for the second
_LOOP_KEYS = ("LOOPSTART", "LOOPLENGTH")  # in samples; as RPG Maker and other players of games read them
_BY_TIME = {*_LOOP_KEYS, "LOOPEND", "CUESHEET"}
_OF_ENCODING = {"ITUNSMPB", "WAVEFORMATEXTENSIBLE_CHANNEL_MASK"}  # describe the file that was read

Entries = tuple[tuple[str, str], ...]
"""Names in upper case, and values."""


def parse(content: bytes) -> tuple[bytes, Entries]:
    """Read vendor and comments.

    Raises:
        DamagedError: they are cut off.
    """
    try:
        (n_vendor,) = struct.unpack_from("<I", content)
        (n_comments,) = struct.unpack_from("<I", content, 4 + n_vendor)
        check_count(n_comments)
        offset, entries = 8 + n_vendor, []
        for _ in range(n_comments):
            (size,) = struct.unpack_from("<I", content, offset)
            if offset + 4 + size > len(content):
                raise DamagedError("a comment is cut off")
            name, _, value = content[offset + 4 : offset + 4 + size].decode("utf-8", "replace").partition("=")
            entries.append((name.upper(), value))
            offset += 4 + size
    except struct.error as error:
        raise DamagedError("the comments are cut off") from error
    return content[4 : 4 + n_vendor], tuple(entries)


def build(vendor: bytes, entries: Iterable[tuple[str, str]]) -> bytes:
    """Write vendor and comments."""
    fields = [f"{_field_name(name)}={value}".encode("utf-8", "replace") for name, value in entries]
    parts = [struct.pack("<I", len(vendor)) + vendor, struct.pack("<I", len(fields))]
    return b"".join(parts + [struct.pack("<I", len(field)) + field for field in fields])


def _field_name(name: str) -> str:
    """A name of allowed characters: ASCII from space to `}`, without `=`."""
    return "".join(c if " " <= c <= "}" and c != "=" else "_" for c in name) or "_"


def to_tags(entries: Entries, pictures: tuple[bytes, ...] = ()) -> Tags:
    """Return comments as tags."""
    inside = []
    for name, value in entries:
        if name == _PICTURE:
            try:
                block = base64.b64decode(value, validate=True)
                parse_picture(block)
            except ValueError:  # of base64, or a DamagedError
                continue
            inside.append(block)
    has_comment = any(name == "COMMENT" for name, _ in entries)
    texts = ((name if has_comment or name != "DESCRIPTION" else "COMMENT", value) for name, value in entries)
    return Tags(tuple(entry for entry in texts if entry[0] != _PICTURE), (*pictures, *inside))


def from_tags(tags: Tags, with_pictures: bool) -> Entries:
    """Return tags as comments, with pictures as comments too if they have no other room."""
    pictures = tags.pictures if with_pictures else ()
    return (*tags.texts, *((_PICTURE, base64.b64encode(picture).decode()) for picture in pictures))


def set_recipe(entries: Entries, text: str) -> Entries:
    """Replace the recipe; it is the comment if there is no other one."""
    others = tuple(entry for entry in entries if RECIPE not in entry[1])
    if not text:
        return others
    has_comment = any(name in _COMMENT_KEYS for name, _ in others)
    return (*others, (_RECIPE_KEYS[has_comment], text))


def set_loop(entries: Entries, start: int, end: int) -> Entries:
    """Replace the loop points: samples [start, end)."""
    others = tuple(entry for entry in entries if entry[0] not in (*_LOOP_KEYS, "LOOPEND"))
    return (*others, *zip(_LOOP_KEYS, (str(start), str(end - start)), strict=True))


def loop(entries: Entries) -> tuple[int, int] | None:
    """Read the loop points: samples [start, end); None without them."""
    values = dict(entries)
    start, length = (values.get(key, "").strip() for key in _LOOP_KEYS)
    if not (_is_count(start) and _is_count(length)):
        return None
    return int(start), int(start) + int(length)


def _is_count(text: str) -> bool:
    return text.isdecimal() and len(text) < 19


def move(entries: Entries, timeline: Timeline | None) -> tuple[Entries, tuple[str, ...]]:
    """Move what counts samples to another time line; return also the names of what was dropped."""
    timed = [name for name, _ in entries if name in _BY_TIME or name.startswith("CHAPTER")]
    kept: Entries = tuple(entry for entry in entries if entry[0] not in timed)
    points = loop(entries)
    if points and timeline and (moved := timeline.move_range(*points)):
        return set_loop(kept, *moved), tuple(name for name in timed if not name.startswith("LOOP"))
    return kept, tuple(timed)


def without_encoding(entries: Entries) -> Entries:
    """Leave out the comments that describe an encoding of the sound."""
    return tuple(entry for entry in entries if entry[0] not in _OF_ENCODING)


def picture(kind: int, mime: str, description: str, data: bytes) -> bytes:
    """Write the content of a picture block; width, height and depth are left open, as the format allows.

    Args:
        kind: of the picture, as in ID3: 3 = front cover.
        mime: such as image/png.
        description: any text.
        data: the picture file.
    """
    texts = b"".join(
        struct.pack(">I", len(part)) + part for part in (mime.encode("ascii", "replace"), description.encode())
    )
    return struct.pack(">I", kind) + texts + bytes(16) + struct.pack(">I", len(data)) + data


def parse_picture(content: bytes) -> tuple[int, str, str, bytes]:
    """Read kind, MIME type, description and data of a picture block.

    Raises:
        DamagedError: it is cut off.
    """
    try:
        kind, n_mime = struct.unpack_from(">2I", content)
        (n_text,) = struct.unpack_from(">I", content, 8 + n_mime)
        start = 12 + n_mime + n_text
        (n_data,) = struct.unpack_from(">16xI", content, start)
    except struct.error as error:
        raise DamagedError("the picture is cut off") from error
    if start + 20 + n_data != len(content):
        raise DamagedError(f"the picture has {len(content) - start - 20} bytes and counts {n_data}")
    mime, text = content[8 : 8 + n_mime], content[12 + n_mime : start]
    data = content[start + 20 : start + 20 + n_data]
    return kind, mime.decode("latin-1"), text.decode("utf-8", "replace"), data
