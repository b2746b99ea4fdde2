"""Sound is read and written exactly, whole or not at all."""

from __future__ import annotations

import logging
import os
import resource
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from conftest import music, quiet
from vampcli.audio.formats import BITS, FORMATS, holds
from vampcli.audio.io import output_format, read, write
from vampcli.audio.riff import loop_points
from vampcli.audio.waveform import Waveform
from vampcli.errors import InputError, UsageError

INTEGERS = ["PCM_U8", "PCM_16", "PCM_24", "PCM_32"]


def extreme_integers(subtype: str, n_channels: int = 2) -> np.ndarray:
    """Random and extreme samples, left-justified int32 (n, n_channels), as libsndfile takes them."""
    bits = BITS[subtype]
    low, high = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    numbers = np.random.default_rng(0).integers(low, high + 1, (500, n_channels))
    numbers[:6, 0] = [low, low + 1, -1, 0, 1, high]
    return (numbers << (32 - bits)).astype(np.int32)


def extreme_floats(dtype: type) -> np.ndarray:
    """Random and extreme numbers: (n, 2)."""
    numbers = np.random.default_rng(0).standard_normal((500, 2)).astype(dtype)
    numbers[:8, 0] = [0, -1, 1, 1e-30, -7.25, 1000, np.finfo(dtype).tiny, np.nextafter(dtype(1), dtype(2))]
    return numbers


# --- read and write


@pytest.mark.parametrize("n_channels", [1, 2, 6])
@pytest.mark.parametrize("subtype", INTEGERS)
def test_integers_in_wav_come_back_to_the_bit(tmp_path: Path, subtype: str, n_channels: int) -> None:
    numbers = extreme_integers(subtype, n_channels)
    sf.write(tmp_path / "a.wav", numbers, 22050, subtype)
    write(tmp_path / "b.wav", read(tmp_path / "a.wav"))
    again, rate = sf.read(tmp_path / "b.wav", dtype="int32", always_2d=True)
    assert np.array_equal(again, numbers)
    assert (rate, sf.info(tmp_path / "b.wav").subtype) == (22050, subtype)


@pytest.mark.parametrize(("subtype", "dtype"), [("FLOAT", np.float32), ("DOUBLE", np.float64)])
def test_floats_in_wav_come_back_to_the_bit(tmp_path: Path, subtype: str, dtype: type) -> None:
    numbers = extreme_floats(dtype)
    sf.write(tmp_path / "a.wav", numbers, 96000, subtype)
    write(tmp_path / "b.wav", read(tmp_path / "a.wav"))
    again, rate = sf.read(tmp_path / "b.wav", dtype=dtype.__name__)
    assert np.array_equal(again.view(np.uint8), numbers.view(np.uint8))
    assert (rate, sf.info(tmp_path / "b.wav").subtype) == (96000, subtype)


@pytest.mark.parametrize("target", ["b.wav", "b.flac", "b.aiff"])
@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24"])
def test_flac_keeps_its_bits(tmp_path: Path, subtype: str, target: str) -> None:
    numbers = extreme_integers(subtype)
    sf.write(tmp_path / "a.flac", numbers, 44100, subtype)
    write(tmp_path / target, read(tmp_path / "a.flac"))
    assert np.array_equal(sf.read(tmp_path / target, dtype="int32")[0], numbers)
    assert sf.info(tmp_path / target).subtype == subtype


def test_signed_and_unsigned_8_bit_hold_each_other(tmp_path: Path) -> None:
    numbers = extreme_integers("PCM_S8")
    sf.write(tmp_path / "a.aiff", numbers, 44100, "PCM_S8")
    write(tmp_path / "b.wav", read(tmp_path / "a.aiff"))
    write(tmp_path / "c.flac", read(tmp_path / "b.wav"))
    assert sf.info(tmp_path / "b.wav").subtype == "PCM_U8"
    assert np.array_equal(sf.read(tmp_path / "c.flac", dtype="int32")[0], numbers)


