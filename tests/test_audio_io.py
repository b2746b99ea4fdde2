"""Reading and writing sound files: exact, whole or not at all."""

import os
import resource
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from conftest import limited, loop_points, music, quiet
from vampcli.audio.formats import BITS, FORMATS, holds
from vampcli.audio.read import read
from vampcli.audio.waveform import Waveform
from vampcli.audio.write import output_format, write
from vampcli.errors import InputError, UsageError

INTEGERS = ["PCM_U8", "PCM_16", "PCM_24", "PCM_32"]


def extreme(subtype: str) -> np.ndarray:
    """Random and extreme samples as libsndfile takes them: (n, 2), integers left-justified in int32."""
    rng = np.random.default_rng(0)
    if subtype in ("FLOAT", "DOUBLE"):
        dtype = np.float32 if subtype == "FLOAT" else np.float64
        numbers = rng.standard_normal((500, 2)).astype(dtype)
        numbers[:8, 0] = [0, -1, 1, 1e-30, -7.25, 1000, np.finfo(dtype).tiny, np.nextafter(dtype(1), dtype(2))]
        return numbers
    low, high = -(2 ** (BITS[subtype] - 1)), 2 ** (BITS[subtype] - 1) - 1
    numbers = rng.integers(low, high + 1, (500, 2))
    numbers[:6, 0] = [low, low + 1, -1, 0, 1, high]
    return (numbers << (32 - BITS[subtype])).astype(np.int32)


# --- read and write


@pytest.mark.parametrize(
    ("source", "target", "subtype", "stored"),
    [
        *(("wav", "wav", subtype, subtype) for subtype in (*INTEGERS, "FLOAT", "DOUBLE")),
        *(("flac", target, subtype, subtype) for target in ("wav", "flac", "aiff") for subtype in ("PCM_16", "PCM_24")),
        ("aiff", "wav", "PCM_S8", "PCM_U8"),
        ("aiff", "aiff", "PCM_S8", "PCM_S8"),
        ("wav", "flac", "PCM_U8", "PCM_S8"),
    ],
)
def test_round_trips_are_exact(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, target: str, subtype: str, stored: str
) -> None:
    monkeypatch.setattr("vampcli.audio.write._BLOCK", 64)
    monkeypatch.setattr("vampcli.audio.sndfile._BLOCK", 64)
    numbers, path = extreme(subtype), tmp_path / f"b.{target}"
    sf.write(tmp_path / f"a.{source}", numbers, 22050, subtype)
    write(path, read(tmp_path / f"a.{source}"))
    again, rate = sf.read(path, dtype=numbers.dtype.name)
    assert np.array_equal(again.view(np.uint8), numbers.view(np.uint8))
    assert (rate, sf.info(path).subtype) == (22050, stored)


@pytest.mark.parametrize(
    ("subtype", "number", "value"),
    [
        ("PCM_U8", 127, 127 / 128),
        ("PCM_16", -32768, -1.0),
        ("PCM_24", 1, 2.0**-23),
        ("PCM_32", 2**31 - 1, 1 - 2.0**-31),
    ],
)
def test_full_scale_is_1(tmp_path: Path, subtype: str, number: int, value: float) -> None:
    sf.write(tmp_path / "a.wav", np.int32([number << (32 - BITS[subtype])]), 8000, subtype)
    assert read(tmp_path / "a.wav").samples.tolist() == [[value]]


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW"])
def test_float64_only_where_needed(tmp_path: Path, subtype: str) -> None:
    sf.write(tmp_path / "a.wav", np.zeros((10, 2)), 8000, subtype)
    clip = read(tmp_path / "a.wav")
    assert clip.samples.dtype == (np.float64 if subtype in ("PCM_32", "DOUBLE") else np.float32)
    assert (clip.n_channels, clip.n_samples, clip.duration_s) == (2, 10, 10 / 8000)


@pytest.mark.parametrize("suffix", [".ogg", ".mp3"])
def test_lossy_formats_become_float(tmp_path: Path, suffix: str) -> None:
    original = Waveform(music(1, 44100, 2), 44100)
    write(tmp_path / f"a{suffix}", original)
    clip = read(tmp_path / f"a{suffix}")
    assert (clip.subtype, clip.samples.shape) == ("FLOAT", original.samples.shape)
    assert np.corrcoef(clip.samples.ravel(), original.samples.ravel())[0, 1] > 0.95
    write(tmp_path / "b.wav", clip)
    assert np.array_equal(read(tmp_path / "b.wav").samples, clip.samples)


def test_minutes_of_ogg(tmp_path: Path) -> None:
    n = 2_100_000  # libsndfile 1.2.2 dies of about 2 million frames in one call
    write(tmp_path / "a.ogg", Waveform(np.zeros((1, n), np.float32), 8000))
    assert sf.info(tmp_path / "a.ogg").frames == n


