"""Summaries of models, adapters and published models; weights are not read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from vampcli.checkpoints import adapter_file, registry
from vampcli.checkpoints.folder import PARTS, model_config, read_config
from vampcli.checkpoints.headers import counts, stored_hash
from vampcli.checkpoints.origin import read_origin
from vampcli.checkpoints.published import PublishedModel, find_published, published_models
from vampcli.checkpoints.registry import ModelPaths
from vampcli.errors import ModelError, VampError


@dataclass(frozen=True)
class Entry:
    """Summary of a model, adapter or published model.

    Attributes:
        name: the value for `-m`.
        kind: `embedded`, `pulled`, `imported`, `own` (trained, or copied), `adapter`, or `to pull`.
        folder: None if it is to be pulled.
        megabytes: on the disk, or to download.
        sample_rate: in Hz; None for an adapter.
        n_codebooks: of the codec; None for an adapter.
        n_parameters: of all parts; codebooks count once.
        licence: of the weights.
        source: authors and paper.
        address: of a published model to pull; else empty.
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
    """Summary of a model folder.

    Raises:
        ModelError: a file of it is missing or damaged.
    """
    config = model_config(folder)
    files = [folder / f"{part}.safetensors" for part in PARTS if getattr(config, part) is not None]
    n_parameters = sum(sum(counts(file).values()) for file in files)
    megabytes, credit = _megabytes(sum(file.stat().st_size for file in files)), config.provenance
    sizes = (megabytes, config.codec.sample_rate, config.codec.n_codebooks, n_parameters)
    return Entry(name, _kind(folder), str(folder), *sizes, credit.licence, credit.source)


def of_adapter(folder: Path) -> Entry:
    """Summary of an adapter folder.

    Raises:
        ModelError: it is damaged.
    """
    facts, file = adapter_file.read(folder), folder / adapter_file.FILE
    titles = ", ".join(str(source.get("title", "")) for source in facts.sources)
    name, credit = f"{facts.base}+{folder.name}", f"{facts.base}, fine-tuned on {titles}"
    size, n_parameters = _megabytes(file.stat().st_size), sum(counts(file).values())
    return Entry(name, "adapter", str(folder), size, None, None, n_parameters, facts.licence, credit)


def of_source(source: PublishedModel) -> Entry:
    """Summary of a published model."""
    sizes = (_megabytes(source.n_bytes), source.sample_rate, source.n_codebooks, source.n_parameters)
    return Entry(source.name, "to pull", None, *sizes, source.licence, source.credit, source.address)


def everything() -> Iterator[Entry | ModelError]:
    """Summaries of all models, adapters and published models; an error in the position of each damaged one."""
    here = registry.installed()
    for name, folder in here.items():
        try:
            yield of_model(name, folder)
        except VampError as error:
            yield ModelError(f"{name}: {error.message}", error.hint)
    for folder in registry.adapters().values():
        try:
            yield of_adapter(folder)
        except VampError as error:
            yield ModelError(error.message, error.hint)
    yield from (of_source(source) for source in published_models() if source.name not in here)


def facts(name: str) -> dict[str, Any]:
    """All metadata of a model, by its name or folder, as nested tables.

    Raises:
        ModelError: no such model, or a file of it is missing or damaged.
    """
    source = find_published(name)
    if source and name not in registry.installed() and not Path(name).is_dir():
        return asdict(of_source(source)) | {"files": dict(source.files)}
    found = registry.locate(name)
    table = asdict(of_model(name, found.folder)) | _details(found)
    if found.adapter:
        table["adapter"] = {"folder": str(found.adapter), **asdict(adapter_file.read(found.adapter))}
    origin = read_origin(found.folder)
    return table | ({"origin": asdict(origin)} if origin else {})


def _details(found: ModelPaths) -> dict[str, Any]:
    config, known = read_config(found.folder), model_config(found.folder)
    grid = known.codec.grid
    table: dict[str, Any] = {"hop_length": grid.hop_length, "frame_rate_hz": round(grid.frame_rate, 3)}
    table["training"] = known.provenance.training
    for part in (part for part in PARTS if config.get(part) is not None):
        file = found.folder / f"{part}.safetensors"
        stored = counts(file)
        table[part] = config[part] | {
            "n_parameters": sum(stored.values()),
            "megabytes": _megabytes(file.stat().st_size),
            "stored": stored,
        }
        if part != "codec":
            table[part]["context_s"] = round(config[part]["context_frames"] / grid.frame_rate, 2)
    table["codec_hash"] = stored_hash(found.folder / "codec.safetensors")
    if all(config.get(part) is not None for part in PARTS):
        table["model_sha256"] = registry.model_hash(found)
    return table


def _kind(folder: Path) -> str:
    if not registry.is_own(folder) and folder.parent in registry.homes():
        return "embedded"
    origin = read_origin(folder)
    return "own" if origin is None else "pulled" if origin.address else "imported"


def _megabytes(n_bytes: int) -> float:
    return round(n_bytes / 1e6, 1)
