"""`vamp inpaint` from end to end: printed paths, names, seeds, sample formats."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from conftest import Song, Vamp
from vampcli import read


@pytest.fixture
def quick(vamp: Vamp, tiny_folder: Path) -> Vamp:
    """`vamp inpaint` from 1 s to 2 s with the tiny model and few steps."""
    return lambda *args: vamp("inpaint", "-m", tiny_folder, "--steps", 2, "--fine-steps", 1, "--span", "1-2", *args)


def test_prints_the_path_and_a_summary(vamp: Vamp, song: Song, tiny_folder: Path) -> None:
    source = song()
    ran = vamp("inpaint", source, "--start", 1, "--end", "2", "--seed", 7, "-m", tiny_folder, "--steps", 1)
    written = source.with_name("song.inpaint.7.wav")
    assert (ran.code, ran.out) == (0, f"{written}\n")
    assert "60 frames (1.00-2.00 s) made" in ran.err
    assert "seed 7" in ran.err
    assert read(written).n_samples == read(source).n_samples


def test_each_seed_makes_its_take_again(quick: Vamp, song: Song, tmp_path: Path) -> None:
    source, many = song(), tmp_path / "many"
    ran = quick(source, "-n", 3, "--seed", 5, "--json", "-o", many)
    assert [take["seed"] for take in ran.facts] == [5, 6, 7]
    paths = [Path(take["output"]) for take in ran.facts]
    one = quick(source, "--seed", 7, "-o", tmp_path / "one/", "--quiet")
    assert one.err == ""
    assert Path(one.out.strip()).read_bytes() == paths[2].read_bytes()

    times = [path.stat().st_mtime_ns for path in paths]
    paths[1].unlink()
    skip = source, "-n", 3, "--seed", 5, "--skip-existing", "-o", many
    assert quick(*skip).out == f"{paths[1]}\n"
    assert (paths[0].stat().st_mtime_ns, paths[2].stat().st_mtime_ns) == (times[0], times[2])
    again = quick(*skip)
    assert (again.code, again.out) == (0, "")


def test_dry_runs(quick: Vamp, song: Song, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_model: None) -> None:
    source = song()
    ran = quick(source, "--dry-run", "--seed", 3, "-o", tmp_path / "new/")
    assert (ran.code, ran.out.strip()) == (0, str(tmp_path / "new/song.inpaint.3.wav"))
    assert "would re-make 1.00-2.00 s" in ran.err
    assert not (tmp_path / "new").exists()

    spans = quick(source, "--start", "0:00.5", "--end", "0:00.8", "--span", "2.5-2.8", "--json", "--dry-run")
    assert spans.facts[0]["spans_s"] == [[0.5, 0.8], [1.0, 2.0], [2.5, 2.8]]
    fresh = {quick(source, "--json", "--dry-run").facts[0]["seed"] for _ in range(3)}
    assert len(fresh) > 1
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    at_home = quick(source, "--seed", 0, "-o", "~/takes/", "--dry-run")
    assert at_home.out.strip() == str(tmp_path / "home/takes/song.inpaint.0.wav")


@pytest.mark.parametrize(("option", "subtype"), [("--int16", "PCM_16"), ("--int24", "PCM_24"), ("--float32", "FLOAT")])
def test_options_of_the_sample_format(quick: Vamp, song: Song, option: str, subtype: str) -> None:
    assert read(quick(song(subtype="PCM_24"), option).out.strip()).subtype == subtype


def test_sample_formats_follow_the_input(quick: Vamp, song: Song, tmp_path: Path) -> None:
    """WAV keeps its format and so does FLAC; what loses samples becomes floats."""
    sources = [song("in.wav", subtype="PCM_24"), *(song(f"{kind}.{kind}") for kind in ("flac", "ogg", "mp3"))]
    ran = quick(*sources)
    paths = [Path(line) for line in ran.out.splitlines()]
    assert [path.name for path in paths] == [f"{path.stem}.inpaint.0.wav" for path in sources]
    assert [read(path).subtype for path in paths] == ["PCM_24", "PCM_16", "FLOAT", "FLOAT"]
    out = tmp_path / "out.flac"
    quick(sources[0], "-o", out)
    before, after = read(sources[0]), read(out)
    assert np.array_equal(before.samples[:, : 44100 - 1], after.samples[:, : 44100 - 1])


def test_odd_file_names(quick: Vamp, song: Song) -> None:
    names = ("häßlich 音楽 (1).wav", "-dash.wav", "no suffix")
    sources = [song("a.wav").rename(song("a.wav").with_name(name)) for name in names]
    ran = quick("--", *sources)
    assert ran.code == 0
    assert [Path(line).is_file() for line in ran.out.splitlines()] == [True] * 3


def test_help_is_quick_without_torch() -> None:
    """Quick compared with the smallest command with help: a busy machine slows both."""
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


def test_results_on_stdout_beside_bars(quick: Vamp, song: Song, monkeypatch: pytest.MonkeyPatch) -> None:
    source = song()
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setenv("FORCE_COLOR", "1")
    ran = quick(source, "--seed", 1, "-n", 2)
    assert ran.out.splitlines() == [str(source.with_name(f"song.inpaint.{seed}.wav")) for seed in (1, 2)]


def test_work_goes_on_without_a_reader(song: Song, tiny_folder: Path) -> None:
    source = song()
    command = [sys.executable, "-m", "vampcli", "inpaint", source, "--span", "1-2", "-m", tiny_folder, "--seed", "1"]
    with subprocess.Popen([*command, "-n", "3", "--steps", "1"], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.close()
    assert process.returncode == 0
    assert len(list(source.parent.glob("song.inpaint.*.wav"))) == 3


@pytest.mark.skipif(os.name == "nt", reason="names are UTF-16 there")
def test_file_names_without_utf_8(song: Song, tiny_folder: Path) -> None:
    """The name is printed byte by byte."""
    source = Path(os.fsdecode(os.fsencode(song(seconds=1).parent) + b"/caf\xe9.wav"))
    song(seconds=1).rename(source)
    options = ["--span", "0.2-0.5", "--seed", "0", "--steps", "1", "-m", str(tiny_folder)]
    ran = subprocess.run(
        [sys.executable, "-m", "vampcli", "inpaint", source, *options], capture_output=True, check=True
    )
    made = source.with_name(source.stem + ".inpaint.0.wav")
    assert ran.stdout == os.fsencode(made) + b"\n"
    assert made.exists()


def test_a_non_commercial_licence_is_noted(vamp: Vamp, song: Song, tiny_folder: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_folder, tmp_path / "nc")
    text = (folder / "config.json").read_text().replace('"MIT"', '"CC-BY-NC-SA-4.0"')
    (folder / "config.json").write_text(text)
    ran = vamp("inpaint", song(), "--span", "1-2", "-m", folder, "--steps", 1, "--json")
    assert ran.facts[0]["licence"] == "CC-BY-NC-SA-4.0"
    assert "not for commercial use" in ran.err
