"""`vamp eval`: measure a model on recordings that it has not seen."""

from __future__ import annotations

import typer

from vampcli.cli.command import command
from vampcli.cli.commands.eval_codec import codec
from vampcli.cli.commands.eval_reuse import reuse
from vampcli.cli.commands.eval_run import run
from vampcli.cli.commands.eval_self_check import self_check
from vampcli.cli.commands.eval_tokens import tokens

app = typer.Typer(help="Measure a model on recordings.", no_args_is_help=True)
for function in (run, self_check, codec, tokens, reuse):
    app.command()(command(function))
