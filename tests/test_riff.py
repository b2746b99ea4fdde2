"""Loop points, cue points and comments, against a slow reader of chunks and libsndfile."""

import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from conftest import loop_points
from vampcli.audio.metadata import wav
from vampcli.audio.metadata.carry import read as read_metadata
from vampcli.audio.metadata.wav_time import CuePoint, cue_points
from vampcli.audio.riff import append
from vampcli.errors import InputError


def add_loop(path: Path, start: int, end: int) -> None:
    """Write a sampler's loop."""
    wav.write(path, wav.set_loop((), start, end, 44100))


def read_comment(path: Path) -> str:
    metadata = read_metadata(path)
    return metadata.comment if metadata else ""


KINDS = [
    ("WAV", "PCM_U8"),
    ("WAV", "PCM_16"),
    ("WAV", "PCM_24"),
    ("WAV", "DOUBLE"),
    ("RF64", "FLOAT"),
]


def sound(path: Path, kind: str = "WAV", subtype: str = "PCM_16", n: int = 101) -> np.ndarray:
    """Write noise: an odd number of samples, so that some formats need a padding byte."""
    x = 0.1 * np.random.default_rng(0).standard_normal((n, 1))
    sf.write(path, x, 44100, subtype, format=kind)
    return sf.read(path, always_2d=True)[0]


def mark(path: Path, points: list[CuePoint], position: int | None = None, by_length: bool = True) -> None:
    """Append cue points as editors do: a table, then names, and lengths of regions (or, as Audition, of all)."""
    table, notes = struct.pack("<I", len(points)), b"adtl"
    for cue, point in enumerate(points, 1):
        shown = point.start if position is None else position
        table += struct.pack("<II4sIII", cue, shown, b"data", 0, 0, point.start)
        labl = struct.pack("<I", cue) + point.name.encode() + b"\0"
        notes += b"labl" + struct.pack("<I", len(labl)) + labl + bytes(len(labl) % 2)
        if point.n_samples or not by_length:
            notes += b"ltxt" + struct.pack("<III4s4H", 20, cue, point.n_samples, b"rgn ", 0, 0, 0, 0)
    append(path, b"cue ", table)
    append(path, b"LIST", notes)


def chunks(path: Path) -> dict[bytes, bytes]:
    """The slow way: every chunk of a file, whose sizes and padding have to fit to the byte."""
    content = path.read_bytes()
    assert len(content) % 2 == 0
    found: dict[bytes, bytes] = {}
    offset = 12
    while offset < len(content):
        name, size = content[offset : offset + 4], int.from_bytes(content[offset + 4 : offset + 8], "little")
        if size == 0xFFFFFFFF:
            size = int.from_bytes(found[b"ds64"][8:16], "little")
        found[name] = content[offset + 8 : offset + 8 + size]
        assert len(found[name]) == size
        offset += 8 + size + size % 2
    assert offset == len(content)
    counted = content[4:8] if content[:4] == b"RIFF" else found[b"ds64"][:8]
    assert int.from_bytes(counted, "little") == len(content) - 8
    return found


@pytest.mark.parametrize(("kind", "subtype"), KINDS)
def test_loop_chunk(tmp_path: Path, kind: str, subtype: str) -> None:
    path = tmp_path / "a.wav"
    before = sound(path, kind, subtype)
    add_loop(path, 10, 90)
    numbers = struct.unpack("<15I", chunks(path)[b"smpl"])
    assert numbers == (0, 0, 22676, 60, 0, 0, 0, 1, 0, *(0, 0, 10, 89, 0, 0))
    assert np.array_equal(sf.read(path, always_2d=True)[0], before)
    assert sf.info(path).format == kind
    if kind == "WAV":
        assert "Start :    10" in " ".join(sf.SoundFile(path).extra_info.split("\n"))
    assert loop_points(path) == (10, 90)


@pytest.mark.parametrize("kind", ["WAV", "RF64"])
def test_odd_chunks_are_padded(tmp_path: Path, kind: str) -> None:
    sound(tmp_path / "a.wav", kind, "PCM_24")
    append(tmp_path / "a.wav", b"abcd", b"123")
    add_loop(tmp_path / "a.wav", 1, 2)
    assert chunks(tmp_path / "a.wav")[b"abcd"] == b"123"
    assert loop_points(tmp_path / "a.wav") == (1, 2)


def test_missing_padding_byte_is_added(tmp_path: Path) -> None:
    sound(tmp_path / "a.wav", subtype="PCM_U8")
    content = (tmp_path / "a.wav").read_bytes()
    (tmp_path / "a.wav").write_bytes(content[:-1])
    add_loop(tmp_path / "a.wav", 1, 2)
    assert chunks(tmp_path / "a.wav")[b"data"] == content[-102:-1]


