"""`--set NAME=VALUE`: change the settings of a recipe."""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, fields
from typing import Any

from vampcli.cli.parse import parse_trust
from vampcli.config import MusicalSpan, RelativeTime, Span, TempoConfig
from vampcli.errors import InputError, UsageError
from vampcli.old_names import NAMES
from vampcli.reading import parse_json
from vampcli.recipe.recipe import Recipe, recipe_from_table, to_table
from vampcli.schema import from_table
from vampcli.tasks.times import parse_length, parse_position, parse_span

_TABLES = ("sampling", "request")
_AFTER_SEARCH = ("repeats", "variation", "seam", "margin", "memory", "edit")  # settings that move no loop point
_LENGTHS = ("after", "before", "context", "prefix", "seam", "suffix")
_POSITIONS = ("downbeat", "place")
_TOP_LEVEL = ("seed", "stereo", "part", "subtype", "clip_mode", "rendering")

Convert = Callable[[RelativeTime, TempoConfig], float]
"""A time that depends on the recording, and a tempo -> seconds."""


def apply_settings(recipe: Recipe, settings: Sequence[str], where: str, to_seconds: Convert) -> Recipe:
    """Return a recipe with some settings changed.

    Args:
        recipe: of a result.
        settings: `name=value`, with the name of an option; spans are separated by commas,
            and `none` unsets.
        where: name of the recipe in errors.
        to_seconds: converts bars, beats and percent of lengths and positions; spans keep them.

    Raises:
        UsageError: a setting is not of that form, the recipe has none of that name, or cannot have that value.
    """
    if not settings:
        return recipe
    table = to_table(recipe)
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals:
            raise UsageError(f"--set {setting} sets nothing", "write NAME=VALUE, such as --set temperature=0.9")
        key = _key(name)
        owners = dict(_list_settings(table))
        owner = owners.get(key)
        if owner is None:
            near = difflib.get_close_matches(key, owners, 3, cutoff=0.7) or sorted(owners)
            raise UsageError(f"{where} has no setting {key!r}", f"there are: {', '.join(near)}")
        parsed = _parse(key, value.strip())
        owner[key] = to_seconds(parsed, _tempo(owners)) if isinstance(parsed, RelativeTime) else parsed
        memory = table["request"].get("memory")
        if memory and (key == "seed" or (owner is not table and owner is not table["sampling"])) and key != "edit":
            memory["sources"] = None  # another request: places are searched anew
        if owner is not table and "found" in table["request"] and key not in _AFTER_SEARCH:
            table["request"]["found"] = None  # and loop points, too
    from vampcli.tasks import registry

    try:
        other = recipe_from_table(json.loads(json.dumps(table)), where)
        registry.task_from_table(other.command, other.request, where)
    except InputError as error:
        raise UsageError(error.message, error.hint) from error
    if (recipe.part == "preview") != (other.part == "preview"):  # the request of a preview is another
        raise UsageError(f"{where} is of the part {recipe.part!r}, and cannot become {other.part!r}", "use its command")
    return other


def setting_names(settings: Sequence[str]) -> set[str]:
    """Return the names of settings that were typed as `name=value`."""
    return {_key(setting.partition("=")[0]) for setting in settings}


def _key(name: str) -> str:
    """The name of a setting in recipes, from that of an option."""
    key = name.strip().removeprefix("--").replace("-", "_")
    return NAMES.get(key, key)


def _list_settings(table: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the names of settings, each with the table that holds it."""
    yield from ((key, table) for key in _TOP_LEVEL)
    todo = [table[key] for key in _TABLES]
    for inner in todo:
        for key, value in inner.items():
            if isinstance(value, dict) and key != "mask":
                todo.append(value)
            else:
                yield key, inner


def _tempo(owners: dict[str, dict[str, Any]]) -> TempoConfig:
    """The tempo in a recipe, as far as it has one."""
    names = [field.name for field in fields(TempoConfig) if field.name in owners]
    return from_table(TempoConfig, {name: owners[name][name] for name in names}, "--set")


def _parse(key: str, text: str) -> Any:
    from vampcli.tokens import mask_file  # imports numpy

    if text == "none":
        return [] if key in ("span", "memory_from") else None
    if key == "memory":
        return parse_trust(text)
    if key == "span":
        return [_span(parse_span(one)) for one in text.split(",")]
    if key == "mask":
        return asdict(mask_file.pin(text))
    if key in _LENGTHS:
        return None if (key, text) == ("seam", "auto") else parse_length(text)
    if key in _POSITIONS:
        return parse_position(text)
    try:
        return parse_json(text, f"--set {key}", finite=False)  # numbers, true, false
    except InputError:
        return text


def _span(span: Span) -> Any:
    """A span as the table of a recipe has it."""
    if isinstance(span, MusicalSpan):
        return asdict(span)
    return [asdict(time) if isinstance(time, RelativeTime) else time for time in span]
