"""`vamp ui`: the editor in a browser."""

from __future__ import annotations

import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from vampcli.cli import options as o
from vampcli.cli.console import Console
from vampcli.cli.jobs.job import ModelRequest
from vampcli.errors import UsageError

_HARP_PORT = 7860  # that of its examples


def ui(
    sound: Annotated[str | None, typer.Argument(metavar="SOUND", help="A recording; others can be dropped.")] = None,
    *,
    port: Annotated[int, o.value("Port on this machine; 0: any that is free, with --harp 7860.")] = 0,
    harp: Annotated[bool, o.flag("Answer HARP, too: any program of this machine may use the model.")] = False,
    browser: Annotated[bool, o.flag("Open the page in a browser.", "--browser/--no-browser")] = True,
    model: o.ModelName = "mini",
    device: o.Device = "auto",
    dtype: o.Dtype = "auto",
    quiet: o.Quiet = False,
) -> None:
    """Edit a recording in a browser: choose spans, make takes, compare and keep them.

    The page is for this machine alone, and its address holds a token. Nothing leaves the machine.

    Example: vamp ui song.wav
    Example: vamp ui --harp
    """
    try:
        from vampcli.ui.harp import Harp
        from vampcli.ui.server import Studio, bound, serve, studio_folder
    except ImportError as error:
        raise UsageError(f"vamp ui needs the package {error.name}", "pip install 'vampcli[ui]'") from error
    from vampcli.audio.read import inspect
    from vampcli.cli.jobs.orders import TypedOrders

    console, path = Console(quiet), None if sound is None else Path(sound).expanduser()
    if path:
        inspect(path)  # a file that is no sound is an error of the command
    with studio_folder() as folder, bound(port or harp * _HARP_PORT) as listener:
        orders = TypedOrders(ModelRequest(model, device, dtype, False, False))
        studio = Studio(orders, folder, path)
        port = listener.getsockname()[1]
        address = f"http://127.0.0.1:{port}/{studio.token}/"
        console.result(address)
        if harp:
            console.note(f"HARP: load the model http://localhost:{port}")
        console.note("Ctrl-C ends it; takes that were not kept go with it")
        if browser:
            webbrowser.open(address)
        try:
            serve(studio, listener, Harp(studio, model).routes() if harp else ())
        except KeyboardInterrupt:
            console.note(f"ended; {studio.n_unkept} takes were not kept")
