"""What is ordered beside a request, and what comes of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from torch import Tensor

from vampcli.audio.io import most_comment, write
from vampcli.audio.waveform import Waveform
from vampcli.config import SamplingConfig, Stereo
from vampcli.progress import Progress, part_of
from vampcli.recipe.recipe import Recipe, to_text

__all__ = ["Stereo", "Take", "TakeOptions"]


@dataclass(frozen=True)
class TakeOptions:
    """How many takes of a request, and how they are made.

    Attributes:
        seeds: one for each take.
        config: how to draw.
        stereo: what is made of two channels.
        progress: told after each step of either model.
    """

    seeds: Sequence[int]
    config: SamplingConfig
    stereo: Stereo = "mid"
    progress: Progress | None = None

    def part(self, i: int, n: int, seeds: Sequence[int] | None = None) -> TakeOptions:
        """The same as part i of n equal parts of the work, for some of the seeds."""
        told = self.progress and part_of(self.progress, i, n)
        return replace(self, seeds=self.seeds if seeds is None else seeds, progress=told)

    def batches(self, size: int) -> list[TakeOptions]:
        """Parts of so many takes at most, which are made at once."""
        groups = [self.seeds[i : i + size] for i in range(0, len(self.seeds), size)]
        return [self.part(i, len(groups), group) for i, group in enumerate(groups)]


@dataclass(frozen=True)
class Take:
    """One result.

    Attributes:
        audio: at the input's rate, channels and sample format.
        tokens: int64 (n_model_channels, n_codebooks, n_frames) of the part the model worked on; of a loop,
            that is turned by half a copy, as its seams were made.
        mask: bool (n_codebooks, n_frames), True = was generated (in the last pass, if there were several).
        seed: makes this take again.
        spans: sample ranges of `audio` that were made; all others are the input's.
        base: what `audio` would be if nothing had been made, of the same length.
        recipe: how it was made; the engine writes it.
    """

    audio: Waveform
    tokens: Tensor
    mask: Tensor
    seed: int
    spans: tuple[tuple[int, int], ...]
    base: Waveform
    recipe: Recipe | None = None

    def write(self, path: str | Path, overwrite: bool = False) -> None:
        """Write the audio, with its recipe in the metadata, as `vampcli.write` does."""
        text = to_text(self.recipe, most_comment(path)) if self.recipe else ""
        write(path, self.audio, overwrite=overwrite, comment=text)
