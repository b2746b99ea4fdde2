"""A mask of one's own, in a file of numpy's."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vampcli.errors import InputError
from vampcli.files import replacing

SUFFIX = ".npy"
_MAKE_ONE = "`vamp mask vamp SONG -o mask.npy` writes one of the right shape"


@dataclass(frozen=True)
class OwnMask:
    """A file with a mask, as it was when somebody named it.

    Attributes:
        path: of the file: one array of bool, or of 0 and 1; (n_codebooks, n_frames) of the whole clip, or (n_frames,)
            for all codebooks alike. True = generate.
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
            InputError: the file has changed or gone, holds no mask, or one of another shape.
        """
        content = _content(self.path)
        if hashlib.sha256(content).hexdigest() != self.sha256:
            raise InputError(f"{self.path} has changed since it was named", "name it again, or bring the old one back")
        mask = _parsed(self.path, content)
        if mask.shape not in ((n_frames,), (n_codebooks, n_frames)):
            raise InputError(
                f"{self.path} has the shape {mask.shape}, but the clip has {n_codebooks} codebooks and "
                f"{n_frames} frames",
                _MAKE_ONE,
            )
        return np.broadcast_to(mask, (n_codebooks, n_frames)).copy()


def named(path: str | Path) -> OwnMask:
    """Name a mask file as it is now.

    Raises:
        InputError: it cannot be read.
    """
    return OwnMask(str(path), hashlib.sha256(_content(path)).hexdigest())


def write(path: Path, mask: NDArray[np.bool_], overwrite: bool = False) -> None:
    """Write a mask: bool (n_codebooks, n_frames) of the whole clip, True = generate.

    Raises:
        InputError: the file exists, or cannot be written.
    """
    with replacing(path, overwrite) as temp, temp.open("wb") as file:
        np.save(file, mask, allow_pickle=False)


def _content(path: str | Path) -> bytes:
    try:
        return Path(path).expanduser().read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}", f"bring it back, or name a {SUFFIX} file") from error


def _parsed(path: str, content: bytes) -> NDArray[np.bool_]:
    try:
        found = np.lib.format.read_array(io.BytesIO(content), allow_pickle=False)
    except (ValueError, EOFError, MemoryError) as error:
        raise InputError(f"{path} holds no array: {error}", _MAKE_ONE) from error
    if found.dtype.kind not in "biu" or not np.isin(found, (0, 1)).all():
        raise InputError(
            f"{path} holds no mask: its {found.dtype} values are not all 0 and 1",
            "True or 1 means make, False or 0 keep",
        )
    return found.astype(bool)
