"""A model folder's `config.json`: sizes, licence and source of a model, without its weights. Imports no torch."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from vampcli.codec.config import CodecShape, codec_config
from vampcli.config import SamplingConfig
from vampcli.errors import InputError, ModelError
from vampcli.model.config import VampNetConfig
from vampcli.old_names import with_new_names
from vampcli.reading import read_json
from vampcli.schema import Between, from_table, raising, shown

FORMAT = 1
CONFIG = "config.json"
PARTS = ("codec", "coarse", "fine")
TEMPERATURE = "temperature"
CURE = "import or pull the model again"


@dataclass(frozen=True)
class Provenance:
    """Source and licence of a model."""

    name: str
    licence: str
    source: str
    training: str = ""


@dataclass(frozen=True)
class ModelConfig:
    """The content of `config.json`.

    Attributes:
        codec: configuration of a codec; see `vampcli.codec.config.CONFIGS`.
        provenance: licence and source.
        coarse: sizes of the coarse model; None if the folder has none.
        fine: sizes of the fine model; None if the folder has none.
        temperature: that suits the transformers.
        sampling: options of takes for which nothing else is said; the paper's by default.
    """

    codec: Any
    provenance: Provenance
    coarse: VampNetConfig | None = None
    fine: VampNetConfig | None = None
    temperature: Annotated[float, Between(0.01, 100)] = 1.0
    sampling: SamplingConfig = SamplingConfig()  # noqa: RUF009 (it is frozen)


@dataclass(frozen=True)
class ModelMetadata:
    """Sizes and licence of a model.

    Attributes:
        codec: its token grid, reach and halo.
        coarse: sizes of the coarse model.
        fine: sizes of the fine model.
        provenance: licence and source.
    """

    codec: CodecShape
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
    config = model_config(folder)
    for part in PARTS:
        if getattr(config, part) is None:
            raise ModelError(f"{folder} has no {part} model", "it needs codec, coarse and fine")
        if not (folder / f"{part}.safetensors").is_file():
            raise ModelError(f"{folder / part}.safetensors is missing", CURE)
    coarse, fine = config.coarse, config.fine
    assert coarse is not None
    assert fine is not None
    return ModelMetadata(config.codec, coarse, fine, config.provenance)


def read_config(folder: Path) -> dict[str, Any]:
    """Read `config.json` as a table, and check it; see `model_config`."""
    return _read(folder)[0]


def config_without_sampling(folder: Path) -> bytes:
    """Return the content of `config.json`, without the table of recommended sampling options if it has one.

    Raises:
        ModelError: it cannot be read.
    """
    try:
        content = (folder / CONFIG).read_bytes()
    except OSError as error:
        raise ModelError(f"cannot read {folder / CONFIG}: {error}", CURE) from error
    if b'"sampling"' not in content:
        return content
    table = read_config(folder)
    return (json.dumps({key: value for key, value in table.items() if key != "sampling"}, indent=1) + "\n").encode()


def model_config(folder: Path) -> ModelConfig:
    """Read `config.json`.

    Raises:
        ModelError: it is missing or damaged, of a newer format, or a value is out of range; the message names it.
    """
    return _read(folder)[1]


def _read(folder: Path) -> tuple[dict[str, Any], ModelConfig]:
    path = folder / CONFIG
    table = read_json(path, ModelError, CURE)
    if not isinstance(table, dict):
        raise ModelError(f"{path} is damaged: it holds no table", CURE)
    missing = [k for k in ("format", "codec", "provenance") if k not in table]
    if missing:
        raise ModelError(f"{path} lacks {missing[0]!r}", CURE)
    if table["format"] != FORMAT:
        raise ModelError(f"{path} has format {shown(table['format'])}, not {FORMAT}", "update vamp")
    if not isinstance(table["codec"], dict):
        raise ModelError(f"{path}: codec is {shown(table['codec'])}", "it takes a table")
    codec = codec_config(table["codec"], str(path))
    if isinstance(sampling := table.get("sampling"), dict):
        table["sampling"] = with_new_names(sampling)
    with raising(ModelError, CURE):
        config = from_table(ModelConfig, {**table, "codec": codec}, str(path), ignored=("format",))
    _check_sizes(config, path)
    return table, config


def _check_sizes(config: ModelConfig, path: Path) -> None:
    """Check that codec and transformers have the same tokens: fine continues coarse.

    Raises:
        ModelError: they do not.
    """
    n_before = 0
    for part in ("coarse", "fine"):
        sizes: VampNetConfig | None = getattr(config, part)
        if sizes is None:
            continue
        wanted = {"codebook_size": config.codec.codebook_size, "codebook_dim": config.codec.codebook_dim}
        if part == "coarse" or config.coarse is not None:
            wanted["n_conditioning"] = n_before
        for name, value in wanted.items():
            if getattr(sizes, name) != value:
                raise ModelError(f"{path} [{part}]: {name} is {getattr(sizes, name)}", f"the other parts need {value}")
        if sizes.n_codebooks > config.codec.n_codebooks:
            fact = f"{path} [{part}]: n_codebooks is {sizes.n_codebooks}"
            raise ModelError(fact, f"the codec has {config.codec.n_codebooks}")
        n_before = sizes.n_codebooks


def refuse_existing(folder: Path, overwrite: bool) -> None:
    """Refuse to replace a model that exists, unless `overwrite` is set.

    Raises:
        InputError: the folder holds a model.
    """
    if (folder / CONFIG).exists() and not overwrite:
        raise InputError(f"{folder} holds a model", "--overwrite replaces it; or name another folder")
