"""The published JSON schemas, and validators of them."""

import json
import sys
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "scripts"))


@cache
def validator(name: str) -> Any:
    """A validator of the lines of a kind, such as `answer`."""
    schema = json.loads((ROOT / f"docs/reference/schemas/{name}.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)
