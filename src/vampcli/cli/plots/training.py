"""The log of a run as a picture."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from vampcli.errors import InputError, UsageError
from vampcli.files import replacing
from vampcli.train.loop import LOG

Curve = tuple[list[int], list[float]]
"""Steps and values."""

_HIDE = ("gradient_norm", "learning_rate")


def read_curves(run: Path) -> dict[str, Curve]:
    """Read every figure that a run logged.

    Raises:
        InputError: the folder holds no log, or nothing was logged.
    """
    path = run / LOG
    try:
        lines = list(_lines(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read {path}: {error}", "name the folder of a training run") from error
    curves: dict[str, Curve] = defaultdict(lambda: ([], []))
    for line in lines:
        for name in line.keys() - {"step", "seconds"}:
            steps, values = curves[name]
            while steps and steps[-1] >= line["step"]:  # a run that was killed repeats what it had not saved
                del steps[-1], values[-1]
            curves[name][0].append(line["step"])
            curves[name][1].append(line[name])
    if not curves:
        raise InputError(f"{path} is empty", "wait for the first `log_every` steps")
    return dict(curves)


def _lines(text: str) -> Iterator[dict[str, Any]]:
    """What is whole of a log: a run that is killed may leave half a line."""
    for line in text.splitlines():
        with suppress(json.JSONDecodeError):
            figures = json.loads(line)
            if isinstance(figures, dict) and "step" in figures:
                yield figures


def panels(names: list[str]) -> dict[str, list[str]]:
    """Sort figures into panels: training, validation and mask ratios of one thing belong together.

    Returns:
        Title to names, `loss` first.
    """
    sorted_in: dict[str, list[str]] = defaultdict(list)
    for name in sorted(names):
        if name not in _HIDE:
            sorted_in[re.sub(r"^validation_|unigram_|_\d+%$", "", name)].append(name)
    return dict(sorted(sorted_in.items(), key=lambda item: (item[0] != "loss", item[0])))


def plot(run: Path, out: Path) -> None:
    """Draw loss, validation and all other figures of a run over its steps.

    Args:
        run: folder of the run.
        out: PNG file to write; one that is there is replaced.

    Raises:
        InputError: there is no log, or `out` cannot be written.
        UsageError: matplotlib is missing.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise UsageError("plots need matplotlib", 'pip install "vampcli[train]"') from error
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
    with replacing(out, overwrite=True) as path:
        figure.savefig(path, format="png", dpi=100)
