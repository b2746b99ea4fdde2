"""Raw results as tables and pictures, between two marks of a page; what people wrote around them stays."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import growth
from benchmarks.bench import ROOT
from benchmarks.commands import IMPORT_TORCH
from benchmarks.growth import Point, exponent
from benchmarks.machine import Machine
from benchmarks.measuring import FAST, Agreement, Measurement, ratio

DOCS = ROOT / "docs/explanation"
PAGE = "performance.md"
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
_PICTURE = "performance-{part}-{model}-{device}.png"

_TITLES = {
    "stages": "Stages, on one thread",
    "takes": "Whole takes, models loaded",
    "commands": "Whole commands",
    "growth": "Growth",
    "same": "The same tokens",
}

Cells = Sequence[str]


@dataclass(frozen=True)
class Raw:
    """The results of one part for one model.

    Attributes:
        part: such as `stages`.
        command: that measured them.
        machine: on which.
        results: `Measurement`s, `Point`s or `Agreement`s as tables.
    """

    part: str
    command: str
    machine: Machine
    results: list[dict[str, Any]]

    @property
    def model(self) -> str:
        """Whose they are."""
        return str(self.results[0]["model"])

    @property
    def device(self) -> str:
        """Device of the networks."""
        return "cuda" if self.machine.gpu else "cpu"

    @property
    def place(self) -> str:
        """The machine, as a heading and a line below it."""
        machine, n = self.machine, self.machine.n_cores
        flags = f" ({', '.join(machine.flags)})" if machine.flags else ""
        cpu = f"{machine.cpu}, {n} core{'s' if n > 1 else ''}{flags}, {machine.memory_gb:g} GB"
        return f"### On {machine.gpu or 'a CPU'}\n\n{cpu}, {machine.system}; {machine.versions}."


def write(raw: Path, out: Path) -> Path:
    """Put all raw results of a folder into the page of another, with pictures beside it; gives the page."""
    page = out / PAGE
    text = (page if page.exists() else DOCS / PAGE).read_text(encoding="utf-8")
    out.mkdir(parents=True, exist_ok=True)
    page.write_text(replace_between_marks(text, "\n\n".join(_blocks(read(raw), out))), encoding="utf-8")
    return page


def read(folder: Path) -> list[Raw]:
    """All raw results of a folder, those of one machine together."""
    found = []
    for path in sorted(folder.glob("*.json")):
        content = json.loads(path.read_text(encoding="utf-8"))
        machine = content["machine"] | {"flags": tuple(content["machine"]["flags"])}
        found.append(Raw(content["part"], content["command"], Machine(**machine), content["results"]))
    order = tuple(_TITLES)
    return sorted(found, key=lambda one: (one.device, one.place, order.index(one.part), one.model))


def replace_between_marks(text: str, block: str) -> str:
    """The text with what stands between the marks replaced.

    Raises:
        ValueError: a mark is missing.
    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page needs the marks {BEGIN} and {END}")
    return f"{before}{BEGIN}\n\n{block}\n\n{END}{after}"


def _blocks(found: Iterable[Raw], out: Path) -> Iterator[str]:
    for place, of_place in groupby(found, key=lambda one: one.place):
        yield place
        for part, of_part in groupby(of_place, key=lambda one: one.part):
            raws = list(of_part)
            yield f"#### {_TITLES[part]}"
            yield from _contents(part, raws, out)
            yield "Measured by " + ", ".join(f"`{one.command}` on {one.machine.date}" for one in raws) + "."


def _contents(part: str, raws: Sequence[Raw], out: Path) -> Iterator[str]:
    if part == "growth":
        for one in raws:
            points = [Point(**result) for result in one.results]
            picture = out / _PICTURE.format(part=part, model=one.model, device=one.device)
            growth.plot(points, picture)
            yield growth_table(points)
            yield f"![Time and memory against size, {one.model}]({picture.name})"
    elif part == "same":
        yield same_table([Agreement(**result) for one in raws for result in one.results])
    else:
        found = [Measurement(**_tuples(result)) for one in raws for result in one.results]
        yield times_table(found)
        picture = out / _PICTURE.format(part=part, model="all", device=raws[0].device)
        plot_ratios(found, picture)
        yield f"![How many times faster]({picture.name})"


