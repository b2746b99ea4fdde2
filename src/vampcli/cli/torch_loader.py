"""Import torch in four fifths of the time."""

from __future__ import annotations

import gc
import importlib
import sys


def load_torch() -> None:
    """Import torch without collecting garbage meanwhile: its many objects stay, so that every search is in vain."""
    if "torch" in sys.modules or not gc.isenabled():
        return
    gc.disable()
    try:
        importlib.import_module("torch")
    finally:
        gc.freeze()
        gc.enable()
