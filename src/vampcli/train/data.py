"""Prepared audio and tokens on disk, and random excerpts of them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
import torch

from vampcli.checkpoints import tensorfile
from vampcli.errors import InputError, UsageError
from vampcli.files import child, write_text
from vampcli.reading import read_json
from vampcli.schema import Between, from_table, raising
from vampcli.tensor_reading import open_tensors

MANIFEST = "manifest.json"
SUFFIX = ".safetensors"


_MOST_MANIFEST = 2**27  # bytes; 300,000 pieces
_DIMENSIONS = {"samples": 1, "codes": 2}


@dataclass(frozen=True)
class _Entry:
    """Types of the keys that a piece may have in a manifest; `vampcli.train.prepare` describes them."""

    file: str
    author: str
    n_samples: Annotated[int, Between(1, 2**48)] = 1
    sample_rate: Annotated[int, Between(1, 2**31)] = 1
    seconds: Annotated[float, Between(0, 2**48)] = 0.0
    path: str = ""
    title: str = ""
    licence: str = ""
    package: str = ""
    split: str = ""
    stamp: str = ""
    codec_hash: str = ""


def read_manifest(folder: str | Path, *needed: str) -> list[dict[str, Any]]:
    """Read the manifest of a folder of prepared audio or tokens: a dictionary for each piece.

    Args:
        folder: holds the manifest.
        needed: keys that every piece must have, beside `file` and `author`.

    Raises:
        InputError: the folder has no manifest, or a damaged one, or one that names a file outside the folder.
    """
    path = Path(folder) / MANIFEST
    if not path.is_file():
        raise InputError(f"no {MANIFEST} in {folder}", "make the folder with `vamp prepare`, or `vamp train tokens`")
    cure = "prepare the folder again"
    entries = read_json(path, InputError, cure, _MOST_MANIFEST)
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise InputError(f"{path} is damaged: it is no list of pieces", cure)
    known = {field.name for field in fields(_Entry)}
    for i, entry in enumerate(entries):
        where = f"{path}, piece {i + 1}"
        with raising(InputError, cure):
            from_table(_Entry, entry, where, ignored=tuple(entry.keys() - known))
        if missing := sorted(set(needed) - entry.keys()):
            raise InputError(f"{where}: {missing[0]!r} is missing", cure)
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
        name, split = strays[0].get("title") or strays[0]["file"], strays[0]["split"]
        raise UsageError(
            f"{where} holds what is not for training: {name} is of the split {split}", "train on rows marked train only"
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
        needed: keys of the manifest that every piece must have; see `read_manifest`.

    Raises:
        InputError: there are no pieces, or one is missing or damaged.
    """

    def __init__(self, folder: str | Path, key: str, author_cap: float = 1.0, needed: Sequence[str] = ()) -> None:
        self.entries = read_manifest(folder, *needed)
        if not self.entries:
            raise InputError(f"there are no pieces in {folder}", "prepare recordings into it")
        self.pieces = [_open_tensor(Path(folder) / entry["file"], key) for entry in self.entries]
        self.lengths = np.array([piece.get_shape()[-1] for piece in self.pieces])
        self.shares = cap_shares(self.lengths, [e["author"] for e in self.entries], author_cap)

    def draw(self, rng: np.random.Generator, n_clips: int, length: int, n_classes: int | None = None) -> torch.Tensor:
        """Draw excerpts: (n_clips, ..., length); pieces shorter than `length` are never drawn.

        Args:
            rng: chooses pieces and places.
            n_clips: number of excerpts.
            length: of an excerpt.
            n_classes: of tokens, which are checked to be from 0 on and below.

        Raises:
            InputError: all pieces are shorter, have another number of codebooks than others, or hold no tokens.
        """
        shares = np.where(self.lengths >= length, self.shares, 0.0)
        if not shares.any():
            raise InputError(
                f"excerpts of {length} are wanted, but the longest piece has {self.lengths.max(initial=0)}",
                "prepare longer recordings, or ask for shorter excerpts",
            )
        chosen = rng.choice(len(self.pieces), size=n_clips, p=shares / shares.sum())
        starts = [int(rng.integers(0, self.lengths[i] - length + 1)) for i in chosen]
        clips = [self.pieces[i][..., start : start + length] for i, start in zip(chosen, starts, strict=True)]
        cure = "remove it and make the folder again; what is whole is kept"
        for i, clip in zip(chosen, clips, strict=True):
            if clip.shape != clips[0].shape:
                fact = f"{self.entries[i]['file']} holds {clip.shape[0]} codebooks, others {clips[0].shape[0]}"
                raise InputError(fact, cure)
            if n_classes is not None and not 0 <= clip.min() <= clip.max() < n_classes:
                fact = f"{self.entries[i]['file']} holds {clip.min()} to {clip.max()}, of {n_classes} classes"
                raise InputError(fact, cure)
        return torch.stack(clips)


def _open_tensor(path: Path, key: str) -> Any:
    """Open a tensor of integers, which is read when it is sliced."""
    cure = "remove it and make the folder again; what is whole is kept"
    try:
        with open_tensors(path) as file:
            piece = file.get_slice(key) if key in file.keys() else None  # noqa: SIM118
    except InputError as error:
        raise InputError(f"{path} has no readable {key}: {error.message}", cure) from error
    shape, dtype = (piece.get_shape(), piece.get_dtype()) if piece else ([], "nothing")
    if len(shape) != _DIMENSIONS.get(key, len(shape)) or not shape or dtype not in ("I16", "I32", "I64"):
        raise InputError(f"{path} has no readable {key}: {dtype} {shape}", cure)
    return piece


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
