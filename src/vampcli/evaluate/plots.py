"""A table as plots: one for each experiment, a panel for each figure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vampcli.evaluate.summary import DISTANCE, FLOOR, Row

_MOST_PANELS = 8


def draw(rows: Sequence[Row], folder: Path, over: str = "") -> list[Path]:
    """Draw each experiment as PNG and SVG.

    Args:
        rows: of the table.
        folder: where the plots go.
        over: the figure on the horizontal axis, all experiments in one plot; by default what is swept if that is one
            number, else there are bars.
    """
    over = over if any(over in row.figures for row in rows) else ""
    groups: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        if row.figures:
            groups[over or row.name].append(row)
    paths: list[Path] = []
    for name, own in groups.items():
        figure, stem = _drawn(own, over), "".join(c if c.isalnum() else "-" for c in name)[:60]
        while folder / f"{stem}.png" in paths:
            stem += "-"
        for kind in ("png", "svg"):
            path = folder / f"{stem}.{kind}"
            figure.savefig(path, dpi=100, metadata={"Software": None} if kind == "png" else {"Date": None})
            paths.append(path)
    return paths


def _drawn(rows: Sequence[Row], over: str) -> Figure:
    names = list(dict.fromkeys(name for row in rows for name in row.figures if name not in (over, FLOOR)))
    names = sorted(names, key=lambda name: name != DISTANCE)[:_MOST_PANELS]
    n_columns = max(1, min(4, len(names)))
    n_rows = max(1, -(-len(names) // n_columns))
    figure = Figure(figsize=(3.6 * n_columns, 2.9 * n_rows), layout="constrained")
    panels = list(figure.subplots(n_rows, n_columns, squeeze=False).flat)
    for panel, name in zip(panels, names, strict=False):
        own = [row for row in rows if name in row.figures]
        _panel(panel, name, own, over)
        if name == DISTANCE:
            floor = sum(row.figures[FLOOR].value for row in own) / len(own)
            line = panel.axhline if _is_curve(own, over) else panel.axvline
            line(floor, color="grey", linestyle="--", label="real music")
            panel.legend(fontsize="small")
    for panel in panels[len(names) :]:
        panel.remove()
    return figure


def _is_curve(rows: Sequence[Row], over: str) -> bool:
    """Whether rows lie along one number."""
    keys = {tuple(row.swept) for row in rows}
    values = [value for row in rows for value in row.swept.values()]
    along = len(keys) == 1 and len(next(iter(keys))) == 1 and all(isinstance(value, int | float) for value in values)
    return bool(over) or (len(rows) > 1 and along)


def _panel(panel: Axes, name: str, rows: Sequence[Row], over: str) -> None:
    panel.set_title(name.replace("_", " "))
    if over:
        for experiment in dict.fromkeys(row.name for row in rows):
            own = [row for row in rows if row.name == experiment and over in row.figures]
            own.sort(key=lambda row: row.figures[over].value)
            _curve(panel, name, [row.figures[over].value for row in own], own, experiment)
        panel.set_xlabel(over.replace("_", " "))
        panel.legend(fontsize="small")
    elif _is_curve(rows, over):
        _curve(panel, name, [value for row in rows for value in row.swept.values()], rows)
        panel.set_xlabel(next(iter(rows[0].swept)).rpartition(".")[2].replace("_", " "))
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
