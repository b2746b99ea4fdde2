"""Who made the music that a model has learned from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import groupby
from typing import Any

from vampcli.errors import UsageError


def credits_text(entries: Iterable[Mapping[str, Any]], model: str, licence: str) -> str:
    """List author, titles, licence and package of every piece, as Markdown.

    Args:
        entries: of a manifest made by `vamp train prepare`.
        model: the model's name.
        licence: of its weights.

    Raises:
        UsageError: a piece is not of the split `train`.
    """
    entries = list(entries)
    strays = [entry for entry in entries if entry["split"] != "train"]
    if strays:
        raise UsageError(
            f"{strays[0]['title']} is of the split {strays[0]['split']}", "train on rows marked train only"
        )

    def group(entry: Mapping[str, Any]) -> tuple[str, str, str]:
        return entry["package"], entry["author"], entry["licence"]

    lines = [
        f"# Credits of `{model}`",
        "",
        f"The weights of `{model}` were trained on the music below and are released under {licence}.",
        "",
        "| package | author | licence | titles |",
        "|---|---|---|---|",
    ]
    for (package, author, own), pieces in groupby(sorted(entries, key=group), key=group):
        titles = ", ".join(sorted(piece["title"] for piece in pieces)).replace("|", "/")
        name = " ".join(author.replace("|", "/").split()) or "see the package"
        lines.append(f"| {package} | {name} | {own} | {titles} |")
    return "\n".join(lines) + "\n"
