"""The model as people use it: load it, and ask it for takes."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from vampcli import checkpoint, library
from vampcli.audio import Waveform, read
from vampcli.checkpoint import Provenance
from vampcli.codec.ranges import decode_long, encode_long
from vampcli.config import PromptConfig, SamplingConfig, Span
from vampcli.devices import pick_device, pick_dtype
from vampcli.errors import ModelError, UsageError
from vampcli.level import level_gain
from vampcli.places import Places
from vampcli.plan import Margin, Plan
from vampcli.remake import Networks, Scene, listen
from vampcli.resampling import resample
from vampcli.sampling import Progress
from vampcli.takes import Order, Stereo, Take
from vampcli.tokens import TokenFile
from vampcli.verbs import Verb
from vampcli.verbs.compress import Compress, expanded, silent
from vampcli.verbs.inpaint import Inpaint
from vampcli.verbs.loop import Loop
from vampcli.verbs.outpaint import Outpaint
from vampcli.verbs.vamp import Vamp

__all__ = ["Model", "Stereo", "Take", "load"]

log = logging.getLogger(__name__)

Audio = Waveform | str | Path


@dataclass(frozen=True)
class Model(Networks):
    """A codec, the two transformers that know its tokens, and what can be asked of them.

    All verbs share these arguments:
        audio: the clip or its path.
        seed: of the first take; take i has seed + i and nothing else.
        n_takes: how many.
        config: how to draw.
        stereo: `mid` makes the middle and gives it the stereo image of what is around, or was there; `channels`
            makes both channels with the same noise.
        progress: told after each step of either model.

    Attributes:
        provenance: licence, source and training.
        temperature: what suits the transformers; that of a `SamplingConfig` is multiplied with it.
    """

    provenance: Provenance
    temperature: float = 1.0

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

    def inpaint(
        self,
        audio: Audio,
        spans: Sequence[Span],
        *,
        seed: int = 0,
        n_takes: int = 1,
        config: SamplingConfig | None = None,
        margin: Margin = 1,
        stereo: Stereo = "mid",
        progress: Progress | None = None,
    ) -> list[Take]:
        """Re-make spans of a clip; every other sample stays as it is, to the bit.

        The spans are start and end in seconds, or bars or beats counted; the margin is how many frames around a span
        are hidden, since their tokens have heard it. For all else see `Model`.

        Raises:
            UsageError: a span is reversed or shorter than a frame, the margin negative, or `stereo` unknown.
            InputError: a span lies outside the clip, or the clip has more than two channels.
        """
        return self._list(Inpaint(Places(spans), margin), audio, seed, n_takes, config, stereo, progress)

    def outpaint(
        self,
        audio: Audio,
        *,
        after_s: float = 0.0,
        before_s: float = 0.0,
        seed: int = 0,
        n_takes: int = 1,
        config: SamplingConfig | None = None,
        stereo: Stereo = "mid",
        progress: Progress | None = None,
    ) -> list[Take]:
        """Add seconds at the end or the beginning of a clip, which stays as it is, to the bit; see `Outpaint`."""
        return self._list(Outpaint(after_s, before_s), audio, seed, n_takes, config, stereo, progress)

    def loop(
        self,
        audio: Audio,
        span: Span | None = None,
        *,
        repeats: int = 1,
        variation: float = 0.0,
        seam_s: float = 0.3,
        seed: int = 0,
        n_takes: int = 1,
        config: SamplingConfig | None = None,
        stereo: Stereo = "mid",
        progress: Progress | None = None,
    ) -> list[Take]:
        """Make a span of a clip, or all of it, a loop without a seam; see `Loop`."""
        request = Loop(Places([span] if span else []), repeats, variation, seam_s)
        return self._list(request, audio, seed, n_takes, config, stereo, progress)

    def vamp(
        self,
        audio: Audio,
        prompt: PromptConfig | None = None,
        spans: Sequence[Span] = (),
        *,
        amount: float | None = None,
        seed: int = 0,
        n_takes: int = 1,
        config: SamplingConfig | None = None,
        stereo: Stereo = "mid",
        progress: Progress | None = None,
    ) -> list[Take]:
        """Vary a clip, or spans of it: what the prompt names is kept, or what `amount` means; see `Vamp`."""
        request = Vamp(prompt or PromptConfig(), Places(spans), amount=amount)
        return self._list(request, audio, seed, n_takes, config, stereo, progress)

    def compress(
        self,
        audio: Audio,
        n_kept_codebooks: int = Compress.n_kept_codebooks,
        period: int = 1,
        *,
        seed: int = 0,
        n_takes: int = 1,
        config: SamplingConfig | None = None,
        stereo: Stereo = "mid",
        progress: Progress | None = None,
    ) -> list[Take]:
        """Keep few tokens of a clip and make the others anew; see `Compress`."""
        return self._list(Compress(n_kept_codebooks, period), audio, seed, n_takes, config, stereo, progress)

    def squeeze(
        self,
        audio: Audio,
        request: Compress,
        *,
        model_hash: str,
        seed: int = 0,
        config: SamplingConfig | None = None,
        stereo: Stereo = "mid",
    ) -> TokenFile:
        """What `compress` keeps of a clip, for `tokens.save`; nothing is generated.

        Args:
            audio: the clip or its path.
            request: what to keep.
            model_hash: of this model, from `library.model_hash`.
            seed: with which the rest is to be made.
            config: how it is to be drawn.
            stereo: mid or channels.
        """
        clip = audio if isinstance(audio, Waveform) else read(audio)
        plan = request.plan(clip, self.codec, self.coarse.config.context_frames)
        with torch.inference_mode():
            scene = listen(self, clip, plan, stereo)
        about = {"model": self.provenance.name, "model_hash": model_hash, "licence": self.provenance.licence}
        return request.token_file(scene, self.grid, seed, config or SamplingConfig(), **about)

    def expand(
        self, file: TokenFile, *, seeds: Sequence[int] | None = None, progress: Progress | None = None
    ) -> Iterator[Take]:
        """Make the sound again that `compress` made of a clip; other seeds than the file's give other takes.

        Raises:
            ModelError: the tokens are not of this model.
        """
        canvas = silent(file.n_channels, file.n_samples, file.sample_rate, file.subtype)
        plan = Compress().plan(canvas, self.codec, self.coarse.config.context_frames)
        _, n_codebooks, n_frames = file.tokens.shape
        grid = self.grid
        if (n_codebooks, file.codebook_size, n_frames) != (grid.n_codebooks, grid.codebook_size, plan.n_frames):
            raise ModelError(f"the tokens are of {file.model}, not of {self.provenance.name}", "load that model")
        scene = Scene(canvas, plan, file.tokens.to(self.device), file.gain)
        order = Order(seeds or [file.seed], self.suited(file.sampling), progress=progress)
        yield from _one_by_one(expanded(self, scene, file.mask, order))

    def _list(
        self,
        request: Verb,
        audio: Audio,
        seed: int,
        n_takes: int,
        config: SamplingConfig | None,
        stereo: Stereo,
        progress: Progress | None,
    ) -> list[Take]:
        if n_takes < 1:
            raise UsageError(f"{n_takes} takes are asked for", "ask for one or more")
        seeds = range(seed, seed + n_takes)
        return list(self.takes(audio, request, seeds=seeds, config=config, stereo=stereo, progress=progress))

    def takes(
        self,
        audio: Audio,
        request: Verb,
        *,
        seeds: Sequence[int],
        plan: Plan | None = None,
        config: SamplingConfig | None = None,
        stereo: Stereo = "mid",
        progress: Progress | None = None,
    ) -> Iterator[Take]:
        """Give the takes of a request one by one, each as soon as it is made.

        The clip is listened to once. On the CPU takes are made one after another, elsewhere in one batch.

        Args:
            audio: the clip or its path.
            request: what is asked for.
            seeds: one for each take.
            plan: what `request.plan` gave for this clip, if somebody asked already.
            config: how to draw.
            stereo: mid or channels.
            progress: told after each step.
        """
        clip = audio if isinstance(audio, Waveform) else read(audio)
        if stereo not in ("mid", "channels"):
            raise UsageError(f"stereo is {stereo!r}", "choose mid or channels")
        plan = plan or request.plan(clip, self.codec, self.coarse.config.context_frames)
        order = Order(seeds, self.suited(config or SamplingConfig()), stereo, progress)
        with torch.inference_mode():  # some verbs listen at once
            made = request.takes(self, clip, plan, order)
        yield from _one_by_one(made)

    def suited(self, config: SamplingConfig) -> SamplingConfig:
        """The choices with the model's own temperature counted in; 0 stays 0."""
        heat = config.temperature and max(0.01, config.temperature * self.temperature)
        return replace(config, temperature=heat)


