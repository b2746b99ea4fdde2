"""Recipes in files: in the metadata of a result, in a token file, or as JSON beside the result."""

from __future__ import annotations

import os
from pathlib import Path

from vampcli.audio.formats import TOKENS
from vampcli.audio.metadata.carry import Metadata
from vampcli.errors import InputError
from vampcli.files import replacing
from vampcli.reading import read_text
from vampcli.recipe.recipe import MOST_TEXT, Recipe, from_text, to_text

SIDECAR = ".json"


def beside(path: Path) -> Path:
    """Return the path of the recipe file beside a result: `song.wav.json`."""
    return path.with_name(path.name + SIDECAR)


def write_beside(path: Path, recipe: Recipe, overwrite: bool = False) -> None:
    """Write the recipe of a result beside it.

    Raises:
        InputError: the file exists, or the folder is not writable or full.
    """
    with replacing(beside(path), overwrite) as temp:
        temp.write_text(to_text(recipe) + "\n", encoding="utf-8")


def recipe_of(path: Path, name: str = "", metadata: Metadata | None = None) -> Recipe | None:
    """Read the recipe of a file from its metadata, or from the JSON file beside it.

    Args:
        path: a result, or such a JSON file itself.
        name: of the file in errors, if not its path.
        metadata: of the file, if it has been read.

    Returns:
        None if vamp did not make the file, or it has lost its metadata.

    Raises:
        InputError: the file is missing or unreadable, or the recipe damaged or changed by hand.
    """
    suffix, shown = path.suffix.lower(), name or str(path)
    if suffix == SIDECAR:
        return _from_json(path, shown)
    if suffix == TOKENS:
        from vampcli.recipe import token_file  # imports torch

        return token_file.load(path).recipe

    if metadata is None:
        from vampcli.audio.read import read_metadata  # imports soundfile, too much for --help

        metadata = read_metadata(path)
    embedded = from_text(metadata.comment, shown)
    return _from_json(beside(path), shown) if embedded is None and os.path.isfile(beside(path)) else embedded


def holds_recipe(path: Path) -> bool:
    """Return whether vamp made a file, by the recipe in it; False where none can be read."""
    try:
        return recipe_of(path) is not None
    except InputError:
        return False


def _from_json(path: Path, name: str) -> Recipe:
    recipe = from_text(read_text(path, 2 * MOST_TEXT, "name a file that vamp has written"), name)
    if recipe is None:
        raise InputError(f"{path} holds no recipe", "name one that --sidecar has written")
    return recipe