@pytest.mark.parametrize(
    ("subtype", "number", "value"),
    [
        ("PCM_U8", 127, 127 / 128),
        ("PCM_16", -32768, -1.0),
        ("PCM_16", 32767, 32767 / 32768),
        ("PCM_24", 1, 2.0**-23),
        ("PCM_32", 2**31 - 1, 1 - 2.0**-31),
        ("PCM_32", 1, 2.0**-31),
    ],
)
def test_full_scale_is_1(tmp_path: Path, subtype: str, number: int, value: float) -> None:
    sf.write(tmp_path / "a.wav", np.int32([number << (32 - BITS[subtype])]), 8000, subtype)
    assert read(tmp_path / "a.wav").samples.tolist() == [[value]]


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW"])
def test_samples_are_float64_only_where_float32_is_too_short(tmp_path: Path, subtype: str) -> None:
    sf.write(tmp_path / "a.wav", np.zeros((10, 2)), 8000, subtype)
    clip = read(tmp_path / "a.wav")
    assert clip.samples.dtype == (np.float64 if subtype in ("PCM_32", "DOUBLE") else np.float32)
    assert (clip.n_channels, clip.n_samples, clip.duration_s) == (2, 10, 10 / 8000)


@pytest.mark.parametrize("suffix", [".ogg", ".mp3"])
def test_what_was_compressed_with_loss_becomes_float(tmp_path: Path, suffix: str) -> None:
    sf.write(tmp_path / f"a{suffix}", music(0.5, 44100).T, 44100)
    clip = read(tmp_path / f"a{suffix}")
    assert clip.subtype == "FLOAT"
    write(tmp_path / "b.wav", clip)
    assert np.array_equal(read(tmp_path / "b.wav").samples, clip.samples)


@pytest.mark.parametrize("suffix", [".ogg", ".mp3"])
def test_compressed_sound_is_written_whole(tmp_path: Path, suffix: str) -> None:
    clip = Waveform(music(1, 44100, 2), 44100)
    write(tmp_path / f"a{suffix}", clip)
    again = read(tmp_path / f"a{suffix}").samples
    assert again.shape == clip.samples.shape
    assert np.corrcoef(again.ravel(), clip.samples.ravel())[0, 1] > 0.95


def test_minutes_of_ogg_do_not_crash(tmp_path: Path) -> None:
    n = 2_100_000  # libsndfile 1.2.2 dies of about 2 million frames in one call
    write(tmp_path / "a.ogg", Waveform(np.zeros((1, n), np.float32), 8000))
    assert sf.info(tmp_path / "a.ogg").frames == n


def test_more_than_a_block_is_written_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vampcli.audio.io._BLOCK", 64)
    clip = quiet(2, 1000)
    write(tmp_path / "a.wav", clip)
    assert np.array_equal(read(tmp_path / "a.wav").samples, clip.samples)


