"""A setting has one name: in the command line, `--print-config`, recipes, and as a keyword in Python."""

import dataclasses
import inspect
import json
from collections.abc import Iterator
from typing import Any, get_type_hints

import pytest
import typer

from conftest import Vamp
from vampcli.api import Model, load
from vampcli.cli import main
from vampcli.config import MemoryConfig, PromptConfig, SamplingConfig, TempoConfig
from vampcli.recipe.recipe import MadeBy, Recipe
from vampcli.tasks import keywords
from vampcli.tasks.registry import TASKS
from vampcli.tasks.spans import SpanRequest
from vampcli.train.config import LoopConfig
from vampcli.train.finetune import FineTuneConfig

FOUND = {"sources", "found"}
"""Fields of recipes that hold what was found, not what was asked for."""
ALONE = {"bitrate"}
"""An option that stands for others: recipes hold these."""
MADE = {"progress", "rendering", "sampling", "prompt"}
"""Keywords in Python that are no options."""


def settings(kind: Any) -> Iterator[str]:
    """Names of a settings class and of those inside it."""
    for name, hint in get_type_hints(kind).items():
        inner = next((one for one in (hint, *getattr(hint, "__args__", ())) if dataclasses.is_dataclass(one)), None)
        if name == "command" or name in FOUND:
            continue
        if name == "mask" or inner is None or name == "span":
            yield name
        else:
            yield from settings(inner)


def options(command: str) -> set[str]:
    """Long options of a command."""
    found = typer.main.get_command(main.app).commands[command]  # type: ignore[attr-defined]
    names = (name for parameter in found.params for name in parameter.opts if name.startswith("--"))
    return {name.removeprefix("--").replace("-", "_") for name in names}


def taken_by(command: str) -> set[str]:
    """Keywords of a method of `Model`."""
    method = getattr(Model, command)
    parameters = inspect.signature(method).parameters
    kind = {"compress": "TakeKeywords"}.get(command, f"{command.capitalize()}Keywords")
    return {*parameters, *getattr(keywords, kind).__optional_keys__} - {"self", "audio", "options"}


@pytest.mark.parametrize("command", TASKS)
def test_names_agree(vamp: Vamp, command: str) -> None:
    asked = {*settings(TASKS[command]), *settings(SamplingConfig), "seed", "stereo"}
    asked -= set() if command == "inpaint" else {"place", "memory_from"}  # tasks refuse what only inpaint takes
    assert asked <= options(command)
    printed = vamp(command, "--print-config", "--json")
    assert printed.code == 0, printed.err
    assert asked <= {name.replace("-", "_") for name in json.loads(printed.out)}
    assert asked | {"takes"} == taken_by(command) - MADE


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        (SamplingConfig, keywords.SamplingKeywords.__annotations__),
        (PromptConfig, keywords.PromptKeywords.__annotations__),
        (TempoConfig, keywords.SpanKeywords.__annotations__),
        (MemoryConfig, {**keywords.MemoryKeywords.__annotations__, **keywords.InpaintKeywords.__annotations__}),
    ],
)
def test_keywords_have_the_types_of_the_fields(kind: Any, names: dict[str, Any]) -> None:
    fields = {name: hint for name, hint in get_type_hints(kind).items() if name not in FOUND}
    assert fields.keys() <= names.keys()
    typed = get_type_hints(keywords.VampKeywords) | get_type_hints(keywords.InpaintKeywords)
    assert {name: typed[name] for name in fields if name != "memory_from"} == {
        name: hint for name, hint in fields.items() if name != "memory_from"
    }


def test_every_option_that_makes_a_take_is_in_the_recipe() -> None:
    table = {"stereo", "seed", "part", "subtype", "clip_mode"}
    recorded = table | set(settings(SamplingConfig))
    for command, task in TASKS.items():
        panels = {"Prompt", "Spans", "Memory"}
        found = typer.main.get_command(main.app).commands[command]  # type: ignore[attr-defined]
        options = {p.name for p in found.params if getattr(p, "rich_help_panel", None) in panels}
        shortcuts = {"start", "end", "spans_from", "label", "preset", "places", *ALONE}
        if command == "outpaint":  # whose recipe holds seconds
            shortcuts |= set(settings(TempoConfig))
        assert options - shortcuts <= recorded | set(settings(task)), command


def test_names_of_other_settings_agree() -> None:
    assert {f.name for f in dataclasses.fields(FineTuneConfig)} <= options("finetune")
    assert {"steps", "learning_rate", "seed"} <= {f.name for f in dataclasses.fields(LoopConfig)} & options("finetune")
    made = {"model", "device", "dtype", "exact", "compile"}
    assert made - {"model"} <= set(inspect.signature(load).parameters)
    assert made <= {f.name for f in dataclasses.fields(MadeBy)} & options("inpaint")
    assert {"seed", "stereo", "clip_mode"} <= {f.name for f in dataclasses.fields(Recipe)}
    assert {f.name for f in dataclasses.fields(SpanRequest)} == {"span", "tempo", "snap"}
