"""The Python API: load a model and make takes with it."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from vampcli import __version__
from vampcli.audio.resample import resample
from vampcli.audio.waveform import Waveform
from vampcli.checkpoints import registry
from vampcli.checkpoints.folder import Provenance
from vampcli.checkpoints.registry import ModelPaths
from vampcli.checkpoints.weights import load_parts
from vampcli.codec.chunked import decode_long, encode_long
from vampcli.config import MemoryConfig, PromptConfig, SamplingConfig, Span
from vampcli.errors import ModelError
from vampcli.model.devices import DTYPES, pick_batches, pick_device, pick_dtype
from vampcli.recipe.recipe import RENDERING, InputSource, MadeBy
from vampcli.recipe.token_file import TokenFile, file_hash
from vampcli.tasks.base import Task
from vampcli.tasks.compress import Compress, expand, squeeze
from vampcli.tasks.inpaint import Inpaint
from vampcli.tasks.keywords import (
    InpaintKeywords,
    LoopKeywords,
    OutpaintKeywords,
    TakeKeywords,
    VampKeywords,
    refuse_unknown,
    span_request,
    take_options,
    with_fields,
)
from vampcli.tasks.level import set_level
from vampcli.tasks.loop import Loop
from vampcli.tasks.networks import Networks
from vampcli.tasks.outpaint import Outpaint
from vampcli.tasks.plan import Margin, Plan
from vampcli.tasks.recording import Audio, Recording
from vampcli.tasks.registry import with_stored_tempo
from vampcli.tasks.sign import copies, make_recipe, sign, without_gradients
from vampcli.tasks.take import Take, TakeOptions
from vampcli.tasks.vamp import Edit, Vamp
from vampcli.tokens import mask_file

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["Model", "Take", "TakeOptions", "load"]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Model(Networks):
    """A codec, the two transformers of its tokens, and the tasks.

    `audio` is a waveform; the path of a file; `(array, rate)` as `soundfile.read` returns it, with the array of shape
    (n_samples,) or (n_samples, n_channels), see `Waveform.from_array`; or a `Recording`, whose analysis is then shared
    between calls. All tasks take these keyword arguments:
        seed: of the first take; take i has seed + i and depends on nothing else.
        takes: number of takes.
        sampling: sampling options; by default those of the model, `sampling`.
        steps, temperature and all other fields of `SamplingConfig`: override those of `sampling`.
        stereo: `mid` generates the mid channel and gives it the stereo image of the surroundings or the original;
            `channels` generates both channels with the same noise.
        progress: called after each step of either model.
        rendering: version of the rules for levels and amounts; 1 makes takes as older versions of vamp made them.

    Attributes:
        provenance: licence, source and training.
        name: the name or folder that the model was loaded by.
        paths: its files.
        dtype: of the transformers.
        temperature: that suits the transformers; that of a `SamplingConfig` is multiplied with it.
        compiled: `torch.compile` makes the transformers' kernels.
        sampling: options that suit the transformers.
    """

    provenance: Provenance
    name: str
    paths: ModelPaths
    dtype: torch.dtype
    temperature: float = 1.0
    compiled: bool = False
    sampling: SamplingConfig = SamplingConfig()  # noqa: RUF009 (it is frozen)

    def __repr__(self) -> str:
        tokens = f"{self.grid.n_codebooks} codebooks at {self.grid.frame_rate:.2f} Hz"
        return f"Model({self.name}, {self.device}, {self.dtype_name}, {tokens})"

    def inpaint(
        self,
        audio: Audio,
        span: Span | str | Sequence[Span | str],
        *,
        margin: Margin = 1,
        context: float | None = None,
        **options: Unpack[InpaintKeywords],
    ) -> list[Take]:
        """Regenerate spans of a clip; every other sample stays bit-identical; see `Inpaint`.

        Args:
            audio: see `Model`.
            span: one or several, each start and end in seconds, or a text as on the command line, such as `bars:5-8` or
                `25%-50%`.
            margin: frames, or a time such as `40ms`, hidden on each side of a span, because their tokens depend on its
                samples.
            context: seconds that the models see on each side, at most.
            options: see `Model`; also bpm, downbeat, beats_per_bar, snap, memory, edit, place and memory_from.

        Raises:
            TypeError: a keyword is unknown.
            UsageError: a span is reversed or shorter than a frame, the margin negative, or `stereo` unknown.
            InputError: a span lies outside the clip, or the clip has more than two channels.
        """
        refuse_unknown(options, InpaintKeywords, "inpaint", "span", "margin", "context")
        files = tuple(map(str, options.get("memory_from", ())))
        memory = with_fields(MemoryConfig(), {**options, "memory_from": files})
        return self._list(audio, Inpaint(span_request(span, options), margin, context, memory), options)

    def outpaint(
        self,
        audio: Audio,
        *,
        after: float = 0.0,
        before: float = 0.0,
        margin: Margin = 1,
        context: float | None = None,
        **options: Unpack[OutpaintKeywords],
    ) -> list[Take]:
        """Add seconds at the end or the beginning of a clip, which stays bit-identical; see `Outpaint`."""
        refuse_unknown(options, OutpaintKeywords, "outpaint", "after", "before", "margin", "context")
        task = Outpaint(after, before, margin, context, with_fields(MemoryConfig(), options))
        return self._list(audio, task, options)

    def loop(
        self,
        audio: Audio,
        span: Span | str | Sequence[Span | str] | None = None,
        *,
        repeats: int = 1,
        variation: float = 0.0,
        seam: float | None = None,
        find: bool = False,
        margin: Margin = 1,
        **options: Unpack[LoopKeywords],
    ) -> list[Take]:
        """Make a span of a clip, or all of it, loop without a seam; see `Loop`."""
        refuse_unknown(options, LoopKeywords, "loop", "span", "repeats", "variation", "seam", "find", "margin")
        memory = with_fields(MemoryConfig(), options)
        task = Loop(span_request(span, options), repeats, variation, seam, margin, memory, find)
        return self._list(audio, task, options)

    def vamp(
        self,
        audio: Audio,
        prompt: PromptConfig | None = None,
        span: Span | str | Sequence[Span | str] | None = None,
        *,
        amount: float | None = None,
        prefix: float = 0.0,
        suffix: float = 0.0,
        mask: str | Path | None = None,
        edit: Edit = 1.0,
        **options: Unpack[VampKeywords],
    ) -> list[Take]:
        """Vary a clip, or spans of it; the prompt, `amount` or `mask` decides which tokens stay; see `Vamp`.

        Fields of `PromptConfig` are keywords, too: `model.vamp(clip, period=13, beats=True)`.
        """
        refuse_unknown(options, VampKeywords, "vamp", "prompt", "span", "amount", "prefix", "suffix", "mask", "edit")
        pinned, prompt = None if mask is None else mask_file.pin(mask), with_fields(prompt or PromptConfig(), options)
        task = Vamp(prompt, span_request(span, options), prefix, suffix, amount, pinned, edit)
        return self._list(audio, task, options)

    def compress(
        self,
        audio: Audio,
        keep_codebooks: int = Compress.keep_codebooks,
        period: int = 1,
        **options: Unpack[TakeKeywords],
    ) -> list[Take]:
        """Keep few tokens of a clip and generate the others; see `Compress`."""
        refuse_unknown(options, TakeKeywords, "compress", "keep_codebooks", "period")
        return self._list(audio, Compress(keep_codebooks, period), options)

    def _list(self, audio: Audio, task: Task, keywords: Mapping[str, Any]) -> list[Take]:
        recording = Recording.of(audio)
        options = take_options(keywords, self.sampling)
        return list(self.takes(recording, with_stored_tempo(task, recording), options))

    def takes(
        self, audio: Audio, task: Task, options: TakeOptions | None = None, plan: Plan | None = None
    ) -> Iterator[Take]:
        """Yield the takes of a task one by one, each as soon as it is made.

        The clip is encoded once. As many takes are made at once as the CPU has cores, or a batch on a GPU.

        Args:
            audio: see `Model`.
            task: such as `Inpaint`.
            options: seeds and sampling options; by default one take with the model's.
            plan: the result of `task.plan` for this clip, if it exists.
        """
        self._hash  # noqa: B018 (it begins)
        recording, options = Recording.of(audio), options or TakeOptions(sampling=self.sampling)
        plan = plan or task.plan(recording, self.codec, self.context_frames)
        if isinstance(task, Loop) and not plan.calls:
            yield from copies(recording, task, options, plan, self.codec, self.name)
            return
        with torch.inference_mode():  # some tasks encode at once
            takes = task.takes(self, recording, plan, replace(options, sampling=self.suited(options.sampling)))
        takes = without_gradients(takes)
        yield from sign(takes, task, recording, options, plan, self.codec, lambda: self.made_by)

    def squeeze(self, audio: Audio, task: Compress, **options: Unpack[TakeKeywords]) -> TokenFile:
        """Return the tokens that `compress` keeps of a clip, for `recipe.token_file.save`; nothing is generated.

        Args:
            audio: see `Model`.
            task: the tokens to keep.
            options: of the take that `expand` makes of the file.
        """
        refuse_unknown(options, TakeKeywords, "squeeze", "task")
        recording, one = Recording.of(audio), take_options(options, self.sampling)
        plan = task.plan(recording, self.codec, self.context_frames)
        recipe = make_recipe(task, one, recording.source, plan, one.seeds[0], self.made_by)
        with torch.inference_mode():
            return squeeze(self, recording.clip, task, plan, recipe)

    def expand(
        self, file: TokenFile, options: TakeOptions | None = None, source: InputSource | None = None
    ) -> Iterator[Take]:
        """Yield takes of a token file; by default the one that `compress` makes of the same clip.

        Args:
            file: the kept tokens.
            options: other seeds, and a progress callback.
            source: the file as the input of a recipe.

        Raises:
            ModelError: the tokens are of another model.
        """
        recipe = file.recipe
        options = replace(options or TakeOptions([recipe.seed]), sampling=self.suited(recipe.sampling))
        source = source or InputSource("", file_hash(file), recipe)

        def with_recipe(take: Take) -> Take:
            return replace(take, recipe=replace(recipe, seed=take.seed, source=source, made_by=self.made_by))

        yield from map(with_recipe, without_gradients(expand(self, file, options)))

    def encode(self, audio: Audio) -> Tensor:
        """Encode audio, resampled, mixed to mono and set to -24 LUFS: int64 (n_codebooks, n_frames)."""
        clip = Recording.of(audio).clip
        level = set_level(clip.samples, clip.sample_rate, "mid", RENDERING)
        mono = resample(level.mixed(level.centred(clip.samples)), clip.sample_rate, self.grid.sample_rate)
        with torch.inference_mode():
            return encode_long(self.codec, torch.from_numpy(mono[0] * np.float32(level.gain)).to(self.device))

    def decode(self, tokens: Tensor) -> Waveform:
        """Decode tokens, int64 (n_codebooks, n_frames), to mono audio at the codec's rate."""
        with torch.inference_mode():
            samples = decode_long(self.codec, tokens.to(self.device))
        return Waveform(samples.cpu().numpy()[None], self.grid.sample_rate)

    def suited(self, config: SamplingConfig) -> SamplingConfig:
        """Multiply the temperature by the model's; 0 stays 0."""
        temperature = config.temperature and max(0.01, config.temperature * self.temperature)
        return replace(config, temperature=temperature)

    @property
    def dtype_name(self) -> str:
        """The dtype of the transformers: fp32, bf16 or fp16."""
        return next(name for name, dtype in DTYPES.items() if dtype == self.dtype)

    @cached_property
    def made_by(self) -> MadeBy:
        """Model, versions and device, for recipes."""
        return MadeBy(
            self.name,
            self._hash.result(),
            self.provenance.licence,
            __version__,
            torch.__version__,
            self.device.type,
            self.dtype_name,
            exact=self.batches.exact,
            compile=self.compiled,
        )

    @cached_property
    def _hash(self) -> Future[str]:
        """Hash of the files, computed in a thread: gigabytes take longer than a GPU needs for a take."""
        future: Future[str] = Future()

        def work() -> None:
            try:
                future.set_result(registry.model_hash(self.paths))
            except Exception as error:
                future.set_exception(error)

        Thread(target=work, daemon=True).start()  # daemon: an interrupted program does not wait for it
        return future


