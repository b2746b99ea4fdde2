from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from conftest import Ran
from vampcli import read

Vamp = Callable[..., Ran]
Song = Callable[..., Path]


@pytest.fixture
def quick(vamp: Vamp, tiny_folder: Path) -> Vamp:
    """`vamp inpaint` with the tiny model and few steps."""
    return lambda *args: vamp("inpaint", "-m", tiny_folder, "--steps", 2, "--fine-steps", 1, *args)


def test_prints_the_written_path_and_says_what_was_done(quick: Vamp, song: Song) -> None:
    source = song()
    ran = quick(source, "--start", 1, "--end", "2", "--seed", 7)
    written = source.with_name("song.inpaint.7.wav")
    assert (ran.code, ran.out) == (0, f"{written}\n")
    assert "60 frames (1.00-2.00 s) made" in ran.err
    assert "seed 7" in ran.err
    assert read(written).n_samples == read(source).n_samples


def test_spans_in_minutes_and_as_often_as_wanted(quick: Vamp, song: Song) -> None:
    ran = quick(song(), "--start", "0:00.5", "--end", "0:01", "--span", "1.5-2", "--json", "--seed", 1)
    assert json.loads(ran.out)["spans_s"] == [[0.5, 1.0], [1.5, 2.0]]


def test_json_has_one_object_a_take(quick: Vamp, song: Song) -> None:
    ran = quick(song(), "--span", "1-2", "-n", 3, "--seed", 5, "--json")
    takes = [json.loads(line) for line in ran.out.splitlines()]
    assert [take["seed"] for take in takes] == [5, 6, 7]
    assert all(Path(take["output"]).is_file() for take in takes)


def test_seed_of_a_later_take_makes_it_again(quick: Vamp, song: Song, tmp_path: Path) -> None:
    source = song()
    quick(source, "--span", "1-2", "-n", 3, "--seed", 5, "-o", tmp_path / "many")
    quick(source, "--span", "1-2", "--seed", 7, "-o", tmp_path / "one")
    names = [folder / "song.inpaint.7.wav" for folder in (tmp_path / "many", tmp_path / "one")]
    assert names[0].read_bytes() == names[1].read_bytes()


def test_a_fresh_seed_is_drawn_and_printed(quick: Vamp, song: Song, tmp_path: Path) -> None:
    source = song()
    seeds = {json.loads(quick(source, "--span", "1-2", "--json", "-o", tmp_path / d).out)["seed"] for d in "ab"}
    assert len(seeds) == 2


def test_skip_existing_makes_a_second_run_do_nothing(quick: Vamp, song: Song) -> None:
    source = song()
    first = quick(source, "--span", "1-2", "-n", 2, "--skip-existing")
    times = [Path(line).stat().st_mtime_ns for line in first.out.splitlines()]
    Path(first.out.splitlines()[1]).unlink()
    second = quick(source, "--span", "1-2", "-n", 2, "--skip-existing")
    third = quick(source, "--span", "1-2", "-n", 2, "--skip-existing")
    assert second.out == first.out.splitlines()[1] + "\n"
    assert (third.code, third.out) == (0, "")
    assert Path(first.out.splitlines()[0]).stat().st_mtime_ns == times[0]


@pytest.mark.parametrize(
    ("option", "subtype"), [("--int16", "PCM_16"), ("--int24", "PCM_24"), ("--float32", "FLOAT"), (None, "PCM_24")]
)
def test_sample_format_is_the_inputs_unless_asked(quick: Vamp, song: Song, option: str | None, subtype: str) -> None:
    source = song(subtype="PCM_24")
    ran = quick(source, "--span", "1-2", *([option] if option else []))
    assert read(ran.out.strip()).subtype == subtype


@pytest.mark.parametrize(("suffix", "subtype"), [("flac", "PCM_16"), ("ogg", "FLOAT"), ("mp3", "FLOAT")])
def test_compressed_inputs_give_wav(quick: Vamp, song: Song, suffix: str, subtype: str) -> None:
    ran = quick(song(f"in.{suffix}"), "--span", "1-2", "--seed", 0)
    assert ran.out.strip().endswith("in.inpaint.0.wav")
    assert read(ran.out.strip()).subtype == subtype


def test_output_format_follows_the_suffix(quick: Vamp, song: Song, tmp_path: Path) -> None:
    source, out = song(), tmp_path / "out.flac"
    quick(source, "--span", "1-2", "-o", out)
    before, after = read(source), read(out)
    assert np.array_equal(before.samples[:, : 44100 - 1], after.samples[:, : 44100 - 1])


def test_dry_run_loads_no_weights_and_writes_nothing(vamp: Vamp, song: Song, tiny_folder: Path, tmp_path: Path) -> None:
    source = song()
    ran = vamp("inpaint", source, "--span", "1-2", "--dry-run", "--seed", 3, "-m", tiny_folder, "-o", tmp_path / "new/")
    assert (ran.code, ran.out.strip()) == (0, str(tmp_path / "new/song.inpaint.3.wav"))
    assert "would make 60 frames (1.00-2.00 s)" in ran.err
    assert not (tmp_path / "new").exists()