def _tuples(table: dict[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in table.items()}


def pairs(found: Sequence[Measurement]) -> Iterator[tuple[Measurement, Measurement]]:
    """The fast side of everything, and what it is compared with."""
    for _, group in groupby(found, key=lambda one: (one.model, one.what)):
        own = list(group)
        fast = next(one for one in own if one.side == FAST)
        yield from ((fast, other) for other in own if other.side != FAST)


def times_table(found: Sequence[Measurement]) -> str:
    """Medians, ratios, and where they are known real-time factors, memory and the distance to the limit."""
    rows = []
    for fast, other in pairs(found):
        note = f" ({fast.note})" if fast.note else ""
        rows.append(
            (
                fast.model,
                f"{fast.what}{note}",
                _seconds(fast.median_s),
                _seconds(other.median_s) + ("" if other.side == "plain" else f" ({other.side})"),
                _gain(fast, other),
                f"{len(fast.seconds)}",
                f"{fast.audio_s / fast.median_s:.2g}" if fast.audio_s else "",
                f"{fast.peak_mb:.0f} / {other.peak_mb:.0f}" if fast.peak_mb else "",
                f"{fast.median_s / fast.limit_s:.1f} / {other.median_s / fast.limit_s:.1f}" if fast.limit_s else "",
            )
        )
    head = ("model", "what", "vamp", "plain", "times faster", "runs", "x real time", "peak MB", "x limit")
    filled = [i for i in range(len(head)) if any(row[i] for row in rows)]
    return table([head[i] for i in filled], [[row[i] for i in filled] for row in rows])


def _gain(fast: Measurement, other: Measurement) -> str:
    """Format the speed-up, or for the import alone, the ratio to it."""
    if other.side != IMPORT_TORCH:
        return f"{ratio(other.seconds, fast.seconds):.1f}"
    return f"{median(a - b for a, b in zip(fast.seconds, other.seconds, strict=True)):.2f} s beyond"


def growth_table(points: Sequence[Point]) -> str:
    """Sizes, times and peaks, and the exponents fitted to them."""
    rows = []
    for axis, group in groupby(points, key=lambda one: one.axis):
        own = list(group)
        sizes = [point.size for point in own]
        rows += [(axis, f"{p.size:g}", _seconds(p.seconds), f"{p.peak_mb:.0f}") for p in own]
        slopes = (exponent(sizes, costs) for costs in ([p.seconds for p in own], [p.peak_mb for p in own]))
        rows.append((axis, "**exponent**", *(f"**{slope:.2f}**" for slope in slopes)))
    return table(("what grows", "to", "seconds", "peak MB"), rows)


def same_table(found: Sequence[Agreement]) -> str:
    """Format the agreements."""
    rows = []
    for one in found:
        equal = "" if one.share is None else "identical" if one.share == 1 else f"{100 * one.share:.2f} %"
        above = "" if one.share is not None else "identical" if one.db is None else f"{one.db:.0f} dB above the rest"
        rows.append((one.model, one.how, one.what, equal or above))
    return table(("model", "vamp in", "compared", "with plain float32"), rows)


def table(head: Cells, rows: Iterable[Cells]) -> str:
    """A table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _seconds(seconds: float) -> str:
    return f"{1000 * seconds:.3g} ms" if seconds < 1 else f"{seconds:.0f} s" if seconds >= 100 else f"{seconds:.3g} s"


def plot_ratios(found: Sequence[Measurement], path: Path) -> None:
    """A bar for everything that was compared; left of the line, it became slower."""
    from matplotlib.figure import Figure

    compared = [pair for pair in pairs(found) if pair[1].side != IMPORT_TORCH][::-1]
    figure = Figure(figsize=(8, 1 + 0.28 * len(compared)), layout="constrained")
    place = figure.subplots()
    names = [f"{fast.model}: {fast.what}" for fast, _ in compared]
    ratios = [ratio(other.seconds, fast.seconds) for fast, other in compared]
    bars = place.barh(names, [value - 1 for value in ratios], left=1)
    place.bar_label(bars, [f"{value:.1f}" for value in ratios], padding=3)
    place.axvline(1, color="black")
    place.set(xscale="log", xlabel="times faster than the plain version, or than what the table names")
    place.set_xlim(min(0.5, min(ratios) / 1.5), max(2.0, max(ratios) * 1.5))
    for which in (place.xaxis.set_major_formatter, place.xaxis.set_minor_formatter):
        which("{x:g}")
    figure.savefig(path, dpi=100, metadata={"Software": None})
