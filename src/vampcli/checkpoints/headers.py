"""Headers of weights files: hashes, and numbers of parameters. Imports no torch."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vampcli.checkpoints.folder import CURE
from vampcli.errors import ModelError
from vampcli.schema import shown
from vampcli.tensor_reading import open_tensors

CODEC_HASH = "codec_hash"
"""Name of the hash of encoder and quantiser in the metadata of a weights file."""


@contextmanager
def open_weights(path: Path, framework: str = "numpy") -> Iterator[Any]:
    """Open a weights file to read its header, and its tensors as those of a framework.

    Raises:
        ModelError: it is missing or damaged.
    """
    if not path.exists():
        raise ModelError(f"{path} is missing", CURE)
    with open_tensors(path, framework, ModelError, CURE) as file:
        yield file


def stored_hash(path: Path) -> str:
    """Return the codec hash in the metadata of a weights file.

    Raises:
        ModelError: the file is missing or damaged.
    """
    with open_weights(path) as file:
        found = str((file.metadata() or {}).get(CODEC_HASH, ""))
    if not re.fullmatch("([0-9a-f]{2})*", found):
        raise ModelError(f"{path}: {CODEC_HASH} is {shown(found)}, no hash", CURE)
    return found


def counts(path: Path) -> dict[str, int]:
    """Return the number of parameters of a weights file, by precision.

    Raises:
        ModelError: it is missing or damaged.
    """
    found: Counter[str] = Counter()
    with open_weights(path) as file:
        for name in file.keys():  # noqa: SIM118
            if name != "codebooks":  # a copy of the codec's
                header = file.get_slice(name)
                found[header.get_dtype()] += math.prod(header.get_shape())
    return dict(found)
