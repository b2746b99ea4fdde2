"""Read recordings as a codec takes them, and cut excerpts that are spread evenly over them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from vampcli.audio.loudness import level_gain
from vampcli.audio.read import inspect, read
from vampcli.audio.resample import resample
from vampcli.audio.waveform import Waveform
from vampcli.errors import InputError


@dataclass(frozen=True)
class Clip:
    """A recording, mixed to mono, at a codec's rate and at -24 LUFS.

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
        """Duration."""
        return len(self.samples) / self.sample_rate


@dataclass(frozen=True)
class Excerpt:
    """Position of an excerpt.

    Attributes:
        index: among all excerpts of an experiment.
        path: of the recording.
        start_s: in the recording.
        length_s: duration.
    """

    index: int
    path: Path
    start_s: float
    length_s: float


def require_files(files: Sequence[Path]) -> None:
    """Check that all files exist.

    Raises:
        InputError: one does not.
    """
    missing = [path for path in files if not path.is_file()]
    if missing:
        raise InputError(f"{len(missing)} of {len(files)} files are missing, first {missing[0]}", "check --root")


def load_clip(path: Path, sample_rate: int, limit_s: float | None = None) -> Clip:
    """Read the first `limit_s` seconds of a recording: mono, resampled, at -24 LUFS.

    Raises:
        InputError: the file cannot be read.
    """
    audio = read(path)
    stop = audio.n_samples if limit_s is None else round(limit_s * audio.sample_rate)
    mixed = audio.samples[:, :stop].mean(axis=0, keepdims=True)
    gain = level_gain(mixed, audio.sample_rate)
    mono = resample(mixed, audio.sample_rate, sample_rate)
    return Clip(path.name, torch.from_numpy(mono[0] * np.float32(gain)), sample_rate)


def choose_excerpts(files: Sequence[Path], length_s: float, n: int) -> list[Excerpt]:
    """Choose up to n excerpts that do not overlap, recording by recording.

    Raises:
        InputError: no recording is long enough, or one cannot be read.
    """
    found = []
    for path in files:
        shape = inspect(path)
        duration_s = shape.n_samples / shape.sample_rate
        n_here = int(duration_s / length_s)
        found += [(path, duration_s * (i + 0.5) / n_here - length_s / 2) for i in range(n_here)]
    if not found:
        raise InputError(f"none of {len(files)} recordings is {length_s:g} s long", "name longer ones")
    chosen = np.linspace(0, len(found) - 1, min(n, len(found))).round().astype(int)
    return [Excerpt(i, path, max(0.0, start_s), length_s) for i, (path, start_s) in enumerate(found[j] for j in chosen)]


def cut_excerpts(
    excerpts: Sequence[Excerpt], sample_rate: int, wanted: Collection[int]
) -> Iterator[tuple[Excerpt, Waveform]]:
    """Yield the excerpts with these indices, with their sound as `load_clip` returns it; each recording is read once.

    Raises:
        InputError: a recording cannot be read, or is shorter than its header says.
    """
    chosen = (excerpt for excerpt in excerpts if excerpt.index in wanted)
    for path, group in groupby(chosen, key=lambda excerpt: excerpt.path):
        clip = load_clip(path, sample_rate)
        for excerpt in group:
            n = round(excerpt.length_s * sample_rate)
            start = min(round(excerpt.start_s * sample_rate), len(clip.samples) - n)
            if start < 0:
                raise InputError(f"{path} is shorter than it says", "leave it out")
            yield excerpt, Waveform(clip.samples[None, start : start + n].numpy(), sample_rate)
