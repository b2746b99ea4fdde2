"""Names of options and of the fields that they fill, where these differ."""

from __future__ import annotations

FIELDS = {
    "steps": "n_steps",
    "fine_steps": "n_fine_steps",
    "keep_codebooks": "n_kept_codebooks",
    "beat_width": "beat_width_ms",
    "onset_width": "onset_width_ms",
    "feedback": "n_passes",
    "span": "spans",
    "context": "context_s",
    "seam": "seam_s",
    "after": "after_s",
    "before": "before_s",
    "prefix": "prefix_s",
    "suffix": "suffix_s",
    "downbeat": "downbeat_s",
    "mask": "path",
    "memory": "trust",
    "place": "place_s",
    "memory_from": "files",
}
"""Option with underscores -> field."""

_OPTIONS = {field: option for option, field in FIELDS.items()}


def option_of(field: str) -> str:
    """Long option name of a field: `n_kept_codebooks` -> `keep-codebooks`."""
    return _OPTIONS.get(field, field).replace("_", "-")
