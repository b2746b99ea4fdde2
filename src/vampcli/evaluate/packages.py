"""Packages that only some figures need."""

from __future__ import annotations

import importlib
from typing import Any

from vampcli.errors import UsageError

INSTALL = 'pip install "vampcli[eval]", and pip install --no-deps basic-pitch musicnn'


def needed(name: str) -> Any:
    """Import a package of the extra `eval`, or one beside it that would bring an old TensorFlow along.

    Raises:
        UsageError: it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise UsageError(f"the package {error.name or name} is not installed", INSTALL) from error
