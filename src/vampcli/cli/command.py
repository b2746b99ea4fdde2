"""Typer commands from functions whose parameters are options or dataclasses of options."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Collection, Iterator
from dataclasses import MISSING, fields, is_dataclass
from typing import Annotated, Any, get_type_hints

import typer

from vampcli.cli.config import PRINT, resolve
from vampcli.cli.console import Console, guarded
from vampcli.cli.jobs.job import Workflow
from vampcli.cli.options import DERIVED, INPUTS_HELP, Inputs, PrintConfig


def command(
    function: Callable[..., Any],
    carry_out: Callable[[Workflow, list[str]], Any] | None = None,
    only_typed: Collection[str] = (),
    raises: bool = False,
) -> Callable[..., Any]:
    """Make a Typer command; its name, help and options are those of a function.

    Args:
        function: runs the command; or returns the workflow, if there is `carry_out`. A parameter whose type is a
            dataclass stands for the options in that class, and `ctx` is Typer's context.
        carry_out: gets the workflow and the inputs. The options of such a command can be configured, unless the
            function declares the inputs itself.
        only_typed: options that are read from the command line alone.
        raises: errors are raised, not printed; the command returns what `carry_out` returns.
    """
    accepted = inspect.signature(function, eval_str=True).parameters
    is_configurable = carry_out is not None and "inputs" not in accepted
    parameters = [inspect.Parameter("ctx", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)]
    if is_configurable:
        parameters.append(_keyword("inputs", Inputs, None))
    for name, parameter in accepted.items():
        if is_dataclass(parameter.annotation):
            parameters += _options_of(parameter.annotation)
        elif name != "ctx":
            parameters.append(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY))
    if is_configurable:
        parameters.append(_keyword(PRINT, PrintConfig, False))

    @functools.wraps(function)
    def run(ctx: typer.Context, **parsed: Any) -> Any:
        if is_configurable and not (parsed["inputs"] or parsed[PRINT]):
            ctx.fail("Missing argument 'INPUT'.")
        configuration = resolve(ctx, parsed, only_typed)
        values = configuration.values | {"ctx": ctx}
        if parsed.get(PRINT):
            Console().result(configuration.as_json() if values["as_json"] else configuration.as_toml())
            return None
        with configuration.explained():
            configuration.refuse_conflicts()
            if note := configuration.local_note():
                Console(quiet=bool(values.get("quiet"))).note(note)
            arguments = {name: _value(parameter.annotation, name, values) for name, parameter in accepted.items()}
            result = function(**arguments)
            return carry_out(result, parsed["inputs"]) if carry_out else None

    run.__doc__ = inspect.cleandoc(function.__doc__ or "") + (f"\n{INPUTS_HELP}" if is_configurable else "")
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {p.name: p.annotation for p in parameters}
    return run if raises else guarded(run)


def _keyword(name: str, annotation: Any, default: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def _options_of(group: Any) -> Iterator[inspect.Parameter]:
    """The fields of a dataclass as options, with those of dataclasses among them."""
    hints = get_type_hints(group, include_extras=True)
    for field in fields(group):
        hint = hints[field.name]
        if is_dataclass(hint):
            yield from _options_of(hint)
        else:
            details = DERIVED.get(group, {}).get(field.name)
            default = inspect.Parameter.empty if field.default is MISSING else field.default
            yield _keyword(field.name, Annotated[(hint, *details)] if details else hint, default)


def _value(hint: Any, name: str, values: dict[str, Any]) -> Any:
    """The value of a parameter or field: an option's, or a dataclass of such values."""
    if not is_dataclass(hint):
        return values[name]
    hints = get_type_hints(hint, include_extras=True)
    return hint(**{field.name: _value(hints[field.name], field.name, values) for field in fields(hint)})  # type: ignore[operator]
