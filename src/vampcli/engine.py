"""The verbs: listen to what is kept, fill what is hidden, paste it back."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from vampcli import checkpoint, library, masks
from vampcli.audio import Waveform, level_gain, read
from vampcli.checkpoint import Provenance
from vampcli.codec import Codec
from vampcli.codec.ranges import decode_long, encode_long
from vampcli.config import SamplingConfig
from vampcli.devices import pick_device, pick_dtype
from vampcli.errors import ModelError, UsageError
from vampcli.grid import TokenGrid
from vampcli.model import VampNet
from vampcli.noise import Stage
from vampcli.pasting import FADE_S, Patch, paste
from vampcli.plan import Margin, Plan, plan_inpaint
from vampcli.resampling import resample, resample_range
from vampcli.sampling import Progress, fill, part_of
from vampcli.stereo import surroundings, widen
from vampcli.windows import windowed

log = logging.getLogger(__name__)

Stereo = Literal["mid", "channels"]


@dataclass(frozen=True)
class Take:
    """One result.

    Attributes:
        audio: of the input's length, rate, channels and sample format.
        tokens: int64 (n_model_channels, n_codebooks, n_frames) of the part the model worked on.
        mask: bool (n_codebooks, n_frames), True = was generated.
        seed: makes this take again.
    """

    audio: Waveform
    tokens: Tensor
    mask: Tensor
    seed: int


@dataclass(frozen=True)
class Model:
    """A codec and the two transformers that know its tokens.

    Attributes:
        codec: `encode`: float32 (n_samples,) -> int64 (n_codebooks, n_frames); `decode`: the inverse.
        coarse: int64 (batch, n_coarse, n_frames) -> float32 logits (batch, n_coarse, n_frames, classes).
        fine: int64 (batch, n_codebooks, n_frames) -> logits of the codebooks after the coarse ones.
        provenance: licence, source and training.
        device: where it runs.
        temperature: what suits the transformers; that of a `SamplingConfig` is multiplied with it.
    """

    codec: Codec
    coarse: VampNet
    fine: VampNet
    provenance: Provenance
    device: torch.device
    temperature: float = 1.0

    @property
    def grid(self) -> TokenGrid:
        """How its tokens lie in time."""
        return self.codec.grid

    def encode(self, audio: Waveform | str | Path) -> Tensor:
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
        audio: Waveform | str | Path,
        spans: Sequence[tuple[float, float]],
        *,
        seed: int = 0,
        n_takes: int = 1,
        config: SamplingConfig | None = None,
        margin: Margin = 1,
        stereo: Stereo = "mid",
        progress: Progress | None = None,
    ) -> list[Take]:
        """Re-make spans of a clip; every other sample stays as it is, to the bit.

        Args:
            audio: the clip or its path.
            spans: start and end in seconds.
            seed: of the first take; take i has seed + i and nothing else.
            n_takes: how many.
            config: how to draw.
            margin: frames hidden around a span, since their tokens have heard it.
            stereo: `mid` re-makes the middle and gives it the image around the span; `channels` re-makes
                both channels with the same noise.
            progress: told after each step of either model.

        Raises:
            UsageError: a span is reversed or shorter than a frame, the margin negative, or `stereo` unknown.
            InputError: a span lies outside the clip, or the clip has more than two channels.
        """
        if n_takes < 1:
            raise UsageError(f"{n_takes} takes are asked for", "ask for one or more")
        seeds = range(seed, seed + n_takes)
        return list(
            self.takes(audio, spans, seeds=seeds, config=config, margin=margin, stereo=stereo, progress=progress)
        )

    def takes(
        self,
        audio: Waveform | str | Path,
        spans: Sequence[tuple[float, float]],
        *,
        seeds: Sequence[int],
        config: SamplingConfig | None = None,
        margin: Margin = 1,
        stereo: Stereo = "mid",
        progress: Progress | None = None,
    ) -> Iterator[Take]:
        """Give the takes of `inpaint` one by one, each as soon as it is made; `seeds` names them all.

        The clip is listened to once. On the CPU takes are made one after another, elsewhere in one batch.
        """
        clip = audio if isinstance(audio, Waveform) else read(audio)
        if stereo not in ("mid", "channels"):
            raise UsageError(f"stereo is {stereo!r}", "choose mid or channels")
        plan = plan_inpaint(clip, spans, self.codec, self.coarse.config.context_frames, margin)
        size = 1 if self.device.type == "cpu" else len(seeds)
        groups = [list(seeds[i : i + size]) for i in range(0, len(seeds), size)]
        with torch.inference_mode():
            scene = _listen(self, clip, plan, stereo)
        config = self._suited(config or SamplingConfig())
        for i, group in enumerate(groups):
            told = progress and part_of(progress, i, len(groups))
            with torch.inference_mode():
                made = _make(self, clip, plan, scene, group, config, told)
            yield from made

    def _suited(self, config: SamplingConfig) -> SamplingConfig:
        """The choices with the model's own temperature counted in; 0 stays 0."""
        heat = config.temperature and max(0.01, config.temperature * self.temperature)
        return replace(config, temperature=heat)


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
    return Model(parts.codec, parts.coarse, parts.fine, parts.provenance, place, parts.temperature)


