"""Recipes and files: in a result's metadata, in a token file, or as JSON beside it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from vampcli.audio.formats import TOKENS
from vampcli.errors import InputError
from vampcli.files import replacing
from vampcli.recipe.recipe import InputSource, Recipe, audio_hash, from_text, to_text

if TYPE_CHECKING:
    from vampcli.audio.waveform import Waveform

SIDECAR = ".json"


def beside(path: Path) -> Path:
    """The file that tells the recipe of a result beside it: `song.wav.json`."""
    return path.with_name(path.name + SIDECAR)


def write_beside(path: Path, recipe: Recipe, overwrite: bool = False) -> None:
    """Write the recipe of a result beside it.

    Raises:
        InputError: the file exists, or the folder is not writable or full.
    """
    with replacing(beside(path), overwrite) as temp:
        temp.write_text(to_text(recipe) + "\n", encoding="utf-8")


def recipe_of(path: Path, name: str = "") -> Recipe | None:
    """How a file was made, by what it says itself, or by the JSON beside it.

    Args:
        path: a result, or such a JSON file itself.
        name: of the file in errors, if it has another one.

    Returns:
        None if vamp did not make it, or it lost its metadata.

    Raises:
        InputError: the file is missing or unreadable, or the recipe damaged or changed by hand.
    """
    suffix, named = path.suffix.lower(), name or str(path)
    if suffix == SIDECAR:
        return _from_json(path, named)
    if suffix == TOKENS:
        from vampcli.recipe import token_file  # imports torch

        return token_file.load(path).recipe
    from vampcli.audio.io import comment  # imports soundfile, too much for --help

    own = from_text(comment(path), named)
    return _from_json(beside(path), named) if own is None and os.path.isfile(beside(path)) else own


def source_of(clip: Waveform, path: Path, name: str = "") -> InputSource:
    """What a recipe says of its input.

    Args:
        clip: what was read from the file.
        path: of the file.
        name: of the file, if it has another one.

    Raises:
        InputError: the file has a recipe itself, which is damaged or was changed by hand.
    """
    return InputSource(name or str(path), audio_hash(clip), recipe_of(path, name))


def _from_json(path: Path, name: str) -> Recipe:
    try:
        recipe = from_text(path.read_text(encoding="utf-8"), name)
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read {path}: {error}", "name a file that vamp has written") from error
    if recipe is None:
        raise InputError(f"{path} holds no recipe", "name one that --sidecar has written")
    return recipe
