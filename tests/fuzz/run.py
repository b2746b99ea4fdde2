"""Read damaged files and count the errors that are none of ours.

    python tests/fuzz/run.py [--cases 10000] [TARGET...]

Each case has a seed, its number. A case escapes if it raises anything but a `VampError`, takes more than 10 seconds, or
ends its process. `--first N --cases 1 TARGET` repeats one.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import logging
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from random import Random
from types import FrameType

from targets import TARGETS, Target

from vampcli.errors import VampError

LONGEST_S = 10
_MORE_MEMORY = 4 * 2**30  # bytes that a case may take


class Endless(BaseException):
    """A case takes too long."""


@contextlib.contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise Endless after some seconds."""

    def stop(_signal: int, _frame: FrameType | None) -> None:
        raise Endless(f"more than {seconds} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def escape(target: Target, case: int, folder: Path) -> str:
    """Read a damaged file; returns the error if it is none of ours, with its place."""
    rng = Random(f"{target.name} {case}")
    path = target.damage(rng, folder)
    try:
        with time_limit(LONGEST_S):
            target.read(path)
    except VampError as error:
        for text in (error.message, error.hint):
            text.encode("utf-8", "backslashreplace")
    except (Exception, Endless) as error:
        frames = [f for f in traceback.extract_tb(error.__traceback__) if "vampcli" in f.filename]
        where = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "outside"
        return f"{type(error).__name__} at {where}: {str(error)[:100]}".replace("\n", " ")
    return ""


def escapes(target: Target, cases: Iterable[int], folder: Path) -> Iterator[tuple[int, str]]:
    """Yield the escapes among some cases of a target, as soon as they are known."""
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            target.prepare(folder)
            for case in cases:
                if error := escape(target, case, folder):
                    yield case, error
    finally:
        logging.disable(logging.NOTSET)


def run_apart(target: str, cases: range) -> dict[int, str]:
    """The same in processes of their own: one that dies is an escape, and the next goes on behind the case."""
    found: dict[int, str] = {}
    first = cases.start
    while first < cases.stop:
        with tempfile.TemporaryDirectory() as folder:
            progress = Path(folder) / "progress"
            command = [sys.executable, __file__, "--inside", folder, target]
            counts = ["--first", str(first), "--cases", str(cases.stop - first)]
            ran = subprocess.run([*command, *counts], capture_output=True, text=True, errors="replace")
            for line in ran.stdout.splitlines():
                if line.startswith("escape\t"):
                    _, case, error = line.split("\t", 2)
                    found[int(case)] = error
            if ran.returncode == 0:
                break
            case = int(progress.read_text() or first) if progress.exists() else first
            found[case] = f"the process ended with {ran.returncode}: {ran.stderr[-300:]}"
            first = case + 1
    return found


def main() -> int:
    """Run targets; the exit code is 1 if something escaped."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(TARGETS))
    parser.add_argument("--cases", type=int, default=10_000, metavar="N", help="of each target")
    parser.add_argument("--first", type=int, default=0, metavar="N", help="number of the first case")
    parser.add_argument("--inside", metavar="FOLDER", help=argparse.SUPPRESS)
    options = parser.parse_args()
    cases = range(options.first, options.first + options.cases)
    if options.inside:
        _limit_memory()
        folder = Path(options.inside)
        (folder / "work").mkdir()
        os.chdir(folder / "work")
        for case, error in escapes(TARGETS[options.targets[0]], _noted(cases, folder / "progress"), folder / "work"):
            sys.stdout.write(f"escape\t{case}\t{error}\n")
            sys.stdout.flush()
        return 0
    n_escapes = 0
    for name in options.targets or TARGETS:
        began = time.monotonic()
        found = run_apart(name, cases)
        n_escapes += len(found)
        sys.stdout.write(f"{name}: {len(cases)} cases, {len(found)} escapes, {time.monotonic() - began:.0f} s\n")
        kinds = collections.Counter(found.values())
        for error, n in kinds.most_common(20):
            case = next(case for case, one in found.items() if one == error)
            sys.stdout.write(f"  {n} x {error} (case {case})\n")
        sys.stdout.flush()
    return int(n_escapes > 0)


def _noted(cases: range, progress: Path) -> Iterator[int]:
    """Yield cases, each written down before, in case the process ends."""
    for case in cases:
        progress.write_text(str(case))
        yield case


def _limit_memory() -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0]) if Path("/proc/self/statm").exists() else 0
    if pages:
        limit = pages * resource.getpagesize() + _MORE_MEMORY
        resource.setrlimit(resource.RLIMIT_AS, (limit, resource.getrlimit(resource.RLIMIT_AS)[1]))


if __name__ == "__main__":
    raise SystemExit(main())
