"""A table as plots, a panel for each figure: bars of all conditions, and curves along numbers that were swept."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from matplotlib import color_sequences
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vampcli.evaluate.summary import DISTANCE, FLOOR, TO_EXCERPTS, Row

_BARS = "conditions"
_REAL = "real music"
Panel = Callable[[Axes, str, Sequence[Row]], None]


def draw(rows: Sequence[Row], folder: Path, over: str = "") -> list[Path]:
    """Draw a table as PNG and SVG.

    Args:
        rows: of the table.
        folder: where the plots go.
        over: a figure to draw all others over, in a plot of its name; a curve runs along what is swept last. By
            default there are `conditions`, a bar for each, and a plot for every number that alone is swept, with a
            curve for each experiment that sweeps it.
    """
    there = [row for row in rows if row.figures]
    along = [row for row in there if over in row.figures]
    if any(set(row.figures) - {over, FLOOR} for row in along):
        plots = {over: _drawn(along, partial(_curves, x=lambda row: row.figures[over].value, along=over), over)}
    else:
        plots = {_BARS: _drawn(there, _bars)} if there else {}
        for name, own in _swept_alone(there).items():
            swept = partial(_curves, x=lambda row: next(iter(row.swept.values())), along=name, ticks=True)
            plots[name] = _drawn(own, swept)
    paths = []
    for name, figure in plots.items():
        for kind in ("png", "svg"):
            paths.append(folder / f"{name}.{kind}")
            figure.savefig(paths[-1], dpi=100, metadata={"Software": None} if kind == "png" else {"Date": None})
    return paths


def _swept_alone(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Rows of experiments along one number, of two values at least, by its name."""
    found: dict[str, list[Row]] = defaultdict(list)
    for experiment in dict.fromkeys(row.name for row in rows):
        own = [row for row in rows if row.name == experiment]
        values = [value for row in own for value in row.swept.values()]
        numbers = len(values) == len(own) and all(isinstance(value, int | float) for value in values)
        if len(own) > 1 and numbers and len({tuple(row.swept) for row in own}) == 1:
            found[next(iter(own[0].swept)).rpartition(".")[2]] += own
    return found


def _drawn(rows: Sequence[Row], draw_panel: Panel, without: str = "") -> Figure:
    """A panel of every figure, distances first."""
    names = list(dict.fromkeys(name for row in rows for name in row.figures if name not in (without, FLOOR)))
    names.sort(key=lambda name: name not in (DISTANCE, TO_EXCERPTS))
    n_columns = max(1, min(4, len(names)))
    n_rows = -(-len(names) // n_columns)
    height = max(2.9, 0.18 * len(rows)) if draw_panel is _bars else 2.9
    figure = Figure(figsize=(3.6 * n_columns, height * n_rows), layout="constrained")
    panels = list(figure.subplots(n_rows, n_columns, squeeze=False, sharey=draw_panel is _bars).flat)
    for panel, name in zip(panels, names, strict=False):
        panel.set_title(name.replace("_", " "))
        draw_panel(panel, name, rows)
    for panel in panels[len(names) :]:
        panel.remove()
    labelled = panels[0].get_legend_handles_labels()
    if labelled[0]:
        figure.legend(*labelled, loc="outside lower center", ncols=n_columns, fontsize="small")
    return figure


def _bars(panel: Axes, name: str, rows: Sequence[Row]) -> None:
    own = [row for row in rows if name in row.figures]
    values, errors = _values(name, own)
    panel.barh([rows.index(row) for row in own], values, xerr=errors, color="tab:blue", alpha=0.7)
    panel.set_yticks(range(len(rows)), [row.label for row in rows])
    panel.yaxis.set_inverted(True)
    if name == DISTANCE:
        floors = {i: row.figures[FLOOR].value for i, row in enumerate(rows) if FLOOR in row.figures}
        ends = [i - 0.4 for i in floors], [i + 0.4 for i in floors]
        panel.vlines(list(floors.values()), *ends, color="black", linestyle="--", label=_REAL)


def _curves(
    panel: Axes, name: str, rows: Sequence[Row], x: Callable[[Row], float], along: str, ticks: bool = False
) -> None:
    rows = sorted(rows, key=x)
    curves: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        curves[_curve(row)] += [row] if name in row.figures else []
    panel.set_prop_cycle(color=color_sequences["tab10" if len(curves) <= 10 else "tab20"])
    for label, own in curves.items():
        panel.errorbar([x(row) for row in own], *_values(name, own), marker="o", capsize=3, label=label)
    if name == DISTANCE:
        real = [row for row in rows if FLOOR in row.figures]
        panel.plot([x(row) for row in real], _values(FLOOR, real)[0], "--", color="black", label=_REAL)
    places = list(dict.fromkeys(map(x, rows)))
    panel.set_xlabel(along.replace("_", " "))
    least = min((place for place in places if place > 0), default=math.inf)
    if places[0] >= 0 and places[-1] >= 8 * least:
        panel.set_xscale("symlog", base=2, linthresh=least)  # logarithmic but for 0
    if ticks:
        panel.set_xticks(places, [f"{value:g}" for value in places], rotation=90, fontsize="x-small")


def _curve(row: Row) -> str:
    """The experiment, and what was chosen of all that is swept but the last."""
    chosen = [f"{name.rpartition('.')[2].replace('_', ' ')} {value}" for name, value in [*row.swept.items()][:-1]]
    return ", ".join([row.name, *chosen])


def _values(name: str, rows: Sequence[Row]) -> tuple[list[float], list[float]]:
    found = [row.figures[name] for row in rows]
    return [estimate.value for estimate in found], [estimate.error or 0.0 for estimate in found]
