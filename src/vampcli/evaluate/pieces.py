"""Which recordings to measure on, and how they are brought to a codec's rate and level."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from vampcli.audio import level_gain, read
from vampcli.errors import InputError
from vampcli.resampling import resample

_SOUNDS = (".aif", ".aiff", ".flac", ".mp3", ".oga", ".ogg", ".opus", ".wav")


@dataclass(frozen=True)
class Clip:
    """A recording as a codec hears it: mono, at its rate, at -24 LUFS.

    Attributes:
        name: of the file.
        samples: float32 (n_samples,).
        sample_rate: in Hz.
    """

    name: str
    samples: Tensor
    sample_rate: int

    @property
    def seconds(self) -> float:
        """Its length."""
        return len(self.samples) / self.sample_rate


def files_of_table(table: Path, root: Path, split: str) -> list[Path]:
    """The files of one split of a music table: tab-separated, with the columns `path` and `split`.

    Raises:
        InputError: it cannot be read, lacks a column, or has no such rows.
    """
    try:
        with table.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file, delimiter="\t"))
        found = [root / row["path"] for row in rows if row["split"] == split]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read the table {table}: {error}", "name a tab-separated file") from error
    except KeyError as error:
        raise InputError(f"{table} has no column {error}", "it needs path and split") from error
    if not found:
        raise InputError(f"{table} has no row of the split {split!r}", "choose another --split")
    return found


def files_below(inputs: Sequence[Path]) -> list[Path]:
    """Files as they are, folders as the sound files below them, sorted.

    Raises:
        InputError: a folder holds none.
    """
    found: list[Path] = []
    for path in inputs:
        inside = sorted(p for p in path.rglob("*") if p.suffix.lower() in _SOUNDS) if path.is_dir() else [path]
        if not inside:
            raise InputError(f"the folder {path} holds no sound files", f"suffixes looked for: {' '.join(_SOUNDS)}")
        found += inside
    return found


def require_files(files: Sequence[Path]) -> None:
    """Find out before any work whether all files are there.

    Raises:
        InputError: one is not.
    """
    missing = [path for path in files if not path.is_file()]
    if missing:
        raise InputError(f"{len(missing)} of {len(files)} files are missing, first {missing[0]}", "check --root")


def load_clip(path: Path, sample_rate: int, limit_s: float | None = None) -> Clip:
    """Read a recording: its first `limit_s` seconds, mixed to mono, resampled, at -24 LUFS.

    Raises:
        InputError: it cannot be read.
    """
    audio = read(path)
    stop = audio.n_samples if limit_s is None else round(limit_s * audio.sample_rate)
    samples = audio.samples[:, :stop]
    gain = level_gain(samples, audio.sample_rate)
    mono = resample(samples.mean(axis=0, keepdims=True), audio.sample_rate, sample_rate)
    return Clip(path.name, torch.from_numpy(mono[0] * np.float32(gain)), sample_rate)
