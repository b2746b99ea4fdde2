"""Plot of the log of a training run."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from vampcli.cli.plots.figure import check_suffix, default_style, save
from vampcli.errors import InputError
from vampcli.reading import parse_json, read_text
from vampcli.train.loop import LOG

Curve = tuple[list[int], list[float]]
"""Steps and values."""

_MOST_LOG = 2**28  # bytes
_HIDE = ("gradient_norm", "learning_rate")


def read_curves(run: Path) -> dict[str, Curve]:
    """Read the curve of every logged value.

    Raises:
        InputError: the folder holds no log, or nothing was logged.
    """
    path = run / LOG
    lines = list(_lines(path, read_text(path, _MOST_LOG, "name the folder of a training run")))
    curves: dict[str, Curve] = defaultdict(lambda: ([], []))
    for line in lines:
        for name in line.keys() - {"step", "seconds"}:
            steps, values = curves[name]
            while steps and steps[-1] >= line["step"]:  # a killed run repeats steps that it had not saved
                del steps[-1], values[-1]
            curves[name][0].append(line["step"])
            curves[name][1].append(line[name])
    if not curves:
        raise InputError(f"{path} is empty", "wait for the first `log_every` steps")
    return dict(curves)


def _lines(path: Path, text: str) -> Iterator[dict[str, Any]]:
    """Yield the complete lines of a log; a killed run may leave half a line."""
    for line in text.splitlines():
        with suppress(InputError):
            values = parse_json(line, str(path), finite=False)
            if isinstance(values, dict) and "step" in values and all(type(x) in (int, float) for x in values.values()):
                yield values


def panels(names: list[str]) -> dict[str, list[str]]:
    """Group names into panels: training, validation and mask ratios of one quantity share one.

    Returns:
        Title to names, `loss` first.
    """
    sorted_in: dict[str, list[str]] = defaultdict(list)
    for name in sorted(names):
        if name not in _HIDE:
            sorted_in[re.sub(r"^validation_|unigram_|_\d+%$", "", name)].append(name)
    return dict(sorted(sorted_in.items(), key=lambda item: (item[0] != "loss", item[0])))


@default_style()
def plot(run: Path, out: Path) -> None:
    """Plot all logged values of a run over its steps.

    Args:
        run: folder of the run.
        out: picture to write; an existing one is replaced.

    Raises:
        InputError: there is no log, or `out` cannot be written.
        UsageError: `out` has no suffix of a picture.
    """
    check_suffix(out)
    curves = read_curves(run)
    shown = panels(list(curves))
    n_rows = -(-len(shown) // 2)
    figure = Figure(figsize=(11, 3.2 * n_rows), layout="constrained")
    for i, (title, names) in enumerate(shown.items()):
        axes = figure.add_subplot(n_rows, 2, i + 1)
        for name in names:
            style = "--" if "unigram" in name else "-"
            axes.plot(*curves[name], style, marker="." if len(curves[name][0]) < 30 else "", label=name)
        axes.set(title=title, xlabel="step")
        axes.grid(alpha=0.3)
        axes.legend(fontsize="small")
    save(figure, out, overwrite=True)
