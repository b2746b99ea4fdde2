"""Decode the spans of a take and splice them into the canvas."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np
from torch import Tensor

from vampcli.audio.matching import follow_level, match_level, match_sides
from vampcli.audio.ranges import merge_ranges
from vampcli.audio.resample import resample_range
from vampcli.audio.splice import FADE_S, Patch, Render, paste
from vampcli.audio.stereo import REACH, Image, sides, stereo_image, widen_along
from vampcli.audio.waveform import Samples, Waveform
from vampcli.codec.chunked import decode_long
from vampcli.tasks.networks import EncodedContext, Networks

_MOST_DECODED = 1024  # frames of close spans that are decoded together
_MOST_ALONE = 1024  # frames of a span that is decoded at once
_NEAR_S, _AROUND_S = 0.5, 1.0  # on each side of a span, where image and level are measured, and the limits of the level
_MODEL_SHARE = 0.25  # of the distance between the level that the models alone make and that of the surroundings

Range = tuple[int, int]


@dataclass(frozen=True)
class Target:
    """Audio whose level rendered spans get. Offsets are left out.

    Attributes:
        image_of: returns the stereo image of a span, for one model channel that becomes two.
        match: returns the renderer of a span at the right level.
        reach: the sample range that `match` renders for a span.
    """

    image_of: Callable[[Range], Image]
    match: Callable[[Render, Range], Render] = lambda render, _span: render
    reach: Callable[[Range], Range] = lambda span: span


NO_TARGET = Target(lambda _span: lambda _start, _stop: None)
"""Both channels are alike, at the level of the tokens."""


def decoded_margin(networks: Networks, rate: int) -> int:
    """Return how many frames beside hidden ones rendering decodes at most, for a canvas of this rate."""
    n_samples, grid = round(_NEAR_S * rate) + REACH + round(FADE_S * rate), networks.grid
    return -(-n_samples * grid.sample_rate // (rate * grid.hop_length)) + networks.codec.halo_frames + 3


def nearby_target(networks: Networks, context: EncodedContext) -> Target:
    """Return the target of spans that are generated from their surroundings: stereo image and level of these."""
    canvas, level, spans, rate = context.canvas, context.level, context.plan.spans, context.canvas.sample_rate

    @cache
    def measure(span: Range) -> Tensor | None:
        near = sides(canvas.n_samples, round(_NEAR_S * rate), spans, span)
        return stereo_image([context.read(*side) for side in near], rate)

    def match(render: Render, span: Range) -> Render:
        render = match_sides(render, context.read, rate, span, _heard_sides(networks, context, span))
        return match_nearby(render, context, span, _MODEL_SHARE)

    def image_of(span: Range) -> Image:
        return lambda _start, _stop: measure(span)

    def reach(span: Range) -> Range:
        (start, _), (_, end) = _heard_sides(networks, context, span)
        return min(start, span[0]), max(end, span[1])

    return Target(image_of, match, reach) if level.is_matched else Target(image_of)


def match_nearby(render: Render, context: EncodedContext, span: Range, share: float = 1.0) -> Render:
    """Return a renderer whose level is near that of the surroundings; see `match_level`."""
    canvas, spans, rate = context.canvas, context.plan.spans, context.canvas.sample_rate
    around, near = (
        [context.read(*side) for side in sides(canvas.n_samples, round(reach_s * rate), spans, span)]
        for reach_s in (_AROUND_S, _NEAR_S)
    )
    return match_level(render, rate, span, around, near, share)


def _heard_sides(networks: Networks, context: EncodedContext, span: Range) -> tuple[Range, Range]:
    """Sample ranges beside a span whose tokens are kept; they may be empty."""
    plan, grid, rate = context.plan, networks.grid, context.canvas.sample_rate

    def sample(frame: int) -> int:
        return min(context.canvas.n_samples, -(-frame * grid.hop_length * rate // grid.sample_rate))

    hidden = [(sample(first), sample(last)) for first, last in plan.hidden]
    seen, stop = sample(plan.first_frame), sample(plan.first_frame + plan.n_frames)
    return sides(stop, round(_NEAR_S * rate), [(0, seen), *hidden], hidden[plan.spans.index(span)])


def original_target(context: EncodedContext, clip: Waveform, factor: int) -> Target:
    """Return the target of spans of a clip, stretched by a factor: the stereo image and level of the same time."""
    level = context.level

    def read(start: int, stop: int) -> Samples:
        return level.centred(clip.samples[:, start // factor : max(stop // factor, start // factor + 1)])

    @cache
    def image(start: int, stop: int) -> Tensor | None:
        return stereo_image([read(start, stop)], clip.sample_rate)

    def match(render: Render, span: Range) -> Render:
        return follow_level(render, read, clip.sample_rate, span)

    return Target(lambda _span: image, match) if level.is_matched else Target(lambda _span: image)


def render_spans(networks: Networks, context: EncodedContext, tokens: Tensor, target: Target) -> Waveform:
    """Decode the spans of a take and splice them into the canvas.

    Args:
        networks: the codec.
        context: the canvas and the plan.
        tokens: int64 (n_model_channels, n_codebooks, n_frames).
        target: stereo image and level.
    """
    decoder, canvas = _decoder(networks, context, tokens, target), context.canvas

    def widened(decoded: Render, image: Image) -> Render:
        def render(start: int, stop: int) -> Samples:
            first, last = max(0, start - REACH), min(canvas.n_samples, stop + REACH)
            exact = context.level.is_matched
            return widen_along(decoded(first, last), image, start - first, stop - first, first, exact)

        return render

    def patch(span: Range) -> Patch:
        render = decoder(span)
        if len(tokens) != canvas.n_channels:
            render = widened(render, target.image_of(span))
        matched = cache(lambda: target.match(render, span))  # only when the span is rendered: it decodes sound
        return Patch(*span, lambda start, stop: context.level.restored(matched()(start, stop)))

    return paste(canvas, [patch(span) for span in context.plan.spans])


def _decoder(networks: Networks, context: EncodedContext, tokens: Tensor, target: Target) -> Callable[[Range], Render]:
    """Return a function of a span that returns its decoder: float32 (n_model_channels, n_samples of the canvas).

    It decodes only the frames that the samples depend on; spans that share such frames are decoded together, once.
    """
    grid, rate, n_samples = networks.grid, context.canvas.sample_rate, context.canvas.n_samples
    first_frame, halo, around = context.plan.first_frame, networks.codec.halo_frames + 1, REACH + round(FADE_S * rate)

    def frames_needed(start: int, stop: int) -> tuple[int, int]:
        first, last = grid.frames_touched(start, stop, rate)
        return max(0, first - halo - first_frame), last + halo - first_frame

    @lru_cache(maxsize=1)
    def decode(first: int, last: int) -> Samples:
        return np.stack([decode_long(networks.codec, channel[:, first:last]).cpu().numpy() for channel in tokens])

    # Frames of every span alone; then those of spans that overlap, up to a limit.
    reaches = [target.reach(span) for span in context.plan.spans]
    alone = [frames_needed(max(0, start - around), min(n_samples, end + around)) for start, end in reaches]
    merged = merge_ranges(alone, gap=-1, longest=_MOST_DECODED)
    together = set(merged) - set(alone)

    def decoder(span: Range) -> Render:
        shared = together
        if context.level.is_matched:  # a span is rendered more than once, but a long one is not decoded as a whole
            first, last = alone[context.plan.spans.index(span)]
            shared = {one for one in merged if one[0] <= first and last <= one[1] and one[1] - one[0] <= _MOST_ALONE}

        def render(start: int, stop: int) -> Samples:
            needed = frames_needed(start, stop)
            first, last = next((one for one in shared if one[0] <= needed[0] and needed[1] <= one[1]), needed)
            offset = (first_frame + first) * grid.hop_length
            samples = resample_range(decode(first, last), grid.sample_rate, rate, start, stop, offset)
            return samples / np.float32(context.level.gain)

        return render

    return decoder
