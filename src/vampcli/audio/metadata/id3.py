"""Texts, pictures and recipes in ID3v2 tags, which stand before the sound of MP3 files and in a chunk of WAV and AIFF.

Frames that mean nothing here are kept as they are.

Source: id3.org, ID3 tag version 2.2, 2.3.0 and 2.4.0.
"""

from __future__ import annotations

from dataclasses import replace

from vampcli.audio.metadata import vorbis
from vampcli.audio.metadata.base import RECIPE, Tags
from vampcli.audio.metadata.id3_frames import Frame, Tag, build, parse

_CODECS = ("latin-1", "utf-16", "utf-16-be", "utf-8")
_TEXTS = {
    "TIT2": "TITLE",
    "TPE1": "ARTIST",
    "TALB": "ALBUM",
    "TDRC": "DATE",
    "TYER": "DATE",
    "TCON": "GENRE",
    "TRCK": "TRACKNUMBER",
    "TPOS": "DISCNUMBER",
    "TPE2": "ALBUMARTIST",
    "TCOM": "COMPOSER",
    "TCOP": "COPYRIGHT",
    "TBPM": "BPM",
    "TKEY": "INITIALKEY",
    "TSRC": "ISRC",
    "TPUB": "PUBLISHER",
    "TLAN": "LANGUAGE",
    "TIT1": "GROUPING",
    "TIT3": "SUBTITLE",
    "TEXT": "LYRICIST",
    "TPE3": "CONDUCTOR",
    "TENC": "ENCODED-BY",
    "TSSE": "ENCODER",
}
_V2 = {
    **{"TT2": "TIT2", "TP1": "TPE1", "TAL": "TALB", "TYE": "TYER", "TCO": "TCON", "TRK": "TRCK", "TPA": "TPOS"},
    **{"TP2": "TPE2", "TCM": "TCOM", "TCR": "TCOP", "TBP": "TBPM", "TKE": "TKEY", "TRC": "TSRC", "TPB": "TPUB"},
    **{"TLA": "TLAN", "TT1": "TIT1", "TT3": "TIT3", "TXT": "TEXT", "TP3": "TPE3", "TEN": "TENC", "TSS": "TSSE"},
    **{"TXX": "TXXX", "COM": "COMM", "PIC": "APIC", "ULT": "USLT", "MLL": "MLLT", "ETC": "ETCO", "STC": "SYTC"},
    **{"SLT": "SYLT", "TLE": "TLEN", "POS": "POSS"},
}
"""Names of version 2.2, and those of later versions."""
_OF_ENCODING = {"MLLT", "ASPI", "SEEK"}  # bytes of the file that was read
_BY_TIME = {"CHAP", "CTOC", "SYLT", "ETCO", "SYTC", "TLEN", "POSS"}
_OF_ITUNES = "ITUN"  # comments that a program wrote for itself: volumes, gaps


def kind(frame: Frame) -> str:
    """Return the name of a frame in versions 2.3 and 2.4."""
    name = frame.name.decode("ascii")
    return _V2.get(name, name)


def _plain(frame: Frame, tag: Tag) -> bytes | None:
    """The content of a frame; None if it is compressed or encrypted."""
    body = frame.body
    if tag.version == 3:
        return None if frame.flags[1] & 0xC0 else body[bool(frame.flags[1] & 0x20) :]  # a byte names a group
    if tag.version == 4:
        if frame.flags[1] & 0x0C:
            return None
        body = body[bool(frame.flags[1] & 0x40) :]
        body = body[4 * (frame.flags[1] & 0x01) :]  # a length
    return body


def _split(body: bytes, codec: int) -> tuple[bytes, bytes]:
    """Split a text and what follows its end, which is one zero byte, or two in UTF-16."""
    width = 2 if codec in (1, 2) else 1
    for i in range(0, len(body), width):
        if body[i : i + width] == bytes(width):
            return body[:i], body[i + width :]
    return body, b""


def _decode(text: bytes, codec: int) -> str:
    return text.decode(_CODECS[codec], "replace").replace("\ufeff", "").strip("\0")


def _described(body: bytes, n_skipped: int) -> tuple[str, str]:
    """Description and text of a frame that has both."""
    codec = body[0] if body and body[0] < len(_CODECS) else 0
    described, text = _split(body[1 + n_skipped :], codec)
    return _decode(described, codec), _decode(text, codec)


def _entries(frame: Frame, tag: Tag) -> list[tuple[str, str]] | None:
    """The texts of a frame; None if it has no equivalent among the tags."""
    name, body = kind(frame), _plain(frame, tag)
    if body is None:
        return None
    if name in ("TXXX", "COMM", "USLT"):
        described, text = _described(body, 0 if name == "TXXX" else 3)
        if name == "TXXX":
            return [(described.upper() or "TXXX", text)]
        if described.upper().startswith(_OF_ITUNES):
            return []
        return [("LYRICS" if name == "USLT" else "COMMENT", text)]
    if name in _TEXTS:
        codec = body[0] if body and body[0] < len(_CODECS) else 0
        return [(_TEXTS[name], text) for text in _decode(body[1:], codec).split("\0") if text]
    return None


def _picture(frame: Frame, tag: Tag) -> bytes | None:
    body = _plain(frame, tag)
    if kind(frame) != "APIC" or not body or body[0] >= len(_CODECS):
        return None
    if tag.version == 2:
        image = body[1:4].decode("latin-1").lower()
        mime, rest = f"image/{'jpeg' if image == 'jpg' else image}", body[4:]
    else:
        text, rest = _split(body[1:], 0)
        mime = text.decode("latin-1")
    if not rest:
        return None
    described, data = _split(rest[1:], body[0])
    return vorbis.picture(rest[0], mime, _decode(described, body[0]), data)


