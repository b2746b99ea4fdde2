"""Sound formats by name: containers by suffix, and which sample format holds which. Imports no torch."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from vampcli.errors import UsageError

BITS = {"PCM_S8": 8, "PCM_U8": 8, "PCM_16": 16, "PCM_24": 24, "PCM_32": 32}
"""Bits of the integer sample formats, by libsndfile's names."""

FORMATS = {".wav": "WAV", ".flac": "FLAC", ".ogg": "OGG", ".mp3": "MP3", ".aiff": "AIFF", ".aif": "AIFF"}
"""libsndfile's names of containers, by suffix."""

NaN = Literal["error", "zero"]
"""Treatment of samples that are NaN or infinite: an error, or 0 in their place."""

ClipMode = Literal["clamp", "rescale", "error"]
"""Treatment of samples beyond full scale in an integer format: clamp them, lower the generated spans, or an error."""

PageAudio = Literal["vorbis", "flac"]
"""Codec of the sound in a page to listen on: small, or lossless."""

READ = "wav, flac, ogg, mp3, aiff, m4a, aac, opus, wma, wv and other sound files"
"""Formats that are read, in words."""

TOKENS = ".vamp"
"""The suffix of token files."""


def container(path: str | Path) -> str:
    """Return libsndfile's name of the container that a file's suffix stands for.

    Raises:
        UsageError: the suffix is unknown.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in FORMATS:
        raise UsageError(f"unknown sound format: '{suffix or path}'", f"use one of {' '.join(FORMATS)}")
    return FORMATS[suffix]


def holds(stored: str, original: str) -> bool:
    """Return whether format `stored` represents every sample of format `original` exactly."""
    if original in ("FLOAT", "DOUBLE"):
        return stored in ("DOUBLE", original)
    bits = BITS[original]
    return BITS.get(stored, {"FLOAT": 24, "DOUBLE": 53}.get(stored, 0)) >= bits


def native_path(path: Path) -> str | bytes:
    """Return a path as libsndfile takes it: names need not be UTF-8, and a bare `-` would be stdin."""
    path = Path(os.path.abspath(path))
    return str(path) if os.name == "nt" else os.fsencode(path)
