"""What there is to say about each model, adapter and published model, without a weight read."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from vampcli.checkpoints import adapter_file, registry
from vampcli.checkpoints.folder import CONFIG, PARTS, read_config
from vampcli.checkpoints.origin import read_origin
from vampcli.checkpoints.published import PublishedModel, find_published, published_models
from vampcli.checkpoints.registry import ModelPaths
from vampcli.checkpoints.weights import stored_hash
from vampcli.errors import ModelError

_CURE = "import or pull the model again"


@dataclass(frozen=True)
class Entry:
    """A line of the catalogue.

    Attributes:
        name: what `-m` takes.
        kind: `embedded`, `pulled`, `imported`, `own` (trained, or copied here), `adapter`, or `to pull`.
        folder: where it is; None if it is to be pulled.
        megabytes: on the disk, or to download.
        sample_rate: in Hz; None for an adapter.
        n_codebooks: of the codec; None for an adapter.
        n_parameters: of all parts; codebooks count once.
        licence: of the weights.
        source: where they come from.
        address: to pull from; empty if it is here.
    """

    name: str
    kind: str
    folder: str | None
    megabytes: float
    sample_rate: int | None
    n_codebooks: int | None
    n_parameters: int
    licence: str
    source: str
    address: str = ""


def of_model(name: str, folder: Path) -> Entry:
    """Sum a model up.

    Raises:
        ModelError: a file of it is missing or damaged.
    """
    config = read_config(folder)
    files = [folder / f"{part}.safetensors" for part in PARTS if part in config]
    n_parameters = sum(sum(counts(file).values()) for file in files)
    try:
        return Entry(
            name,
            _kind(folder),
            str(folder),
            _megabytes(sum(file.stat().st_size for file in files)),
            config["codec"].get("sample_rate", 44100),
            config["codec"]["n_codebooks"],
            n_parameters,
            config["provenance"]["licence"],
            config["provenance"]["source"],
        )
    except KeyError as error:
        raise ModelError(f"{folder / CONFIG} lacks {error}", _CURE) from error


def of_adapter(folder: Path) -> Entry:
    """Sum an adapter up.

    Raises:
        ModelError: it is damaged.
    """
    facts, file = adapter_file.read(folder), folder / adapter_file.FILE
    titles = ", ".join(str(source.get("title", "")) for source in facts.sources)
    name, credit = f"{facts.base}+{folder.name}", f"{facts.base}, fine-tuned on {titles}"
    size, n_parameters = _megabytes(file.stat().st_size), sum(counts(file).values())
    return Entry(name, "adapter", str(folder), size, None, None, n_parameters, facts.licence, credit)


def of_source(source: PublishedModel) -> Entry:
    """Sum a published model up that is not here."""
    return Entry(
        source.name,
        "to pull",
        None,
        _megabytes(source.n_bytes),
        source.sample_rate,
        source.n_codebooks,
        source.n_parameters,
        source.licence,
        source.credit,
        source.address,
    )


def everything() -> Iterator[Entry | ModelError]:
    """Every model, adapter and published model with a name; one that is damaged does not hide the others."""
    here = registry.installed()
    for name, folder in here.items():
        try:
            yield of_model(name, folder)
        except ModelError as error:
            yield ModelError(f"{name}: {error.message}", error.hint)
    for folder in registry.adapters().values():
        try:
            yield of_adapter(folder)
        except ModelError as error:
            yield error
    yield from (of_source(source) for source in published_models() if source.name not in here)


def facts(name: str) -> dict[str, Any]:
    """All that is known of a model by its name or folder, in tables.

    Raises:
        ModelError: there is none, or a file of it is missing or damaged.
    """
    source = find_published(name)
    if source and name not in registry.installed() and not Path(name).is_dir():
        return asdict(of_source(source)) | {"files": dict(source.files)}
    found = registry.locate(name)
    told = asdict(of_model(name, found.folder)) | _details(found)
    if found.adapter:
        told["adapter"] = {"folder": str(found.adapter), **asdict(adapter_file.read(found.adapter))}
    origin = read_origin(found.folder)
    return told | ({"origin": asdict(origin)} if origin else {})


def _details(found: ModelPaths) -> dict[str, Any]:
    config = read_config(found.folder)
    codec, training = config["codec"], config["provenance"].get("training", "")
    try:
        hop = codec.get("hop_length") or math.prod(codec["encoder_rates"])
        frame_rate = codec.get("sample_rate", 44100) / hop
    except (KeyError, TypeError, ZeroDivisionError) as error:
        raise ModelError(f"{found.folder / CONFIG} has a bad codec: {error}", _CURE) from error
    told: dict[str, Any] = {"hop_length": hop, "frame_rate_hz": round(frame_rate, 3), "training": training}
    for part in (part for part in PARTS if part in config):
        file = found.folder / f"{part}.safetensors"
        stored = counts(file)
        told[part] = config[part] | {
            "n_parameters": sum(stored.values()),
            "megabytes": _megabytes(file.stat().st_size),
            "stored": stored,
        }
        if "context_frames" in config[part]:
            told[part]["context_s"] = round(config[part]["context_frames"] / frame_rate, 2)
    told["codec_hash"] = stored_hash(found.folder / "codec.safetensors")
    if set(PARTS) <= set(config):
        told["model_sha256"] = registry.model_hash(found)
    return told


def counts(path: Path) -> dict[str, int]:
    """Parameters of a weights file, by precision; its header alone is read.

    Raises:
        ModelError: it is missing or damaged.
    """
    found: dict[str, int] = {}
    try:
        with path.open("rb") as file:
            start = int.from_bytes(file.read(8), "little") + 8
            n_bytes = path.stat().st_size
            header: dict[str, Any] = json.loads(file.read(start - 8)) if start <= n_bytes else {}
        header.pop("__metadata__", None)
        if start + max((tensor["data_offsets"][1] for tensor in header.values()), default=0) != n_bytes:
            raise ValueError("its length is wrong")
        for name, tensor in header.items():
            if name != "codebooks":  # the codec's, over again
                found[tensor["dtype"]] = found.get(tensor["dtype"], 0) + math.prod(tensor["shape"])
    except FileNotFoundError as error:
        raise ModelError(f"{path} is missing", _CURE) from error
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise ModelError(f"{path} is damaged: {error}", _CURE) from error
    return found


def _kind(folder: Path) -> str:
    if not registry.is_own(folder) and folder.parent in registry.homes():
        return "embedded"
    origin = read_origin(folder)
    return "own" if origin is None else "pulled" if origin.address else "imported"


def _megabytes(n_bytes: int) -> float:
    return round(n_bytes / 1e6, 1)