def to_tags(content: bytes) -> Tags:
    """Return the texts and pictures of a tag, the tag itself, and the names of its other frames.

    Raises:
        DamagedError: the tag is damaged.
    """
    tag = parse(content)
    texts: list[tuple[str, str]] = []
    pictures, lost = [], []
    for frame in tag.frames:
        if (image := _picture(frame, tag)) is not None:
            pictures.append(image)
        elif (found := _entries(frame, tag)) is not None:
            texts += found
        else:
            lost.append(kind(frame))
    return Tags(tuple(texts), tuple(pictures), content, lost_frames=tuple(dict.fromkeys(lost)))


def from_tags(tags: Tags) -> bytes:
    """Return a tag with the frames of the tag within `tags`, and all texts and pictures that it lacks."""
    tag = parse(tags.id3) if tags.id3 else Tag()
    known = to_tags(tags.id3) if tags.id3 else Tags()
    there = {name for name, _ in known.texts}
    values: dict[str, list[str]] = {}
    for name, value in tags.texts:
        if name not in there:
            values.setdefault(name, []).append(value)
    added = [_text_frame(tag.version, name, texts) for name, texts in values.items()]
    pictures = [_picture_frame(tag.version, one) for one in tags.pictures if one not in known.pictures]
    return build(replace(tag, frames=(*tag.frames, *added, *pictures)))


def _text_frame(version: int, name: str, texts: list[str]) -> Frame:
    """The frame for a name of Vorbis comments."""
    if name == "COMMENT":
        return _frame(version, "COMM", b"XXX", "", "\n".join(texts))
    known = {text: frame for frame, text in _TEXTS.items() if not (frame == "TYER" and version == 4)}
    if name not in known or (version == 2 and known[name] not in _V2.values()):
        return _frame(version, "TXXX", b"", name, "; ".join(texts))
    if name == "DATE" and version < 4:
        texts = [texts[0][:4]]
    joined = ("\0" if version == 4 else "/").join(texts)
    codec, encoded = _encode(joined, version)
    return _named(version, known[name], bytes([codec]) + encoded)


def _frame(version: int, name: str, language: bytes, described: str, text: str) -> Frame:
    codec, _ = _encode(described + text, version)
    parts = [(t.encode(_CODECS[codec])) for t in (described + "\0", text)]
    return _named(version, name, bytes([codec]) + language + b"".join(parts))


def _encode(text: str, version: int) -> tuple[int, bytes]:
    """Latin-1 for ASCII, else UTF-8, or UTF-16 before version 2.4."""
    codec = 0 if text.isascii() else 3 if version == 4 else 1
    return codec, text.encode(_CODECS[codec], "replace")


def _picture_frame(version: int, block: bytes) -> Frame:
    kind_of, mime, described, data = vorbis.parse_picture(block)
    codec, text = _encode(described + "\0", version)
    if version == 2:
        image = "JPG" if "jp" in mime else mime.rpartition("/")[2].upper()[:3].ljust(3)
        head = image.encode("latin-1", "replace")
    else:
        head = mime.encode("latin-1", "replace") + b"\0"
    return _named(version, "APIC", bytes([codec]) + head + bytes([kind_of & 0xFF]) + text + data)


def _named(version: int, name: str, body: bytes) -> Frame:
    if version == 2:
        short = next(two for two, three in _V2.items() if three == name)
        return Frame(short.encode(), b"", body)
    return Frame(name.encode(), bytes(2), body)


def set_recipe(content: bytes, text: str) -> bytes:
    """Replace the recipe in a tag; it is the comment if there is no other one. Returns nothing if nothing is left."""
    tag = parse(content) if content else Tag()
    frames = tuple(frame for frame in tag.frames if not _holds_recipe(frame, tag))
    if text:
        entries = [entry for frame in frames for entry in _entries(frame, tag) or []]
        has_comment = any(name == "COMMENT" for name, _ in entries)
        shown = ("TXXX", b"", RECIPE) if has_comment else ("COMM", b"XXX", "")
        frames = (*frames, _frame(tag.version, *shown, text))
    return build(replace(tag, frames=frames)) if frames else b""


def _holds_recipe(frame: Frame, tag: Tag) -> bool:
    return any(RECIPE in value for _, value in _entries(frame, tag) or [])


def move(content: bytes, same: bool) -> tuple[bytes, tuple[str, ...]]:
    """Leave out frames that count bytes or, on another time line, time; return also the names of the latter."""
    tag = parse(content)
    timed = [] if same else [kind(frame) for frame in tag.frames if kind(frame) in _BY_TIME]
    frames = tuple(
        f for f in tag.frames if kind(f) not in _OF_ENCODING and kind(f) not in timed and not _is_gap(f, tag)
    )
    if frames == tag.frames:
        return content, ()
    return build(replace(tag, frames=frames)) if frames else b"", tuple(timed)


def _is_gap(frame: Frame, tag: Tag) -> bool:
    """Say whether a frame holds the encoder's delay, as iTunes writes it."""
    name, body = kind(frame), _plain(frame, tag)
    if name not in ("COMM", "TXXX") or body is None:
        return False
    return _described(body, 3 if name == "COMM" else 0)[0].upper() == "ITUNSMPB"
