"""Decode the spans of a take and splice them into the canvas."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, lru_cache

import numpy as np
from torch import Tensor

from vampcli.audio.ranges import merge_ranges
from vampcli.audio.resample import resample_range
from vampcli.audio.splice import FADE_S, Patch, Render, paste
from vampcli.audio.stereo import REACH, Image, stereo_image, surroundings, widen_along
from vampcli.audio.waveform import Samples, Waveform
from vampcli.codec.chunked import decode_long
from vampcli.tasks.networks import EncodedContext, Networks

_MOST_DECODED = 1024  # frames of close spans that are decoded together

ImageOf = Callable[[tuple[int, int]], Image]
"""Returns the stereo image of a span, sample range [start, end)."""


def nearby_image(context: EncodedContext) -> ImageOf:
    """Return a function that measures the stereo image of half a second on either side of a span."""
    samples, rate = context.canvas.samples, context.canvas.sample_rate

    @cache
    def measure(span: tuple[int, int]) -> Tensor | None:
        return stereo_image(surroundings(samples, rate, context.plan.spans, span), rate)

    return lambda span: lambda _start, _stop: measure(span)


def render_spans(networks: Networks, context: EncodedContext, tokens: Tensor, image_of: ImageOf) -> Waveform:
    """Decode the spans of a take and splice them into the canvas.

    Args:
        networks: the codec.
        context: the canvas and the plan.
        tokens: int64 (n_model_channels, n_codebooks, n_frames).
        image_of: the stereo image of a span, for one model channel that becomes two.
    """
    decoded, canvas = _decoder(networks, context, tokens), context.canvas
    if len(tokens) == canvas.n_channels:
        return paste(canvas, [Patch(*span, decoded) for span in context.plan.spans])

    def widened(image: Image) -> Render:
        def render(start: int, stop: int) -> Samples:
            first, last = max(0, start - REACH), min(canvas.n_samples, stop + REACH)
            return widen_along(decoded(first, last), image, start - first, stop - first, first)

        return render

    return paste(canvas, [Patch(*span, widened(image_of(span))) for span in context.plan.spans])


def _decoder(networks: Networks, context: EncodedContext, tokens: Tensor) -> Render:
    """Return a function that decodes samples of the canvas: float32 (n_model_channels, n_samples).

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
    alone = [frames_needed(max(0, start - around), min(n_samples, end + around)) for start, end in context.plan.spans]
    together = set(merge_ranges(alone, gap=-1, longest=_MOST_DECODED)) - set(alone)

    def render(start: int, stop: int) -> Samples:
        needed = frames_needed(start, stop)
        first, last = next((one for one in together if one[0] <= needed[0] and needed[1] <= one[1]), needed)
        offset = (first_frame + first) * grid.hop_length
        samples = resample_range(decode(first, last), grid.sample_rate, rate, start, stop, offset)
        return samples / np.float32(context.gain)

    return render
