"""Options for takes, and takes: the results of a task."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from vampcli.audio.clipping import rescale
from vampcli.audio.formats import ClipMode
from vampcli.audio.junction import Junction
from vampcli.audio.metadata.carry import Metadata
from vampcli.audio.waveform import Waveform
from vampcli.audio.write import output_format, write
from vampcli.config import SamplingConfig, Source, Stereo
from vampcli.errors import UsageError
from vampcli.progress import Progress, part_of
from vampcli.recipe.recipe import RENDERING, Recipe, Rendering, to_text

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Stereo", "Take", "TakeOptions"]


@dataclass(frozen=True)
class TakeOptions:
    """Number of takes, and the options of the sampler.

    Attributes:
        seeds: one for each take.
        sampling: sampling options.
        stereo: `mid` generates the mid channel and widens it; `channels` generates both channels, with the same noise.
        progress: called after each step of either model.
        rendering: version of the rules for levels and amounts; an older one makes takes as older versions of vamp did.

    Raises:
        UsageError: `stereo` is neither, or there is no such version.
    """

    seeds: Sequence[int] = (0,)
    sampling: SamplingConfig = SamplingConfig()  # noqa: RUF009 (it is frozen)
    stereo: Stereo = "mid"
    progress: Progress | None = None
    rendering: Rendering = RENDERING

    def __post_init__(self) -> None:
        if self.stereo not in get_args(Stereo):
            raise UsageError(f"stereo is {self.stereo!r}", "choose mid or channels")
        if self.rendering not in get_args(Rendering):
            raise UsageError(f"rendering is {self.rendering!r}", f"choose {RENDERING}, or an older version")

    @classmethod
    def of(
        cls,
        seed: int = 0,
        takes: int = 1,
        sampling: SamplingConfig | None = None,
        stereo: Stereo = "mid",
        progress: Progress | None = None,
        rendering: Rendering = RENDERING,
    ) -> TakeOptions:
        """Options for `takes` takes; take i has the seed `seed` + i.

        Raises:
            UsageError: no take is asked for, or `stereo` is unknown.
        """
        if takes < 1:
            raise UsageError(f"{takes} takes are asked for", "ask for one or more")
        return cls(range(seed, seed + takes), sampling or SamplingConfig(), stereo, progress, rendering)

    def part(self, i: int, n: int, seeds: Sequence[int] | None = None) -> TakeOptions:
        """Return the options for part i of n equal parts of the work, for some of the seeds."""
        progress = self.progress and part_of(self.progress, i, n)
        return replace(self, seeds=self.seeds if seeds is None else seeds, progress=progress)

    def batches(self, size: int) -> list[TakeOptions]:
        """Split the takes into batches of at most `size`, each of which is generated at once."""
        groups = [self.seeds[i : i + size] for i in range(0, len(self.seeds), size)]
        return [self.part(i, len(groups), group) for i, group in enumerate(groups)]


@dataclass(frozen=True)
class Take:
    """One result of a task.

    Attributes:
        audio: at the input's rate, channels and sample format.
        tokens: int64 (n_model_channels, n_codebooks, n_frames) of the part that the models see, 0 in frames
            that they do not need; a loop's are rotated by half a copy.
        mask: bool (n_codebooks, n_frames), True = was generated (in the last pass, if there were several).
        seed: generates this take again.
        spans: sample ranges of `audio` that were generated; all others are the input's.
        base: `audio` as it would be without any generated sample, of the same length.
        recipe: how to make the take again; `Model.takes` sets it.
        sources: places of the recording that stretches of the take were made from.
        metadata: what the recording's file carried beside its sound, on the take's time line; `Model.takes` sets it.
        junctions: of a loop: what was done before each copy, the first of them at the wrap.
        loop: of a loop: its samples [start, end) in the recording.
    """

    audio: Waveform
    tokens: Tensor
    mask: Tensor
    seed: int
    spans: tuple[tuple[int, int], ...]
    base: Waveform
    recipe: Recipe | None = None
    sources: tuple[Source, ...] = ()
    metadata: Metadata | None = None
    junctions: tuple[Junction, ...] = ()
    loop: tuple[int, int] | None = None

    def __repr__(self) -> str:
        command = f"{self.recipe.command}, " if self.recipe else ""
        spans = f"{len(self.spans)} span{'' if len(self.spans) == 1 else 's'} generated"
        return f"Take({command}seed {self.seed}, {self.audio!r}, {spans})"

    def write(self, path: str | Path, overwrite: bool = False, clip_mode: ClipMode = "clamp") -> None:
        """Write the audio, with the recipe and the recording's metadata, as `vampcli.write` does.

        Args:
            path: see `vampcli.write`.
            overwrite: replace a file that exists.
            clip_mode: see `Take.fitted`; `error` refuses generated and kept samples beyond full scale.
        """
        text = to_text(replace(self.recipe, clip_mode=clip_mode)) if self.recipe else ""
        audio = self.fitted(path, "", clip_mode).audio
        write(path, audio, overwrite=overwrite, comment=text, metadata=self.metadata, clip_mode=clip_mode)

    def fitted(self, path: str | Path, subtype: str, clip_mode: ClipMode) -> Take:
        """Return the take as an output can hold it: with `rescale`, one gain lowers generated spans that are too loud.

        Args:
            path: the output.
            subtype: its sample format; empty = that of the audio.
            clip_mode: with `clamp` and `error`, the take stays as it is.
        """
        if clip_mode != "rescale":
            return self
        _, stored = output_format(path, subtype or self.audio.subtype)
        return replace(self, audio=rescale(self.audio, self.spans, stored, is_loop=self.loop is not None))

    def _repr_html_(self) -> str:
        """Return the take as a notebook shows it: a picture and players."""
        from vampcli.page.notebook import sound_html

        task = self.recipe.command if self.recipe else "take"
        return sound_html(self.base, self.audio, self.spans, f"{task}, seed {self.seed}")
