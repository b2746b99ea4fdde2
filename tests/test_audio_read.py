"""Reading sound files whose headers are wrong, and those that libsndfile cannot open."""

import os
import resource
import struct
import subprocess
import sys
import threading
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile as sf

from conftest import limited, music
from vampcli.audio.read import inspect, read, read_comment
from vampcli.audio.write import write
from vampcli.errors import InputError

RATE = 44100


def noise(seconds: float, n_channels: int = 2) -> np.ndarray:
    """float64 (n_samples, n_channels)."""
    return 0.2 * np.random.default_rng(0).standard_normal((round(seconds * RATE), n_channels))


def encode(path: Path, codec: str, samples: np.ndarray, form: str = "s16", comment: str = "") -> Path:
    """Encode integers or floats (n_samples, n_channels) by FFmpeg; the suffix chooses the container."""
    layout = {1: "mono", 2: "stereo"}[samples.shape[1]]
    options = {"movflags": "faststart"} if path.suffix == ".m4a" else {}
    with av.open(str(path), "w", options=options) as container:
        container.metadata["comment"] = comment
        stream = container.add_stream(codec, rate=RATE, options={"strict": "experimental"})
        stream.layout, stream.format, stream.bit_rate = layout, form, 192_000
        planar = form.endswith("p")
        array = np.ascontiguousarray(samples.T if planar else samples.reshape(1, -1))
        frame = av.AudioFrame.from_ndarray(array, form, layout)
        frame.rate, frame.pts, frame.time_base = RATE, 0, Fraction(1, RATE)
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)
    return path


def mp3(path: Path, samples: np.ndarray, frames: int | None = None, tag: bool = True) -> Path:
    """An MP3 of variable rate whose tag counts so many frames, or that has no tag."""
    sf.write(path, samples, RATE, bitrate_mode="VARIABLE", compression_level=0.2)
    content = bytearray(path.read_bytes())
    at = content.find(b"Xing")
    assert 0 < at < 200
    if frames is not None:
        content[at + 8 : at + 12] = struct.pack(">I", frames)
    if not tag:
        content = content[content.find(content[:2], 4) :]  # from the second frame
    path.write_bytes(content)
    return path


def flac(path: Path, samples: np.ndarray, n_samples: int) -> Path:
    """A FLAC file whose header counts so many samples, in 36 bits."""
    sf.write(path, samples, RATE)
    content = bytearray(path.read_bytes())
    packed = int.from_bytes(content[18:26], "big")
    content[18:26] = ((packed >> 36 << 36) | n_samples).to_bytes(8, "big")
    path.write_bytes(content)
    return path


def cut(path: Path, share: float) -> Path:
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    return path


def says(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name.startswith("vampcli")]


# --- lengths


