"""Sound formats by name: what a suffix means, and what holds what. Asking needs no torch."""

from __future__ import annotations

from pathlib import Path

from vampcli.errors import UsageError

BITS = {"PCM_S8": 8, "PCM_U8": 8, "PCM_16": 16, "PCM_24": 24, "PCM_32": 32}
"""Integer sample formats, in libsndfile's words."""

FORMATS = {
    ".wav": "WAV",
    ".flac": "FLAC",
    ".ogg": "OGG",
    ".mp3": "MP3",
    ".aiff": "AIFF",
    ".aif": "AIFF",
}
"""Containers by suffix, in libsndfile's words."""


TOKENS = ".vamp"
"""The suffix of token files."""


def container(path: str | Path) -> str:
    """The container that a file's suffix names.

    Raises:
        UsageError: it names none.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in FORMATS:
        raise UsageError(f"unknown sound format: '{suffix or path}'", f"use one of {' '.join(FORMATS)}")
    return FORMATS[suffix]


def holds(stored: str, original: str) -> bool:
    """Whether every sample of format `original` has an exact place in format `stored`."""
    if original in ("FLOAT", "DOUBLE"):
        return stored in ("DOUBLE", original)
    bits = BITS[original]
    return BITS.get(stored, {"FLOAT": 24, "DOUBLE": 53}.get(stored, 0)) >= bits
