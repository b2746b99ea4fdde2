"""Pictures of a sound for a page: the outline of its waveform as an SVG path, its spectrogram as a PNG."""

from __future__ import annotations

import struct
import zlib

import numpy as np

from vampcli.audio.spectrogram import Floats, envelope, spectrogram
from vampcli.audio.waveform import Waveform

N_COLUMNS = 600
"""Columns of a picture, at most."""
HEIGHT = 100
"""Height of an outline, in units of its SVG path; its width is the number of columns."""
RANGE_DB = 70.0
"""From the darkest to the brightest color of a spectrogram."""

_N_ROWS, _N_COLORS = 128, 32
_MAGMA = bytes.fromhex(  # matplotlib's color map in equal steps
    "0000040303120a0822130d341e11492a115c38106c45107754137d6018806d1d81792282882781942c80a1307eae347b"
    "bd3977ca3e72d6456ce24d66ec5860f3655cf8745cfb835ffd9467fea36ffeb27afec185fed194fde0a1fceeb0fcfdbf"
)


def n_columns(sound: Waveform) -> int:
    """Return the columns of a picture of a sound."""
    return min(N_COLUMNS, sound.n_samples)


def outline(sound: Waveform, peak: float) -> str:
    """Return the path of a waveform, of `HEIGHT` units: its greatest samples from left to right, its least ones back.

    Args:
        sound: any.
        peak: sample that reaches the upper edge; greater ones end there.
    """
    low, high = (
        np.round(HEIGHT / 2 * (1 - np.clip(np.nan_to_num(edge) / (peak or 1.0), -1, 1))).astype(int)
        for edge in envelope(sound.samples, n_columns(sound))
    )
    low = np.maximum(low, high + 1)  # silence is a line
    there = "".join(f"l1 {step}" for step in np.diff(high))
    back = "".join(f"l-1 {step}" for step in np.diff(low[::-1]))
    return f"M0 {high[0]}{there}h1V{low[-1]}h-1{back}z"


def decibels(sound: Waveform, columns: int | None = None, start: int = 0, end: int | None = None) -> Floats:
    """Return the spectrogram of a sound in dB, the highest band first: (n_rows, n_columns).

    Args:
        sound: any.
        columns: of the picture; None = `n_columns`.
        start: first sample of a range.
        end: one past its last; None = all.
    """
    n = columns or n_columns(sound)
    levels: Floats = spectrogram(sound, n, start, end).reshape(_N_ROWS, -1, n).mean(1)[::-1]
    return levels


def png(levels: Floats, top_db: float) -> bytes:
    """Return a picture of levels in dB, (n_rows, n_columns), as a PNG with a palette.

    Args:
        levels: a spectrogram.
        top_db: level of the brightest color.
    """
    share = (levels - top_db) / RANGE_DB + 1
    colors = np.clip(np.round(share * (_N_COLORS - 1)), 0, _N_COLORS - 1).astype(np.uint8)
    n_rows, n_cols = colors.shape
    rows = b"".join(b"\0" + row.tobytes() for row in colors)
    header = struct.pack(">IIBBBBB", n_cols, n_rows, 8, 3, 0, 0, 0)
    parts = ((b"IHDR", header), (b"PLTE", _MAGMA), (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, content) for name, content in parts)


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
