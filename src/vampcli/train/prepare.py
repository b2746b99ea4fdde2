"""Recordings -> training audio: mono, one rate, one loudness, 16 bit, with where it came from."""

from __future__ import annotations

import csv
import hashlib
import json
import logging
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from vampcli.audio import level_gain, read
from vampcli.errors import InputError, VampError
from vampcli.resampling import resample
from vampcli.train.data import MANIFEST

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Piece:
    """One recording and what must be said about it."""

    path: Path
    title: str
    author: str = ""
    licence: str = ""
    package: str = ""
    split: str = "train"


def pieces_of_table(table: Path, root: Path, splits: frozenset[str]) -> Iterator[Piece]:
    """Read the rows of a music table (TSV) whose split is asked for; nothing else below `root` counts."""
    if not table.is_file():
        raise InputError(f"no such table: {table}", "name a TSV with the columns path, author, licence, package, split")
    with table.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            if row["split"] in splits:
                title = Path(row["path"]).stem.replace("_", " ")
                yield Piece(root / row["path"], title, row["author"], row["licence"], row["package"], row["split"])


def prepare(pieces: Iterable[Piece], out: Path, sample_rate: int = 44100) -> list[dict[str, object]]:
    """Write every readable piece as int16 audio and a manifest of them all; finished pieces are kept.

    Args:
        pieces: what to read.
        out: folder for `<name>.safetensors` (tensor `samples`, int16 (n_samples,)) and `manifest.json`.
        sample_rate: of the result, in Hz.

    Returns:
        The manifest's entries: `file`, `n_samples` and the fields of `Piece`.
    """
    out.mkdir(parents=True, exist_ok=True)
    entries = []
    for piece in pieces:
        name = hashlib.sha256(str(piece.path).encode()).hexdigest()[:16] + ".safetensors"
        meta = out / (name + ".json")
        if not meta.exists():
            try:
                samples = _training_audio(piece.path, sample_rate)
            except VampError as error:
                log.warning("left out: %s", error)
                continue
            save_file({"samples": samples}, out / name)
            entry = {"file": name, "n_samples": len(samples), **asdict(piece), "path": str(piece.path)}
            meta.write_text(json.dumps(entry))
        entries.append(json.loads(meta.read_text()))
    (out / MANIFEST).write_text(json.dumps(entries, indent=1))
    return entries


def _training_audio(path: Path, sample_rate: int) -> torch.Tensor:
    waveform = read(path)
    mono = resample(waveform.samples.mean(axis=0, keepdims=True), waveform.sample_rate, sample_rate)[0]
    mono = mono * level_gain(mono[None], sample_rate)
    return torch.from_numpy(np.round(mono * 32768).clip(-32768, 32767).astype(np.int16))
