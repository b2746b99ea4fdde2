"""Names that settings had in older recipes, model folders and TOML files."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

NAMES = {
    "n_steps": "steps",
    "n_fine_steps": "fine_steps",
    "n_kept_codebooks": "keep_codebooks",
    "beat_width_ms": "beat_width",
    "onset_width_ms": "onset_width",
    "n_passes": "feedback",
    "places": "at",
    "spans": "span",
    "downbeat_s": "downbeat",
    "context_s": "context",
    "seam_s": "seam",
    "after_s": "after",
    "before_s": "before",
    "prefix_s": "prefix",
    "suffix_s": "suffix",
    "own": "mask",
    "trust": "memory",
    "place_s": "place",
    "files": "memory_from",
    "compiled": "compile",
    "n_takes": "takes",
    "n_excerpts": "excerpts",
}
"""Old name -> name."""


def renamed(text: str) -> str:
    """Replace the old names in a text, such as the dotted name of a setting."""
    return re.sub(r"\w+", lambda word: NAMES.get(word[0], word[0]), text)


def with_new_names(table: Mapping[str, Any]) -> dict[str, Any]:
    """Return a table, and the tables in it, with the names of today; one that has both names keeps the old one, too.

    Lists are left as they are.
    """
    return {
        key if (name := renamed(key)) in table else name: with_new_names(value) if isinstance(value, Mapping) else value
        for key, value in table.items()
    }