def test_what_a_wav_cannot_count_becomes_rf64(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vampcli.audio.io._WAV_LIMIT", 100)
    clip = quiet()
    write(tmp_path / "a.wav", clip)
    assert sf.info(tmp_path / "a.wav").format == "RF64"
    assert np.array_equal(read(tmp_path / "a.wav").samples, clip.samples)


@pytest.mark.parametrize("suffix", [".wav", ".ogg", ".mp3"])
def test_of_a_file_cut_short_what_is_there_is_read(tmp_path: Path, suffix: str) -> None:
    sf.write(tmp_path / f"a{suffix}", music(1, 44100, 2).T, 44100)
    whole = (tmp_path / f"a{suffix}").read_bytes()
    (tmp_path / f"b{suffix}").write_bytes(whole[: len(whole) // 2])
    clip = read(tmp_path / f"b{suffix}")
    expected = sf.read(tmp_path / f"b{suffix}", dtype="float32")[0].T
    assert 0 < clip.n_samples < 44100
    assert np.array_equal(clip.samples, expected)
    assert clip.samples.flags.c_contiguous


def test_reading_and_writing_take_the_memory_of_the_sound_once(tmp_path: Path) -> None:
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


def test_wav_files_say_where_to_loop(tmp_path: Path) -> None:
    write(tmp_path / "a.wav", quiet(2, 1000), loop=(100, 900))
    assert loop_points(tmp_path / "a.wav") == (100, 900)
    assert np.array_equal(read(tmp_path / "a.wav").samples, quiet(2, 1000).samples)


def test_other_files_cannot_say_where_to_loop(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "vampcli"):
        write(tmp_path / "a.flac", quiet(subtype="PCM_16"), loop=(0, 1000))
    assert "FLAC files hold no loop points" in caplog.text
    assert read(tmp_path / "a.flac").n_samples == 1000


@pytest.mark.parametrize("loop", [(-1, 5), (5, 5), (0, 1001)])
def test_a_loop_lies_within_the_sound(tmp_path: Path, loop: tuple[int, int]) -> None:
    with pytest.raises(UsageError, match="a loop of samples"):
        write(tmp_path / "a.wav", quiet(1, 1000), loop=loop)
    assert files(tmp_path) == []


# --- what cannot be read


def test_a_stream_that_does_not_say_its_length_is_an_error(tmp_path: Path) -> None:
    sf.write(tmp_path / "a.flac", quiet().samples.T, 44100)
    content = bytearray((tmp_path / "a.flac").read_bytes())
    content[21] &= 0xF0  # STREAMINFO's number of samples: 36 bits
    content[22:26] = bytes(4)
    (tmp_path / "a.flac").write_bytes(content)
    with pytest.raises(InputError, match="does not say how long it is"):
        read(tmp_path / "a.flac")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no such file: .*gone\.wav"):
        read(tmp_path / "gone.wav")


def test_a_folder_is_no_sound(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is a folder"):
        read(tmp_path)


@pytest.mark.parametrize("content", [b"", b"garbage" * 500, b"RIFF\x24\0\0\0WAVEfmt "])
def test_bytes_that_are_no_sound_cannot_be_read(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.wav").write_bytes(content)
    with pytest.raises(InputError, match=r"cannot read .*a\.wav"):
        read(tmp_path / "a.wav")


@pytest.mark.parametrize("name", ["a.wav", "a.flac"])
def test_a_file_without_samples_is_an_error(tmp_path: Path, name: str) -> None:
    sf.write(tmp_path / name, np.zeros((0, 1)), 44100)
    with pytest.raises(InputError, match=r"0 samples|cannot read"):
        read(tmp_path / name)


@pytest.mark.parametrize("subtype", ["FLOAT", "DOUBLE"])
def test_nan_and_infinity_are_counted(tmp_path: Path, subtype: str) -> None:
    numbers = np.zeros((100, 2))
    numbers[[3, 5, 7], [0, 1, 1]] = [np.nan, np.inf, -np.inf]
    sf.write(tmp_path / "a.wav", numbers, 44100, subtype)
    with pytest.raises(InputError, match="3 samples that are NaN or infinite, of 200"):
        read(tmp_path / "a.wav")


# --- what cannot be written


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_that_exists_stays(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"precious")
    with pytest.raises(InputError, match="exists"):
        write(tmp_path / "a.wav", quiet())
    assert (tmp_path / "a.wav").read_bytes() == b"precious"
    assert files(tmp_path) == ["a.wav"]


def test_overwrite_replaces(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"old")
    write(tmp_path / "a.wav", quiet(), overwrite=True)
    assert np.array_equal(read(tmp_path / "a.wav").samples, quiet().samples)
    assert files(tmp_path) == ["a.wav"]


@pytest.mark.parametrize("name", ["a.txt", "a", "a.wave"])
def test_an_unknown_suffix_is_a_usage_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="unknown sound format"):
        write(tmp_path / name, quiet())
    assert files(tmp_path) == []


def test_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot write"):
        write(tmp_path / "none" / "a.wav", quiet())


def test_a_rate_the_format_does_not_know_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot hold 1 channels at 12345 Hz"):
        write(tmp_path / "a.mp3", Waveform(quiet().samples, 12345))
    assert files(tmp_path) == []


@contextmanager
def disk_of(n_bytes: int) -> Iterator[None]:
    """No file may grow beyond `n_bytes`."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("missing", [1, 100, 0.5])
@pytest.mark.parametrize("suffix", sorted(FORMATS))
def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path: Path, suffix: str, missing: float) -> None:
    path, clip = tmp_path / f"a{suffix}", Waveform(music(0.5, 44100), 44100, "PCM_16")
    write(path, clip)
    before = path.read_bytes()
    room = len(before) - missing if missing >= 1 else len(before) * missing
    with disk_of(int(room)), pytest.raises(InputError, match="cannot write"):
        write(path, clip, overwrite=True)
    assert path.read_bytes() == before
    assert files(tmp_path) == [path.name]


def test_an_interruption_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(sf.SoundFile, "write", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "a.wav", quiet())
    assert files(tmp_path) == []


def test_a_file_has_the_permissions_of_the_umask(tmp_path: Path) -> None:
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
def test_which_format_holds_which(stored: str, held: set[str]) -> None:
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
def test_the_suffix_names_the_container(name: str, subtype: str, expected: tuple[str, str]) -> None:
    assert output_format(name, subtype) == expected


def test_a_format_that_cannot_hold_the_input_is_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(tmp_path / "a.flac", quiet(subtype="FLOAT"))
    assert "PCM_24 cannot hold FLOAT samples exactly" in caplog.text


def test_a_format_that_holds_the_input_is_no_news(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "vampcli"):
        write(tmp_path / "a.wav", quiet(subtype="PCM_16"), "PCM_24")
    assert not caplog.records


@pytest.mark.parametrize("subtype", INTEGERS)
def test_what_is_too_loud_is_clamped_and_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, subtype: str
) -> None:
    monkeypatch.setattr("vampcli.audio.io._BLOCK", 2)
    step = 2.0 ** (1 - BITS[subtype])
    samples = np.array([[1.0, 5.0, -1.0, -1.0 - step, 1 - step, 0.0]])
    write(tmp_path / "a.wav", Waveform(samples, 44100, subtype))
    assert [record.getMessage() for record in caplog.records] == [
        "a.wav: 3 samples were too loud for the format and were clamped"
    ]
    assert read(tmp_path / "a.wav").samples.tolist() == [[1 - step, 1 - step, -1.0, -1.0, 1 - step, 0.0]]


def test_integers_are_rounded_to_the_nearest(tmp_path: Path) -> None:
    samples = np.array([[0.4, 0.6, -0.4, -0.6, 100.4]]) / 2**15
    write(tmp_path / "a.wav", Waveform(samples, 44100, "PCM_16"))
    assert sf.read(tmp_path / "a.wav", dtype="int16")[0].tolist() == [0, 1, 0, -1, 100]


def test_mp3_is_read_as_in_one_piece(tmp_path: Path) -> None:
    """MP3 decoders need what came before: a seek between blocks leaves marks."""
    t = np.arange(4 * 44100) / 44100
    tones = ((220, 1), (331.7, 2), (1234.5, 3))
    x = sum(0.2 * np.sin(2 * np.pi * f * t) * (1 + 0.5 * np.sin(2 * np.pi * slow * t)) for f, slow in tones)
    sf.write(tmp_path / "a.mp3", np.c_[x, x[::-1]], 44100)
    whole, _ = sf.read(tmp_path / "a.mp3", dtype="float32")
    assert np.array_equal(read(tmp_path / "a.mp3").samples.T, whole)
