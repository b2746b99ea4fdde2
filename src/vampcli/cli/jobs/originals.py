"""Find the input of a result by its recipe."""

from __future__ import annotations

import os
from pathlib import Path

from vampcli.cli.jobs.pipes import PIPE
from vampcli.errors import InputError
from vampcli.recipe.recipe import Recipe


def find_originals(result: Path, recipe: Recipe, named: str | None) -> list[Path]:
    """Return candidates for the input of a result: the named file, or that in the recipe and one beside the result.

    Raises:
        InputError: there is none.
    """
    if named is not None:
        return [Path(os.path.expanduser(named))]
    name = recipe.source.name
    candidates = dict.fromkeys((Path(name), result.parent / Path(name).name)) if name not in ("", PIPE) else ()
    found = [path for path in candidates if os.path.isfile(path)]
    if not found:
        was = {"": "sound without a file", PIPE: "sound from a pipe"}.get(name, name)
        raise InputError(f"the input of {result} is not there: {was}", "name it with --input")
    return found
