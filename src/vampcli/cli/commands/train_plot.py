"""`vamp train plot`: curves of a training run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vampcli.cli import options as o
from vampcli.cli.console import Console


def plot(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a training run.")],
    out: Annotated[
        Path | None,
        o.value("File of the plot.", "-o", "--out", metavar="FILE.png", show_default="log.png in the folder"),
    ] = None,
) -> None:
    """Draw the loss and validation curves of a run."""
    from vampcli.cli.plots.training import plot as draw

    path = out or run / "log.png"
    draw(run, path)
    Console().result(str(path))