def test_mp3_without_tag_is_read_whole(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    samples = np.concatenate([0.01 * noise(2), noise(6)])
    path = mp3(tmp_path / "a.mp3", samples, tag=False)
    assert sf.info(path).frames < 0.9 * len(samples)  # a guess from the first bit rates
    assert abs(read(path).n_samples - len(samples)) < 3 * 1152
    assert abs(inspect(path).n_samples - len(samples)) < 3 * 1152
    assert says(caplog) == []


@pytest.mark.parametrize("frames", [1, 40, 10_000, 2**31, 2**32 - 1])
def test_wrong_count_of_mp3_frames(tmp_path: Path, caplog: pytest.LogCaptureFixture, frames: int) -> None:
    clip = read(mp3(tmp_path / "a.mp3", noise(3), frames))
    assert abs(clip.n_samples - 3 * RATE) < 2 * 1152
    original = read(mp3(tmp_path / "b.mp3", noise(3)))
    n = min(clip.n_samples, original.n_samples)
    assert np.abs(clip.samples[:, :n] - original.samples[:, :n]).max() < 1e-5  # aligned, without a hole
    assert len(says(caplog)) == 1
    assert says(caplog)[0].startswith("a.mp3 says ")
    assert ", holds 3.0" in says(caplog)[0]


def test_whole_mp3_is_that_of_libsndfile(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = mp3(tmp_path / "a.mp3", noise(3))
    assert np.array_equal(read(path).samples.T, sf.read(path, dtype="float32")[0])
    assert says(caplog) == []


def test_cut_mp3_prints_nothing_by_itself(tmp_path: Path) -> None:
    path = cut(mp3(tmp_path / "a.mp3", noise(3)), 0.5)
    code = "import sys, vampcli; print('mine', file=sys.stderr); vampcli.read(sys.argv[1])"
    ran = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=True)
    assert ran.stderr.splitlines()[0] == "mine"
    assert [line for line in ran.stderr.splitlines() if "Xing" in line or "mpg123" in line] == []
    assert "a.mp3 says 3.00 s, holds 1." in ran.stderr


@pytest.mark.parametrize("kind", ["VORBIS", "OPUS"])
def test_chained_ogg(tmp_path: Path, caplog: pytest.LogCaptureFixture, kind: str) -> None:
    first, second = tmp_path / "a.ogg", tmp_path / "b.ogg"
    sf.write(first, noise(1), 48000, kind, format="OGG")
    sf.write(second, noise(1.5), 48000, kind, format="OGG")
    (tmp_path / "c.ogg").write_bytes(first.read_bytes() + second.read_bytes())
    expected = np.concatenate([read(first).samples, read(second).samples], axis=1)
    assert expected.shape[1] == round(2.5 * RATE)
    assert np.array_equal(read(tmp_path / "c.ogg").samples, expected)
    assert inspect(tmp_path / "c.ogg").n_samples == expected.shape[1]
    assert says(caplog) == []


def test_chain_of_different_rates(tmp_path: Path) -> None:
    sf.write(tmp_path / "a.ogg", noise(1), 48000)
    sf.write(tmp_path / "b.ogg", noise(1), 44100)
    (tmp_path / "c.ogg").write_bytes((tmp_path / "a.ogg").read_bytes() + (tmp_path / "b.ogg").read_bytes())
    with pytest.raises(InputError, match="a chain of sounds of different rates"):
        read(tmp_path / "c.ogg")


@pytest.mark.parametrize("kind", ["WAV", "AIFF", "AU", "CAF", "W64", "RF64"])
def test_cut_pcm_is_read_to_its_end(tmp_path: Path, caplog: pytest.LogCaptureFixture, kind: str) -> None:
    path = tmp_path / f"a.{kind.lower()}"
    sf.write(path, noise(3), RATE, "PCM_16", format=kind)
    whole = read(path).samples
    assert inspect(path).n_samples == 3 * RATE
    assert says(caplog) == []
    n_held = read(cut(path, 0.5)).n_samples
    assert abs(n_held - 1.5 * RATE) < 0.02 * RATE
    assert np.array_equal(read(path).samples, whole[:, :n_held])
    assert inspect(path).n_samples == 3 * RATE
    assert says(caplog)[0] == f"{path.name} says 3.00 s, holds {n_held / RATE:.2f} s: what it holds is used"


def test_cut_flac_is_read_to_its_last_whole_frame(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    sf.write(tmp_path / "a.flac", noise(3), RATE)
    whole = read(tmp_path / "a.flac")
    clip = read(cut(tmp_path / "a.flac", 0.5))
    assert 1.4 * RATE < clip.n_samples < 1.5 * RATE
    assert np.array_equal(clip.samples, whole.samples[:, : clip.n_samples])
    assert clip.subtype == "PCM_16"
    assert says(caplog) == [f"a.flac says 3.00 s, holds {clip.n_samples / RATE:.2f} s: what it holds is used"]


@pytest.mark.parametrize(
    ("n_stated", "warned"),
    [(0, []), (RATE, ["1.00 s"]), (4 * RATE, ["4.00 s"]), (2**36 - 1, ["1558264.78 s"])],
    ids=["unknown", "few", "many", "all ones"],
)
def test_wrong_length_of_flac(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, n_stated: int, warned: list[str]
) -> None:
    sf.write(tmp_path / "b.flac", noise(2), RATE)
    path = flac(tmp_path / "a.flac", noise(2), n_stated)
    assert np.array_equal(read(path).samples, read(tmp_path / "b.flac").samples)
    assert inspect(path).n_samples == (n_stated or 2 * RATE)
    assert says(caplog) == [f"a.flac says {length}, holds 2.00 s: what it holds is used" for length in warned]


@pytest.mark.parametrize(
    ("size", "warned"),
    [(0, ["0.00 s"]), (4 * RATE, ["1.00 s"]), (0x7FFFF000, []), (0xFFFFFFFF, [])],
    ids=["none", "few", "sox", "ffmpeg"],
)
def test_wrong_size_in_wav(tmp_path: Path, caplog: pytest.LogCaptureFixture, size: int, warned: list[str]) -> None:
    path = tmp_path / "a.wav"
    sf.write(path, noise(2), RATE)
    whole, content = read(path).samples, bytearray(path.read_bytes())
    at = content.find(b"data")
    content[at + 4 : at + 8] = struct.pack("<I", size)
    path.write_bytes(content)
    assert np.array_equal(read(path).samples, whole)
    assert says(caplog) == [f"a.wav says {length}, holds 2.00 s: what it holds is used" for length in warned]


@pytest.mark.parametrize("after", [b"LIST" + bytes(99_996), b"ID3\4" + bytes(99_996), bytes(100_000)])
def test_what_follows_the_sound_of_a_wav_is_no_sound(tmp_path: Path, after: bytes) -> None:
    sf.write(tmp_path / "a.wav", noise(1), RATE)
    with (tmp_path / "a.wav").open("ab") as file:
        file.write(after)
    assert read(tmp_path / "a.wav").n_samples == RATE


def test_memory_follows_what_is_decoded(tmp_path: Path) -> None:
    path = flac(tmp_path / "a.flac", noise(1), 2**36 - 1)
    now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    with limited(resource.RLIMIT_AS, now + 2**29):
        assert read(path).n_samples == RATE


# --- formats that libsndfile does not open


def integers(bits: int, n: int = 30_000) -> np.ndarray:
    low, high = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    numbers = np.random.default_rng(0).integers(low, high + 1, (n, 2))
    numbers[:4, 0] = [low, high, 0, -1]
    return numbers


@pytest.mark.parametrize(
    ("name", "codec", "bits", "form"),
    [
        ("a.wv", "wavpack", 16, "s16p"),
        ("a.tta", "tta", 16, "s16"),
        ("a.m4a", "alac", 16, "s16p"),
        ("a.m4a", "alac", 24, "s32p"),
        ("a.oga", "flac", 16, "s16"),
        ("a.flac", "flac", 32, "s32"),
        ("a.mka", "flac", 24, "s32"),
    ],
)
def test_lossless_formats_are_exact(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str, codec: str, bits: int, form: str
) -> None:
    numbers = integers(bits)
    shifted = numbers << (32 - bits) if form.startswith("s32") else numbers
    path = encode(tmp_path / name, codec, shifted.astype(np.int32 if "32" in form else np.int16), form)
    clip = read(path)
    assert np.array_equal(clip.samples.T * 2.0 ** (bits - 1), numbers)
    assert clip.subtype == f"PCM_{bits}"
    assert says(caplog) == []
    write(tmp_path / "b.wav", clip)
    assert np.array_equal(sf.read(tmp_path / "b.wav", dtype="int32")[0], numbers << (32 - bits))


def test_blocks_of_voc(tmp_path: Path) -> None:
    numbers = integers(16).astype("<i2")
    first, second = numbers[:99].tobytes(), numbers[99:].tobytes()
    head = b"Creative Voice File\x1a" + struct.pack("<3H", 26, 0x114, 0x111F)
    sound = b"\x09" + (12 + len(first)).to_bytes(3, "little") + struct.pack("<I2BHI", RATE, 16, 2, 4, 0) + first
    path = tmp_path / "a.voc"
    path.write_bytes(head + sound + b"\x02" + len(second).to_bytes(3, "little") + second + b"\0")
    clip = read(path)
    assert np.array_equal(clip.samples.T * 2.0**15, numbers)
    assert inspect(path).n_samples == len(numbers)


@pytest.mark.parametrize(("name", "codec"), [("a.m4a", "aac"), ("a.wma", "wmav2"), ("a.aac", "aac"), ("a.ac3", "ac3")])
def test_lossy_formats(tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str, codec: str) -> None:
    sound = music(2, RATE, 2).T.astype(np.float32)
    clip = read(encode(tmp_path / name, codec, sound, "fltp"))
    assert abs(clip.n_samples - len(sound)) <= 3 * 1536
    assert clip.subtype == "FLOAT"
    assert says(caplog) == []


def test_aac_has_no_gaps(tmp_path: Path) -> None:
    """The samples that the encoder adds before and after are left out: the container states them."""
    sound = music(2, RATE, 2).T.astype(np.float32)[:-123]
    made = read(encode(tmp_path / "a.m4a", "aac", sound, "fltp")).samples.T
    assert made.shape == sound.shape
    agreement = [np.vdot(made[2000 + lag : -2000 + lag], sound[2000:-2000]) for lag in range(-5, 6)]
    assert np.argmax(agreement) == 5
    assert abs(inspect(tmp_path / "a.m4a").n_samples - len(sound)) <= RATE // 1000


def test_cut_m4a(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    numbers = integers(16, 3 * RATE).astype(np.int16)
    clip = read(cut(encode(tmp_path / "a.m4a", "alac", numbers, "s16p"), 0.5))
    assert 1.3 * RATE < clip.n_samples < 1.6 * RATE
    assert np.array_equal(clip.samples.T * 2**15, numbers[: clip.n_samples])
    assert says(caplog) == [f"a.m4a says 3.00 s, holds {clip.n_samples / RATE:.2f} s: what it holds is used"]


def test_sound_beside_a_resource_fork(tmp_path: Path) -> None:
    """macOS writes `._a.mp3` beside `a.mp3` on foreign disks, in which libsndfile looks for the sound."""
    path = mp3(tmp_path / "a.mp3", noise(1), tag=False)
    before = read(path).samples
    entry = (
        bytes.fromhex("0005160700020000") + b"Mac OS X        " + struct.pack(">HIIIHII", 2, 9, 50, 3760, 0, 2, 3810)
    )
    (tmp_path / "._a.mp3").write_bytes(entry + bytes(4000))
    assert np.array_equal(read(path).samples, before)


def test_comment_of_a_foreign_format(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.m4a", "alac", integers(16).astype(np.int16), "s16p", comment="made by hand")
    assert read_comment(path) == "made by hand"


def test_list_of_other_files_is_not_followed(tmp_path: Path) -> None:
    sf.write(tmp_path / "secret.wav", noise(1), RATE)
    (tmp_path / "a.wav").write_text("ffconcat version 1.0\nfile secret.wav\n")
    (tmp_path / "b.wav").write_text("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nsecret.wav\n#EXT-X-ENDLIST\n")
    for name in ("a.wav", "b.wav"):
        with pytest.raises(InputError, match="cannot read"):
            read(tmp_path / name)


# --- pipes and devices


@pytest.mark.parametrize("kind", ["WAV", "FLAC", "MP3"])
def test_named_pipe(tmp_path: Path, kind: str) -> None:
    sf.write(tmp_path / "a", noise(1), RATE, format=kind)
    os.mkfifo(pipe := tmp_path / "pipe")
    writer = threading.Thread(target=lambda: pipe.write_bytes((tmp_path / "a").read_bytes()))
    writer.start()
    clip = read(pipe)
    writer.join()
    assert np.array_equal(clip.samples, read(tmp_path / "a").samples)
    assert read_comment(pipe) == ""


def test_device_is_no_sound() -> None:
    with pytest.raises(InputError, match="/dev/zero is a device"):
        read("/dev/zero")


# --- NaN


def test_nan_is_named_or_counted_as_zero(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    samples = noise(1)
    samples[[441, 882, 882, 4410, 20_000], [0, 0, 1, 1, 0]] = [np.nan, np.inf, np.nan, -np.inf, np.nan]
    sf.write(tmp_path / "a.wav", samples, RATE, "FLOAT")
    where = "at 0.0100 s (sample 441), 0.0200 s (sample 882), 0.1000 s (sample 4410), ..."
    with pytest.raises(InputError) as error:
        read(tmp_path / "a.wav")
    assert error.value.message.endswith(f"holds 5 samples that are NaN or infinite, of 88200: {where}")
    assert "--nan zero" in error.value.hint
    expected = np.where(np.isfinite(samples), samples, 0).astype(np.float32)
    assert np.array_equal(read(tmp_path / "a.wav", nan="zero").samples.T, expected)
    assert says(caplog) == [f"{error.value.message}: counted as 0"]


def test_one_nan(tmp_path: Path) -> None:
    sf.write(tmp_path / "a.wav", np.where(np.arange(99) == 5, np.nan, 0), RATE, "FLOAT")
    with pytest.raises(InputError, match=r"holds 1 sample that is NaN or infinite, of 99: at 0\.0001 s \(sample 5\)$"):
        read(tmp_path / "a.wav")


@pytest.mark.parametrize("n_bext", [602, 603])
def test_rf64_with_a_chunk_of_any_size_before_the_sound(tmp_path: Path, n_bext: int) -> None:
    """Libsndfile 1.2.2 skips no padding there; see findings/libsndfile_rf64_odd_bext.sh."""
    numbers = np.arange(-500, 500, dtype="<i2")
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, 44100, 88200, 2, 16)
    bext = struct.pack("<4sI", b"bext", n_bext) + bytes(n_bext + n_bext % 2)
    data = struct.pack("<4sI", b"data", 0xFFFFFFFF) + numbers.tobytes()
    n_bytes = 4 + 36 + len(form + bext + data)
    sizes = struct.pack("<4sIQQQI", b"ds64", 28, n_bytes, numbers.nbytes, len(numbers), 0)
    content = struct.pack("<4sI4s", b"RF64", 0xFFFFFFFF, b"WAVE") + sizes + form + bext + data
    (tmp_path / "a.wav").write_bytes(content)
    found = read(tmp_path / "a.wav")
    assert found.subtype == "PCM_16"
    assert np.array_equal(found.samples * 32768, numbers[None])


@pytest.mark.parametrize("n_text", [8189, 9000])
def test_aiff_with_a_long_text(tmp_path: Path, n_text: int) -> None:
    """Libsndfile 1.2.2 opens no such file; see findings/libsndfile_aiff_long_text.sh."""
    numbers = np.arange(-500, 500, dtype=np.int16)
    sf.write(tmp_path / "a.aiff", numbers, 44100, "PCM_16")
    content = (tmp_path / "a.aiff").read_bytes()
    text = struct.pack(">4sI", b"ANNO", n_text) + b"x" * n_text + bytes(n_text % 2)
    size = struct.pack(">I", len(content) + len(text) - 8)
    (tmp_path / "a.aiff").write_bytes(content[:4] + size + content[8:12] + text + content[12:])
    found = read(tmp_path / "a.aiff")
    assert found.subtype == "PCM_16"
    assert np.array_equal(found.samples * 32768, numbers[None])


def test_header_that_asks_for_too_much_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def huge(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr(av, "open", huge)
    (tmp_path / "a.wma").write_bytes(b"no sound that libsndfile knows")
    with pytest.raises(InputError, match="cannot read"):
        read(tmp_path / "a.wma")
