"""Takes of any request, each with its recipe; tokens of sound, and sound of tokens."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from threading import Thread

import numpy as np
import torch
from torch import Tensor

from vampcli import __version__
from vampcli.audio.io import read
from vampcli.audio.loudness import level_gain
from vampcli.audio.resample import resample
from vampcli.audio.waveform import Waveform
from vampcli.checkpoints import registry
from vampcli.checkpoints.folder import Provenance
from vampcli.checkpoints.registry import ModelPaths
from vampcli.codec.chunked import decode_long, encode_long
from vampcli.config import SamplingConfig
from vampcli.errors import ModelError, UsageError
from vampcli.model.devices import DTYPES
from vampcli.progress import Progress
from vampcli.recipe import token_file
from vampcli.recipe.embed import source_of
from vampcli.recipe.recipe import InputSource, MadeBy, Ranges, Recipe, audio_hash
from vampcli.recipe.token_file import TokenFile
from vampcli.tasks.base import Task
from vampcli.tasks.compress import Compress, expanded, silent
from vampcli.tasks.plan import Plan, merge_ranges
from vampcli.tasks.regenerate import EncodedContext, Networks, encode_context
from vampcli.tasks.registry import to_table
from vampcli.tasks.take import Stereo, Take, TakeOptions

log = logging.getLogger(__name__)

Audio = Waveform | str | Path


@dataclass(frozen=True)
class Maker(Networks):
    """Networks, and what recipes say of them.

    Attributes:
        provenance: licence, source and training.
        name: the name or folder they were loaded by.
        found: their files.
        dtype: of the transformers.
        temperature: what suits the transformers; that of a `SamplingConfig` is multiplied with it.
        compiled: whether `torch.compile` made their kernels.
    """

    provenance: Provenance
    name: str
    found: ModelPaths
    dtype: torch.dtype
    temperature: float = 1.0
    compiled: bool = False

    @cached_property
    def made_by(self) -> MadeBy:
        """What recipes say of this model and the machine."""
        return MadeBy(
            self.name,
            self._hash.result(),
            self.provenance.licence,
            __version__,
            torch.__version__,
            self.device.type,
            next(name for name, dtype in DTYPES.items() if dtype == self.dtype),
            exact=self.batches.exact,
            compiled=self.compiled,
        )

    @cached_property
    def _hash(self) -> Future[str]:
        """Of the files, read and summed on a thread of its own: gigabytes take longer than a GPU needs for a take."""
        future: Future[str] = Future()

        def work() -> None:
            try:
                future.set_result(registry.model_hash(self.found))
            except Exception as error:
                future.set_exception(error)

        Thread(target=work, daemon=True).start()  # who breaks off does not wait for it
        return future

    def encode(self, audio: Audio) -> Tensor:
        """Audio -> tokens, resampled, mixed to mono and brought to -24 LUFS: int64 (n_codebooks, n_frames)."""
        clip = audio if isinstance(audio, Waveform) else read(audio)
        gain = level_gain(clip.samples, clip.sample_rate)
        mono = resample(clip.samples.mean(axis=0, keepdims=True), clip.sample_rate, self.grid.sample_rate)
        with torch.inference_mode():
            return encode_long(self.codec, torch.from_numpy(mono[0] * np.float32(gain)).to(self.device))

    def decode(self, tokens: Tensor) -> Waveform:
        """Tokens -> mono audio at the codec's rate: int64 (n_codebooks, n_frames)."""
        with torch.inference_mode():
            samples = decode_long(self.codec, tokens.to(self.device))
        return Waveform(samples.cpu().numpy()[None], self.grid.sample_rate)

    def takes(
        self,
        audio: Audio,
        request: Task,
        *,
        seeds: Sequence[int],
        plan: Plan | None = None,
        config: SamplingConfig | None = None,
        stereo: Stereo = "mid",
        progress: Progress | None = None,
        source: InputSource | None = None,
    ) -> Iterator[Take]:
        """Give the takes of a request one by one, each as soon as it is made.

        The clip is listened to once. As many takes are made at once as the CPU has cores, or a batch on a GPU.

        Args:
            audio: the clip or its path.
            request: what is asked for.
            seeds: one for each take.
            plan: what `request.plan` gave for this clip, if somebody asked already.
            config: how to draw.
            stereo: mid or channels.
            progress: told after each step.
            source: where the clip is from, if somebody knows already.
        """
        self._hash  # noqa: B018 (it begins)
        clip = audio if isinstance(audio, Waveform) else read(audio)
        if stereo not in ("mid", "channels"):
            raise UsageError(f"stereo is {stereo!r}", "choose mid or channels")
        plan = plan or request.plan(clip, self.codec, self.coarse.config.context_frames)
        order = TakeOptions(seeds, self.suited(config or SamplingConfig()), stereo, progress)
        source = source or _source_of(audio, clip)
        earlier = request.map_ranges(synthetic_before(source, clip), clip, self.codec)
        with torch.inference_mode():  # some verbs listen at once
            made = request.takes(self, clip, plan, order)

        def signed(take: Take) -> Take:
            synthetic = merge_ranges((*take.spans, *earlier))
            own = self._recipe(request, config, stereo, take.seed, source, take.audio.n_samples, synthetic)
            return replace(take, recipe=own)

        yield from map(signed, _one_by_one(made))

    def suited(self, config: SamplingConfig) -> SamplingConfig:
        """The choices with the model's own temperature counted in; 0 stays 0."""
        heat = config.temperature and max(0.01, config.temperature * self.temperature)
        return replace(config, temperature=heat)

    def squeeze(
        self,
        audio: Audio,
        request: Compress,
        *,
        seed: int = 0,
        config: SamplingConfig | None = None,
        stereo: Stereo = "mid",
        source: InputSource | None = None,
    ) -> TokenFile:
        """What `compress` keeps of a clip, for `tokens.save`; nothing is generated.

        Args:
            audio: the clip or its path.
            request: what to keep.
            seed: with which the rest is to be made.
            config: how it is to be drawn.
            stereo: mid or channels.
            source: of the clip.
        """
        clip = audio if isinstance(audio, Waveform) else read(audio)
        plan = request.plan(clip, self.codec, self.coarse.config.context_frames)
        with torch.inference_mode():
            scene = encode_context(self, clip, plan, stereo)
        recipe = self._recipe(request, config, stereo, seed, source or _source_of(audio, clip), clip.n_samples)
        return request.token_file(scene, self.grid, recipe)

    def expand(
        self,
        file: TokenFile,
        *,
        seeds: Sequence[int] | None = None,
        progress: Progress | None = None,
        source: InputSource | None = None,
    ) -> Iterator[Take]:
        """Make the sound again that `compress` made of a clip; other seeds than the file's give other takes.

        Args:
            file: what to make it of.
            seeds: one for each take.
            progress: told after each step.
            source: says where the tokens are from.

        Raises:
            ModelError: the tokens are not of this model.
        """
        recipe = file.recipe
        canvas = silent(file.n_channels, file.n_samples, file.sample_rate, file.subtype)
        plan = Compress().plan(canvas, self.codec, self.coarse.config.context_frames)
        _, n_codebooks, n_frames = file.tokens.shape
        grid = self.grid
        if (n_codebooks, file.codebook_size, n_frames) != (grid.n_codebooks, grid.codebook_size, plan.n_frames):
            raise ModelError(
                f"the tokens are of {recipe.made_by.model}, not of {self.provenance.name}", "load that model"
            )
        scene = EncodedContext(canvas, plan, file.tokens.to(self.device), file.gain)
        order = TakeOptions(seeds or [recipe.seed], self.suited(recipe.sampling), progress=progress)
        source = source or InputSource("", token_file.file_hash(file), recipe)

        def signed(take: Take) -> Take:
            own = replace(recipe, seed=take.seed, source=source, made_by=self.made_by)
            return replace(take, recipe=own)

        yield from map(signed, _one_by_one(expanded(self, scene, file.mask, order)))

    def _recipe(
        self,
        request: Task,
        config: SamplingConfig | None,
        stereo: Stereo,
        seed: int,
        source: InputSource,
        n_samples: int,
        synthetic: Sequence[tuple[int, int]] = (),
    ) -> Recipe:
        table, made = to_table(request), tuple(synthetic) or ((0, n_samples),)
        sampling = config or SamplingConfig()
        return Recipe(request.command, table, sampling, stereo, seed, source, self.made_by, n_samples, made)


def _source_of(audio: Audio, clip: Waveform) -> InputSource:
    """What a recipe says of a clip that somebody gave, or its path."""
    return InputSource("", audio_hash(clip)) if isinstance(audio, Waveform) else source_of(clip, Path(audio))


def synthetic_before(source: InputSource, clip: Waveform) -> Ranges:
    """Sample ranges of an input that were made in earlier edits.

    All of it, if it is no longer as long as it was then: nobody knows what was cut.
    """
    if source.recipe is None:
        return ()
    if source.recipe.n_samples != clip.n_samples:
        log.warning("%s was cut after vamp made it: all of it counts as synthetic", source.name)
        return ((0, clip.n_samples),)
    return source.recipe.synthetic


def _one_by_one(takes: Iterator[Take]) -> Iterator[Take]:
    """The same, without gradients; what the caller does between takes is not concerned."""
    while True:
        with torch.inference_mode():
            take = next(takes, None)
        if take is None:
            return
        yield take
        del take  # before the next is made: it may be long
