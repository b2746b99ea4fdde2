"""Time of whole commands as processes, on all cores, with their imports.

python -m benchmarks.commands --model mini
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial, reduce
from operator import add
from pathlib import Path

from benchmarks import bench
from benchmarks.bench import PUBLISHED, Bench, Subject
from benchmarks.measuring import FAST, PLAIN, Measurement, Ran, interleave, measurements, run

IMPORT_TORCH = "import torch"
ONE_BY_ONE = "one command a clip"
_MOST_COMMANDS = 10  # whose time is multiplied where there are more clips


@dataclass(frozen=True)
class Load:
    """Amount of work; less where a step takes five seconds.

    Attributes:
        n_steps: of the coarse model, for one take of the short clip.
        n_steps_more: for the long clip, for several takes and for folders.
        short_s: seconds of the clip of which a fifth is re-made.
        long_s: seconds of the clip that is varied.
        n_takes: how many at once, each number by itself.
        n_files: clips in a folder.
    """

    n_steps: int
    n_steps_more: int
    short_s: float
    long_s: float
    n_takes: tuple[int, ...]
    n_files: int


_FULL = Load(36, 12, 10, 180, (1, 4, 16), 100)
_SLOW = Load(6, 1, 10, 30, (1, 4), 4)
_QUICK = Load(1, 1, 2, 4, (2,), 2)


def load_of(own: Bench, model: str) -> Load:
    """Return the work that a model on a device does in minutes."""
    return _QUICK if own.quick else _SLOW if model == PUBLISHED and own.device == "cpu" else _FULL


@dataclass(frozen=True)
class Case:
    """A command that both sides run.

    Attributes:
        what: it is called.
        verb: inpaint or vamp.
        clip: the input.
        n_steps: of the coarse model.
        audio_s: seconds of sound in all takes.
        n_runs: of each side.
        arguments: other options.
    """

    what: str
    verb: str
    clip: Path
    n_steps: int
    audio_s: float
    n_runs: int
    arguments: tuple[str, ...] = ()


def cases(own: Bench, load: Load) -> list[Case]:
    """Return the commands on one clip; those that may take minutes run once."""
    short, length = own.clip(load.short_s), load.short_s
    n_runs = own.n_runs if load is _FULL else 1
    span = ("--start", f"{0.4 * length:g}", "--end", f"{0.6 * length:g}")
    part = f"inpaint {length / 5:g} of {length:g} s"
    several = [
        Case(f"{part}, {n} takes", "inpaint", short, load.n_steps_more, n * length, 1, (*span, "--takes", str(n)))
        for n in load.n_takes
    ]
    return [
        Case(part, "inpaint", short, load.n_steps, length, n_runs, span),
        Case(f"vamp {length:g} s", "vamp", short, load.n_steps, length, n_runs),
        Case(f"vamp {load.long_s:g} s", "vamp", own.clip(load.long_s), load.n_steps_more, load.long_s, 1),
        *several,
    ]


_PAPER = ("--sampler", "confidence", "--temperature", "1", "--refresh", "0")  # whatever the model recommends


@dataclass(frozen=True)
class Shell:
    """Runs commands with a model."""

    subject: Subject
    own: Bench

    def vamp(self, verb: str, *arguments: str) -> Ran:
        """Run `vamp` with the sampler of the plain version; its output is removed."""
        out = self.own.cache / "out"
        shutil.rmtree(out, ignore_errors=True)
        model = ("--model", self.subject.fast, "--device", self.own.device, *_PAPER)
        command = (sys.executable, "-m", "vampcli", verb, *arguments, *model, "--seed", "0", "-q", "-o", f"{out}/")
        return run([*command, *self.own.extra])

    def plain(self, verb: str, clip: Path, *arguments: str) -> Ran:
        """Run the plain version."""
        out = self.own.cache / "out"
        out.mkdir(parents=True, exist_ok=True)
        model = ("--model", self.subject.plain, "--device", self.own.device)
        command = (sys.executable, "-m", "benchmarks.plain", verb, str(clip), str(out / "plain.wav"))
        return run([*command, *arguments, *model], {"PYTHONPATH": str(bench.ROOT)})


def measure(own: Bench, model: str) -> list[Measurement]:
    """Measure all commands with a model."""
    shell, load = Shell(bench.subject(model, own.cache), own), load_of(own, model)
    found = []
    for i, case in enumerate(cases(own, load)):
        beside = {IMPORT_TORCH: partial(run, (sys.executable, "-c", "import torch"))} if i == 0 else {}
        arguments = (*case.arguments, "--steps", str(case.n_steps))
        ways = {
            FAST: partial(shell.vamp, case.verb, str(case.clip), *arguments),
            PLAIN: partial(shell.plain, case.verb, case.clip, *arguments),
        }
        ran = interleave({**ways, **beside}, case.n_runs)
        found += measurements(shell.subject.name, case.what, ran, case.audio_s, _steps(case.n_steps))
    return found + _folder(shell, own.folder(load.n_files, 2), load.n_steps_more)


def _steps(n: int) -> str:
    return f"{n} coarse step{'s' if n > 1 else ''}"


def _folder(shell: Shell, clips: Sequence[Path], n_steps: int) -> list[Measurement]:
    """Measure a folder in one command against one command a clip, the latter on evenly spread clips."""
    steps, some = ("--steps", str(n_steps)), clips[:: -(-len(clips) // _MOST_COMMANDS)]

    def one_by_one() -> Ran:
        ran = reduce(add, [shell.vamp("vamp", str(clip), *steps) for clip in some])
        scale = len(clips) / len(some)
        return replace(ran, seconds=ran.seconds * scale, cpu_seconds=ran.cpu_seconds * scale)

    ways: dict[str, Callable[[], Ran]] = {
        FAST: partial(shell.vamp, "vamp", str(clips[0].parent), *steps),
        ONE_BY_ONE: one_by_one,
    }
    what = f"vamp a folder of {len(clips)} clips of 2 s"
    note = _steps(n_steps) + (f"; {len(some)} commands for {len(clips)}" if len(some) < len(clips) else "")
    return measurements(shell.subject.name, what, interleave(ways, 1), 2.0 * len(clips), note)


if __name__ == "__main__":
    bench.measure_part("commands", "Whole commands as processes.", measure)
