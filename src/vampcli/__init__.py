"""Re-make parts of a recording with masked acoustic token models.

The public names are loaded at first use, so that `import vampcli` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vampcli.api import Model, Take, load
    from vampcli.audio.read import read
    from vampcli.audio.waveform import Waveform
    from vampcli.audio.write import write
    from vampcli.config import MusicalSpan, PromptConfig, SamplingConfig
    from vampcli.page.notebook import notebook_progress

__version__ = "0.1.0"

__all__ = [
    "Model",
    "MusicalSpan",
    "PromptConfig",
    "SamplingConfig",
    "Take",
    "Waveform",
    "load",
    "notebook_progress",
    "read",
    "write",
]

_HOMES = {
    "MusicalSpan": "config",
    "PromptConfig": "config",
    "Model": "api",
    "SamplingConfig": "config",
    "Take": "api",
    "Waveform": "audio.waveform",
    "load": "api",
    "notebook_progress": "page.notebook",
    "read": "audio.read",
    "write": "audio.write",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"vampcli.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'vampcli' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
