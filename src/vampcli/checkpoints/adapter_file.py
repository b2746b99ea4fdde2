"""Adapter folders: read and write one file of LoRA pairs with its metadata."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from vampcli.errors import InputError, ModelError
from vampcli.model.lora import Pairs

FILE = "adapter.safetensors"
FORMAT = 1
_FACTS = "adapter"


@dataclass(frozen=True)
class Facts:
    """What an adapter says about itself.

    Attributes:
        name: the adapter's own.
        base: name or folder of the model it belongs to.
        codec_hash: of the tokens it knows.
        base_hash: of the weights it was learned on; see `vampcli.checkpoints.weights.weights_hash`.
        licence: of its weights, which is the base's.
        rank: of the pairs.
        sources: title, author, licence and seconds of each recording it has learned from.
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
        facts: what it says about itself.
        pairs: of `coarse` and of `fine`.

    Raises:
        InputError: the folder cannot be written.
    """
    tensors = {
        f"{part}.{name}.{half}": tensor.contiguous()
        for part, own in pairs.items()
        for name, pair in own.items()
        for half, tensor in zip("ab", pair, strict=True)
    }
    partial = folder / f".{FILE}.partial"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        partial.touch()
        mode = partial.stat().st_mode
        save_file(tensors, partial, {_FACTS: json.dumps(asdict(facts))})
        os.chmod(partial, mode)  # safetensors makes files for their owner's eyes only
        partial.replace(folder / FILE)
    except (OSError, SafetensorError) as error:
        raise InputError(f"cannot write {folder}: {error}", "name another folder, or make room") from error


def read(folder: Path) -> Facts:
    """Read what an adapter says about itself; no weights.

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
