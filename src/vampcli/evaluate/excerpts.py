"""Excerpts of recordings, spread evenly over all of them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np

from vampcli.audio.io import inspect
from vampcli.audio.waveform import Waveform
from vampcli.errors import InputError
from vampcli.evaluate.clips import load_clip


@dataclass(frozen=True)
class Place:
    """Where an excerpt lies.

    Attributes:
        index: among all excerpts.
        path: of the recording.
        start_s: where it begins.
        length_s: how long it is.
    """

    index: int
    path: Path
    start_s: float
    length_s: float


def spread_over(files: Sequence[Path], length_s: float, n: int) -> list[Place]:
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
    return [Place(i, path, max(0.0, start_s), length_s) for i, (path, start_s) in enumerate(found[j] for j in chosen)]


def cut(places: Sequence[Place], sample_rate: int, wanted: Collection[int]) -> Iterator[tuple[Place, Waveform]]:
    """Give the wanted excerpts, by index: mono, at a rate, at the level at which models hear the recordings.

    Each recording is read once.
    """
    for path, here in groupby((place for place in places if place.index in wanted), key=lambda place: place.path):
        clip = load_clip(path, sample_rate)
        for place in here:
            start, n = round(place.start_s * sample_rate), round(place.length_s * sample_rate)
            start = min(start, len(clip.samples) - n)
            if start < 0:
                raise InputError(f"{path} is shorter than it says", "leave it out")
            yield place, Waveform(clip.samples[None, start : start + n].numpy(), sample_rate)
