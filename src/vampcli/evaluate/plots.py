"""A table as plots: one for each experiment, a panel for each figure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vampcli.evaluate.summary import DISTANCE, Estimate, Row
from vampcli.evaluate.trial import ORIGINAL

_MOST_PANELS = 8


def draw(rows: Sequence[Row], folder: Path, over: str = "") -> list[Path]:
    """Draw each experiment as PNG and SVG.

    Args:
        rows: of the table.
        folder: where the plots go.
        over: the figure on the horizontal axis, all experiments in one plot; by default what is swept if that is one
            number, else there are bars.
    """
    floor = next((row.figures[DISTANCE] for row in rows if row.name == ORIGINAL), None)
    groups: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        if row.name != ORIGINAL:
            groups[over or row.name].append(row)
    paths = []
    for name, own in groups.items():
        figure = _drawn(own, floor, over)
        for kind in ("png", "svg"):
            path = folder / f"{''.join(c if c.isalnum() else '-' for c in name)}.{kind}"
            figure.savefig(path, dpi=100, metadata={"Software": None} if kind == "png" else {"Date": None})
            paths.append(path)
    return paths


def _drawn(rows: Sequence[Row], floor: Estimate | None, over: str) -> Figure:
    names = list(dict.fromkeys(name for row in rows for name in row.figures if name != over))
    names = sorted(names, key=lambda name: name != DISTANCE)[:_MOST_PANELS]
    n_columns = min(4, len(names))
    n_rows = -(-len(names) // n_columns)
    figure = Figure(figsize=(3.6 * n_columns, 2.9 * n_rows), layout="constrained")
    panels = list(figure.subplots(n_rows, n_columns, squeeze=False).flat)
    for panel, name in zip(panels, names, strict=False):
        _panel(panel, name, [row for row in rows if name in row.figures], over)
        if name == DISTANCE and floor is not None:
            panel.axhline(floor.value, color="grey", linestyle="--", label="real music")
            panel.legend()
    for panel in panels[len(names) :]:
        panel.remove()
    return figure


def _panel(panel: Axes, name: str, rows: Sequence[Row], over: str) -> None:
    panel.set_title(name.replace("_", " "))
    swept = {key for row in rows for key in row.swept}
    numbers = [value for row in rows for value in row.swept.values()]
    if over:
        for experiment in dict.fromkeys(row.name for row in rows):
            own = [row for row in rows if row.name == experiment and over in row.figures]
            own.sort(key=lambda row: row.figures[over].value)
            _curve(panel, name, [row.figures[over].value for row in own], own, experiment)
        panel.set_xlabel(over.replace("_", " "))
        panel.legend(fontsize="small")
    elif len(swept) == 1 and len(rows) > 1 and all(isinstance(value, int | float) for value in numbers):
        _curve(panel, name, numbers, rows)
        panel.set_xlabel(next(iter(swept)).rpartition(".")[2].replace("_", " "))
    else:
        labels = [row.label.removeprefix(f"{row.name}: ") for row in rows]
        values, errors = _values(name, rows)
        panel.barh(labels, values, xerr=errors, color="tab:blue", alpha=0.7)
        panel.invert_yaxis()


def _values(name: str, rows: Sequence[Row]) -> tuple[list[float], list[float]]:
    found = [row.figures[name] for row in rows]
    return [estimate.value for estimate in found], [estimate.error or 0.0 for estimate in found]


def _curve(panel: Axes, name: str, x: Sequence[float], rows: Sequence[Row], label: str | None = None) -> None:
    values, errors = _values(name, rows)
    panel.errorbar(x, values, errors, marker="o", capsize=3, label=label)
    if x and min(x) > 0 and max(x) >= 8 * min(x):
        panel.set_xscale("log", base=2)
        if label is None:
            panel.set_xticks(x, [f"{value:g}" for value in x])