@dataclass(frozen=True)
class _Scene:
    """What the models hear of a clip: tokens int64 (n_model_channels, n_codebooks, n_frames), and the gain."""

    tokens: Tensor
    gain: float


def _listen(model: Model, clip: Waveform, plan: Plan, stereo: Stereo) -> _Scene:
    """Set the level by what is kept, and encode the part of the clip that the models see."""
    grid, rate = model.grid, clip.sample_rate
    gain = level_gain(clip.samples, rate, plan.spans)
    log.info("level changed by %.1f dB for the models, which see %d frames", 20 * np.log10(gain), plan.n_frames)
    around = model.codec.context_frames
    first = max(0, plan.first_frame - around)
    last = plan.first_frame + plan.n_frames + around
    stop = min(grid.n_samples(clip.n_samples, rate), last * grid.hop_length)
    samples = resample_range(clip.samples, rate, grid.sample_rate, first * grid.hop_length, stop)
    if stereo == "mid":
        samples = samples.mean(axis=0, keepdims=True)
    codes = [
        encode_long(model.codec, torch.from_numpy(channel * np.float32(gain)).to(model.device)) for channel in samples
    ]
    return _Scene(torch.stack(codes)[:, :, plan.first_frame - first :][:, :, : plan.n_frames], gain)


def _make(
    model: Model,
    clip: Waveform,
    plan: Plan,
    scene: _Scene,
    seeds: list[int],
    config: SamplingConfig,
    progress: Progress | None,
) -> list[Take]:
    """Fill, decode and paste the takes of some seeds."""
    ranges = [(start - plan.first_frame, end - plan.first_frame) for start, end in plan.hidden]
    mask = masks.spans(model.grid.n_codebooks, plan.n_frames, ranges).to(model.device)
    filled = []
    for i, tokens in enumerate(scene.tokens):
        told = progress and part_of(progress, i, len(scene.tokens))
        filled.append(generate(model, tokens, mask, seeds, config, plan.first_frame, told))
    takes = []
    for seed, tokens in zip(seeds, torch.stack(filled, dim=1), strict=True):
        patches = [_patch(model, clip, plan, tokens, span, scene.gain) for span in plan.spans]
        takes.append(Take(paste(clip, patches), tokens.cpu(), mask.cpu(), seed))
    return takes


def generate(
    model: Model,
    tokens: Tensor,
    mask: Tensor,
    seeds: Sequence[int],
    config: SamplingConfig,
    first_frame: int = 0,
    progress: Progress | None = None,
) -> Tensor:
    """Fill the hidden tokens, coarse model first, then the fine one.

    Args:
        model: both transformers.
        tokens: int64 (n_codebooks, n_frames).
        mask: bool (n_codebooks, n_frames), True = generate.
        seeds: one for each take.
        config: how to draw.
        first_frame: of the clip's place in a longer recording.
        progress: told after each step of either model.

    Returns:
        int64 (n_takes, n_codebooks, n_frames).
    """
    n_coarse, total = model.coarse.config.n_codebooks, config.n_steps + config.n_fine_steps

    def run(network: VampNet, stage: Stage, n_steps: int, n_done: int, tokens: Tensor, mask: Tensor) -> Tensor:
        return fill(
            windowed(network, network.config.context_frames),
            tokens,
            mask,
            seeds,
            config,
            stage=stage,
            n_steps=n_steps,
            n_conditioning=network.config.n_conditioning,
            context=network.config.context_frames,
            mask_id=model.grid.mask_id,
            first_frame=first_frame,
            progress=progress and (lambda step, _: progress(n_done + step, total)),
        )

    coarse = run(model.coarse, Stage.COARSE, config.n_steps, 0, tokens[:n_coarse], mask[:n_coarse])
    given = torch.cat([coarse, tokens[n_coarse:].expand(len(seeds), -1, -1)], dim=1)
    fine_mask = mask.clone()
    fine_mask[:n_coarse] = False
    return run(model.fine, Stage.FINE, config.n_fine_steps, config.n_steps, given, fine_mask)


def _patch(model: Model, clip: Waveform, plan: Plan, tokens: Tensor, span: tuple[int, int], gain: float) -> Patch:
    """Decode one span and a little around it: tokens (n_model_channels, n_codebooks, n_frames)."""
    grid, rate, around = model.grid, clip.sample_rate, model.codec.context_frames + 1
    fade = round(FADE_S * rate)
    start, stop = max(0, span[0] - fade), min(clip.n_samples, span[1] + fade)
    touched = grid.frames_touched(start, stop, rate)
    first = max(0, touched[0] - around - plan.first_frame)
    last = touched[1] + around - plan.first_frame
    channels = [decode_long(model.codec, channel[:, first:last]).cpu().numpy() for channel in tokens]
    place = (plan.first_frame + first) * grid.hop_length
    made = resample_range(np.stack(channels), grid.sample_rate, rate, start, stop, first=place)
    made = made / np.float32(gain)
    if len(made) < clip.n_channels:
        made = widen(made, surroundings(clip.samples, rate, plan.spans, span), rate)
    return Patch(span[0], span[1], start, made)
