"""Prompt masks in numpy files (`.npy`)."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vampcli.errors import InputError
from vampcli.files import read_bounded, replacing
from vampcli.reading import parse_npy

SUFFIX = ".npy"
_MOST_BYTES = 2**28
_MAKE_ONE = "`vamp mask vamp SONG -o mask.npy` writes one of the right shape"


@dataclass(frozen=True)
class MaskFile:
    """A file with a mask, and the hash of its content.

    Attributes:
        path: of the file: one array of bool, or of 0 and 1; (n_codebooks, n_frames) of the whole clip, or (n_frames,)
            for all codebooks. True = generate.
        sha256: of its bytes, in hexadecimal.
    """

    path: str
    sha256: str

    def load(self, n_codebooks: int, n_frames: int) -> NDArray[np.bool_]:
        """Read the mask.

        Args:
            n_codebooks: of the clip.
            n_frames: of the whole clip.

        Returns:
            bool (n_codebooks, n_frames).

        Raises:
            InputError: the file has changed or is missing, or holds no mask of this shape.
        """
        content = _read(self.path)
        if hashlib.sha256(content).hexdigest() != self.sha256:
            raise InputError(f"{self.path} has changed since it was named", "name it again, or bring the old one back")
        mask = _parse(self.path, content)
        if mask.shape not in ((n_frames,), (n_codebooks, n_frames)):
            raise InputError(
                f"{self.path} has the shape {mask.shape}, but the clip has {n_codebooks} codebooks and "
                f"{n_frames} frames",
                _MAKE_ONE,
            )
        return np.broadcast_to(mask, (n_codebooks, n_frames)).copy()


def pin(path: str | Path) -> MaskFile:
    """Record path and hash of a mask file, so that later changes of it are detected.

    Raises:
        InputError: the file cannot be read.
    """
    return MaskFile(str(path), hashlib.sha256(_read(path)).hexdigest())


def write(path: Path, mask: NDArray[np.bool_], overwrite: bool = False) -> None:
    """Write a mask: bool (n_codebooks, n_frames) of the whole clip, True = generate.

    Raises:
        InputError: the file exists, or cannot be written.
    """
    with replacing(path, overwrite) as temp, temp.open("wb") as file:
        np.save(file, mask, allow_pickle=False)


def _read(path: str | Path) -> bytes:
    return read_bounded(os.path.expanduser(path), _MOST_BYTES, f"bring it back, or name a {SUFFIX} file")


def _parse(path: str, content: bytes) -> NDArray[np.bool_]:
    array = parse_npy(content, path, _MAKE_ONE)
    if array.dtype.kind not in "biu" or not np.isin(array, (0, 1)).all():
        raise InputError(
            f"{path} holds no mask: its {array.dtype} values are not all 0 and 1",
            "True or 1 means generate, False or 0 keep",
        )
    return array.astype(bool)
