"""The pipeline of every task: encode the context, fill the hidden tokens, decode and splice."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor

from vampcli.audio.ranges import merge_ranges
from vampcli.audio.resample import resample_range
from vampcli.audio.waveform import Waveform
from vampcli.codec.chunked import Read, encode_ranges
from vampcli.config import SamplingConfig
from vampcli.model.batching import Batches
from vampcli.model.transformer import VampNet
from vampcli.progress import Progress, part_of
from vampcli.sampling.placement import shown_frames
from vampcli.sampling.sampler import fill
from vampcli.sampling.windows import window_predictor
from vampcli.tasks.level import Level, set_level
from vampcli.tasks.networks import EncodedContext, Networks
from vampcli.tasks.plan import Plan
from vampcli.tasks.render import Target, decoded_margin, nearby_target, render_spans
from vampcli.tasks.take import Take, TakeOptions
from vampcli.tokens.masks import Mask

log = logging.getLogger(__name__)


def encode_context(
    networks: Networks,
    canvas: Waveform,
    plan: Plan,
    options: TakeOptions,
    unmeasured: Sequence[tuple[int, int]] = (),
    effect: Callable[[Tensor], Tensor] | None = None,
) -> EncodedContext:
    """Set the level, and encode the frames of the canvas that windows show or that are decoded; the others get 0.

    Args:
        networks: the codec and its device.
        canvas: the clip to encode.
        plan: gives the frames.
        options: the models hear the mix or each channel, and by which rule the level is set.
        unmeasured: sample ranges that do not count for the level.
        effect: applied to the audio, float32 (n_channels, n_samples) at the codec's rate, before it is encoded; all
            frames are then.
    """
    grid, rate = networks.grid, canvas.sample_rate
    level = set_level(canvas.samples, rate, options.stereo, options.rendering, unmeasured)
    read, first_frame, n_frames = model_audio(networks, canvas, level), plan.first_frame, plan.n_frames
    n_samples = grid.n_samples(canvas.n_samples, rate)
    ranges = _needed_frames(networks, plan, rate) if effect is None else [(first_frame, first_frame + n_frames)]
    heard = (lambda *samples: effect(read(*samples))) if effect else read
    tokens = torch.zeros(1 if level.mid else canvas.n_channels, grid.n_codebooks, n_frames, dtype=torch.int64)
    tokens = tokens.to(networks.device)
    for first, end in ranges:
        codes = encode_ranges(networks.codec, n_samples, heard, range(first, end))
        tokens[..., first - first_frame : end - first_frame] = codes
    n_encoded = sum(end - first for first, end in ranges)
    log.info("level changed by %.1f dB for the models, which see %d frames", 20 * np.log10(level.gain), n_encoded)
    return EncodedContext(canvas, plan, tokens, level)


def _needed_frames(networks: Networks, plan: Plan, rate: int) -> list[tuple[int, int]]:
    """Frames of a canvas of this rate that windows may show, or that may be decoded: ranges, in order and apart."""
    margin, stop, ranges = decoded_margin(networks, rate), plan.first_frame + plan.n_frames, []
    for call in plan.calls:
        first, end = call.hidden
        ranges.append((max(plan.first_frame, first - margin), min(stop, end + margin)))
        for network in (networks.coarse, networks.fine):
            context, n_frames = network.config.context_frames, call.end - call.first
            shown = shown_frames(first - call.first, end - call.first, n_frames, context)
            ranges.append((call.first + shown[0], call.first + shown[1]))
    return merge_ranges(ranges, gap=2 * networks.codec.encoder_reach)


def model_audio(networks: Networks, audio: Waveform, level: Level, first: int = 0) -> Read:
    """Return a function that reads audio as the codec takes it: float32 (n_model_channels, stop - start).

    Args:
        networks: the codec and its device.
        audio: the samples.
        level: offset, mix and gain.
        first: time of the first sample, in samples of the audio; silence before it.
    """
    rates = audio.sample_rate, networks.grid.sample_rate

    def read(start: int, stop: int) -> Tensor:
        if level.rendering == 1:
            samples = level.mixed(resample_range(audio.samples, *rates, start, stop, first))
        else:
            samples = resample_range(
                audio.samples, *rates, start, stop, first, lambda part: level.mixed(level.centred(part))
            )
        return torch.from_numpy(samples * np.float32(level.gain)).to(networks.device)

    return read


def refill(networks: Networks, plan: Plan, tokens: Tensor, mask: Mask, options: TakeOptions) -> Tensor:
    """Fill hidden tokens, one sampler call of the plan after the other; all channels of a take get the same noise.

    Args:
        networks: the transformers.
        plan: the frames of the tokens, and the calls.
        tokens: int64 (n_takes or 1, n_model_channels, n_codebooks, n_frames); hidden ones may be anything.
        mask: bool (n_takes or 1, n_codebooks, n_frames), True = generate.
        options: a seed for each take.

    Returns:
        int64 (n_takes, n_model_channels, n_codebooks, n_frames).
    """
    n_takes, n_channels = len(options.seeds), tokens.shape[1]
    # A row of the batch is one channel of one take: (n_takes * n_channels, n_codebooks, n_frames).
    rows = tokens.expand(n_takes, -1, -1, -1).flatten(0, 1).clone()
    seeds = [seed for seed in options.seeds for _ in range(n_channels)]
    for i, (seen, filled) in enumerate(plan.split_mask(mask)):
        hidden = torch.from_numpy(filled).to(rows.device).expand(n_takes, -1, -1).repeat_interleave(n_channels, dim=0)
        progress = options.progress and part_of(options.progress, i, len(plan.calls))
        first_frame = plan.first_frame + seen.start
        rows[..., seen] = generate(networks, rows[..., seen], hidden, seeds, options.sampling, first_frame, progress)
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
    """Fill the hidden tokens with the coarse model, then with the fine one.

    Args:
        networks: the transformers.
        tokens: int64 (n_rows, n_codebooks, n_frames); a row is a channel of a take.
        mask: bool (n_rows, n_codebooks, n_frames), True = generate.
        seeds: one for each row.
        config: sampling options.
        first_frame: index of the first frame in the canvas.
        progress: called after each step of either model.

    Returns:
        int64 (n_rows, n_codebooks, n_frames).
    """
    n_coarse, total = networks.coarse.config.n_codebooks, config.steps + config.fine_steps

    def run(network: VampNet, n_done: int, tokens: Tensor, mask: Tensor) -> Tensor:
        context = network.config.context_frames
        forward = partial(network, bias=network.attention_bias(min(context, tokens.shape[-1])))
        return _with_less(
            networks.batches,
            lambda: fill(
                window_predictor(forward, context, mask.any(1), networks.batches, config.refresh),
                tokens,
                mask,
                seeds,
                config,
                network.config,
                first_frame=first_frame,
                progress=progress and (lambda step, _: progress(n_done + step, total)),
            ),
        )

    coarse = run(networks.coarse, 0, tokens[:, :n_coarse], mask[:, :n_coarse])
    given = torch.cat([coarse, tokens[:, n_coarse:]], dim=1)
    fine_mask = mask.clone()
    fine_mask[:, :n_coarse] = False
    return run(networks.fine, config.steps, given, fine_mask)


def _with_less(batches: Batches, fill: Callable[[], Tensor]) -> Tensor:
    """Call `fill`; when memory runs out, start again with smaller batches, so that one size makes all of the result."""
    while True:
        try:
            return fill()
        except torch.cuda.OutOfMemoryError:
            if not batches.halve():
                raise
        # not in the handler: there, the failed attempt would still hold its memory
        log.warning("out of memory: going on with %d windows at once", batches.size)


def regenerate(
    networks: Networks, context: EncodedContext, mask: Mask, target: Target, options: TakeOptions
) -> Iterator[Take]:
    """Yield takes that share one mask: bool (n_codebooks, n_frames), True = generate."""
    for batch in options.batches(networks.batches.n_takes):
        filled = refill(networks, context.plan, context.tokens[None], mask[None], batch)
        for seed, tokens in zip(batch.seeds, filled, strict=True):
            yield to_take(networks, context, tokens, mask, seed, target)


def inpaint_spans(networks: Networks, canvas: Waveform, plan: Plan, options: TakeOptions) -> Iterator[Take]:
    """Yield takes in which the spans of a plan are generated from their surroundings alone."""
    context = encode_context(networks, canvas, plan, options, unmeasured=plan.spans)
    target = nearby_target(networks, context)
    return regenerate(networks, context, plan.mask(networks.grid.n_codebooks), target, options)


def to_take(networks: Networks, context: EncodedContext, tokens: Tensor, mask: Mask, seed: int, target: Target) -> Take:
    """Make a take of filled tokens. Callers keep no reference to it: it may be long, and the next one follows."""
    audio = render_spans(networks, context, tokens, target)
    return Take(audio, tokens.cpu(), torch.from_numpy(mask), seed, context.plan.spans, context.canvas)
