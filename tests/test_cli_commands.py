"""Every command end to end with the tiny model: formats, parts of takes, and refusals."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from conftest import REQUESTS, Song, Vamp, loop_points
from vampcli import read
from vampcli.recipe import token_file

LENGTHS = {"inpaint": 1.0, "outpaint": 1.35, "loop": 1.6, "vamp": 1.0, "compress": 1.0}


@pytest.fixture
def back(vamp: Vamp, tiny_folder: Path) -> Vamp:
    """`vamp compress` of a token file, which has its own sampling."""
    return lambda *args: vamp("compress", *args, "-m", tiny_folder)


@pytest.mark.parametrize("command", REQUESTS)
def test_end_to_end(quick: Vamp, song: Song, command: str) -> None:
    source = song(seconds=1, n_channels=2, subtype="PCM_24")
    (said,) = quick(command, source, *REQUESTS[command], "--json").facts
    made = read(said["output"])
    assert said["output"] == str(source.with_name(f"song.{command}.3.wav"))
    assert (made.n_samples, made.n_channels, made.sample_rate) == (round(44100 * LENGTHS[command]), 2, 44100)
    assert made.subtype == "PCM_24"
    assert np.abs(made.samples).max() > 0
    assert (said["command"], said["seed"], said["licence"]) == (command, 3, "MIT")
    more = {"loop": {"clicks", "spans_s"}, "compress": {"bits_per_second", "period", "keep_codebooks"}}
    assert more.get(command, {"spans_s", "n_frames"}) <= said.keys()


@pytest.mark.parametrize("command", REQUESTS)
def test_dry_run_loads_nothing(quick: Vamp, song: Song, tmp_path: Path, no_model: None, command: str) -> None:
    ran = quick(command, song(seconds=1), *REQUESTS[command], "--dry-run", "-o", tmp_path / "x.wav")
    assert ran.path == tmp_path / "x.wav"
    assert "would make" in ran.err or "would re-make" in ran.err
    assert not (tmp_path / "x.wav").exists()


@pytest.mark.parametrize(
    ("command", "source", "out"),
    [("inpaint", "wav", "flac"), ("compress", "flac", "mp3"), ("inpaint", "ogg", "wav"), ("compress", "mp3", "ogg")],
)
def test_suffixes_choose_formats(quick: Vamp, song: Song, tmp_path: Path, command: str, source: str, out: str) -> None:
    path = tmp_path / f"out.{out}"
    assert quick(command, song(f"in.{source}", seconds=1), *REQUESTS[command], "-o", path).code == 0
    assert sf.info(path).format == out.upper()


def test_only_generated_joins_the_spans(quick: Vamp, song: Song, tmp_path: Path) -> None:
    source, spans = song(seconds=1), ("--span", "0.1-0.2", "--span", "0.5-0.75")
    part = read(quick("inpaint", source, *spans, "--only-generated", "-o", tmp_path / "part.wav").path)
    whole = read(quick("inpaint", source, *spans, "-o", tmp_path / "whole.wav").path)
    pieces = whole.samples[:, 4410:8820], whole.samples[:, 22050:33075]
    assert np.array_equal(part.samples, np.concatenate(pieces, axis=1))


@pytest.mark.parametrize("command", ["inpaint", "outpaint", "vamp", "compress"])
def test_input_plus_difference_is_the_result(quick: Vamp, song: Song, tmp_path: Path, command: str) -> None:
    """In floats up to rounding; outside the spans the difference is exactly zero."""
    source = song(seconds=1, subtype="FLOAT")
    for name, more in (("whole", ()), ("less", ("--difference",))):
        assert quick(command, source, *REQUESTS[command], *more, "-o", tmp_path / f"{name}.wav").code == 0
    whole, less = (read(tmp_path / f"{name}.wav").samples for name in ("whole", "less"))
    base = np.zeros_like(whole)
    first = 4410 if command == "outpaint" else 0
    base[:, first : first + 44100] = read(source).samples
    assert np.allclose(base + less, whole, atol=1e-6)
    if command == "inpaint":
        assert not less[:, : round(0.3 * 44100)].any()
        assert less[:, round(0.3 * 44100) : round(0.6 * 44100)].any()


def test_loop_points_and_click_figures(quick: Vamp, song: Song) -> None:
    source = song(seconds=1)
    ran = quick("loop", source, *REQUESTS["loop"])
    assert loop_points(ran.path) == (0, 2 * round(0.8 * 44100))
    assert "song.loop.3.wav: junctions at most " in ran.err
    assert loop_points(quick("inpaint", source, *REQUESTS["inpaint"]).path) is None


def test_very_short_loop_is_written(quick: Vamp, song: Song) -> None:
    source = song(seconds=2, rate=1000)
    ran = quick("loop", source, "--span", "1-1.05", "--seam", "0.02", "--json")
    assert (ran.code, json.loads(ran.out)["clicks"]) == (0, None)


def test_token_files_give_the_same_sound(quick: Vamp, back: Vamp, song: Song, tmp_path: Path) -> None:
    source, options = song(seconds=1, n_channels=2), ("--keep-codebooks", 2, "--period", 2)
    direct = quick("compress", source, *options, "-o", tmp_path / "direct.wav").path
    packed = quick("compress", source, *options, "-o", tmp_path / "song.vamp").path
    assert np.array_equal(read(back(packed, "-o", tmp_path / "back.wav").path).samples, read(direct).samples)
    assert packed.stat().st_size < 1.1 * token_file.load(packed).n_bits / 8 + 2000
    assert back(packed).path == tmp_path / "song.compress.3.wav"  # the file has its seed
    assert back(packed, "--seed", 8, "-n", 2).out.splitlines()[1] == str(tmp_path / "song.compress.9.wav")


def test_folder_of_token_files(quick: Vamp, back: Vamp, song: Song, tmp_path: Path) -> None:
    """A second run skips the token files of the first one."""
    for name in ("a.wav", "b.wav"):
        song(name, seconds=0.5)
    there = "--name", "{stem}.vamp", "--skip-existing"
    first, second = (quick("compress", tmp_path, *there, "--keep-codebooks", 1) for _ in range(2))
    assert [Path(line).name for line in first.out.splitlines()] == ["a.vamp", "b.vamp"]
    assert (second.code, second.out) == (0, "")
    ran = back(f"{tmp_path}/*.vamp", "--name", "{stem}.back.wav")
    assert [Path(line).name for line in ran.out.splitlines()] == ["a.back.wav", "b.back.wav"]


def test_bitrate_chooses_codebooks_and_period(quick: Vamp, song: Song) -> None:
    """5 bits, 57.4 frames a second."""
    said = json.loads(quick("compress", song(seconds=1), "--bitrate", 600, "--json").out)
    assert (said["keep_codebooks"], said["period"]) == (2, 1)
    assert said["bits_per_second"] == 2 * 5 * 58  # frames that hold the second


def test_unusable_token_files(quick: Vamp, back: Vamp, song: Song, tmp_path: Path) -> None:
    packed = quick("compress", song(seconds=0.5), "-o", tmp_path / "song.vamp").path
    file = token_file.load(packed)
    foreign = replace(file.recipe, made_by=replace(file.recipe.made_by, model_sha256="f" * 64, model="dac"))
    token_file.save(packed, replace(file, recipe=foreign), overwrite=True)
    back(packed, "-o", tmp_path / "back.wav").refuses(4, "made with dac")
    packed.write_bytes(packed.read_bytes()[:-1] + b"\xff")
    back(packed, "-o", tmp_path / "back.wav").refuses(3, "damaged")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("a.wav", "--name", "{n}.vamp", "-n", "2"), "each of 2 takes"),
        (("a.wav", "-o", "x.vamp", "--difference"), "tokens, not sound"),
        (("a.wav", "--bitrate", "900", "--period", "2"), "--bitrate cannot be combined with --period"),
        (("a.vamp", "-o", "x.vamp"), "is a token file already"),
        (("a.vamp", "--keep-codebooks", "2"), "says already what is kept"),
        (("a.vamp", "--temperature", "0.5"), "says already how it is made"),
        (("a.vamp", "--stereo", "channels"), "says already how it is made"),
        (("a.vamp", "--difference"), "no sound to compare"),
        (("a.wav", "a.vamp", "--bitrate", "900"), "says already what is kept"),
    ],
)
def test_conflicts_with_token_files(
    vamp: Vamp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], says: str
) -> None:
    """Found before anything is read: these files are not sound."""
    monkeypatch.chdir(tmp_path)
    for name in ("a.wav", "a.vamp"):
        (tmp_path / name).write_bytes(b"nothing")
    vamp("compress", *options, "--seed", 1).refuses(2, says)


@pytest.mark.parametrize(
    ("command", "options", "says"),
    [
        ("outpaint", ("--after", "0.001"), "less than a frame"),
        ("loop", ("--variation", "0.5"), "one repeat has nothing to vary"),
        ("vamp", ("--stretch", "2", "--span", "0-1"), "moves all"),
        ("compress", ("--keep-codebooks", "0"), "0 codebooks"),
        ("compress", ("--bitrate", "nan"), "bit rate of nan"),
    ],
)
def test_conflicts_that_tasks_find(
    quick: Vamp, song: Song, no_model: None, command: str, options: tuple[str, ...], says: str
) -> None:
    ran = quick(command, song(seconds=1), *options)
    ran.refuses(2, says)
    assert len(ran.err.splitlines()) == 2


CHEAP = [
    ("inpaint", "--start", "x"),
    ("inpaint",),
    ("inpaint", "--span", "1-2", "--int16", "--int24"),
    ("inpaint", "--span", "1-2", "-o", "x.xyz"),
    ("inpaint", "--steps", "0"),
    ("outpaint", "--after", "x"),
    ("outpaint", "--after", "9" * 400),
    ("inpaint", "--span", "1-2", "--context", "nan"),
    ("inpaint", "--span", "1-2", "--context", "inf"),
    ("inpaint", "--span", "bars:4-2"),
    ("inpaint", "--span", "1-2", "--bpm", "nan"),
    ("inpaint", "--span", "1-2", "--only-generated", "--difference"),
    ("loop", "--seam", "inf"),
    ("vamp", "--preset", "none-such"),
    ("vamp", "--amount", "0.5", "--period", "3"),
    ("vamp", "--width", "9"),
    ("vamp", "--beat-width", "9"),
    ("vamp", "--downbeats-only"),
    ("vamp", "--dropout", "1.5"),
    ("vamp", "--pitch", "40"),
    ("vamp", "--prefix", "-1"),
    ("compress", "--bitrate", "900", "--keep-codebooks", "2"),
    ("compress", "-o", "x.vamp", "-n", "2"),
]


def test_usage_errors_import_no_numpy() -> None:
    """All in one process, which must not have imported them at its end."""
    code = (
        "import sys\nfrom vampcli.cli.main import main\n"
        f"for command, *options in {CHEAP!r}:\n"
        "    sys.argv = ['vamp', command, 'a.wav', *options]\n"
        "    try: main(); print(sys.argv, 'went on')\n"
        "    except SystemExit as stop:\n"
        "        if stop.code != 2: print(sys.argv, stop.code)\n"
        "print([m for m in ('torch', 'numpy') if m in sys.modules])\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "[]\n"
    assert len(ran.stderr.splitlines()) == 2 * len(CHEAP), ran.stderr


def test_torch_waits_for_a_recording(song: Song, tmp_path: Path) -> None:
    """Lists, missing inputs, second runs and dry runs start quickly; all in one process, which must not import it."""
    source, made = song("song.wav", 1), tmp_path / "song.inpaint.0.wav"
    made.write_bytes(b"made before")
    span = "--start", "0.2", "--end", "0.5"
    lines = [
        (["models", "list"], 0),
        (["models", "info", "mini"], 0),
        (["presets"], 0),
        (["inpaint", str(tmp_path / "missing.wav"), *span], 3),
        (["inpaint", str(source), *span, "--skip-existing"], 0),
        (["info", str(source)], 0),
        *(([command, str(source), *REQUESTS[command], "--dry-run"], 0) for command in REQUESTS),
    ]
    code = (
        "import sys\nfrom vampcli.cli.main import main\n"
        f"for line, wanted in {lines!r}:\n"
        "    sys.argv = ['vamp', *line]\n"
        "    code = 0\n"
        "    try: main()\n"
        "    except SystemExit as stop: code = stop.code or 0\n"
        "    assert code == wanted, (line, code)\n"
        "    assert not {'torch', 'librosa', 'scipy.signal'} & set(sys.modules), line\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr


def test_garbage_is_collected_again_after_torch_is_imported() -> None:
    code = (
        "import gc\nfrom vampcli.cli.torch_loader import load_torch\n"
        "load_torch()\nimport sys\nprint('torch' in sys.modules, gc.isenabled(), gc.get_freeze_count() > 10_000)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "True True True\n"
