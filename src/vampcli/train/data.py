"""Prepared audio and tokens on disk, and random excerpts of them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError, safe_open

from vampcli.checkpoints import tensorfile
from vampcli.errors import InputError, UsageError
from vampcli.files import child, write_text

MANIFEST = "manifest.json"
SUFFIX = ".safetensors"


def read_manifest(folder: str | Path) -> list[dict[str, Any]]:
    """Read the manifest of a folder of prepared audio or tokens: a dictionary for each piece.

    Raises:
        InputError: the folder has no manifest, or a damaged one, or one that names a file outside the folder.
    """
    path = Path(folder) / MANIFEST
    if not path.is_file():
        raise InputError(f"no {MANIFEST} in {folder}", "make the folder with `vamp prepare`, or `vamp train tokens`")
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read {path}: {error}", "prepare the folder again") from error
    if not isinstance(entries, list) or not all(
        isinstance(e, dict) and {"file", "author"} <= e.keys() for e in entries
    ):
        raise InputError(f"{path} is damaged: it is no list of pieces", "prepare the folder again")
    for entry in entries:
        if child(path.parent, entry["file"], path).suffix != SUFFIX:
            raise InputError(f"{path} names the file {entry['file']!r}", f"pieces end in {SUFFIX}; prepare them again")
    return entries


def write_manifest(folder: Path, entries: list[dict[str, Any]]) -> None:
    """Replace a folder's manifest atomically.

    Raises:
        InputError: the folder cannot be written.
    """
    write_text(folder / MANIFEST, json.dumps(entries, indent=1))


def save_tensors(tensors: dict[str, torch.Tensor], path: Path, metadata: dict[str, str] | None = None) -> None:
    """Write a safetensors file atomically.

    Raises:
        InputError: the folder cannot be written.
    """
    tensorfile.save(path, tensors, metadata)


def refuse_held_out(entries: Iterable[Mapping[str, Any]], where: object) -> None:
    """Check that all pieces are of the split `train`.

    Args:
        entries: of a manifest.
        where: name of the manifest in the error.

    Raises:
        UsageError: an entry is not of the split `train`.
    """
    strays = [entry for entry in entries if entry.get("split", "train") != "train"]
    if strays:
        raise UsageError(
            f"{where} holds what is not for training: {strays[0]['title']} is of the split {strays[0]['split']}",
            "train on rows marked train only",
        )


def training_pool(folder: str | Path, key: str, author_cap: float = 1.0) -> Pool:
    """Return a pool of training pieces.

    Raises:
        UsageError: the folder holds pieces of another split than `train`.
    """
    refuse_held_out(read_manifest(folder), folder)
    return Pool(folder, key, author_cap)


class Pool:
    """Random excerpts of the pieces of a folder, with each author's share bounded.

    A draw depends on the generator alone, so a resumed run draws the same as an uninterrupted one.

    Args:
        folder: holds `manifest.json` and the safetensors files it names.
        key: the tensor to read, (..., n): `samples` or `codes`; the last axis is time.
        author_cap: the largest share of all draws that one author may have; with fewer than
            1 / author_cap authors all get the same.

    Raises:
        InputError: there are no pieces, or one is missing or damaged.
    """

    def __init__(self, folder: str | Path, key: str, author_cap: float = 1.0) -> None:
        self.entries = read_manifest(folder)
        if not self.entries:
            raise InputError(f"there are no pieces in {folder}", "prepare recordings into it")
        self.pieces = [_open_tensor(Path(folder) / entry["file"], key) for entry in self.entries]
        self.lengths = np.array([piece.get_shape()[-1] for piece in self.pieces])
        self.shares = cap_shares(self.lengths, [e["author"] for e in self.entries], author_cap)

    def draw(self, rng: np.random.Generator, n_clips: int, length: int) -> torch.Tensor:
        """Draw excerpts: (n_clips, ..., length); pieces shorter than `length` are never drawn.

        Raises:
            InputError: all pieces are shorter.
        """
        shares = np.where(self.lengths >= length, self.shares, 0.0)
        if not shares.any():
            raise InputError(
                f"excerpts of {length} are wanted, but the longest piece has {self.lengths.max(initial=0)}",
                "prepare longer recordings, or ask for shorter excerpts",
            )
        chosen = rng.choice(len(self.pieces), size=n_clips, p=shares / shares.sum())
        starts = [int(rng.integers(0, self.lengths[i] - length + 1)) for i in chosen]
        return torch.stack(
            [self.pieces[i][..., start : start + length] for i, start in zip(chosen, starts, strict=True)]
        )


def _open_tensor(path: Path, key: str) -> Any:
    """Open a tensor of a file, which is read when it is sliced."""
    try:
        return safe_open(str(path), framework="pt").get_slice(key)  # type: ignore[no-untyped-call]
    except (OSError, SafetensorError) as error:
        cure = "remove it and make the folder again; what is whole is kept"
        raise InputError(f"{path} has no readable {key}: {error}", cure) from error


def cap_shares(lengths: npt.ArrayLike, authors: list[str], cap: float) -> npt.NDArray[np.float64]:
    """Return shares of pieces by length, with no author above `cap`; the excess goes to the others by length.

    Args:
        lengths: (n_pieces,).
        authors: of each piece; pieces without an author count as one author.
        cap: in (0, 1]; raised to 1 / number of authors where it is smaller.

    Returns:
        float64 (n_pieces,), summing to 1.
    """
    seconds = np.asarray(lengths, dtype=np.float64)
    names, owner = np.unique(np.array(authors), return_inverse=True)
    total = np.bincount(owner, weights=seconds)
    cap = max(cap, 1 / len(names))
    share, capped = total / total.sum(), np.zeros(len(names), dtype=bool)
    while (share > cap + 1e-12).any():
        capped |= share > cap
        free = max(0.0, 1 - cap * capped.sum())
        share = np.where(capped, cap, free * total / max(total[~capped].sum(), 1e-9))
    return np.asarray(share[owner] * seconds / total[owner])
