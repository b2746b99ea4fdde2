"""Inputs of commands: what is taken from folders, damaged files, NaN, names that look like options."""

import logging
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from conftest import Song, Vamp
from test_audio_read import encode, flac, integers, mp3, noise
from vampcli import read
from vampcli.audio.find import SOUNDS, find
from vampcli.errors import InputError

SPAN = ("--span", "0.3-0.6")


# --- folders


def test_folder_takes_what_is_decoded(song: Song, quick: Vamp, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    shutil.move(song(seconds=1), tmp_path / "in/a.wav")
    encode(tmp_path / "in/b.m4a", "alac", integers(16, 44100).astype(np.int16), "s16p")
    encode(tmp_path / "in/c.wv", "wavpack", integers(16, 44100).astype(np.int16), "s16p")
    for name in ("cover.jpg", "notes.txt", ".hidden.txt", "._a.wav", "a.inpaint.7.wav"):
        (tmp_path / "in" / name).write_bytes(b"-")
    ran = quick("inpaint", tmp_path / "in", *SPAN, "-o", f"{tmp_path}/out/")
    assert sorted(Path(line).name for line in ran.out.splitlines()) == [f"{x}.inpaint.3.wav" for x in "abc"]
    line = "4 files left out: 1 hidden, 1 made by vamp, 2 of other kinds (.jpg, .txt)"
    assert [text for text in ran.err.splitlines() if "left out" in text] == [line]


def test_nothing_is_said_if_nothing_is_left_out(song: Song, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    song("a.wav", seconds=0.1)
    assert len(find([str(tmp_path)], recursive=True)) == 1
    assert len(find([str(tmp_path / "*")], recursive=True)) == 1
    assert caplog.messages == []


def test_pattern_leaves_out_other_kinds(song: Song, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    song("a.wav", seconds=0.1)
    (tmp_path / "a.txt").touch()
    with caplog.at_level(logging.WARNING):
        assert [file.path.name for file in find([str(tmp_path / "a.*")], recursive=False)] == ["a.wav"]
    assert caplog.messages == ["1 file left out: 1 of other kinds (.txt)"]


@pytest.mark.parametrize("suffix", [".aac", ".ac3", ".aifc", ".caf", ".m4b", ".mkv", ".mov", ".mp2", ".mp4", ".tta"])
def test_suffixes_of_folders_are_decoded(tmp_path: Path, suffix: str) -> None:
    assert suffix in SOUNDS
    codecs = {".aac": "aac", ".ac3": "ac3", ".m4b": "aac", ".mkv": "aac", ".mov": "aac", ".mp2": "mp2", ".mp4": "aac"}
    codec = codecs.get(suffix, "tta" if suffix == ".tta" else "pcm_s16be")
    container = {".m4b": ".mp4", ".aifc": ".aif"}.get(suffix, suffix)
    form = "fltp" if codec in ("aac", "ac3") else "s16"
    sound = noise(1).astype(np.float32) if form == "fltp" else integers(16, 44100).astype(np.int16)
    encode(tmp_path / f"a{container}", codec, sound, form).rename(tmp_path / f"a{suffix}")
    assert abs(read(tmp_path / f"a{suffix}").n_samples - 44100) < 3 * 1536


def test_damaged_files_do_not_stop_a_folder(song: Song, quick: Vamp, tmp_path: Path) -> None:
    flac(tmp_path / "a.flac", noise(1), 2**36 - 1)
    mp3(tmp_path / "b.mp3", noise(1), 2**31)
    mp3(tmp_path / "c.mp3", noise(1), 1)
    (tmp_path / "d.flac").write_bytes(b"fLaC" + bytes(200))
    song("e.wav", seconds=1)
    ran = quick("inpaint", tmp_path, *SPAN, "-o", f"{tmp_path}/out/")
    assert ran.code == 3
    assert [Path(line).name for line in ran.out.splitlines()] == [f"{x}.inpaint.3.wav" for x in "abce"]
    assert "cannot read" in ran.err
    assert "d.flac" in ran.err
    assert [line.partition(",")[0] for line in ran.err.splitlines() if " holds 1.0" in line] == [
        "a.flac says 1558264.78 s",
        "b.mp3 says 56097531.98 s",
        "c.mp3 says 0.00 s",
    ]


# --- NaN


def test_nan_as_zero_is_replayed(quick: Vamp, vamp: Vamp, tmp_path: Path) -> None:
    samples = noise(1, 1)
    samples[1000:1003] = np.nan
    sf.write(tmp_path / "a.wav", samples, 44100, "FLOAT")
    quick("inpaint", tmp_path / "a.wav", *SPAN).refuses(3, "3 samples that are NaN", "0.0227 s", "--nan zero")
    made = quick("inpaint", tmp_path / "a.wav", *SPAN, "--nan", "zero")
    assert "counted as 0" in made.err
    expected = np.nan_to_num(samples[:13000, 0]).astype(np.float32)
    assert np.array_equal(read(made.path).samples[0, :13000], expected)
    assert vamp("replay", made.path, "--json").facts[0]["identical"] is True


def test_info_of_nan(vamp: Vamp, tmp_path: Path) -> None:
    sf.write(tmp_path / "a.wav", np.where(np.arange(44100) == 9, np.inf, 0.1), 44100, "FLOAT")
    assert vamp("info", tmp_path / "a.wav").code == 3
    assert "1.000 s" in vamp("info", tmp_path / "a.wav", "--nan", "zero").out


# --- info, names


def test_info_says_what_was_decoded(vamp: Vamp, tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    sf.write(path, noise(3), 44100)
    path.write_bytes(path.read_bytes()[: 44 + 44100 * 4])
    assert "length     3.000 s, 132300 samples, as the header says" in vamp("info", path, "--quick").out
    ran = vamp("info", path)
    assert "length     1.000 s, 44100 samples, decoded" in ran.out
    assert ran.err == "a.wav says 3.00 s, holds 1.00 s: what it holds is used\n"
    assert vamp("info", path, "--json").facts[0]["length_from"] == "samples"


@pytest.mark.parametrize("name", ["-dash.wav", "-song.wav"])
def test_names_that_look_like_options(
    vamp: Vamp, song: Song, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    song(name, seconds=1)
    monkeypatch.chdir(tmp_path)
    ran = vamp("inpaint", name, *SPAN)
    ran.refuses(2)
    assert f"{name} is a file, but was read as an option: name it as ./{name}" in ran.err
    assert "is a file" not in vamp("inpaint", f"./{name}", *SPAN, "--steps", "0").err


def test_unreadable_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.access", lambda *_: False)  # root may read all
    with pytest.raises(InputError, match="cannot be read"):
        find([str(tmp_path)], False)
