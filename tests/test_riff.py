"""Loop points are where samplers look for them, and harm nobody else; cue points are read as editors write them."""

from __future__ import annotations

import struct
import wave
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from vampcli.audio.riff import CuePoint, add_loop, append, cue_points, loop_points
from vampcli.errors import InputError

KINDS = [
    ("WAV", "PCM_U8"),
    ("WAV", "PCM_16"),
    ("WAV", "PCM_24"),
    ("WAV", "FLOAT"),
    ("WAV", "DOUBLE"),
    ("RF64", "PCM_24"),
    ("RF64", "FLOAT"),
]


def sound(path: Path, kind: str = "WAV", subtype: str = "PCM_16", n_channels: int = 1, n: int = 101) -> np.ndarray:
    """Write noise: an odd number of samples, so that some formats need a padding byte."""
    x = 0.1 * np.random.default_rng(0).standard_normal((n, n_channels))
    sf.write(path, x, 44100, subtype, format=kind)
    return sf.read(path, always_2d=True)[0]


def mark(path: Path, points: list[CuePoint], position: int | None = None, by_length: bool = True) -> None:
    """Append cue points as editors do: a table, then names, and lengths of what has one (or, as Audition, of all)."""
    table, notes = struct.pack("<I", len(points)), b"adtl"
    for cue, point in enumerate(points, 1):
        place = point.start if position is None else position
        table += struct.pack("<II4sIII", cue, place, b"data", 0, 0, point.start)
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
    place = 12
    while place < len(content):
        name, size = content[place : place + 4], int.from_bytes(content[place + 4 : place + 8], "little")
        if size == 0xFFFFFFFF:
            size = int.from_bytes(found[b"ds64"][8:16], "little")
        found[name] = content[place + 8 : place + 8 + size]
        assert len(found[name]) == size
        place += 8 + size + size % 2
    assert place == len(content)
    counted = content[4:8] if content[:4] == b"RIFF" else found[b"ds64"][:8]
    assert int.from_bytes(counted, "little") == len(content) - 8
    return found


@pytest.mark.parametrize("n_channels", [1, 2])
@pytest.mark.parametrize(("kind", "subtype"), KINDS)
def test_the_chunk_is_that_of_the_format_and_the_sound_stays(
    tmp_path: Path, kind: str, subtype: str, n_channels: int
) -> None:
    path = tmp_path / "a.wav"
    before = sound(path, kind, subtype, n_channels)
    add_loop(path, 10, 90, 44100)
    numbers = struct.unpack("<15I", chunks(path)[b"smpl"])
    assert numbers == (0, 0, 22676, 60, 0, 0, 0, 1, 0, *(0, 0, 10, 89, 0, 0))
    assert np.array_equal(sf.read(path, always_2d=True)[0], before)
    assert sf.info(path).format == kind
    assert loop_points(path) == (10, 90)


def test_libsndfile_finds_the_loop(tmp_path: Path) -> None:
    sound(tmp_path / "a.wav")
    add_loop(tmp_path / "a.wav", 10, 90, 44100)
    log = sf.SoundFile(tmp_path / "a.wav").extra_info
    assert "smpl : 60" in log
    assert "Start :    10" in " ".join(log.split("\n"))


def test_pythons_own_reader_is_not_disturbed(tmp_path: Path) -> None:
    sound(tmp_path / "a.wav")
    with wave.open(str(tmp_path / "a.wav")) as file:
        before = file.readframes(1000)
    add_loop(tmp_path / "a.wav", 0, 101, 44100)
    with wave.open(str(tmp_path / "a.wav")) as file:
        assert file.getnframes() == 101
        assert file.readframes(1000) == before


@pytest.mark.parametrize("kind", ["WAV", "RF64"])
def test_chunks_of_odd_length_are_padded(tmp_path: Path, kind: str) -> None:
    sound(tmp_path / "a.wav", kind, "PCM_24")
    append(tmp_path / "a.wav", b"abcd", b"123")
    add_loop(tmp_path / "a.wav", 1, 2, 44100)
    assert chunks(tmp_path / "a.wav")[b"abcd"] == b"123"
    assert loop_points(tmp_path / "a.wav") == (1, 2)


