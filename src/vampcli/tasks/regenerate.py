"""What every verb does: listen to what is there, fill what is hidden, paste it back."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache, lru_cache, partial

import numpy as np
import torch
from torch import Tensor

from vampcli.audio.loudness import level_gain
from vampcli.audio.resample import resample_range
from vampcli.audio.splice import FADE_S, Patch, Render, paste
from vampcli.audio.stereo import REACH, Image, image_in, surroundings, widen_along
from vampcli.audio.waveform import Samples, Waveform
from vampcli.codec.base import Codec
from vampcli.codec.chunked import decode_long, encode_ranges
from vampcli.config import SamplingConfig
from vampcli.model.batching import Batches
from vampcli.model.transformer import VampNet
from vampcli.progress import Progress, part_of
from vampcli.sampling.sampler import fill
from vampcli.sampling.windows import windowed
from vampcli.tasks.plan import Plan, merge_ranges
from vampcli.tasks.take import Stereo, Take, TakeOptions
from vampcli.tokens.grid import TokenGrid
from vampcli.tokens.noise import Stage

log = logging.getLogger(__name__)

_DECODED_TOGETHER = 1024  # frames, at most


@dataclass(frozen=True)
class Networks:
    """A codec and the two transformers that know its tokens.

    Attributes:
        codec: `encode`: float32 (n_samples,) -> int64 (n_codebooks, n_frames); `decode`: the inverse.
        coarse: int64 (batch, n_coarse, n_frames) -> float32 logits (batch, n_coarse, n_frames, classes).
        fine: int64 (batch, n_codebooks, n_frames) -> logits of the codebooks after the coarse ones.
        device: where they run.
        batches: how many windows a transformer is given at once.
    """

    codec: Codec
    coarse: VampNet
    fine: VampNet
    device: torch.device
    batches: Batches = field(default_factory=Batches, kw_only=True)

    @property
    def grid(self) -> TokenGrid:
        """How the tokens lie in time."""
        return self.codec.grid


@dataclass(frozen=True)
class EncodedContext:
    """What the models hear of a canvas.

    Attributes:
        canvas: what made audio is pasted into.
        plan: where.
        tokens: int64 (n_model_channels, n_codebooks, n_frames), from the plan's first frame on.
        gain: by which the models hear it louder.
    """

    canvas: Waveform
    plan: Plan
    tokens: Tensor
    gain: float


ImageOf = Callable[[tuple[int, int]], Image]
"""The stereo image of a span, sample range [start, end)."""


def encode_context(
    networks: Networks,
    canvas: Waveform,
    plan: Plan,
    stereo: Stereo,
    unheard: Sequence[tuple[int, int]] = (),
    effect: Callable[[Tensor], Tensor] = lambda samples: samples,
) -> EncodedContext:
    """Set the level, and encode the part of the canvas that the models see.

    Args:
        networks: to encode with.
        canvas: to listen to.
        plan: says which part.
        stereo: one model channel, or one for each.
        unheard: sample ranges that must not matter for the level.
        effect: what happens to the audio, float32 (n_channels, n_samples) at the codec's rate, before it is encoded.
    """
    grid, rate = networks.grid, canvas.sample_rate
    gain = level_gain(canvas.samples, rate, unheard)
    log.info("level changed by %.1f dB for the models, which see %d frames", 20 * np.log10(gain), plan.n_frames)

    def heard(start: int, stop: int) -> Tensor:
        samples = resample_range(canvas.samples, rate, grid.sample_rate, start, stop)
        if stereo == "mid":
            samples = samples.mean(axis=0, keepdims=True)
        return effect(torch.from_numpy(samples * np.float32(gain))).to(networks.device)

    frames = range(plan.first_frame, plan.first_frame + plan.n_frames)
    tokens = encode_ranges(networks.codec, grid.n_samples(canvas.n_samples, rate), heard, frames)
    return EncodedContext(canvas, plan, tokens, gain)


def refill(
    networks: Networks,
    plan: Plan,
    tokens: Tensor,
    mask: Tensor,
    seeds: Sequence[int],
    config: SamplingConfig,
    progress: Progress | None = None,
) -> Tensor:
    """Fill hidden tokens turn by turn; all channels of a take get the same noise.

    Args:
        networks: to fill with.
        plan: where the tokens lie, and the turns.
        tokens: int64 (n_takes or 1, n_model_channels, n_codebooks, n_frames); hidden ones may be anything.
        mask: bool (n_takes or 1, n_codebooks, n_frames), True = generate.
        seeds: one for each take.
        config: how to draw.
        progress: told after each step of either model.

    Returns:
        int64 (n_takes, n_model_channels, n_codebooks, n_frames).
    """
    n_takes, n_channels = len(seeds), tokens.shape[1]
    rows = tokens.expand(n_takes, -1, -1, -1).flatten(0, 1).clone()
    mask = mask.to(rows.device).expand(n_takes, -1, -1).repeat_interleave(n_channels, dim=0)
    row_seeds = [seed for seed in seeds for _ in range(n_channels)]
    for i, (seen, now) in enumerate(plan.in_turns(mask)):
        first, told = plan.first_frame + seen.start, progress and part_of(progress, i, len(plan.turns))
        rows[..., seen] = generate(networks, rows[..., seen], now, row_seeds, config, first, told)
    return rows.view(n_takes, n_channels, *rows.shape[1:])


def generate(
    networks: Networks,
    tokens: Tensor,
    mask: Tensor,
    seeds: Sequence[int],
    config: SamplingConfig,
    first_frame: int = 0,
    progress: Progress | None = None,
) -> Tensor:
    """Fill the hidden tokens, coarse model first, then the fine one.

    Args:
        networks: both transformers.
        tokens: int64 (n_rows, n_codebooks, n_frames); a row is a channel of a take.
        mask: bool (n_rows, n_codebooks, n_frames), True = generate.
        seeds: one for each row.
        config: how to draw.
        first_frame: of the clip's place in a longer recording.
        progress: told after each step of either model.

    Returns:
        int64 (n_rows, n_codebooks, n_frames).
    """
    n_coarse, total = networks.coarse.config.n_codebooks, config.n_steps + config.n_fine_steps

    def run(network: VampNet, stage: Stage, n_steps: int, n_done: int, tokens: Tensor, mask: Tensor) -> Tensor:
        context = network.config.context_frames
        forward = partial(network, bias=network.attention_bias(min(context, tokens.shape[-1])))
        return _with_less(
            networks.batches,
            lambda: fill(
                windowed(forward, context, mask.any(1), networks.batches),
                tokens,
                mask,
                seeds,
                config,
                stage=stage,
                n_steps=n_steps,
                n_conditioning=network.config.n_conditioning,
                context=context,
                mask_id=networks.grid.mask_id,
                first_frame=first_frame,
                progress=progress and (lambda step, _: progress(n_done + step, total)),
            ),
        )

    coarse = run(networks.coarse, Stage.COARSE, config.n_steps, 0, tokens[:, :n_coarse], mask[:, :n_coarse])
    given = torch.cat([coarse, tokens[:, n_coarse:]], dim=1)
    fine_mask = mask.clone()
    fine_mask[:, :n_coarse] = False
    return run(networks.fine, Stage.FINE, config.n_fine_steps, config.n_steps, given, fine_mask)


def _with_less(batches: Batches, fill: Callable[[], Tensor]) -> Tensor:
    """Fill; when memory runs out, from the beginning in smaller batches, so that all of it is made in one size."""
    while True:
        try:
            return fill()
        except torch.cuda.OutOfMemoryError:
            if not batches.halve():
                raise
        # not in the handler: there, the failed attempt would still hold its memory
        log.warning("out of memory: going on with %d windows at once", batches.size)


def around(scene: EncodedContext) -> ImageOf:
    """The stereo image of half a second on either side of a span."""
    samples, rate = scene.canvas.samples, scene.canvas.sample_rate

    @cache
    def own(span: tuple[int, int]) -> Tensor | None:
        return image_in(surroundings(samples, rate, scene.plan.spans, span), rate)

    return lambda span: lambda _start, _stop: own(span)


def render_span(networks: Networks, scene: EncodedContext, tokens: Tensor, image_of: ImageOf) -> Waveform:
    """Decode the spans of a take and paste them.

    Args:
        networks: to decode with.
        scene: what was listened to.
        tokens: int64 (n_model_channels, n_codebooks, n_frames).
        image_of: the stereo image of a span, where one model channel makes two.
    """
    decoded, canvas = _decoder(networks, scene, tokens), scene.canvas
    if len(tokens) == canvas.n_channels:
        return paste(canvas, [Patch(*span, decoded) for span in scene.plan.spans])

    def widened(image: Image) -> Render:
        def made(start: int, stop: int) -> Samples:
            first, last = max(0, start - REACH), min(canvas.n_samples, stop + REACH)
            return widen_along(decoded(first, last), image, start - first, stop - first, first)

        return made

    return paste(canvas, [Patch(*span, widened(image_of(span))) for span in scene.plan.spans])


def _decoder(networks: Networks, scene: EncodedContext, tokens: Tensor) -> Render:
    """Decodes samples of the canvas, out of the frames they depend on: float32 (n_model_channels, n_samples).

    Spans so close that they depend on the same frames are decoded together, once.
    """
    grid, rate, reach = networks.grid, scene.canvas.sample_rate, networks.codec.halo_frames + 1
    first_frame, n_samples, around = scene.plan.first_frame, scene.canvas.n_samples, REACH + round(FADE_S * rate)

    def needed(start: int, stop: int) -> tuple[int, int]:
        touched = grid.frames_touched(start, stop, rate)
        return max(0, touched[0] - reach - first_frame), touched[1] + reach - first_frame

    @lru_cache(maxsize=1)
    def decode(first: int, last: int) -> Samples:
        return np.stack([decode_long(networks.codec, channel[:, first:last]).cpu().numpy() for channel in tokens])

    alone = [needed(max(0, start - around), min(n_samples, end + around)) for start, end in scene.plan.spans]
    together = set(merge_ranges(alone, gap=-1, longest=_DECODED_TOGETHER)) - set(alone)

    def decoded(start: int, stop: int) -> Samples:
        own = needed(start, stop)
        first, last = next((piece for piece in together if piece[0] <= own[0] and own[1] <= piece[1]), own)
        place = (first_frame + first) * grid.hop_length
        return resample_range(decode(first, last), grid.sample_rate, rate, start, stop, place) / np.float32(scene.gain)

    return decoded


def remade(
    networks: Networks, scene: EncodedContext, mask: Tensor, image_of: ImageOf, order: TakeOptions
) -> Iterator[Take]:
    """Takes of a scene one by one, all with the same mask: bool (n_codebooks, n_frames), True = generate."""
    for part in order.batches(networks.batches.n_takes):
        filled = refill(networks, scene.plan, scene.tokens[None], mask[None], part.seeds, part.config, part.progress)
        for seed, tokens in zip(part.seeds, filled, strict=True):
            yield to_take(networks, scene, tokens, mask, seed, image_of)


def to_take(
    networks: Networks,
    scene: EncodedContext,
    tokens: Tensor,
    mask: Tensor,
    seed: int,
    image_of: ImageOf,
) -> Take:
    """The take of filled tokens. Nobody who yields one keeps it: it may be long, and the next is on its way."""
    audio = render_span(networks, scene, tokens, image_of)
    return Take(audio, tokens.cpu(), mask, seed, scene.plan.spans, scene.canvas)
