"""Commands out of functions that ask for something: their options, and who carries the request out."""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable, Collection
from typing import Any, get_type_hints

import typer

from vampcli.cli.annotations import Typed
from vampcli.cli.config import settle
from vampcli.cli.console import Console, guarded
from vampcli.cli.jobs.job import Workflow
from vampcli.cli.layers import PRINT
from vampcli.cli.options import Inputs, PrintConfig

Ask = Callable[..., Workflow]
"""Says what is to be done with each recording; its parameters are options, or groups of them such as `Common`."""


def command(
    ask: Ask, carry_out: Callable[[Workflow, list[str]], None], only_typed: Collection[str] = ()
) -> Callable[..., None]:
    """Make a command of typer's.

    Args:
        ask: makes the workflow; its name, help and options are the command's. A parameter that is `Typed` is no option.
        carry_out: gets the workflow and the inputs as they were typed.
        only_typed: options that environment and files do not set.
    """
    hints = get_type_hints(ask, include_extras=True)
    groups: dict[str, Any] = {
        name: hint for name, hint in hints.items() if dataclasses.is_dataclass(hint) and name != "return"
    }
    parameters = [
        inspect.Parameter("ctx", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context),
        inspect.Parameter("inputs", inspect.Parameter.POSITIONAL_OR_KEYWORD, default=None, annotation=Inputs),
    ]
    wants_typed = [name for name, hint in hints.items() if hint is Typed]
    for name, own in inspect.signature(ask).parameters.items():
        if name in wants_typed:
            continue
        parameters += _options_of(groups[name]) if name in groups else [own.replace(annotation=hints[name])]

    parameters.append(inspect.Parameter(PRINT, inspect.Parameter.KEYWORD_ONLY, default=False, annotation=PrintConfig))

    @guarded
    @functools.wraps(ask)
    def run(ctx: typer.Context, inputs: list[str] | None, print_config: bool, **typed: Any) -> None:
        if not inputs and not print_config:
            ctx.fail("Missing argument 'INPUT'.")
        configuration = settle(ctx, typed, only_typed)
        values = configuration.values
        if print_config:
            as_json = values["as_json"]
            Console().result(configuration.as_json() if as_json else configuration.as_toml())
            return
        with configuration.explained():
            for name, group in groups.items():
                values[name] = group(**{f.name: values.pop(f.name) for f in dataclasses.fields(group)})
            values |= dict.fromkeys(wants_typed, configuration.typed)
            carry_out(ask(**values), inputs or [])

    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {p.name: p.annotation for p in parameters}
    return run


def _options_of(group: Any) -> list[inspect.Parameter]:
    hints = get_type_hints(group, include_extras=True)
    return [
        inspect.Parameter(f.name, inspect.Parameter.KEYWORD_ONLY, default=f.default, annotation=hints[f.name])
        for f in dataclasses.fields(group)
    ]