def test_samplers_without_loops(tmp_path: Path) -> None:
    sound(tmp_path / "a.wav")
    append(tmp_path / "a.wav", b"smpl", bytes(36))
    assert loop_points(tmp_path / "a.wav") is None


POINTS = [CuePoint(7, 50, "cough"), CuePoint(0, 0, ""), CuePoint(90, 2**31, "Tür"), CuePoint(2**32 - 1, 0, "end")]


@pytest.mark.parametrize("by_length", [True, False])
@pytest.mark.parametrize(("kind", "subtype"), KINDS)
def test_cue_points_round_trip(tmp_path: Path, kind: str, subtype: str, by_length: bool) -> None:
    sound(tmp_path / "a.wav", kind, subtype)
    mark(tmp_path / "a.wav", POINTS, by_length=by_length)
    assert cue_points(tmp_path / "a.wav") == (44100, tuple(POINTS))


def test_libsndfile_reads_the_cue_points(tmp_path: Path) -> None:
    sound(tmp_path / "a.wav")
    mark(tmp_path / "a.wav", POINTS[:2])
    log = " ".join(sf.SoundFile(tmp_path / "a.wav").extra_info.split())
    assert "Count : 2" in log
    assert "labl : 1 : cough" in log


def test_cue_points_without_positions(tmp_path: Path) -> None:
    sound(tmp_path / "a.wav")  # as Sound Devices MixPre writes them
    mark(tmp_path / "a.wav", POINTS, position=0)
    assert cue_points(tmp_path / "a.wav")[1] == tuple(POINTS)


def test_cue_points_before_the_samples(tmp_path: Path) -> None:
    sound(tmp_path / "a.wav", n=100)
    append(tmp_path / "a.wav", b"LIST", b"INFOICMT\x04\0\0\0abc\0")
    mark(tmp_path / "a.wav", POINTS)
    append(tmp_path / "a.wav", b"LIST", b"INFO")
    content = (tmp_path / "a.wav").read_bytes()
    start = content.index(b"data")
    end = start + 8 + len(chunks(tmp_path / "a.wav")[b"data"])
    (tmp_path / "a.wav").write_bytes(content[:start] + content[end:] + content[start:end])
    assert cue_points(tmp_path / "a.wav") == (44100, tuple(POINTS))


@pytest.mark.parametrize(
    "content", [b"", b"RIFF", b"RIFF\x04\0\0\0WAVE", b"fLaC" * 10, b"RIFF\x10\0\0\0WAVEsmpl\x3c\0\0\0"]
)
def test_files_without_chunks(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.wav").write_bytes(content)
    assert loop_points(tmp_path / "a.wav") is None
    assert cue_points(tmp_path / "a.wav") == (0, ())
    assert read_comment(tmp_path / "a.wav") == ""


@pytest.mark.parametrize("kind", ["WAV", "RF64"])
def test_comments(tmp_path: Path, kind: str) -> None:
    sound(tmp_path / "a.wav", kind)
    assert read_comment(tmp_path / "a.wav") == ""
    mark(tmp_path / "a.wav", POINTS)
    wav.write(tmp_path / "a.wav", wav.set_recipe((), "x" * 9999))
    assert chunks(tmp_path / "a.wav")[b"LIST"].startswith(b"INFOICMT")
    assert read_comment(tmp_path / "a.wav") == "x" * 9999
    (tmp_path / "a.wav").write_bytes((tmp_path / "a.wav").read_bytes()[:-99])
    assert read_comment(tmp_path / "a.wav") == ""


@pytest.mark.parametrize(
    ("name", "content"),
    [
        (b"cue ", b""),
        (b"cue ", b"\x01\0"),
        (b"cue ", b"\xff\xff\xff\xff" + bytes(24)),
        (b"LIST", b"adtlltxt\x02\0\0\0\x01\0"),
        (b"LIST", b"adtlltxt\x04\0\0\0\x01\0\0\0"),
        (b"LIST", b"adtlfile\xff\xff\xff\x7f"),
        (b"LIST", b"adtlltxt\xff\xff\xff\xff" + bytes(40)),
        (b"fmt ", b"\x01\0\x01\0"),
        (b"fmt ", bytes(16)),
    ],
)
def test_damaged_cue_points(tmp_path: Path, name: bytes, content: bytes) -> None:
    sound(tmp_path / "a.wav")
    mark(tmp_path / "a.wav", POINTS)
    append(tmp_path / "a.wav", name, content)
    with pytest.raises(InputError, match="cut off or damaged"):
        cue_points(tmp_path / "a.wav")


def test_sizes_larger_than_the_file(tmp_path: Path) -> None:
    sound(tmp_path / "a.wav", "RF64")
    content = bytearray((tmp_path / "a.wav").read_bytes())
    content[28:36] = b"\xff" * 8
    (tmp_path / "a.wav").write_bytes(content)
    assert cue_points(tmp_path / "a.wav") == (0, ())
    assert loop_points(tmp_path / "a.wav") is None
