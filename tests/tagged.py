"""Sound files with metadata, made by bytes as other programs write them."""

import struct
from pathlib import Path

import numpy as np
import soundfile as sf

from vampcli.audio.metadata import aiff, flac, mp3, ogg, vorbis, wav
from vampcli.audio.metadata.base import Block

RATE = 44100
PICTURE = vorbis.picture(3, "image/png", "front", b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 3)
TAGS = (
    ("TITLE", "Ttle"),
    ("ARTIST", "Björk"),
    ("ALBUM", "Al"),
    ("DATE", "2024"),
    ("COMMENT", "mine"),
    ("MOOD", "calm"),
)


def item(name: bytes, content: bytes) -> bytes:
    """A chunk within a chunk."""
    return name + struct.pack("<I", len(content)) + content + bytes(len(content) % 2)


def id3(*frames: tuple[bytes, bytes], version: int = 3, flags: int = 0, extra: bytes = b"") -> bytes:
    """An ID3 tag; sizes of frames are those of its version."""
    body = extra
    for name, content in frames:
        n = len(content)
        size = n.to_bytes(3 if version == 2 else 4, "big") if version < 4 else synchsafe(n)
        body += name + size + (b"" if version == 2 else b"\0\0") + content
    return b"ID3" + bytes([version, 0, flags]) + synchsafe(len(body)) + body


def synchsafe(n: int) -> bytes:
    return bytes(n >> shift & 127 for shift in (21, 14, 7, 0))


def bext(reference: int) -> bytes:
    head = b"Take 3".ljust(256, b"\0") + b"Recorder".ljust(64, b"\0") + b"2026-01-0203:04:05"
    return head + struct.pack("<Q", reference) + bytes(256) + b"A=PCM\r\n"


def ixml(reference: int) -> bytes:
    high, low = reference >> 32, reference & 0xFFFFFFFF
    times = b"<TIMESTAMP_SAMPLES_SINCE_MIDNIGHT_HI>%d</X><TIMESTAMP_SAMPLES_SINCE_MIDNIGHT_LO>%d</X>" % (high, low)
    return b"<BWFXML><TAKE>3</TAKE>" + times + b"</BWFXML>"


def cue(*points: tuple[int, int]) -> bytes:
    packed = (struct.pack("<II4sIII", number, at, b"data", 0, 0, at) for number, at in points)
    return struct.pack("<I", len(points)) + b"".join(packed)


def adtl(*numbers: int) -> bytes:
    names = (item(b"labl", struct.pack("<I", number) + b"verse\0") for number in numbers)
    regions = (item(b"ltxt", struct.pack("<II4s4H", number, 500, b"rgn ", 0, 0, 0, 0)) for number in numbers)
    return b"adtl" + b"".join(names) + b"".join(regions)


def smpl(*loops: tuple[int, int]) -> bytes:
    packed = (struct.pack("<6I", 0, 0, start, end - 1, 0, 0) for start, end in loops)
    return struct.pack("<9I", 0, 0, 22676, 48, 0, 0, 0, len(loops), 0) + b"".join(packed)


def acid(n_beats: int, bpm: float = 120.0, kind: int = 0) -> bytes:
    return struct.pack("<IHHfIHHf", kind, 48, 0x8000, 0.0, n_beats, 4, 4, bpm)


INFO = b"INFO" + item(b"INAM", b"My Title\0") + item(b"ICMT", b"a comment of my own\0") + item(b"ISFT", b"DAW\0")
ID3 = id3((b"TIT2", b"\3My Title"), (b"TBPM", b"\x00120"), (b"PRIV", b"owner\0\1\2\3"))
CHUNKS = (
    Block(b"bext", bext(48000 * 60), leads=True),
    Block(b"iXML", ixml(48000 * 60)),
    Block(b"cue ", cue((1, 22050), (2, 44100))),
    Block(b"LIST", adtl(1, 2)),
    Block(b"smpl", smpl((1000, 40_000))),
    Block(b"acid", acid(2)),
    Block(b"LIST", INFO),
    Block(b"id3 ", ID3),
    Block(b"_PMX", b"<x/>"),
)


def sound(path: Path, n: int = RATE, seed: int = 0) -> Path:
    """Noise in a format that the suffix names."""
    x = 0.1 * np.random.default_rng(seed).standard_normal((n, 2))
    sf.write(path, x, RATE, **({"subtype": "PCM_16"} if path.suffix in (".wav", ".flac", ".aiff") else {}))
    return path


def tagged_wav(path: Path, *chunks: Block, n: int = RATE) -> Path:
    """A WAV file with chunks."""
    wav.write(sound(path, n), chunks or CHUNKS)
    return path


def tagged(path: Path, n: int = RATE) -> Path:
    """A file of any format with title, artist, album, date, comment, a free text and a picture."""
    container = {".wav": wav, ".aiff": aiff, ".flac": flac, ".ogg": ogg, ".mp3": mp3}[path.suffix]
    tags = vorbis.to_tags(TAGS, (PICTURE,))
    container.write(sound(path, n), container.from_tags(tags))
    return path
