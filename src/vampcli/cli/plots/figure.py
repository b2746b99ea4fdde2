"""Style and saving, shared by all figures."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from vampcli.errors import UsageError
from vampcli.files import replacing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_METADATA = {".png": {"Software": None}, ".svg": {"Date": None}, ".pdf": {"CreationDate": None}}  # for equal bytes
_FONTS = ["DejaVu Sans"]  # comes with matplotlib; then fonts of operating systems for other scripts
_FONTS += ["Noto Sans CJK JP", "Noto Sans CJK SC", "Hiragino Sans", "PingFang SC", "Apple SD Gothic Neo"]
_FONTS += ["Yu Gothic", "Microsoft YaHei", "Malgun Gothic"]


def check_suffix(path: Path) -> None:
    """Refuse a suffix that names no picture format, without importing matplotlib.

    Raises:
        UsageError: the suffix is none of .png, .svg and .pdf.
    """
    if path.suffix.lower() not in _METADATA:
        raise UsageError(f"unknown picture format: '{path.suffix or path}'", f"use one of {' '.join(_METADATA)}")


def save(figure: Figure, path: Path, overwrite: bool = False) -> None:
    """Write a figure, whole or not at all; equal figures give equal bytes.

    Args:
        figure: any.
        path: its suffix is the format.
        overwrite: replace an existing file.

    Raises:
        UsageError: the suffix is none of .png, .svg and .pdf.
        InputError: the file exists, or cannot be written.
    """
    check_suffix(path)
    suffix = path.suffix.lower()
    with replacing(path, overwrite) as temp, temp.open("wb") as file, default_style():
        figure.savefig(file, format=suffix[1:], dpi=120, metadata=_METADATA[suffix])


@contextmanager
def default_style() -> Iterator[None]:
    """Use matplotlib's defaults instead of the user's settings, which are restored at the end."""
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update({"font.family": installed_fonts(), "svg.hashsalt": "vamp"})
        yield


def installed_fonts() -> list[str]:
    """Names of the fonts in use, in order of preference."""
    from matplotlib.font_manager import fontManager

    installed = set(fontManager.get_font_names())
    return [name for name in _FONTS if name in installed]
