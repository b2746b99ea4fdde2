"""The command `vamp`. Nothing here imports torch before a command needs it."""

from __future__ import annotations

import os
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from vampcli import __version__
from vampcli.cli.command import command
from vampcli.cli.commands import eval, mask, models, train
from vampcli.cli.commands.compress import compress
from vampcli.cli.commands.doctor import doctor
from vampcli.cli.commands.finetune import finetune
from vampcli.cli.commands.info import info
from vampcli.cli.commands.inpaint import inpaint
from vampcli.cli.commands.loop import loop
from vampcli.cli.commands.outpaint import outpaint
from vampcli.cli.commands.page import page
from vampcli.cli.commands.prepare import prepare
from vampcli.cli.commands.presets import presets
from vampcli.cli.commands.replay import replay
from vampcli.cli.commands.serve import serve
from vampcli.cli.commands.ui import ui
from vampcli.cli.commands.vamp import vamp
from vampcli.cli.config import plain
from vampcli.cli.console import end_orderly
from vampcli.cli.jobs.run import run


class PlainGroup(TyperGroup):
    """Commands that refuse values in plain words."""

    def invoke(self, ctx: Any) -> Any:
        """See `TyperGroup.invoke`."""
        try:
            return super().invoke(ctx)
        except typer.BadParameter as error:
            error.message = plain(error.message)
            raise


app = typer.Typer(
    cls=PlainGroup,
    help="Re-make parts of a recording with masked acoustic token models.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(requested: bool) -> None:
    if requested:
        typer.echo(f"vamp {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Re-make parts of a recording with masked acoustic token models."""


TASKS = (inpaint, outpaint, loop, vamp, compress)
for task in TASKS:
    app.command()(command(task, run))
    mask.app.command(help=mask.help_of(task.__name__))(command(task, mask.show, mask.ONLY_TYPED))
app.command()(command(replay, run))
app.command()(command(page))
app.command()(command(ui))
app.command()(command(serve))
app.command()(command(doctor))
app.command()(info)
app.command()(presets)
app.command()(prepare)
app.command()(finetune)
app.add_typer(eval.app, name="eval")
app.add_typer(mask.app, name="mask")
app.add_typer(models.app, name="models")
app.add_typer(train.app, name="train")


def main() -> None:
    """Run the command line."""
    # OpenMP's threads sleep while they wait: where other programs are busy, spinning ones take several times as long.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    end_orderly()
    try:
        app()
    except SystemExit as end:
        if end.code:
            _explain_dashes(sys.argv[1:])
        raise


def _explain_dashes(arguments: list[str]) -> None:
    """Say how to name files whose names were parsed as options."""
    for text in arguments[: arguments.index("--")] if "--" in arguments else arguments:
        if text.startswith("-") and os.path.isfile(text):
            sys.stderr.write(f"      {text} is a file, but was read as an option: name it as ./{text}\n")
