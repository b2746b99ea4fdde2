"""`vamp train tokens`: encode prepared audio."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vampcli.cli import options as o
from vampcli.cli.console import Console


def tokens(
    audio: Annotated[Path, typer.Argument(metavar="AUDIO", help="Folder made by `vamp prepare`.")],
    model: o.ModelName,
    out: Annotated[Path, o.value("Folder of the tokens.", "-o", "--out", metavar="FOLDER")],
    device: o.Device = "auto",
) -> None:
    """Encode prepared audio with a frozen codec."""
    from vampcli.model.devices import pick_device
    from vampcli.train.encode import pack

    console = Console()
    with console.progress("encoding") as progress:
        n_frames = pack(audio, model, out, progress, pick_device(device))
    console.note(f"{n_frames} frames")
    console.result(str(out))