def _one_by_one(takes: Iterator[Take]) -> Iterator[Take]:
    """The same, without gradients; what the caller does between takes is not concerned."""
    while True:
        with torch.inference_mode():
            take = next(takes, None)
        if take is None:
            return
        yield take
        del take  # before the next is made: it may be long


def load(name_or_folder: str | Path = "mini", device: str = "auto", dtype: str = "auto") -> Model:
    """Load a model by name or folder.

    Args:
        name_or_folder: such as `mini`, `mini+NAME` with an adapter, or a folder of either.
        device: auto, cpu, cuda, cuda:N or mps.
        dtype: auto, fp32, bf16 or fp16, for the transformers.

    Raises:
        ModelError: it is missing or damaged.
        DeviceError: there is no such device.
    """
    place = pick_device(device)
    precision = pick_dtype(dtype, place)
    found = library.locate(name_or_folder)
    parts = checkpoint.load_parts(found.folder, place, precision, found.adapter)
    log.info("%s on %s in %s", name_or_folder, place, precision)
    if parts.coarse is None or parts.fine is None:
        raise ModelError(f"{name_or_folder} holds a codec only", "it needs coarse.safetensors and fine.safetensors")
    return Model(parts.codec, parts.coarse, parts.fine, place, parts.provenance, parts.temperature)
