"""A table of figures as files: CSV, JSON, Markdown."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vampcli.evaluate.summary import Row


def names_of(rows: Sequence[Row]) -> list[str]:
    """All figures that some row has, in order."""
    return list(dict.fromkeys(name for row in rows for name in row.figures))


def write_tables(rows: Sequence[Row], folder: Path, about: dict[str, Any]) -> list[Path]:
    """Write table.csv, table.json and table.md.

    Args:
        rows: of the table.
        folder: where to.
        about: what the JSON tells beside the rows.

    Returns:
        The paths.
    """
    paths = [folder / f"table.{kind}" for kind in ("csv", "json", "md")]
    with paths[0].open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(_cells(rows))
    table = [
        {
            "condition": row.label,
            "swept": row.swept,
            "n_excerpts": row.n_excerpts,
            "n_failed": row.n_failed,
            "figures": {name: estimate._asdict() for name, estimate in row.figures.items()},
            "above_baseline": {name: estimate._asdict() for name, estimate in row.above.items()},
        }
        for row in rows
    ]
    paths[1].write_text(json.dumps({**about, "rows": table}, indent=1) + "\n", encoding="utf-8")
    paths[2].write_text(markdown(rows), encoding="utf-8")
    return paths


def _cells(rows: Sequence[Row]) -> list[list[Any]]:
    names, differ = names_of(rows), any(row.above for row in rows)
    kinds = ("", "_error", "_above", "_above_error") if differ else ("", "_error")
    table: list[list[Any]] = [["condition", "excerpts", "failed", *(name + kind for name in names for kind in kinds)]]
    for row in rows:
        cells: list[Any] = [row.label, row.n_excerpts, row.n_failed]
        for name in names:
            cells += row.figures.get(name, (None, None))
            cells += row.above.get(name, (None, None)) if differ else ()
        table.append(cells)
    return table


def markdown(rows: Sequence[Row]) -> str:
    """A table; n counts excerpts, and in brackets those that could not be made."""
    names = names_of(rows)
    lines = [f"| condition | n | {' | '.join(name.replace('_', ' ') for name in names)} |"]
    lines += ["|---|--:|" + "--:|" * len(names)]
    for row in rows:
        n = f"{row.n_excerpts} ({row.n_failed})" if row.n_failed else str(row.n_excerpts)
        lines.append(f"| {' | '.join([row.label, n, *(cell(row, name) for name in names)])} |")
    return "\n".join(lines) + "\n"


def cell(row: Row, name: str) -> str:
    """A figure, in brackets by how much it is above the baseline's; empty if there is none."""
    if name not in row.figures:
        return ""
    above = row.above.get(name)
    if above is None:
        return str(row.figures[name])
    error = "" if above.error is None else f" ± {above.error:.2g}"
    return f"{row.figures[name].value:.3g} ({above.value:+.2g}{error})"
