"""Torture: kept samples in thousands of random takes, killed processes, processes side by side, full disks.

    python tests/torture.py [--takes N] [--kills N] [--pairs N] [--full N]

It runs the tiny model of the tests, prints one line of figures a part, and exits with 1 at the first failure, which it
names with its seed.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import random
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile as sf
import torch

from conftest import tiny_parts
from vampcli import SamplingConfig, read, write
from vampcli.api import Model, load
from vampcli.checkpoints.weights import save_parts
from vampcli.cli.main import main as vamp

RATES = (8000, 11025, 16000, 22050, 32000, 44100, 48000, 88200, 96000)
SUBTYPES = {
    "wav": ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"),
    "flac": ("PCM_S8", "PCM_16", "PCM_24"),
    "aiff": ("PCM_S8", "PCM_16", "PCM_24", "PCM_32", "FLOAT"),
}
"""Formats that lose nothing."""

FAST = SamplingConfig(steps=1, fine_steps=1)
N_FILES = 6


def sound(rng: np.random.Generator, n_samples: int, n_channels: int) -> np.ndarray:
    """Return noise, a tone, clicks, silence, a full-scale square or an offset: float64 (n_samples, n_channels)."""
    noise = rng.uniform(-1, 1, (n_samples, n_channels))
    kinds = [
        noise,
        np.tile(np.sin(np.arange(n_samples) * rng.uniform(0.001, 3))[:, None], n_channels),
        np.where(np.abs(noise) > 0.999, noise, 0),
        np.zeros((n_samples, n_channels)),
        np.sign(noise),
        0.4 + 0.1 * noise,
    ]
    return kinds[rng.integers(len(kinds))] * 10 ** -rng.uniform(0, 4)


def check_take(model: Model, folder: Path, seed: int) -> int:
    """Re-make a span of a random file through files; return how many samples were compared with the input.

    Raises:
        AssertionError: a kept sample has changed.
    """
    rng = np.random.default_rng(seed)
    suffix = str(rng.choice(list(SUBTYPES)))
    subtype, rate = str(rng.choice(SUBTYPES[suffix])), int(rng.choice(RATES))
    n_channels, n_samples = int(rng.integers(1, 3)), int(rng.uniform(0.1, 2) * rate)
    source, made = folder / f"in.{suffix}", folder / f"out.{suffix}"
    sf.write(source, sound(rng, n_samples, n_channels), rate, subtype)
    start, end = map(float, np.sort(rng.uniform(0, n_samples / rate, 2)))
    start, end = max(0.0, min(start, end - 0.03)), max(end, 0.03)  # a frame or longer
    clip = read(source)
    if rng.random() < 0.8:
        [take] = model.inpaint(clip, [(start, end)], sampling=FAST)
    else:
        [take] = model.outpaint(clip, after=float(rng.uniform(0.05, 0.5)), sampling=FAST)
    write(made, take.audio, overwrite=True)
    before, after = (sf.read(path, dtype="int32" if "PCM" in subtype else "float64")[0] for path in (source, made))
    kept = np.ones(len(before), bool)
    for first, last in take.spans:
        kept[first:last] = False
    assert np.array_equal(before[kept], after[: len(before)][kept]), f"seed {seed}: {suffix} {subtype} {rate} Hz"
    return int(kept.sum()) * n_channels


@contextlib.contextmanager
def running(*arguments: object) -> Iterator[tuple[int, Path]]:
    """Run the command in a forked process, in which the libraries are loaded: process number, and a file of stdout."""
    with tempfile.NamedTemporaryFile() as out:
        process = os.fork()
        if process == 0:
            code = 1
            try:
                os.dup2(out.fileno(), 1)
                os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
                sys.argv = ["vamp", *map(str, arguments)]
                sys.stdout, sys.stderr = open(1, "w", closefd=False), open(2, "w", closefd=False)  # noqa: SIM115
                vamp()
                code = 0
            except SystemExit as stop:
                code = int(stop.code or 0)
            finally:
                os._exit(code)
        yield process, Path(out.name)


def exit_code(process: int) -> int:
    """Wait for a process."""
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def songs(folder: Path, seconds: float = 0.6) -> list[Path]:
    """Write the inputs of a run."""
    folder.mkdir()
    paths = [folder / f"{i}.wav" for i in range(N_FILES)]
    for i, path in enumerate(paths):
        sf.write(path, np.random.default_rng(i).uniform(-0.5, 0.5, (int(44100 * seconds), 2)), 44100, "PCM_16")
    return paths


def command(model: Path, folder: Path, out: Path) -> list[object]:
    """Return the command that re-makes a span of every file of a folder."""
    quick = "--steps", 1, "--fine-steps", 1, "--skip-existing", "--sidecar", "--memory", "off"
    return ["inpaint", folder, "--span", "0.2-0.4", "-m", model, "-o", f"{out}/", *quick]


def check_complete(folder: Path, out: Path) -> None:
    """Check that every result is there and whole, and nothing else."""
    names = {f"{path.stem}.inpaint.0.wav{end}" for path in folder.iterdir() for end in ("", ".json")}
    assert set(os.listdir(out)) == names, sorted(os.listdir(out))
    for path in out.glob("*.wav"):
        assert sf.info(path).frames == sf.info(folder / f"{path.name[0]}.wav").frames


def check_kill(model: Path, folder: Path, out: Path, seed: int) -> bool:
    """Kill a run at a random time, then let another one finish the work; return whether there was any left.

    Raises:
        AssertionError: a result is not whole, or something is left over.
    """
    rng = random.Random(seed)
    sent = rng.choice([signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
    with running(*command(model, folder, out)) as (process, _):
        time.sleep(rng.uniform(0, 0.6))
        os.kill(process, sent)
        code = exit_code(process)
    there = os.listdir(out) if out.exists() else []
    for path in out.glob("[!.]*.wav"):
        assert sf.info(path).frames == sf.info(folder / f"{path.name[0]}.wav").frames
    if sent != signal.SIGKILL:
        assert not [name for name in there if name.startswith(".")], (sent, there)
    with running(*command(model, folder, out)) as (process, _):
        assert exit_code(process) == 0
    check_complete(folder, out)
    return code != 0


def check_pair(model: Path, folder: Path, out: Path) -> list[int]:
    """Run two processes over one folder; return how many takes each made.

    Raises:
        AssertionError: one failed, or a take was made twice or not at all.
    """
    with running(*command(model, folder, out)) as (one, first), running(*command(model, folder, out)) as (two, second):
        assert (exit_code(one), exit_code(two)) == (0, 0)
        made = [path.read_text().splitlines() for path in (first, second)]
    assert sorted(made[0] + made[1]) == sorted(map(str, out.glob("*.wav"))), made
    check_complete(folder, out)
    return [len(lines) for lines in made]


def check_full(model: Path, source: Path, folder: Path, seed: int) -> None:
    """Write a take where a file may not grow beyond a random size.

    Raises:
        AssertionError: the error is not that of an input, or something is left over.
    """
    rng = random.Random(seed)
    suffix, limit = rng.choice(["wav", "flac", "aiff", "ogg", "mp3"]), rng.randrange(0, 8000)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    with running(
        "inpaint", source, "--span", "0.2-0.4", "-m", model, "--steps", 1, "-o", folder / f"made.{suffix}"
    ) as (process, _):
        resource.prlimit(process, resource.RLIMIT_FSIZE, (limit, before[1]))
        code = exit_code(process)
    assert code == 3, (seed, suffix, limit, code)
    assert os.listdir(folder) == [], (seed, os.listdir(folder))


def say(text: str) -> None:
    """Print a line at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main(arguments: list[str] | None = None) -> None:
    """Run all parts and print their figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("takes", 10_000), ("kills", 200), ("pairs", 20), ("full", 100)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        save_parts(home / "tiny", "magnitude", tiny_parts())
        model = load(home / "tiny", device="cpu", dtype="fp32")
        folder = home / "songs"
        sources = songs(folder)
        with contextlib.redirect_stderr(io.StringIO()):
            n_samples = sum(check_take(model, home, seed) for seed in range(options.takes))
        say(f"{options.takes} takes: {n_samples} kept samples, none changed")
        cut = sum(check_kill(home / "tiny", folder, home / f"kill-{i}", i) for i in range(options.kills))
        say(f"{options.kills} signals: {cut} ended a run early; every next run completed the work, nothing was left")
        made = [check_pair(home / "tiny", folder, home / f"pair-{i}") for i in range(options.pairs)]
        shared = sum(min(pair) > 0 for pair in made)
        say(f"{options.pairs} pairs of processes: all takes made once, by both in {shared}")
        (home / "full").mkdir()
        for seed in range(options.full):
            check_full(home / "tiny", sources[0], home / "full", seed)
        say(f"{options.full} files that could not grow: exit code 3, nothing was left")


if __name__ == "__main__":
    main()
