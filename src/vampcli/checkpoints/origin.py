"""The record of its source that a fetched or imported model folder carries."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from pathlib import Path

from vampcli.errors import ModelError
from vampcli.files import child
from vampcli.reading import read_json
from vampcli.schema import from_table, raising, shown

ORIGIN = "origin.json"
FORMAT = 1
_CURE = "pull the model with --update, or import it with --overwrite"


@dataclass(frozen=True)
class Origin:
    """Source of a model folder, with hashes of the fetched and of the written files.

    Attributes:
        name: of the published model; of the folder if the model was imported.
        address: of the published model; empty if the model was imported.
        licence: of the weights.
        dtype: precision of the stored weights.
        date: of the download or import, UTC.
        downloads: `url`, `revision`, `etag`, `n_bytes` and `sha256` of each published file, by its path.
        files: SHA-256 of each file in the folder, by name.
    """

    name: str
    address: str
    licence: str
    dtype: str
    downloads: Mapping[str, Mapping[str, str | int]]
    files: Mapping[str, str] = field(default_factory=dict)
    date: str = field(default_factory=lambda: datetime.now(timezone.utc).isoformat(timespec="seconds"))
    format: int = FORMAT

    def write(self, folder: Path) -> None:
        """Write the record into a model folder."""
        (folder / ORIGIN).write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")


def read_origin(folder: Path) -> Origin | None:
    """Read a model folder's record, if it has one.

    Raises:
        ModelError: it is damaged, or of a newer format.
        InputError: it names a file outside the folder.
    """
    path = folder / ORIGIN
    if not path.exists():
        return None
    table = read_json(path, ModelError, _CURE)
    if not isinstance(table, dict):
        raise ModelError(f"{path} is damaged: it holds no table", _CURE)
    if table.get("format", FORMAT) != FORMAT:
        raise ModelError(f"{path} has format {shown(table['format'])}, not {FORMAT}", "update vamp")
    with raising(ModelError, _CURE):
        found = from_table(Origin, table, str(path))
    for name in found.files:
        child(folder, name, path)
    return found
