"""Recordings to measure on, as a codec hears them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from vampcli.audio.io import read
from vampcli.audio.loudness import level_gain
from vampcli.audio.resample import resample
from vampcli.errors import InputError


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
