"""Credits and licences of the music that a model is trained on."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any

from vampcli.files import write_text
from vampcli.reading import read_text
from vampcli.train.data import refuse_held_out

CREDITS = "CREDITS.md"
CARD = "README.md"
_BEGIN, _END = "<!-- learned from: written by `vamp train export` -->", "<!-- end of learned from -->"

Entry = Mapping[str, Any]


CREDITED = ("title", "package", "licence", "n_samples")
"""Keys of a manifest that credits are made of."""


def credits_text(entries: Iterable[Entry], model: str, licence: str) -> str:
    """List author, titles, licence and package of every piece, as Markdown.

    Args:
        entries: of a manifest made by `vamp prepare`.
        model: the model's name.
        licence: of its weights.

    Raises:
        UsageError: a piece is not of the split `train`.
    """
    entries = list(entries)
    refuse_held_out(entries, model)

    def group(entry: Entry) -> tuple[str, str, str]:
        return entry["package"], entry["author"], entry["licence"]

    lines = [
        f"# Credits of `{model}`",
        "",
        f"The weights of `{model}` were trained on the music below and are released under {licence}.",
        "",
        "| package | author | licence | titles |",
        "|---|---|---|---|",
    ]
    for (package, author, terms), pieces in groupby(sorted(entries, key=group), key=group):
        titles = ", ".join(sorted({piece["title"] for piece in pieces}))
        name = author or ("see the package" if package else "not named")
        lines.append(f"| {' | '.join(_cell(text) for text in (package, name, terms or 'not named', titles))} |")
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    """Format a cell of a table; names of files need not be Unicode, but the table is."""
    return " ".join(text.encode("utf-8", "replace").decode().replace("|", "/").split())


def licence_hours(entries: Iterable[Entry], sample_rate: int = 44100) -> dict[str, float]:
    """Return hours of music by licence, most first; pieces without a licence count as `not named`."""
    hours: dict[str, float] = {}
    for entry in entries:
        name = _cell(entry["licence"]) or "not named"
        hours[name] = hours.get(name, 0.0) + entry["n_samples"] / entry.get("sample_rate", sample_rate) / 3600
    return dict(sorted(hours.items(), key=lambda item: -item[1]))


def card_text(card: str, entries: Iterable[Entry], model: str, licence: str) -> str:
    """Put the licences of the music into a model card.

    Args:
        card: the card so far, or nothing. Only a section written by an earlier call is replaced.
        entries: of a manifest made by `vamp prepare`.
        model: the model's name.
        licence: of its weights, also for the front matter.

    Raises:
        UsageError: a piece is not of the split `train`.
    """
    entries = list(entries)
    refuse_held_out(entries, model)
    hours = licence_hours(entries)
    n_pieces = len({(entry["package"], entry.get("path", entry["file"])) for entry in entries})
    rows = [f"| {name} | {value:.2f} |" for name, value in hours.items()]
    section = "\n".join(
        [
            _BEGIN,
            f"{n_pieces} pieces, {sum(hours.values()):.2f} h ([{CREDITS}]({CREDITS})):",
            "",
            "| licence of the music | hours |",
            "|---|--:|",
            *rows,
            _END,
        ]
    )
    return _with_section(card or f"# `{model}`\n\n## What it learned from\n", section, licence.lower())


def carry_licences(card: str, source: str) -> str:
    """Return a card with the licence and the licences of music of another card, or unchanged if that has none."""
    section = re.search(f"{re.escape(_BEGIN)}.*?{re.escape(_END)}", source, re.DOTALL)
    licences = [line for line in _split_front_matter(source)[0] if line.startswith("license:")]
    if section is None or not licences:
        return card
    return _with_section(card, section[0], licences[0].partition(":")[2].strip())


def works(credits: str) -> set[tuple[str, str]]:
    """Return the works in a text by `credits_text`: package, author and licence, with each title."""
    rows = [line[2:-2].rpartition(" | ") for line in credits.splitlines() if re.fullmatch(r"\| .* \|", line)]
    return {(source, title) for source, _, titles in rows[1:] for title in titles.split(", ")}


def _with_section(card: str, section: str, licence: str) -> str:
    """Return a card with its section replaced or appended, and the licence set in the front matter."""
    front, body = _split_front_matter(card)
    if _BEGIN in body and _END in body:
        before, _, rest = body.partition(_BEGIN)
        body = before + section + rest.partition(_END)[2]
    else:
        body = f"{body.rstrip()}\n\n{section}\n"
    fields = [line for line in front if not line.startswith("license:")]
    return "\n".join(["---", f"license: {licence}", *fields, "---", body])


def _split_front_matter(card: str) -> tuple[list[str], str]:
    """Return the lines of a card's front matter, and the text after it."""
    found = re.match(r"---\n(.*?)\n---\n", card, re.DOTALL)
    return (found[1].splitlines(), card[found.end() :]) if found else ([], card)


def write_credits(folder: Path, entries: Iterable[Entry], model: str, licence: str) -> None:
    """Write CREDITS.md into a model folder and the licences of the music into its card, README.md.

    Raises:
        UsageError: a piece is not of the split `train`.
    """
    entries = list(entries)
    card = folder / CARD
    texts = {
        folder / CREDITS: credits_text(entries, model, licence),
        card: card_text(read_text(card) if card.is_file() else "", entries, model, licence),
    }
    for path, text in texts.items():
        write_text(path, text)
