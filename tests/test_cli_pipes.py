"""`-`: a recording on stdin, a take on stdout."""

import io
import json
import os
import shlex
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from conftest import Ran, Song, Vamp, loop_points, music
from vampcli import read
from vampcli.cli.jobs.pipes import PIPE
from vampcli.recipe.embed import recipe_of

Piped = Callable[..., tuple[Ran, bytes]]

SPAN = ("--span", "0.3-0.6")
QUICK = ("--steps", "1", "--fine-steps", "1", "--seed", "7")
REQUESTS = {"inpaint": SPAN, "loop": ("--start", "0.1", "--end", "0.9"), "compress": ()}
posix = pytest.mark.skipif(os.name == "nt", reason="pipes differ there")


class Stream(io.TextIOWrapper):
    """A stream of bytes as Python opens it, on a terminal or not."""

    def __init__(self, content: bytes = b"", terminal: bool = False) -> None:
        super().__init__(io.BytesIO(content), encoding="utf-8")
        self.terminal = terminal

    def isatty(self) -> bool:
        return self.terminal


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Folder of temporary files; none is left."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    monkeypatch.setenv("TMPDIR", str(folder))
    yield folder
    assert list(folder.iterdir()) == []


@pytest.fixture
def piped(vamp: Vamp, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Piped:
    """Run a command quickly with the tiny model: notes, and the bytes on stdout."""

    def run(
        stdin: Stream | bytes | None,
        command: str,
        *args: object,
        stdout: Stream | None = None,
        how: tuple[str, ...] = QUICK,
    ) -> tuple[Ran, bytes]:
        out = stdout or Stream()
        monkeypatch.setattr(sys, "stdin", Stream(stdin) if isinstance(stdin, bytes) else stdin)
        monkeypatch.setattr(sys, "stdout", out)
        ran = vamp(command, *args, "-m", tiny_folder, *how)
        out.flush()
        return ran, out.buffer.getvalue()  # type: ignore[attr-defined]  # it is a BytesIO

    return run


def wav(seconds: float = 1.0, subtype: str = "PCM_16", kind: str = "WAV") -> bytes:
    file = io.BytesIO()
    sf.write(file, music(seconds, 44100).T, 44100, subtype, format=kind)
    return file.getvalue()


def with_sizes(content: bytes, riff: int, data: int) -> bytes:
    """Change the sizes in the header of a WAV file."""
    i = content.index(b"data") + 4
    return content[:4] + struct.pack("<I", riff) + content[8:i] + struct.pack("<I", data) + content[i + 4 :]


# --- in


@pytest.mark.parametrize(
    ("content", "decoded"),
    [
        (wav(subtype="PCM_24"), wav(subtype="PCM_24")),
        (wav(kind="FLAC"), wav(kind="FLAC")),
        (with_sizes(wav(), 0xFFFFFFFF, 0xFFFFFFFF), wav()),  # ffmpeg, which cannot seek in a pipe
        (with_sizes(wav(), 0x7FFFFFFF, 0x7FFFFFFF - 36), wav()),  # sox
        (with_sizes(wav(), 0x7FFFF024, 0x7FFFF000), wav()),  # sox, in whole blocks
    ],
    ids=["24 bit", "flac", "ffmpeg", "sox", "sox blocks"],
)
def test_stdin_is_the_recording(piped: Piped, tmp_path: Path, content: bytes, decoded: bytes) -> None:
    original, rate = sf.read(io.BytesIO(decoded), dtype="int32")
    ran, out = piped(content, "inpaint", PIPE, *SPAN, "-o", tmp_path / "x.wav")
    assert (ran.code, out.decode()) == (0, f"{tmp_path}/x.wav\n")
    made, _ = sf.read(tmp_path / "x.wav", dtype="int32")
    start, end = round(0.3 * rate), round(0.6 * rate)
    assert np.array_equal(np.delete(made, slice(start, end)), np.delete(original, slice(start, end)))
    assert not np.array_equal(made, original)


def test_names_of_stdin(piped: Piped, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    name = "{parent}.{stem}.{seed}.wav"
    _, out = piped(wav(), "inpaint", PIPE, *SPAN, "-o", "made/", "--name", name, "--json", "-n", 2)
    facts = [json.loads(line) for line in out.splitlines()]
    assert [(one["input"], one["output"]) for one in facts] == [
        (PIPE, f"made/here.stdin.{seed}.wav") for seed in (7, 8)
    ]
    assert all(Path(one["output"]).exists() for one in facts)


def test_stdin_among_other_recordings(piped: Piped, song: Song, tmp_path: Path) -> None:
    inputs = (PIPE, song(seconds=1))
    ran, out = piped(wav(), "inpaint", *inputs, *SPAN, "-o", tmp_path / "made")
    assert [Path(line).name for line in out.decode().splitlines()] == ["stdin.inpaint.7.wav", "song.inpaint.7.wav"]
    assert "\nsong.wav: " in ran.err
    assert ran.err.startswith("-: ")

    failed, out = piped(wav(0.2), "inpaint", *inputs, *SPAN, "-o", tmp_path / "more", "--json")
    first, second = map(json.loads, out.splitlines())
    assert (failed.code, first["input"], first["exit_code"]) == (3, PIPE, 3)
    assert second["output"].endswith("song.inpaint.7.wav")
    assert "vamp: -: the span starts at 0.3 s but the clip is 0.20 s long" in failed.err


def test_a_file_of_that_name(piped: Piped, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path(PIPE).write_bytes(wav())
    Path("list.txt").write_text(f"{PIPE}\n")
    for typed in ("./-", "@list.txt"):
        ran, out = piped(b"no sound", "inpaint", typed, *SPAN, "-o", "made/", "--overwrite")
        assert (ran.code, out) == (0, b"made/-.inpaint.7.wav\n")


@pytest.mark.parametrize(
    ("stdin", "says"),
    [
        (Stream(terminal=True), ("it is a terminal", "pipe some")),
        (None, ("it is closed", "pipe some")),
        (b"", ("nothing comes in on stdin", "failed?")),
        (b"no sound", ("cannot read - (sound on stdin)", "vamp reads wav")),
        (with_sizes(wav(0), 0xFFFFFFFF, 0xFFFFFFFF), ("- (sound on stdin) holds no audio", "interrupted?")),
    ],
    ids=["terminal", "closed", "empty", "no sound", "header only"],
)
def test_stdin_without_sound(piped: Piped, stdin: Stream | bytes | None, says: tuple[str, str]) -> None:
    ran, out = piped(stdin, "compress", PIPE)
    assert (ran.code, out) == (3, b"")
    fact, cure = ran.err.splitlines()
    assert says[0] in fact
    assert says[1] in cure


def test_no_room_for_temporary_files(piped: Piped, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    ran, _ = piped(wav(), "inpaint", PIPE, *SPAN)
    assert ran.code == 3
    assert "TMPDIR" in ran.err


# --- out


@pytest.mark.parametrize(("command", "out"), [("inpaint", ("-o", PIPE)), ("loop", ()), ("compress", ())])
def test_stdout_equals_the_written_file(piped: Piped, tmp_path: Path, command: str, out: tuple[str]) -> None:
    request = (command, PIPE, *REQUESTS[command])
    assert piped(wav(), *request, "-o", tmp_path / "x.wav")[0].code == 0
    ran, sound = piped(wav(), *request, *out)
    assert (ran.code, sound) == (0, (tmp_path / "x.wav").read_bytes())
    assert "seed 7" in ran.err
    assert (command == "loop") == (loop_points(tmp_path / "x.wav") is not None)


def test_a_file_goes_to_stdout(piped: Piped, song: Song) -> None:
    source = song(seconds=1)
    before = sorted(source.parent.iterdir())
    ran, out = piped(None, "inpaint", source, *SPAN, "-o", PIPE, "--float32", "--quiet")
    assert (ran.code, ran.err) == (0, "")
    assert sf.info(io.BytesIO(out)).subtype == "FLOAT"
    assert sorted(source.parent.iterdir()) == before


def test_tokens_become_sound_on_stdout(piped: Piped, song: Song, tmp_path: Path) -> None:
    packed = tmp_path / "song.vamp"
    assert piped(None, "compress", song(seconds=0.5), "-o", packed)[0].code == 0
    _, out = piped(None, "compress", packed, "-o", PIPE, how=())  # the file says how
    assert sf.info(io.BytesIO(out)).frames == 22050


@pytest.mark.parametrize(
    ("args", "says"),
    [
        ((PIPE, PIPE, "-o", "made/"), "named 2 times"),
        ((PIPE, "-n", "2"), "2 takes"),
        ((PIPE, "a.wav"), "several inputs"),
        (("a.wav", "b.wav", "-o", PIPE), "several inputs"),
        ((PIPE, "--name", "x.wav"), "--name"),
        (("a.wav", "--json", "-o", PIPE), "--json"),
    ],
)
def test_limits_of_stdout(piped: Piped, args: tuple[str, ...], says: str) -> None:
    ran, out = piped(wav(), "inpaint", *args, *SPAN)
    assert (ran.code, out) == (2, b"")
    assert says in ran.err
    assert len(ran.err.splitlines()) == 2


def test_no_sound_on_a_terminal(piped: Piped, tmp_path: Path) -> None:
    ran, out = piped(wav(), "inpaint", PIPE, *SPAN, stdout=Stream(terminal=True))
    assert (ran.code, out) == (2, b"")
    assert "refuses to write sound to a terminal" in ran.err
    assert piped(wav(), "inpaint", PIPE, *SPAN, "-o", tmp_path / "x.wav", stdout=Stream(terminal=True))[0].code == 0


def test_a_dry_run_has_no_sound(piped: Piped, no_model: None) -> None:
    ran, out = piped(wav(), "inpaint", PIPE, *SPAN, "--dry-run", stdout=Stream(terminal=True))
    assert (ran.code, out) == (0, b"")
    assert "would re-make" in ran.err


# --- between processes


@pytest.fixture
def line(tiny_folder: Path) -> Callable[..., list[str]]:
    """Command line of a new process."""
    return lambda *args: [sys.executable, "-m", "vampcli", *map(str, args), "-m", str(tiny_folder), *QUICK]


def test_a_chain(line: Callable[..., list[str]], piped: Piped, tmp_path: Path) -> None:
    (tmp_path / "song.wav").write_bytes(wav())
    with (
        (tmp_path / "song.wav").open("rb") as song,
        subprocess.Popen(line("inpaint", PIPE, *SPAN), stdin=song, stdout=subprocess.PIPE) as first,
        (tmp_path / "chain.wav").open("wb") as chain,
    ):
        second = subprocess.run(line("vamp", PIPE, *SPAN), stdin=first.stdout, stdout=chain, check=False, timeout=120)
    assert (first.returncode, second.returncode) == (0, 0)
    assert piped(None, "inpaint", tmp_path / "song.wav", *SPAN, "-o", tmp_path / "1.wav")[0].code == 0
    assert piped(None, "vamp", tmp_path / "1.wav", *SPAN, "-o", tmp_path / "2.wav")[0].code == 0
    assert np.array_equal(read(tmp_path / "chain.wav").samples, read(tmp_path / "2.wav").samples)


def start(command: list[str]) -> subprocess.Popen[bytes]:
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe)


@posix
def test_a_closed_reader_ends_it_quietly(line: Callable[..., list[str]], song: Song) -> None:
    command = line("inpaint", song(seconds=2), *SPAN, "-o", PIPE, "--quiet")  # more than a pipe holds
    with start(command) as process:
        assert process.stdout
        assert process.stderr
        assert process.stdout.read(4) == b"RIFF"
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 128 + signal.SIGPIPE


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no such device here")
def test_a_full_stdout_is_an_error(line: Callable[..., list[str]], song: Song) -> None:
    with open("/dev/full", "w") as full:
        command = line("inpaint", song(seconds=1), *SPAN, "-o", PIPE)
        ran = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False, timeout=60)
    assert ran.returncode == 3
    assert ran.stderr == "vamp: cannot write to stdout: No space left on device\n      is the disk full?\n"


@posix
def test_ctrl_c_while_stdin_is_read(line: Callable[..., list[str]], temporary: Path) -> None:
    with start(line("inpaint", PIPE, *SPAN)) as process:
        assert process.stdin
        process.stdin.write(wav(5))
        process.stdin.flush()
        until = time.monotonic() + 60
        while not any(path.stat().st_size for path in temporary.glob("*/stdin")) and time.monotonic() < until:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (130, b"", b"\nvamp: interrupted\n")


# --- named pipes


@posix
@pytest.mark.parametrize("kind", ["WAV", "FLAC"])
def test_named_pipe_is_read_once(piped: Piped, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file.wav").write_bytes(content := wav(1, kind=kind))
    os.mkfifo("song.wav")
    writer = threading.Thread(target=lambda: Path("song.wav").write_bytes(content))
    writer.start()
    ran, out = piped(None, "inpaint", "song.wav", *SPAN)
    writer.join()
    assert (ran.code, out.decode().strip()) == (0, "song.inpaint.7.wav"), ran.err
    piped(None, "inpaint", "file.wav", *SPAN)
    assert np.array_equal(read("song.inpaint.7.wav").samples, read("file.inpaint.7.wav").samples)
    recipe = recipe_of(Path("song.inpaint.7.wav"))
    assert recipe is not None
    assert recipe.source.name == "song.wav"


@posix
def test_info_of_a_named_pipe(vamp: Vamp, tmp_path: Path) -> None:
    os.mkfifo(pipe := tmp_path / "a.wav")
    writer = threading.Thread(target=lambda: pipe.write_bytes(wav(1)))
    writer.start()
    (facts,) = vamp("info", pipe, "--json").facts
    writer.join()
    assert (facts["file"], facts["duration_s"]) == (str(pipe), 1.0)


def test_info_of_stdin(vamp: Vamp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", Stream(wav(1)))
    (facts,) = vamp("info", "-", "--quick", "--json").facts
    assert (facts["file"], facts["format"], facts["duration_s"]) == ("-", "WAV", 1.0)
    for content, says in ((b"", "nothing comes in on stdin"), (b"text", "cannot read - (sound on stdin)")):
        monkeypatch.setattr("sys.stdin", Stream(content))
        vamp("info", "-").refuses(3, says)
    monkeypatch.setattr("sys.stdin", Stream(wav(1)))
    vamp("info", "-", "-").refuses(2, "- is named 2 times")


@posix
def test_empty_named_pipe(piped: Piped, tmp_path: Path) -> None:
    os.mkfifo(pipe := tmp_path / "a.wav")
    writer = threading.Thread(target=lambda: pipe.write_bytes(b""))
    writer.start()
    ran, _ = piped(None, "inpaint", pipe, *SPAN)
    writer.join()
    ran.refuses(3, f"nothing comes in on {pipe}")


@posix
def test_process_substitution(line: Callable[..., list[str]], tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(wav(1))
    command = shlex.join(line("inpaint", "INPUT", *SPAN)).replace("INPUT", "<(cat a.wav)")
    ran = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert (ran.returncode, ran.stdout) == (0, "pipe.inpaint.7.wav\n"), ran.stderr
    assert read(tmp_path / "pipe.inpaint.7.wav").n_samples == 44100
