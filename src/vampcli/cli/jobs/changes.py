"""`--set NAME=VALUE`: a recipe with one thing changed."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from vampcli.cli.names import FIELDS
from vampcli.cli.parse import parse_span, parse_time
from vampcli.config import MusicalSpan
from vampcli.errors import InputError, UsageError
from vampcli.recipe.recipe import Recipe, recipe_from_table, to_table

_CHANGEABLE = ("sampling", "request")
_ALONE = ("seed", "stereo", "part", "subtype")


def changed(recipe: Recipe, settings: Sequence[str], where: str) -> Recipe:
    """Change settings of a recipe.

    Args:
        recipe: as it was read.
        settings: `name=value`; names are those of the options or of the recipe, spans are written as on the command
            line, commas between them, and `none` unsets.
        where: names the recipe in errors.

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
        key = name.strip().removeprefix("--").replace("-", "_")
        places = dict(_places(table))
        holder = places.get(FIELDS.get(key, key))
        if holder is None:
            known = [*places, *(option for option, field in FIELDS.items() if field in places)]
            near = difflib.get_close_matches(key, known, 3, cutoff=0.7) or sorted(places)
            raise UsageError(f"{where} has no setting {key!r}", f"there are: {', '.join(near)}")
        key = FIELDS.get(key, key)
        holder[key] = _parsed(key, value.strip())
    from vampcli.tasks import registry

    try:
        other = recipe_from_table(json.loads(json.dumps(table)), where)
        registry.task_from_table(other.command, other.request, where)
        return other
    except InputError as error:
        raise UsageError(error.message, error.hint) from error


def _places(table: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Names of settings, and the tables they stand in."""
    yield from ((key, table) for key in _ALONE)
    todo = [table[key] for key in _CHANGEABLE]
    for inner in todo:
        for key, value in inner.items():
            if isinstance(value, dict):
                todo.append(value)
            else:
                yield key, inner


def _parsed(key: str, text: str) -> Any:
    if text == "none":
        return [] if key == "spans" else None
    if key == "spans":
        spans = [parse_span(one) for one in text.split(",")]
        return [asdict(span) if isinstance(span, MusicalSpan) else span for span in spans]
    if key.endswith("_s"):
        return parse_time(text)
    try:
        return json.loads(text)  # numbers, true, false
    except ValueError:
        return text
