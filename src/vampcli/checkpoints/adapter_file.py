"""Adapter folders: read and write one file of LoRA pairs with its metadata."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from vampcli.errors import ModelError
from vampcli.reading import parse_json
from vampcli.schema import Between, from_table, raising, shown
from vampcli.tensor_reading import open_tensors

if TYPE_CHECKING:
    from vampcli.model.lora import Pairs

FILE = "adapter.safetensors"
FORMAT = 1
_FACTS = "adapter"
_FLOATS = ("F64", "F32", "F16", "BF16")
_CURE = "fine-tune again, or get it again"


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
    rank: Annotated[int, Between(1, 2**14)]
    sources: tuple[dict[str, Any], ...] = ()
    trained_s: Annotated[float, Between(0, 1e12)] = 0.0
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
    from vampcli.checkpoints import tensorfile  # imports torch

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
    with _opened(folder) as file:
        text = (file.metadata() or {}).get(_FACTS)
    if text is None:
        raise ModelError(f"the adapter {folder} is damaged: it does not say what it is", _CURE)
    where = f"the adapter {folder}"
    table = parse_json(text, where, ModelError, _CURE)
    if not isinstance(table, dict) or table.get("format") != FORMAT:
        found = shown(table.get("format")) if isinstance(table, dict) else "none"
        raise ModelError(f"{where} has format {found}, not {FORMAT}", "update vamp")
    with raising(ModelError, _CURE):
        return from_table(Facts, table, where)


def load(folder: Path) -> dict[str, Pairs]:
    """Read an adapter's pairs, of `coarse` and of `fine`.

    Raises:
        ModelError: it is missing or damaged, half of a pair is missing, or a half is no matrix of numbers.
    """
    pairs: dict[str, Pairs] = {"coarse": {}, "fine": {}}
    with _opened(folder) as file:
        found = set(file.keys())
        for name in sorted({name.rpartition(".")[0] for name in found}):
            part, _, projection = name.partition(".")
            halves = [f"{name}.{half}" for half in "ab"]
            if part not in pairs or not found.issuperset(halves):
                raise ModelError(f"the adapter {folder} is damaged: {shown(name)} is no pair", _CURE)
            for half in halves:
                header = file.get_slice(half)
                dtype, shape = header.get_dtype(), header.get_shape()
                if dtype not in _FLOATS or len(shape) != 2 or 0 in shape:
                    raise ModelError(f"the adapter {folder} is damaged: {half} is {dtype} {shape}", _CURE)
            a, b = (file.get_tensor(half) for half in halves)
            pairs[part][projection] = a, b
    return pairs


@contextmanager
def _opened(folder: Path) -> Iterator[Any]:
    with open_tensors(folder / FILE, kind=ModelError, cure=_CURE) as file:
        yield file
