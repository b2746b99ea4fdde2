"""Shards: shares of the inputs for several runs of one command."""

import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import REQUESTS, Song, Vamp
from vampcli.cli.jobs.shard import Shard, parse_shard
from vampcli.errors import UsageError

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "examples/slurm/folder.sh"


@pytest.fixture
def songs(song: Song, tmp_path: Path) -> Path:
    """A folder of five recordings: `a.wav` to `d.wav`, and `d.flac`, which differs in its suffix alone."""
    (tmp_path / "songs").mkdir()
    for i, name in enumerate(("a.wav", "b.wav", "c.wav", "d.wav", "d.flac")):
        song(f"songs/{name}", seconds=1, seed=i)
    return tmp_path / "songs"


def test_shards_are_disjoint_complete_and_even() -> None:
    rng = random.Random(0)
    for _ in range(60):
        sources = [Path(f"{rng.randrange(50)}/{i}.wav") for i in range(rng.randrange(1, 60))]
        shuffled = rng.sample(sources, len(sources))
        count = rng.randrange(1, 70)
        shares = [Shard(index, count).of(sources) for index in range(1, count + 1)]
        assert sorted(path for share in shares for path in share) == sorted(sources)
        assert max(map(len, shares)) - min(map(len, shares)) <= 1
        assert shares == [Shard(index, count).of(shuffled) for index in range(1, count + 1)]


@pytest.mark.parametrize("text", ["17/16", "0/16", "x/y", "", "3", "3/", "-1/2", "1/0", "0/0", "1.5/2", "1/2/3", "٣/٤"])
def test_bad_shards_are_refused(vamp: Vamp, songs: Path, text: str) -> None:
    with pytest.raises(UsageError):
        parse_shard(text)
    vamp("vamp", songs, f"--shard={text}", "--dry-run").refuses(2, "shard", *text.split("/")[:1])


@pytest.mark.parametrize("command", REQUESTS)
def test_dry_runs_show_the_files_of_the_shard(vamp: Vamp, songs: Path, tiny_folder: Path, command: str) -> None:
    options = command, songs, "-m", tiny_folder, *REQUESTS[command], "--dry-run"
    whole = vamp(*options).out.splitlines()
    parts = [vamp(*options, "--shard", f"{index}/2").out.splitlines() for index in (1, 2)]
    assert [len(part) for part in parts] == [3, 2]
    assert sorted(parts[0] + parts[1]) == sorted(whole)
    assert [part for part in whole if part in parts[0]] == parts[0]  # in the order of the inputs
    assert len(whole) == 5


def test_shard_without_a_file(vamp: Vamp, songs: Path, tmp_path: Path) -> None:
    ran = vamp("vamp", songs, "--shard", "6/6", "-o", tmp_path / "made")
    assert (ran.code, ran.out) == (0, "")
    assert "shard 6/6 has no recording" in ran.err
    assert not (tmp_path / "made").exists()


def test_shards_make_what_one_run_makes(vamp: Vamp, songs: Path, tiny_folder: Path, tmp_path: Path) -> None:
    options = "inpaint", songs, "-m", tiny_folder, *REQUESTS["inpaint"], "--steps", 1, "--memory", "off"
    assert vamp(*options, "-o", tmp_path / "whole").code == 0
    for index in (2, 1):
        assert vamp(*options, "-o", tmp_path / "parts", "--shard", f"{index}/2").code == 0
    made = [{path.name: path.read_bytes() for path in (tmp_path / name).iterdir()} for name in ("whole", "parts")]
    assert made[0] == made[1]


def test_replay_has_shards(vamp: Vamp, songs: Path, tiny_folder: Path, tmp_path: Path) -> None:
    options = "inpaint", songs, "-m", tiny_folder, *REQUESTS["inpaint"], "--steps", 1, "--memory", "off"
    assert vamp(*options, "-o", tmp_path / "made").code == 0
    ran = vamp("replay", tmp_path / "made", "--shard", "3/5", "--dry-run")
    assert ran.out.count("\n") == 1, ran.err


# --- the lines of the documentation


@pytest.fixture
def stub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A `vamp` on the path that runs this checkout; returns the folder of the call."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "vamp").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m vampcli "$@"\n')
    (folder / "vamp").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return tmp_path


@pytest.mark.skipif(os.name == "nt", reason="no such shell there")
def test_slurm_array_covers_the_folder(stub: Path, songs: Path) -> None:
    """The script runs as Slurm would start it: the same file, with the number of the task in the environment."""
    printed = []
    for task in (1, 2):
        array = {"SLURM_ARRAY_TASK_ID": str(task), "SLURM_ARRAY_TASK_COUNT": "2", "SLURM_CPUS_PER_TASK": "1"}
        command = ["bash", SCRIPT, songs, stub / "made", "--amount", "0.3", "--dry-run", "--json"]
        ran = subprocess.run(command, env={**os.environ, **array}, capture_output=True, text=True, timeout=60)
        assert ran.returncode == 0, ran.stderr
        printed += [json.loads(line)["input"] for line in ran.stdout.splitlines()]
    assert sorted(printed) == sorted(map(str, songs.iterdir()))
    alone = {name: value for name, value in os.environ.items() if not name.startswith("SLURM_")}
    ran = subprocess.run(["bash", SCRIPT, songs, stub / "made"], env=alone, capture_output=True, text=True, timeout=60)
    assert ran.returncode != 0
    assert "sbatch --array" in ran.stderr


@pytest.mark.skipif(not shutil.which("shellcheck"), reason="shellcheck is missing")
def test_slurm_script_passes_shellcheck() -> None:
    ran = subprocess.run(["shellcheck", SCRIPT], capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stdout


@pytest.mark.skipif(not shutil.which("parallel"), reason="GNU parallel is missing")
def test_parallel_line_covers_the_folder(stub: Path, songs: Path) -> None:
    page = (ROOT / "docs/how-to/clusters.md").read_text(encoding="utf-8")
    [line] = [line for line in page.splitlines() if line.startswith("seq 16 | parallel")]
    line = line.replace("songs/ ", f"{songs} --dry-run ", 1).replace("16", "2")
    ran = subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=120, cwd=stub)
    assert ran.returncode == 0, ran.stderr
    assert len(ran.stdout.splitlines()) == 5
