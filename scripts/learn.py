"""Train the coarse or the fine model of `mini` on one core until told to stop.

    python scripts/learn.py start coarse    # begins, or goes on from the newest state
    python scripts/learn.py status coarse
    python scripts/learn.py stop coarse     # saves, exports, and compares with the promoted model

All files lie under a home, $VAMP_LEARNING or ~/.cache/vampcli/learning:

    clone/      a clone of this repository at the commit that `start` was called with; the process runs its code
    music/      train, val, tokens-train and tokens-val; fetched and encoded where missing (`start --data` links others)
    coarse/     run.toml, state.safetensors, losses.txt (one line a validation), log.jsonl, out.log; the same for fine
    models/     what `stop` exports

A run without a state starts from the promoted weights (from nothing, if configs/learn-PART.toml has other sizes) and
takes its settings from that file; later starts take them from run.toml. Remove the state to begin again.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import IO

import torch
from train_packed import as_toml, say

from vampcli.checkpoints.folder import read_config
from vampcli.checkpoints.weights import load_parts, save_parts
from vampcli.cli.console import guarded
from vampcli.errors import InputError
from vampcli.model.config import VampNetConfig
from vampcli.train.config import DataConfig, TokenRun, load_run
from vampcli.train.credits import CREDITED, write_credits
from vampcli.train.data import MANIFEST, read_manifest
from vampcli.train.export import RUN
from vampcli.train.loop import STATE, Trainer
from vampcli.train.token_task import TokenTask
from vampcli.train.validate import validate

ROOT = Path(__file__).parents[1]
MINI = ROOT / "checkpoints/mini"
LOSSES, OUTPUT, PID = "losses.txt", "out.log", "pid"
SHARES = ("10%", "30%", "50%", "70%", "90%")
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "TORCHINDUCTOR_COMPILE_THREADS": "1",
    # glibc keeps what was freed, in huge pages: a seventh less time a step
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1:glibc.malloc.mmap_threshold=4294967296"
    ":glibc.malloc.trim_threshold=17179869184:glibc.malloc.top_pad=268435456",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says; returns the exit code."""
    options = parsed(arguments)
    home, part = options.home.absolute(), options.part
    (home / part).mkdir(parents=True, exist_ok=True)
    if options.action == "start":
        return start(home, part, options.data)
    if options.action == "run":
        learn(home, part)
    elif options.action == "stop":
        stop(home, part)
    say(status(home, part))
    return 0


def start(home: Path, part: str, data: Path | None) -> int:
    """Begin a process of its own that learns, unless there is one; returns the exit code."""
    folder = home / part
    with (folder / PID).open("a+") as lock:
        if not try_lock(lock):
            say(status(home, part))
            return 0
        clone = cloned(home)
        if data is not None and not (home / "music").exists():
            (home / "music").symlink_to(data.absolute())
        paths = {"PYTHONPATH": f"{clone / 'src'}{os.pathsep}{clone / 'scripts'}", "VAMP_LEARNING": str(home)}
        paths["TORCHINDUCTOR_CACHE_DIR"] = str(home / "compiled")
        with (folder / OUTPUT).open("a") as output:
            process = subprocess.Popen(
                [sys.executable, str(clone / "scripts/learn.py"), "run", part],
                cwd=clone,
                env=os.environ | ENVIRONMENT | paths,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                pass_fds=[lock.fileno()],  # keeps the lock for as long as the process lives
            )
        lock.truncate(0)
        lock.write(str(process.pid))
    say(f"{part}: process {process.pid} learns; see {folder / LOSSES} and {folder / OUTPUT}")
    return 0


