"""Whole commands of this checkout against those of another one, in turn, on one thread.

python -m benchmarks.versus /path/to/other/checkout --model mini
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median

from benchmarks import bench
from benchmarks.bench import PUBLISHED, ROOT, Bench
from benchmarks.measuring import Ran, interleave, ratio, run
from benchmarks.report import table

_MODELS = str(ROOT / "benchmarks/model_seconds.py")


@dataclass(frozen=True)
class Case:
    """A command that both checkouts run.

    Attributes:
        what: its name in the table.
        arguments: of `vamp`.
        models_only: count the processor time of the transformers alone.
        more: arguments that this checkout gets besides.
        fails: its exit code is not 0.
        is_long: one pair is enough.
    """

    what: str
    arguments: tuple[str, ...]
    models_only: bool = False
    more: tuple[str, ...] = ()
    fails: bool = False
    is_long: bool = False


def cases(own: Bench, model: str) -> Iterator[Case]:
    """Yield the commands for a model."""
    clip, steps = str(own.clip(10)), ("--steps", "36", "--sampler", "confidence", "--temperature", "1")
    inpaint = ("inpaint", clip, "--start", "4", "--end", "6")
    if model == PUBLISHED:
        few = ("--steps", "4", "--fine-steps", "1")  # with --refresh 4, as many whole passes as 36 steps in proportion
        yield Case("inpaint 2 of 10 s, 4 + 1 steps, refresh 4", (*inpaint, *few), True, ("--refresh", "4"))
        return
    yield Case("inpaint 2 of 10 s", inpaint)
    yield Case("inpaint 2 of 10 s", inpaint, True)
    yield Case("inpaint 2 of 10 s, 36 steps", (*inpaint, *steps))
    yield Case("inpaint 2 of 10 s, 36 steps", (*inpaint, *steps), True)
    yield Case("inpaint 2 of 10 s, 4 takes", (*inpaint, "-n", "4"))
    yield Case("vamp 10 s", ("vamp", clip))
    yield Case("a span outside the clip", ("inpaint", clip, "--start", "40", "--end", "60"), fails=True)
    long = own.clip(6 if own.quick else 180)
    arguments = ("vamp", str(long), "--steps", "3", "--fine-steps", "2")
    yield Case(f"vamp {long.stem}, 3 + 2 steps", arguments, is_long=True)


def run_case(own: Bench, model: str, checkout: Path, case: Case, more: Sequence[str] = ()) -> Ran:
    """Run a command of a checkout on one thread; `said` holds the seconds of the models where these are asked for."""
    start = (_MODELS,) if case.models_only else ("-m", "vampcli")
    options = ("--model", model, "--seed", "7", "--device", own.device, *own.extra)
    output = ("-q", "-o", str(own.cache / "versus-out") + "/", "--overwrite")
    environment = {"PYTHONPATH": str(checkout / "src"), "OMP_NUM_THREADS": "1"}
    command = (sys.executable, *start, *case.arguments, *options, *more, *output)
    return run(command, environment, fails=case.fails)


def measure(own: Bench, model: str, other: Path) -> Iterator[tuple[str, ...]]:
    """Yield rows of the table: medians of the other checkout, of this one, and ratios of neighbouring runs."""
    where = bench.subject(model, own.cache).fast if model == PUBLISHED else model
    for case in cases(own, model):
        ways = {
            "other": partial(run_case, own, where, other, case),
            "own": partial(run_case, own, where, ROOT, case, case.more),
        }
        ran = interleave(ways, 1 if own.quick or case.is_long else own.n_runs)
        for name, value in (_MODEL_VALUES if case.models_only else _VALUES).items():
            yield _row(f"{case.what}: {name}", {side: [value(one) for one in runs] for side, runs in ran.items()})


def _seconds_of(part: str, ran: Ran) -> float:
    words = ran.said.split()
    return float(words[words.index(part) + 1])


_VALUES: dict[str, Callable[[Ran], float]] = {
    "CPU s": lambda ran: ran.cpu_seconds,
    "wall s": lambda ran: ran.seconds,
    "peak MB": lambda ran: ran.peak_mb,
}
_MODEL_VALUES: dict[str, Callable[[Ran], float]] = {
    "coarse model, CPU s": partial(_seconds_of, "coarse"),
    "fine model, CPU s": partial(_seconds_of, "fine"),
    "models, CPU s": lambda ran: _seconds_of("coarse", ran) + _seconds_of("fine", ran),
}


def _row(what: str, values: dict[str, list[float]]) -> tuple[str, ...]:
    other, own = values["other"], values["own"]
    return what, f"{median(other):.4g}", f"{median(own):.4g}", f"{ratio(other, own):.2f}", str(len(own))


def main() -> None:
    """Print the table in Markdown."""
    parser = bench.options("Whole commands of this checkout against those of another one.")
    parser.add_argument("other", type=Path, metavar="CHECKOUT")
    parser.add_argument("--model", default="mini")
    asked = parser.parse_args()
    own = bench.from_options(asked)
    sys.stdout.write(table(("what", "other", "this", "other / this", "pairs"), ()) + "\n")
    for row in measure(own, asked.model, asked.other.resolve()):
        sys.stdout.write(f"| {' | '.join(row)} |\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