def test_where_the_last_padding_byte_is_missing_it_is_put(tmp_path: Path) -> None:
    sound(tmp_path / "a.wav", subtype="PCM_U8")
    content = (tmp_path / "a.wav").read_bytes()
    (tmp_path / "a.wav").write_bytes(content[:-1])
    add_loop(tmp_path / "a.wav", 1, 2, 44100)
    assert chunks(tmp_path / "a.wav")[b"data"] == content[-102:-1]


@pytest.mark.parametrize(
    "content", [b"", b"RIFF", b"RIFF\x04\0\0\0WAVE", b"fLaC" * 10, b"RIFF\x10\0\0\0WAVEsmpl\x3c\0\0\0"]
)
def test_what_holds_no_loop_has_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.wav").write_bytes(content)
    assert loop_points(tmp_path / "a.wav") is None


def test_a_sound_without_a_loop_has_none(tmp_path: Path) -> None:
    sound(tmp_path / "a.wav")
    assert loop_points(tmp_path / "a.wav") is None
    append(tmp_path / "a.wav", b"smpl", bytes(36))  # of a sampler, without loops
    assert loop_points(tmp_path / "a.wav") is None


POINTS = [CuePoint(7, 50, "cough"), CuePoint(0, 0, ""), CuePoint(90, 2**31, "Tür"), CuePoint(2**32 - 1, 0, "end")]


@pytest.mark.parametrize("by_length", [True, False])
@pytest.mark.parametrize(("kind", "subtype"), KINDS)
def test_cue_points_come_back(tmp_path: Path, kind: str, subtype: str, by_length: bool) -> None:
    sound(tmp_path / "a.wav", kind, subtype)
    mark(tmp_path / "a.wav", POINTS, by_length=by_length)
    assert cue_points(tmp_path / "a.wav") == (44100, tuple(POINTS))


def test_libsndfile_sees_the_cue_points_that_these_tests_write(tmp_path: Path) -> None:
    sound(tmp_path / "a.wav")
    mark(tmp_path / "a.wav", POINTS[:2])
    log = " ".join(sf.SoundFile(tmp_path / "a.wav").extra_info.split())
    assert "Count : 2" in log
    assert "labl : 1 : cough" in log


def test_recorders_that_leave_the_position_zero_are_understood(tmp_path: Path) -> None:
    sound(tmp_path / "a.wav")  # Sound Devices MixPre: only the offset in the chunk tells the place
    mark(tmp_path / "a.wav", POINTS, position=0)
    assert cue_points(tmp_path / "a.wav")[1] == tuple(POINTS)


def test_cue_points_before_the_sound_beside_other_lists(tmp_path: Path) -> None:
    sound(tmp_path / "a.wav")
    append(tmp_path / "a.wav", b"LIST", b"INFOICMT\x04\0\0\0abc\0")
    mark(tmp_path / "a.wav", POINTS)
    append(tmp_path / "a.wav", b"LIST", b"INFO")
    found = chunks(tmp_path / "a.wav")
    content = (tmp_path / "a.wav").read_bytes()
    start = content.index(b"data")
    data, rest = content[start : start + 8 + len(found[b"data"])], content[start + 8 + len(found[b"data"]) :]
    (tmp_path / "a.wav").write_bytes(content[:start] + rest.removeprefix(b"\0") + data)
    assert cue_points(tmp_path / "a.wav") == (44100, tuple(POINTS))


@pytest.mark.parametrize("content", [b"", b"RIFF", b"fLaC" * 10, b"RIFF\x10\0\0\0WAVEsmpl\x3c\0\0\0"])
def test_what_holds_no_cue_points_has_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.wav").write_bytes(content)
    assert cue_points(tmp_path / "a.wav") == (0, ())


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
def test_damaged_cue_points_are_an_error(tmp_path: Path, name: bytes, content: bytes) -> None:
    sound(tmp_path / "a.wav")
    mark(tmp_path / "a.wav", POINTS)
    append(tmp_path / "a.wav", name, content)
    with pytest.raises(InputError, match="cut off or damaged"):
        cue_points(tmp_path / "a.wav")


def test_sizes_larger_than_any_file_end_the_search(tmp_path: Path) -> None:
    sound(tmp_path / "a.wav", "RF64")
    content = bytearray((tmp_path / "a.wav").read_bytes())
    content[28:36] = b"\xff" * 8
    (tmp_path / "a.wav").write_bytes(content)
    assert cue_points(tmp_path / "a.wav") == (0, ())
    assert loop_points(tmp_path / "a.wav") is None