def try_lock(lock: IO[str]) -> bool:
    """Lock a file unless another process has; return whether it is locked now."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def learner(folder: Path) -> int | None:
    """Return the id of the process that learns now, if one does."""
    with (folder / PID).open("a+") as lock:
        if try_lock(lock):
            return None
        lock.seek(0)
        return int(lock.read() or 0)


def cloned(home: Path) -> Path:
    """Bring the clone to the commit of this repository; returns its folder."""
    clone = home / "clone"
    if not clone.exists():
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
    elif clone.resolve() != ROOT.resolve():
        subprocess.run(["git", "-C", str(clone), "fetch", "--quiet", str(ROOT), "HEAD"], check=True)
        subprocess.run(["git", "-C", str(clone), "checkout", "--quiet", "--detach", "FETCH_HEAD"], check=True)
    return clone


def learn(home: Path, part: str) -> None:
    """Learn until a signal comes.

    Raises:
        InputError: music cannot be had, or nothing can be written any more; the last state is whole.
    """
    folder = home / part
    torch.set_num_threads(1)
    for split in ("train", "val"):
        encode(home / "music", split)
    if not (folder / STATE).exists():
        (folder / RUN).write_text(as_toml(fresh_run(home, part)), encoding="utf-8")
    run = load_run(folder / RUN, TokenRun)
    trainer = Trainer(TokenTask(run), run.loop, folder)
    if (folder / STATE).exists():
        trainer.resume()

    def report(figures: Mapping[str, float]) -> None:
        if "validation_loss" in figures:
            losses = row({name.removeprefix("validation_"): value for name, value in figures.items()})
            with (folder / LOSSES).open("a", encoding="utf-8") as file:
                file.write(f"{datetime.now():%F %H:%M}  {progress(trainer.step, trainer.core_seconds)}  {losses}\n")

    try:
        trainer.run(float("inf"), report)
    except OSError as error:
        raise InputError(f"cannot write in {folder}: {error}", "make room, and start again") from error


def encode(music: Path, split: str) -> None:
    """Fetch a split of the music and encode it, unless its tokens are there.

    Raises:
        InputError: that failed.
    """
    tokens = music / f"tokens-{split}"
    if (tokens / MANIFEST).exists():
        return
    music.mkdir(parents=True, exist_ok=True)
    for command in (
        [str(ROOT / "scripts/free_music.py"), "--out", str(music), "--splits", split],
        ["-m", "vampcli", "train", "tokens", str(music / split), "-m", str(MINI), "-o", str(tokens)],
    ):
        code = subprocess.run([sys.executable, *command]).returncode
        if code:
            raise InputError(f"{' '.join(command)} failed with {code}", "see above; or link encoded music with --data")


def fresh_run(home: Path, part: str) -> TokenRun:
    """Return the settings of configs/learn-PART.toml, with the promoted weights to start from if they have its sizes.

    The seed comes from those weights: runs from other weights draw other excerpts.
    """
    run = load_run(ROOT / f"configs/learn-{part}.toml", TokenRun)
    music, seed = home / "music", int(hashlib.sha256((MINI / f"{part}.safetensors").read_bytes()).hexdigest()[:8], 16)
    data = DataConfig(str(music / "tokens-train"), str(music / "tokens-val"), codec=str(MINI))
    promoted = VampNetConfig(**read_config(MINI)[part])
    start = str(MINI) if replace(promoted, dropout=run.model.dropout) == run.model else ""
    return replace(run, data=data, start=start, loop=replace(run.loop, seed=seed))


def status(home: Path, part: str) -> str:
    """Return whether a process learns, the age of the state and the last line of losses."""
    folder = home / part
    said = [f"process {pid} learns" if (pid := learner(folder)) else "no process learns"]
    if (folder / STATE).exists():
        said.append(f"state saved {(time.time() - (folder / STATE).stat().st_mtime) / 60:.0f} min ago")
    if (folder / LOSSES).exists():
        said += (folder / LOSSES).read_text(encoding="utf-8").splitlines()[-1:]
    return f"{part}: {'; '.join(said)}"


def stop(home: Path, part: str) -> None:
    """End the process after its state is saved, export the averages, and compare them with the promoted model.

    Raises:
        InputError: nothing has been learned yet.
    """
    folder = home / part
    pid = learner(folder)
    if pid:
        os.killpg(pid, signal.SIGTERM)
    while learner(folder):
        time.sleep(0.5)
    torch.set_num_threads(1)
    run = load_run(folder / RUN, TokenRun)
    new = exported(home, part, run)
    for name, model in (("promoted", MINI), ("new", new)):
        say(f"{name:9}{row(validate(run, model))}  {model}")


def exported(home: Path, part: str, run: TokenRun) -> Path:
    """Write the promoted model with the averages of this run in it; returns the folder."""
    trainer = Trainer(TokenTask(replace(run, start="")), run.loop, home / part)
    trainer.resume()
    parts = load_parts(MINI, torch.device("cpu"), torch.float32)
    about = f"{part}: {progress(trainer.step, trainer.core_seconds)} by scripts/learn.py"
    provenance = replace(parts.provenance, training=about)
    out = home / "models" / f"{part}-{trainer.step}"
    with trainer.averaged():
        new = replace(parts, provenance=provenance, **{part: trainer.task.get_submodule("model")})
        save_parts(out, read_config(MINI)["codec"]["kind"], new)
    write_credits(out, read_manifest(run.data.train, *CREDITED), provenance.name, provenance.licence)
    return out


def progress(step: int, core_seconds: float) -> str:
    """Return steps and core-hours in words."""
    return f"step {step}, {core_seconds / 3600:.2f} core-hours"


def row(figures: Mapping[str, float]) -> str:
    """Return validation losses by the share that is hidden, as text."""
    return "  ".join(f"{share} {figures[f'loss_{share}']:.3f}" for share in SHARES) + f"  mean {figures['loss']:.4f}"


def parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=["start", "status", "stop", "run"], help="run learns in the foreground")
    parser.add_argument("part", choices=["coarse", "fine"], nargs="?", default="coarse")
    home = os.environ.get("VAMP_LEARNING", "~/.cache/vampcli/learning")
    parser.add_argument("--home", type=Path, default=Path(home).expanduser(), help=f"where all lies [{home}]")
    parser.add_argument("--data", type=Path, help="a folder of music and tokens to link, at the first start")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(guarded(main)())
