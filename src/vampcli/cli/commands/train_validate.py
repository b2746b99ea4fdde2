"""`vamp train validate`: measure a model on the validation pieces of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from vampcli.cli import options as o
from vampcli.cli.commands.train_run import Config
from vampcli.cli.console import Console


def validate(
    config: Config,
    model: Annotated[Path, o.value("Folder of the model.", "-m", "--model", metavar="FOLDER")],
    part: Annotated[Literal["codec", "coarse", "fine"], o.value("The part that the TOML trains.", metavar=None)],
    device: o.Device = "auto",
) -> None:
    """Measure a model folder on a run's validation pieces; JSON on stdout."""
    from vampcli.model.devices import pick_device
    from vampcli.train.config import CodecRun, TokenRun, load_run
    from vampcli.train.validate import validate as measure

    run = load_run(config, CodecRun) if part == "codec" else load_run(config, TokenRun)
    figures = measure(run, model, pick_device(device))
    Console().result({name: round(value, 5) for name, value in figures.items()})
