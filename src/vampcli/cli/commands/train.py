"""`vamp train`: train a codec, encode tokens, train transformers, export a model."""

from __future__ import annotations

import typer

from vampcli.cli.command import command
from vampcli.cli.commands.train_export import export
from vampcli.cli.commands.train_plot import plot
from vampcli.cli.commands.train_run import coarse, codec, fine
from vampcli.cli.commands.train_tokens import tokens
from vampcli.cli.commands.train_validate import validate

app = typer.Typer(help="Train a model.", no_args_is_help=True)
for run in (codec, tokens, coarse, fine, plot, validate, export):
    app.command()(command(run))