def load(
    name_or_folder: str | Path = "mini",
    device: str = "auto",
    dtype: str = "auto",
    exact: bool = False,
    compile: bool = False,
) -> Model:
    """Load a model by name or folder.

    Args:
        name_or_folder: such as `mini`, `mini+NAME` with an adapter, or a folder of either.
        device: auto, cpu, cuda, cuda:N or mps.
        dtype: auto, fp32, bf16 or fp16, for the transformers.
        exact: run every window alone on a GPU too, so that a take depends on nothing else; a CPU always does.
        compile: let `torch.compile` make kernels of the transformers, in their first passes.

    Raises:
        ModelError: it is missing or damaged.
        DeviceError: there is no such device.
    """
    torch_device = pick_device(device)
    torch_dtype = pick_dtype(dtype, torch_device)
    paths = registry.locate(name_or_folder)
    parts = load_parts(paths.folder, torch_device, torch_dtype, paths.adapter)
    log.info("%s on %s in %s", name_or_folder, torch_device, torch_dtype)
    if parts.coarse is None or parts.fine is None:
        raise ModelError(f"{name_or_folder} holds a codec only", "it needs coarse.safetensors and fine.safetensors")
    if compile:
        for network in (parts.coarse, parts.fine):
            network.compile(dynamic=False, mode="reduce-overhead" if torch_device.type == "cuda" else "default")
    return Model(
        parts.codec,
        parts.coarse,
        parts.fine,
        torch_device,
        parts.provenance,
        str(name_or_folder),
        paths,
        torch_dtype,
        parts.temperature,
        compile,
        parts.sampling,
        batches=pick_batches(torch_device, parts.coarse.config, exact, compile),
    )
