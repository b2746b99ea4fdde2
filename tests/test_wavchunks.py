"""Loop points are where samplers look for them, and harm nobody else."""

from __future__ import annotations

import struct
import wave
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from vampcli.wavchunks import add_loop, append, loop_points

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
