"""Adapter folders: read and write one file of LoRA pairs with its metadata."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from vampcli.checkpoints import tensorfile
from vampcli.errors import ModelError
from vampcli.model.lora import Pairs

FILE = "adapter.safetensors"
FORMAT = 1
_FACTS = "adapter"


@dataclass(frozen=True)
class Facts:
    """Metadata of an adapter.

    Attributes:
        name: of the adapter.
        base: name or folder of its base model.
        codec_hash: of the codec that made its training tokens.
        base_hash: of the base's weights; see `vampcli.checkpoints.weights.weights_hash`.
        licence: of its weights: that of the base.
        rank: of the pairs.
        sources: title, author, licence and seconds of each recording in its training data.
        trained_s: seconds of training.
    """

    name: str
    base: str
    codec_hash: str
    base_hash: str
    licence: str
    rank: int
    sources: tuple[dict[str, Any], ...] = ()
    trained_s: float = 0.0
    format: int = FORMAT


def save(folder: Path, facts: Facts, pairs: Mapping[str, Pairs]) -> None:
    """Write an adapter, whole or not at all.

    Args:
        folder: made if need be.
        facts: its metadata.
        pairs: of `coarse` and of `fine`.

    Raises:
        InputError: the folder cannot be written.
    """
    tensors = {
        f"{part}.{name}.{half}": tensor
        for part, named in pairs.items()
        for name, pair in named.items()
        for half, tensor in zip("ab", pair, strict=True)
    }
    tensorfile.save(folder / FILE, tensors, {_FACTS: json.dumps(asdict(facts))})


def read(folder: Path) -> Facts:
    """Read the metadata of an adapter; no weights.

    Raises:
        ModelError: it is missing, damaged, or of a newer format.
    """
    try:
        with safe_open(str(folder / FILE), framework="pt") as file:
            table = json.loads((file.metadata() or {})[_FACTS])
        if table["format"] != FORMAT:
            raise ModelError(f"the adapter {folder} has format {table['format']}, not {FORMAT}", "update vamp")
        return Facts(**{**table, "sources": tuple(table["sources"])})
    except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"the adapter {folder} is damaged: {error}", "fine-tune again, or get it again") from error


def load(folder: Path) -> dict[str, Pairs]:
    """Read an adapter's pairs, of `coarse` and of `fine`.

    Raises:
        ModelError: it is missing or damaged, or half of a pair is missing.
    """
    pairs: dict[str, Pairs] = {"coarse": {}, "fine": {}}
    try:
        with safe_open(str(folder / FILE), framework="pt") as file:
            names = {name.rpartition(".")[0] for name in file.keys()}  # noqa: SIM118
            for name in sorted(names):
                part, _, projection = name.partition(".")
                a, b = (file.get_tensor(f"{name}.{half}") for half in "ab")
                pairs[part][projection] = a, b
    except (OSError, SafetensorError, KeyError) as error:
        raise ModelError(f"the adapter {folder} is damaged: {error}", "fine-tune again, or get it again") from error
    return pairs
