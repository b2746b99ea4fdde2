"""Records of an experiment in a file: a line each, so that a run that was cut off goes on."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

Record = dict[str, Any]
"""`condition` (its key, or REFERENCE), `excerpt`, `piece`, and `takes`: the figures of each; `diversity` of several;
`original`: embeddings of the excerpt, cut where the takes are; `failed`: why there are no takes."""

ORIGINAL = "original"

REFERENCE = "reference"
"""The condition of other recordings, which distances are measured to: embeddings alone."""


def read_records(path: Path) -> list[Record]:
    """Records of earlier runs; a line that was cut off is left out."""
    found = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
        try:
            found.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return found


def done(records: Iterable[Record]) -> set[tuple[str, int]]:
    """What need not be made again: conditions and excerpts."""
    return {(record["condition"], record["excerpt"]) for record in records}


def appended(path: Path, records: Iterable[Record]) -> Iterator[Record]:
    """Write each record as soon as it is made, and give it on."""
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    with path.open("a", encoding="utf-8") as file:
        if before and not before.endswith("\n"):
            file.write("\n")  # a run was cut off
        for record in records:
            file.write(json.dumps(record) + "\n")
            file.flush()
            yield record