def test_quiet_says_nothing(quick: Vamp, song: Song) -> None:
    assert quick(song(), "--span", "1-2", "-q").err == ""


@pytest.mark.parametrize("name", ["häßlich 音楽 (1).wav", "-dash.wav", "no suffix"])
def test_odd_file_names(quick: Vamp, song: Song, name: str) -> None:
    source = song("a.wav").rename(song("a.wav").with_name(name))
    ran = quick("--span", "1-2", "--seed", 0, "--", source)
    assert ran.code == 0
    assert Path(ran.out.strip()).is_file()


def test_help_imports_no_torch_and_is_quick() -> None:
    """Quick beside the smallest command with help: a busy machine slows both."""
    end = "print(time.process_time(), [m for m in HEAVY if m in sys.modules], file=sys.stderr)\n"
    start = "import sys, time\nHEAVY = ('torch', 'numpy', 'soundfile', 'librosa', 'scipy')\n"
    ours = (
        "from vampcli.cli.main import main\n"
        "sys.argv = ['vamp', 'inpaint', '--help']\n"
        "try: main()\nexcept SystemExit as stop: assert not stop.code\n"
    )
    least = (
        "import typer\ndef f(a: int = 1): pass\n"
        "sys.argv = ['least', '--help']\n"
        "try: typer.run(f)\nexcept SystemExit: pass\n"
    )

    def run(code: str) -> tuple[float, str, str]:
        ran = subprocess.run([sys.executable, "-c", start + code + end], capture_output=True, text=True, check=True)
        seconds, heavy = ran.stderr.strip().split(" ", 1)
        return float(seconds), heavy, ran.stdout

    runs = [(run(ours), run(least)) for _ in range(3)]
    _, heavy, shown = runs[0][0]
    assert heavy == "[]"
    assert "--start" in shown
    assert min(mine for (mine, *_), _ in runs) < 4 * min(yardstick for _, (yardstick, *_) in runs)


def test_python_dash_m_is_the_command() -> None:
    ran = subprocess.run([sys.executable, "-m", "vampcli", "--version"], capture_output=True, text=True, check=True)
    assert ran.stdout.startswith("vamp ")


def test_results_go_to_stdout_even_if_people_watch_a_bar(
    quick: Vamp, song: Song, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = song()
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setenv("FORCE_COLOR", "1")
    ran = quick(source, "--span", "1-2", "--seed", 1, "-n", 2)
    assert ran.out.splitlines() == [str(source.with_name(f"song.inpaint.{seed}.wav")) for seed in (1, 2)]


def test_a_reader_that_goes_away_does_not_stop_the_work(song: Song, tiny_folder: Path) -> None:
    source = song()
    command = [sys.executable, "-m", "vampcli", "inpaint", source, "--span", "1-2", "-m", tiny_folder, "--seed", "1"]
    with subprocess.Popen([*command, "-n", "3", "--steps", "1"], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.close()
    assert process.returncode == 0
    assert len(list(source.parent.glob("song.inpaint.*.wav"))) == 3


@pytest.mark.skipif(os.name == "nt", reason="names are UTF-16 there")
def test_file_names_need_not_be_utf_8(song: Song, tiny_folder: Path) -> None:
    """What is printed is the name, byte by byte."""
    source = Path(os.fsdecode(os.fsencode(song(seconds=1).parent) + b"/caf\xe9.wav"))
    song(seconds=1).rename(source)
    options = ["--span", "0.2-0.5", "--seed", "0", "--steps", "1", "-m", str(tiny_folder)]
    ran = subprocess.run(
        [sys.executable, "-m", "vampcli", "inpaint", source, *options], capture_output=True, check=True
    )
    made = source.with_name(source.stem + ".inpaint.0.wav")
    assert ran.stdout == os.fsencode(made) + b"\n"
    assert made.exists()


def test_a_home_folder_in_quotes_is_understood(
    quick: Vamp, song: Song, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    ran = quick(song(), "--span", "1-2", "--seed", 0, "-o", "~/takes/")
    assert ran.out.strip() == str(tmp_path / "home/takes/song.inpaint.0.wav")


def test_a_licence_against_commerce_is_said(
    quick: Vamp, song: Song, tiny_folder: Path, tmp_path: Path, vamp: Vamp
) -> None:
    folder = shutil.copytree(tiny_folder, tmp_path / "nc")
    text = (folder / "config.json").read_text().replace('"MIT"', '"CC-BY-NC-SA-4.0"')
    (folder / "config.json").write_text(text)
    ran = vamp("inpaint", song(), "--span", "1-2", "-m", folder, "--steps", 1, "--json")
    assert json.loads(ran.out)["licence"] == "CC-BY-NC-SA-4.0"
    assert "not for commercial use" in ran.err
