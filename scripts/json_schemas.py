"""Write the JSON schemas of requests, answers, recipes and the lines of `--json`, made from the dataclasses.

python scripts/json_schemas.py
"""

from __future__ import annotations

import dataclasses
import inspect
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import json_lines

from vampcli.audio.metadata.base import RECIPE
from vampcli.cli.config import options_of
from vampcli.cli.jobs import protocol
from vampcli.cli.jobs.parser import Parser, kind_of
from vampcli.cli.jobs.serve import COMMANDS, OWN
from vampcli.recipe.recipe import Recipe
from vampcli.schema import Between
from vampcli.tasks.registry import TASKS

FOLDER = Path(__file__).parents[1] / "docs/reference/schemas"

Schema = dict[str, Any]
_TYPES = {int: "integer", float: "number", str: "string", bool: "boolean", NoneType: "null"}
_OPTIONS = {"flag": "boolean", "number": "number", "integer": "integer", "text": "string", "choice": "string"}
_BOUNDS = {"integer": "{}imum", "number": "{}imum", "string": "{}Length", "array": "{}Items"}
_ATTRIBUTE = re.compile(r"^(\w+): (.*(?:\n +.*)*)", re.MULTILINE)


def schemas() -> dict[str, Schema]:
    """Return all schemas by the names of their files."""
    return {
        "request.json": _request(),
        "answer.json": _any_of(
            "An answer of `vamp serve --stdio`.",
            protocol.Ready,
            protocol.Progress,
            protocol.Note,
            protocol.Failure,
            protocol.Done,
            result=json_lines.TakeLine,
        ),
        "recipe.json": _sidecar(),
        "output.json": _any_of("A line of `--json`.", *json_lines.LINES.values()),
    }


def text(schema: Schema) -> str:
    """Return a schema as the content of its file."""
    return json.dumps(schema, indent=1, ensure_ascii=False) + "\n"


def schema_of(annotation: Any, defs: dict[str, Schema]) -> Schema:
    """Return the schema of a type of `vampcli.schema.from_table`; those of dataclasses are put into `defs`."""
    if get_origin(annotation) is Annotated:
        bare, *metadata = get_args(annotation)
        found = schema_of(bare, defs)
        for one in metadata:
            if isinstance(one, Between):
                pattern = _BOUNDS[found["type"]]
                found |= {pattern.format("min"): one.low, pattern.format("max"): one.high}
        return found
    origin, inner = get_origin(annotation), get_args(annotation)
    if annotation is Any:
        return {}
    if origin is Literal:
        return {"enum": list(inner)}
    if origin in (Union, UnionType):
        return {"anyOf": [schema_of(one, defs) for one in inner]}
    if origin is tuple and inner[1:] != (Ellipsis,):
        items = [schema_of(one, defs) for one in inner]
        return {"type": "array", "prefixItems": items, "minItems": len(items), "maxItems": len(items)}
    if origin in (tuple, Sequence):
        return {"type": "array", "items": schema_of(inner[0], defs)}
    if annotation is dict or origin in (dict, Mapping):
        return {"type": "object", "additionalProperties": schema_of((inner or (str, Any))[1], defs)}
    if dataclasses.is_dataclass(annotation):
        name = str(getattr(annotation, "__name__", ""))
        if name not in defs:
            defs[name] = {}  # a recipe holds recipes
            defs[name] = _table(annotation, defs)
        return {"$ref": f"#/$defs/{name}"}
    return {"type": _TYPES[annotation]}


def _table(cls: Any, defs: dict[str, Schema]) -> Schema:
    """The schema of a dataclass, with the words of its docstring."""
    head, _, attributes = inspect.cleandoc(cls.__doc__).partition("\nAttributes:\n")
    about = {name: " ".join(words.split()) for name, words in _ATTRIBUTE.findall(inspect.cleandoc(attributes))}
    types = get_type_hints(cls, include_extras=True)
    properties, required = {}, []
    for field in dataclasses.fields(cls):
        properties[field.name] = schema_of(types[field.name], defs)
        if field.name in about:
            properties[field.name]["description"] = about[field.name]
        if field.default is field.default_factory is dataclasses.MISSING:
            required.append(field.name)
    table = {"description": head.strip().partition("\n\n")[0], "type": "object", "properties": properties}
    return table | {"required": required, "additionalProperties": False}


def _whole(description: str, schema: Schema, defs: dict[str, Schema]) -> Schema:
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "description": description}
    return {**head, **schema, "$defs": dict(sorted(defs.items()))}


def _any_of(description: str, *classes: Any, **events: Any) -> Schema:
    """A line of one of several dataclasses; `events` are those of answers that have the keys of other lines."""
    defs: dict[str, Schema] = {}
    for name, cls in events.items():
        schema_of(cls, defs)
        answer = defs[cls.__name__]
        answer["properties"] = {"event": {"enum": [name]}, "id": schema_of(protocol.Id, defs), **answer["properties"]}
        answer["required"] = ["event", "id", *answer["required"]]
    found = [schema_of(cls, defs) for cls in (*classes, *events.values())]
    for cls in classes:  # every answer names its event
        if "event" in defs[cls.__name__]["properties"]:
            defs[cls.__name__]["required"].insert(0, "event")
    return _whole(description, {"anyOf": found}, _with_requests(defs))


def _with_requests(defs: dict[str, Schema]) -> dict[str, Schema]:
    """Let the `request` of a recipe depend on its command."""
    if Recipe.__name__ in defs:
        defs[Recipe.__name__]["allOf"] = [
            {
                "if": {"properties": {"command": {"const": name}}},
                "then": {"properties": {"request": schema_of(task, defs)}},
            }
            for name, task in TASKS.items()
        ]
        defs[Recipe.__name__]["properties"]["command"] = {"enum": list(TASKS), "description": "of the task."}
    return defs


def _sidecar() -> Schema:
    defs: dict[str, Schema] = {}
    seal = {"type": "string", "description": "SHA-256 of the recipe: a change by hand is refused."}
    properties = {RECIPE: schema_of(Recipe, defs), "sha256": seal}
    sidecar = {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}
    return _whole("A recipe in metadata, or beside a result.", sidecar, _with_requests(defs))


def _request() -> Schema:
    """A request: its options are those of its command."""
    defs: dict[str, Schema] = {}
    either = {"anyOf": [schema_of(protocol.Request, defs), schema_of(protocol.Cancel, defs)]}
    commands = Parser(COMMANDS).commands
    for name, command in commands.items():
        defs[f"{name} options"] = _options(command)
    defs[protocol.Request.__name__]["allOf"] = [
        {
            "if": {"properties": {"command": {"const": name}}},
            "then": {"properties": {"options": {"$ref": f"#/$defs/{name} options"}}},
        }
        for name in commands
    ]
    return _whole("A request to `vamp serve --stdio`; keys of options may have _ for -.", either, defs)


def _options(command: Any) -> Schema:
    properties = {}
    for key, option in options_of(command).items():
        if key in OWN:
            continue
        kind, choices = kind_of(command.callback, option.parameter.name)
        value: Schema = {"enum": list(choices)} if choices else {"type": _OPTIONS[kind]}
        if kind == "text":
            value = {"type": ["string", "number"]}  # as in vamp.toml: 4 is "4"
        if option.type is list:
            value = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}
        for name in {key, key.replace("-", "_")}:
            properties[name] = {**value, "description": option.parameter.help}
    return {"type": "object", "properties": dict(sorted(properties.items())), "additionalProperties": False}


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, schema in schemas().items():
        (FOLDER / name).write_text(text(schema), encoding="utf-8")
