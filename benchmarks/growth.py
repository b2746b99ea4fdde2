"""Growth of time and memory of `vamp vamp` with length of the clip, number of takes and number of files.

python -m benchmarks.growth --model mini
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks import bench
from benchmarks.bench import Bench
from benchmarks.commands import Shell
from benchmarks.measuring import Ran

CLIP, TAKES, FILES = "seconds of a clip", "takes", "files"
_LENGTHS = (10, 30, 100, 300, 900, 1800)
_NUMBERS = (1, 2, 4, 8, 16, 32, 64)
_ONE_STEP = ("--steps", "1", "--fine-steps", "1")
_SHORT_S = 2


@dataclass(frozen=True)
class Point:
    """One command.

    Attributes:
        model: whose.
        axis: what grows.
        size: to what.
        seconds: the command took.
        peak_mb: of memory.
    """

    model: str
    axis: str
    size: float
    seconds: float
    peak_mb: float


def measure(own: Bench, model: str) -> list[Point]:
    """All points of a model."""
    shell = Shell(bench.subject(model, own.cache), own)
    lengths, numbers = (_LENGTHS, _NUMBERS) if not own.quick else (_LENGTHS[:2], _NUMBERS[:3])

    def clip(seconds: int) -> Ran:
        return shell.vamp("vamp", str(own.clip(seconds)), *_ONE_STEP)

    def takes(n: int) -> Ran:
        return shell.vamp("vamp", str(own.clip(_SHORT_S)), "--takes", str(n), *_ONE_STEP)

    def files(n: int) -> Ran:
        return shell.vamp("vamp", str(own.folder(n, _SHORT_S)[0].parent), *_ONE_STEP)

    axes: list[tuple[str, Sequence[int], Callable[[int], Ran]]] = [
        (CLIP, lengths, clip),
        (TAKES, numbers, takes),
        (FILES, numbers, files),
    ]
    found = []
    for axis, sizes, do in axes:
        for size in sizes:
            ran = do(size)
            found.append(Point(shell.subject.name, axis, size, ran.seconds, ran.peak_mb))
    return found


def exponent(sizes: Sequence[float], costs: Sequence[float]) -> float:
    """The slope of the line that fits best through the upper half of the points, on logarithmic axes.

    Only there: a small cost is the start of the command, which does not grow.
    """
    half = len(sizes) // 2 if len(sizes) > 3 else 0
    x, y = (np.log(np.asarray(values[half:], dtype=float)) for values in (sizes, costs))
    slope: float = ((x - x.mean()) * (y - y.mean())).sum() / ((x - x.mean()) ** 2).sum()
    return slope


def plot(points: Sequence[Point], path: Path) -> None:
    """Time above, memory below, one column for what grows; the dashed line grows as fast as the size."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, NullLocator

    axes = [axis for axis in (CLIP, TAKES, FILES) if any(point.axis == axis for point in points)]
    figure = Figure(figsize=(4 * len(axes), 6), layout="constrained")
    grid = figure.subplots(2, len(axes), squeeze=False)
    for column, axis in enumerate(axes):
        own = [point for point in points if point.axis == axis]
        sizes = [point.size for point in own]
        rows = (("seconds", [p.seconds for p in own]), ("peak MB", [p.peak_mb for p in own]))
        for row, (name, costs) in enumerate(rows):
            place = grid[row][column]
            place.loglog(sizes, costs, "o-", label=f"slope {exponent(sizes, costs):.2f} at the end")
            line = [costs[-1] * size / sizes[-1] for size in sizes]
            place.loglog(sizes, line, "--", color="grey", label="slope 1")
            place.set(xlabel=axis, ylabel=name, ylim=(min(costs) / 2, max(costs) * 2))
            place.set_xticks(sizes, [f"{size:g}" for size in sizes])
            place.xaxis.set_minor_locator(NullLocator())
            place.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            place.yaxis.set_major_formatter("{x:g}")
            place.yaxis.set_minor_locator(NullLocator())
            place.legend(loc="upper left")
    figure.savefig(path, dpi=100, metadata={"Software": None})


if __name__ == "__main__":
    bench.measure_part("growth", "Growth of time and memory.", measure)
