"""A model folder's `config.json`: sizes, licence and source of a model, without its weights."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch

from vampcli.codec.base import Codec
from vampcli.codec.kinds import build_codec
from vampcli.errors import InputError, ModelError
from vampcli.model.transformer import VampNetConfig

FORMAT = 1
CONFIG = "config.json"
PARTS = ("codec", "coarse", "fine")
TEMPERATURE = "temperature"
CURE = "import or pull the model again"

T = TypeVar("T")


@dataclass(frozen=True)
class Provenance:
    """Source and licence of a model."""

    name: str
    licence: str
    source: str
    training: str = ""


@dataclass(frozen=True)
class ModelMetadata:
    """Sizes and licence of a model.

    Attributes:
        codec: on the meta device, for its grid, reach and halo.
        coarse: sizes of the coarse model.
        fine: sizes of the fine model.
        provenance: licence and source.
    """

    codec: Codec
    coarse: VampNetConfig
    fine: VampNetConfig
    provenance: Provenance

    @property
    def context_frames(self) -> int:
        """Context of the coarse model, in frames."""
        return self.coarse.context_frames


def read_metadata(folder: Path) -> ModelMetadata:
    """Read the metadata of a complete model folder; no weights.

    Raises:
        ModelError: `config.json` is missing or damaged, or a file is missing.
    """
    config = read_config(folder)
    for part in PARTS:
        if part not in config:
            raise ModelError(f"{folder} has no {part} model", "it needs codec, coarse and fine")
        if not (folder / f"{part}.safetensors").is_file():
            raise ModelError(f"{folder / part}.safetensors is missing", CURE)
    coarse, fine = (build_from_config(folder, VampNetConfig, config[part]) for part in ("coarse", "fine"))
    provenance = build_from_config(folder, Provenance, config["provenance"])
    return ModelMetadata(codec_without_weights(config), coarse, fine, provenance)


def read_config(folder: Path) -> dict[str, Any]:
    """Read and check `config.json`.

    Raises:
        ModelError: it is missing or damaged, or of a newer format.
    """
    path = folder / CONFIG
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"cannot read {path}: {error}", CURE) from error
    if not isinstance(config, dict):
        raise ModelError(f"{path} is damaged: it holds no table", CURE)
    missing = [k for k in ("format", "codec", "provenance") if k not in config]
    if missing:
        raise ModelError(f"{path} lacks {missing[0]!r}", CURE)
    if config["format"] != FORMAT:
        raise ModelError(f"{path} has format {config['format']}, not {FORMAT}", "update vamp")
    temperature = config.get(TEMPERATURE, 1.0)
    if not isinstance(temperature, int | float) or not 0.01 <= temperature <= 100:
        raise ModelError(f"{path} has the temperature {temperature!r}", "it must be 0.01 to 100")
    no_tables = [k for k in (*PARTS, "provenance") if not isinstance(config.get(k, {}), dict)]
    if no_tables:
        raise ModelError(f"{path} is damaged: {no_tables[0]!r} is no table", CURE)
    return config


def build_from_config(folder: Path, make: Callable[..., T], table: dict[str, Any]) -> T:
    """Call `make` with a table of `config.json`; errors name the file."""
    try:
        return make(**table)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ModelError(f"{folder / CONFIG} has bad values: {error}", CURE) from error


def codec_without_weights(config: dict[str, Any]) -> Codec:
    """The codec of a `config.json`, on the meta device: tensors with shapes and without values."""
    sizes = dict(config["codec"])
    kind = str(sizes.pop("kind", ""))
    with torch.device("meta"):
        return build_codec(kind, sizes)


def refuse_existing(folder: Path, overwrite: bool) -> None:
    """Refuse to replace a model that exists, unless `overwrite` is set.

    Raises:
        InputError: the folder holds a model.
    """
    if (folder / CONFIG).exists() and not overwrite:
        raise InputError(f"{folder} holds a model", "--overwrite replaces it; or name another folder")
