"""Times, processor times and peak memory, and how two ways of doing the same are compared: in turn, by medians."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TypeVar

T = TypeVar("T")

FAST, PLAIN = "fast", "plain"
_LAUNCHER = Path(__file__).with_name("launch.py")


@dataclass(frozen=True)
class Ran:
    """Resources of a process.

    Attributes:
        seconds: from its start to its end.
        cpu_seconds: of processor time, on all cores.
        peak_mb: the most memory it had at once, in MB (10^6 bytes).
        said: what it wrote.
    """

    seconds: float
    cpu_seconds: float
    peak_mb: float
    said: str = ""

    def __add__(self, other: Ran) -> Ran:
        """One after the other."""
        return Ran(self.seconds + other.seconds, self.cpu_seconds + other.cpu_seconds, max(self.peak_mb, other.peak_mb))


@dataclass(frozen=True)
class Measurement:
    """Times of one side of a comparison, from runs that alternate with those of the other side.

    Attributes:
        model: whose.
        what: was done.
        side: which way.
        seconds: of each run.
        audio_s: seconds of sound that it is about; 0 if that means nothing.
        cpu_seconds: of each run, where a process was measured.
        peak_mb: of memory, where that was measured.
        limit_s: the least that this machine could take, by its measured rates; 0 if unknown.
        note: what a reader has to know.
    """

    model: str
    what: str
    side: str
    seconds: tuple[float, ...]
    audio_s: float = 0.0
    cpu_seconds: tuple[float, ...] = ()
    peak_mb: float = 0.0
    limit_s: float = 0.0
    note: str = ""

    @property
    def median_s(self) -> float:
        """The middle run."""
        return median(self.seconds)


@dataclass(frozen=True)
class Agreement:
    """Agreement of the results of both sides.

    Attributes:
        model: whose.
        how: the fast side ran.
        what: is compared.
        share: of the tokens made that are equal; or
        db: the signal lies above the difference between the two.
    """

    model: str
    how: str
    what: str
    share: float | None = None
    db: float | None = None


def interleave(ways: Mapping[str, Callable[[], T]], n_runs: int) -> dict[str, list[T]]:
    """Call functions in turn, A B A B …, so that slow minutes of the machine affect all alike."""
    results: dict[str, list[T]] = {side: [] for side in ways}
    for _ in range(n_runs):
        for side, do in ways.items():
            results[side].append(do())
    return results


def ratio(slow: Sequence[float], fast: Sequence[float]) -> float:
    """Return the median ratio of consecutive runs."""
    return median(a / b for a, b in zip(slow, fast, strict=True))


def time_call(do: Callable[[], object], finish: Callable[[], None] = lambda: None) -> float:
    """Seconds of a call; `finish` waits for what it has started on a GPU."""
    finish()
    began = time.perf_counter()
    do()
    finish()
    return time.perf_counter() - began


def run(command: Sequence[str], environment: Mapping[str, str] | None = None, fails: bool = False) -> Ran:
    """Run a process to its end.

    Raises:
        RuntimeError: it failed, or was to fail and did not; the message holds what it said.
    """
    with tempfile.TemporaryDirectory() as folder:
        took = Path(folder) / "took.json"
        launched = subprocess.run(
            [sys.executable, str(_LAUNCHER), str(took), *command],
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "", **(environment or {})},  # compiled once, as installed
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if bool(launched.returncode) != fails:
            raise RuntimeError(f"{' '.join(command)} ended with exit code {launched.returncode}:\n{launched.stdout}")
        return Ran(**json.loads(took.read_text(encoding="utf-8")), said=launched.stdout)


def measurements(
    model: str, what: str, ran: Mapping[str, Sequence[Ran]], audio_s: float, note: str
) -> list[Measurement]:
    """Return the measurements of processes, one for each side."""
    return [
        Measurement(
            model,
            what,
            side,
            tuple(one.seconds for one in runs),
            audio_s,
            tuple(one.cpu_seconds for one in runs),
            max(one.peak_mb for one in runs),
            note=note,
        )
        for side, runs in ran.items()
    ]
