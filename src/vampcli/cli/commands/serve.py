"""`vamp serve`: requests of other programs."""

from __future__ import annotations

import json
import signal
import sys
from contextlib import redirect_stdout
from typing import Annotated, Any

from vampcli.cli import options as o
from vampcli.cli.console import SIGNALLED, drop_stdout
from vampcli.cli.jobs.job import ModelRequest
from vampcli.errors import InputError, UsageError


def serve(
    *,
    stdio: Annotated[bool, o.flag("Read requests from stdin, a line each; answer on stdout.")] = False,
    model: o.ModelName = "mini",
    device: o.Device = "auto",
    dtype: o.Dtype = "auto",
    exact: Annotated[bool, o.flag("Let a take depend on its seed alone; slower.")] = False,
    compile: Annotated[bool, o.flag("Compile the models, for long work on a GPU.", "--compile/--no-compile")] = False,
) -> None:
    """Make takes for other programs, with a model that stays loaded.

    Requests and answers are JSON objects, a line each. It ends with its input.

    Example: vamp serve --stdio < requests.jsonl
    """
    if not stdio:
        raise UsageError("no way to talk is named", "requests come on stdin: vamp serve --stdio")
    if sys.stdin is None or sys.stdout is None:
        raise InputError("stdin or stdout is closed", "keep both open: requests and answers need them")
    from vampcli.cli.jobs.protocol import read_stdin
    from vampcli.cli.jobs.serve import Server

    out = sys.stdout.buffer

    def emit(line: dict[str, Any]) -> None:
        try:
            out.write(json.dumps(line).encode() + b"\n")
            out.flush()
        except BrokenPipeError:  # no one reads the answers
            drop_stdout()
            raise SystemExit(SIGNALLED + signal.SIGPIPE) from None

    with redirect_stdout(sys.stderr):  # whatever a library prints is no answer
        Server(ModelRequest(model, device, dtype, exact, compile), emit).serve(read_stdin(sys.stdin.fileno()))