def test_large_files_become_rf64(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vampcli.audio.write._WAV_LIMIT", 100)
    clip = quiet()
    write(tmp_path / "a.wav", clip)
    assert sf.info(tmp_path / "a.wav").format == "RF64"
    assert np.array_equal(read(tmp_path / "a.wav").samples, clip.samples)


@pytest.mark.parametrize("suffix", [".wav", ".ogg", ".mp3"])
def test_truncated_files_are_read(tmp_path: Path, suffix: str) -> None:
    sf.write(tmp_path / f"a{suffix}", music(1, 44100, 2).T, 44100)
    whole = (tmp_path / f"a{suffix}").read_bytes()
    (tmp_path / f"b{suffix}").write_bytes(whole[: len(whole) // 2])
    clip = read(tmp_path / f"b{suffix}")
    expected = sf.read(tmp_path / f"b{suffix}", dtype="float32")[0].T
    assert 0 < clip.n_samples < 44100
    assert np.array_equal(clip.samples, expected)
    assert clip.samples.flags.c_contiguous


def test_memory_of_reading_and_writing(tmp_path: Path) -> None:
    n_bytes = 2 * 3_000_000 * 4
    clip = Waveform(np.zeros((2, 3_000_000), np.float32), 44100, "PCM_16")
    tracemalloc.start()
    try:
        write(tmp_path / "a.wav", clip)
        written = tracemalloc.get_traced_memory()[1]
        read(tmp_path / "a.wav")
        both = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert written < 0.3 * n_bytes
    assert both < 1.3 * n_bytes


def test_loop_points(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    clip = quiet(2, 1000, "PCM_16")
    write(tmp_path / "a.wav", clip, loop=(100, 900))
    assert loop_points(tmp_path / "a.wav") == (100, 900)
    write(tmp_path / "a.mp3", Waveform(clip.samples, clip.sample_rate), loop=(0, 1000))
    assert "MP3 files hold no loop points" in caplog.text


@pytest.mark.parametrize("loop", [(-1, 5), (5, 5), (0, 1001)])
def test_loop_outside_the_audio(tmp_path: Path, loop: tuple[int, int]) -> None:
    with pytest.raises(UsageError, match="a loop of samples"):
        write(tmp_path / "a.wav", quiet(1, 1000), loop=loop)
    assert files(tmp_path) == []


# --- unreadable files


@pytest.mark.parametrize("content", [b"", b"garbage" * 500, b"RIFF\x24\0\0\0WAVEfmt "])
def test_unreadable_files(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.wav").write_bytes(content)
    sf.write(tmp_path / "b.wav", np.zeros((0, 1)), 44100)
    messages = {
        "a.wav": "cannot read .*a.wav",
        "b.wav": "0 samples",
        "gone.wav": "no such file",
        "": "a folder",
    }
    for name, message in messages.items():
        with pytest.raises(InputError, match=message):
            read(tmp_path / name)


@pytest.mark.parametrize("subtype", ["FLOAT", "DOUBLE"])
def test_nan_and_infinity_are_counted(tmp_path: Path, subtype: str) -> None:
    numbers = np.zeros((100, 2))
    numbers[[3, 5, 7], [0, 1, 1]] = [np.nan, np.inf, -np.inf]
    sf.write(tmp_path / "a.wav", numbers, 44100, subtype)
    with pytest.raises(InputError, match="3 samples that are NaN or infinite, of 200"):
        read(tmp_path / "a.wav")


# --- failures of writing


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("n_channels", [1, 2, 3])
@pytest.mark.parametrize("n_samples", [1, 1000, 1001])
def test_length_of_8_bit_aiff_is_exact(tmp_path: Path, n_samples: int, n_channels: int) -> None:
    audio = quiet(n_channels, n_samples, "PCM_S8")
    write(tmp_path / "a.aiff", audio, comment="odd", loop=(0, n_samples))
    found = read(tmp_path / "a.aiff")
    assert found.samples.shape == audio.samples.shape
    assert np.abs(found.samples - audio.samples).max() <= 0.5 / 128


def test_overwriting(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"precious")
    with pytest.raises(InputError, match="exists"):
        write(tmp_path / "a.wav", quiet())
    assert (tmp_path / "a.wav").read_bytes() == b"precious"
    write(tmp_path / "a.wav", quiet(), overwrite=True)
    assert np.array_equal(read(tmp_path / "a.wav").samples, quiet().samples)
    assert files(tmp_path) == ["a.wav"]


@pytest.mark.parametrize(
    ("name", "rate", "error", "message"),
    [
        *((name, 44100, UsageError, "unknown sound format") for name in ("a.txt", "a", "a.wave")),
        ("none/a.wav", 44100, InputError, "cannot write"),
        ("a.mp3", 12345, InputError, "cannot hold 1 channels at 12345 Hz"),
    ],
)
def test_impossible_outputs(tmp_path: Path, name: str, rate: int, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        write(tmp_path / name, Waveform(quiet().samples, rate))
    assert files(tmp_path) == []


@pytest.mark.parametrize("missing", [1, 0.5])
@pytest.mark.parametrize("suffix", sorted(FORMATS))
def test_full_disk_keeps_old_file(tmp_path: Path, suffix: str, missing: float) -> None:
    path, clip = tmp_path / f"a{suffix}", Waveform(music(0.5, 44100), 44100, "PCM_16")
    write(path, clip)
    before = path.read_bytes()
    room = len(before) - missing if missing >= 1 else len(before) * missing
    with limited(resource.RLIMIT_FSIZE, int(room)), pytest.raises(InputError, match="cannot write"):
        write(path, clip, overwrite=True)
    assert path.read_bytes() == before
    assert files(tmp_path) == [path.name]


def test_file_permissions_follow_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write(tmp_path / "a.wav", quiet())
    finally:
        os.umask(before)
    assert (tmp_path / "a.wav").stat().st_mode & 0o777 == 0o640


# --- sample formats


@pytest.mark.parametrize(
    ("stored", "held"),
    [
        ("PCM_S8", {"PCM_U8"}),
        ("PCM_U8", {"PCM_U8"}),
        ("PCM_16", {"PCM_U8", "PCM_16"}),
        ("PCM_24", {"PCM_U8", "PCM_16", "PCM_24"}),
        ("PCM_32", {"PCM_U8", "PCM_16", "PCM_24", "PCM_32"}),
        ("FLOAT", {"PCM_U8", "PCM_16", "PCM_24", "FLOAT"}),
        ("DOUBLE", {"PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"}),
        ("VORBIS", set()),
        ("MPEG_LAYER_III", set()),
    ],
)
def test_holds(stored: str, held: set[str]) -> None:
    assert {original for original in [*INTEGERS, "FLOAT", "DOUBLE"] if holds(stored, original)} == held


@pytest.mark.parametrize(
    ("name", "subtype", "expected"),
    [
        ("a.wav", "PCM_U8", ("WAV", "PCM_U8")),
        ("A.WAV", "DOUBLE", ("WAV", "DOUBLE")),
        ("a.flac", "PCM_U8", ("FLAC", "PCM_S8")),
        ("a.flac", "PCM_16", ("FLAC", "PCM_16")),
        ("a.flac", "FLOAT", ("FLAC", "PCM_24")),
        ("a.aif", "PCM_24", ("AIFF", "PCM_24")),
        ("a.ogg", "PCM_16", ("OGG", "VORBIS")),
        ("a.mp3", "FLOAT", ("MP3", "MPEG_LAYER_III")),
    ],
)
def test_suffix_selects_the_container(name: str, subtype: str, expected: tuple[str, str]) -> None:
    assert output_format(name, subtype) == expected


def test_inexact_formats_are_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(tmp_path / "a.wav", quiet(subtype="PCM_16"), "PCM_24")
    assert not caplog.records
    write(tmp_path / "a.flac", quiet(subtype="FLOAT"))
    assert "PCM_24 cannot hold FLOAT samples exactly" in caplog.text


@pytest.mark.parametrize("subtype", INTEGERS)
def test_samples_are_rounded_and_clamped(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, subtype: str
) -> None:
    monkeypatch.setattr("vampcli.audio.write._BLOCK", 2)
    step = 2.0 ** (1 - BITS[subtype])
    samples = np.array([[1.0, 5.0, -1.0, -1.0 - step, 1 - step, 0.4 * step, 0.6 * step, -0.4 * step, -0.6 * step]])
    write(tmp_path / "a.wav", Waveform(samples, 44100, subtype))
    assert [record.getMessage() for record in caplog.records] == [
        "a.wav: 3 samples were too loud for the format and clamped"
    ]
    expected = [1 - step, 1 - step, -1.0, -1.0, 1 - step, 0, step, 0, -step]
    assert read(tmp_path / "a.wav").samples.tolist() == [expected]


def test_mp3_blocks_equal_one_read(tmp_path: Path) -> None:
    """MP3 decoders need what came before: a seek between blocks leaves marks."""
    t = np.arange(4 * 44100) / 44100
    tones = ((220, 1), (331.7, 2), (1234.5, 3))
    x = sum(0.2 * np.sin(2 * np.pi * f * t) * (1 + 0.5 * np.sin(2 * np.pi * slow * t)) for f, slow in tones)
    sf.write(tmp_path / "a.mp3", np.c_[x, x[::-1]], 44100)
    whole, _ = sf.read(tmp_path / "a.mp3", dtype="float32")
    assert np.array_equal(read(tmp_path / "a.mp3").samples.T, whole)
