"""The work of a take before any weight is loaded: windows, forward passes, seconds; imports no torch."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from vampcli.model.config import VampNetConfig
from vampcli.sampling.placement import LARGEST_SHARE, MOST_REUSED, find_regions, near_frames, window_starts
from vampcli.tasks.plan import Pass

_MEASURED_FRAMES = 256  # of the measured matrix product
_N_MEASURED = 5  # the least of so many: other work on the processor delays the rest
_OVERHEAD = 1.25  # time of a forward pass and its draws over that of the products alone, with `mini`
_BFLOAT16_SPEED = 1.9  # of forward passes with AVX-512, against float32
_AROUND = 3.0  # encoding, decoding and splicing take as long as so many passes over the frames that the models see
_BFLOAT16_FLAGS = {"avx512_bf16", "amx_tile"}


@dataclass(frozen=True)
class Work:
    """The work of one model for a take of one channel.

    Attributes:
        n_windows: windows with hidden tokens, over all passes and sampler calls.
        n_forwards: forward passes over a window, at most: late steps leave out windows that are done.
        n_frames: frames in these.
        n_computed: those of them that are computed; `refresh` leaves out frames far from hidden ones.
    """

    n_windows: int
    n_forwards: int
    n_frames: int
    n_computed: int


def work(passes: Sequence[Pass], config: VampNetConfig, n_steps: int, refresh: int = 0) -> Work:
    """Count the work of a model in `n_steps` steps of the sampler, of which every `refresh`th computes all frames."""
    context, n_windows, n_frames, n_computed = config.context_frames, 0, 0, 0
    n_whole = -(-n_steps // refresh) if refresh else n_steps
    for one in passes:
        for _, mask in one.plan.split_mask(one.mask):
            hidden = np.logical_or.reduce(mask[config.n_conditioning : config.n_codebooks])
            starts, length = window_starts(hidden, context), min(context, mask.shape[1])
            n_windows += len(starts)
            n_frames += len(starts) * length
            for start in starts:
                frames = np.flatnonzero(hidden[start : start + length])
                near = near_frames(int(frames[0]), int(frames[-1]) + 1, length)
                n_near, is_reused = near.stop - near.start, len(starts) <= MOST_REUSED
                n_near = n_near if is_reused and n_near <= LARGEST_SHARE * length else length
                n_computed += n_whole * length + (n_steps - n_whole) * n_near
    return Work(n_windows, n_windows * n_steps, n_frames * n_steps, n_computed)


def sampled_regions(one: Pass, context: int) -> list[tuple[int, int]]:
    """Frame ranges of the canvas that are sampled together; see `placement.find_regions`."""
    calls = [(one.plan.first_frame + seen.start, mask) for seen, mask in one.plan.split_mask(one.mask)]
    return [
        (first + a, first + b) for first, mask in calls for a, b in find_regions(np.logical_or.reduce(mask), context)
    ]


def seconds(part: Work, config: VampNetConfig, dtype: str) -> float:
    """Estimate the seconds that a model takes on this CPU when nothing else runs; `around_seconds` comes on top.

    Args:
        part: the work.
        config: of the model.
        dtype: auto, fp32, bf16 or fp16.
    """
    speed = _BFLOAT16_SPEED if dtype in ("auto", "bf16") and _multiplies_bfloat16() else 1.0
    return part.n_computed * _frame_seconds(config) / speed


def around_seconds(n_frames: int, coarse: VampNetConfig) -> float:
    """Estimate the seconds of encoding, decoding and splicing; loading the model comes on top.

    Args:
        n_frames: that the models see.
        coarse: the coarse model, with which the codec's time is compared.
    """
    return _AROUND * n_frames * _frame_seconds(coarse)


def _frame_seconds(config: VampNetConfig) -> float:
    """Estimate the seconds of a forward pass in float32 for each frame that it computes."""
    width, n_classes = config.width, config.n_predicted * config.codebook_size
    products = config.n_layers * (10 * width**2 + 2 * config.context_frames * width) + width * n_classes
    return _OVERHEAD * products * _product_seconds(width)


@cache
def _product_seconds(width: int) -> float:
    """Measure the processor time of a multiplication and an addition in a product as wide as a layer."""
    x, weights = np.ones((_MEASURED_FRAMES, width), np.float32), np.ones((width, 4 * width), np.float32)
    times = []
    for _ in range(_N_MEASURED):
        began = time.thread_time()
        x @ weights
        times.append(time.thread_time() - began)
    return min(times) / (x.size * weights.shape[1])


@cache
def _multiplies_bfloat16() -> bool:
    """Say whether the processor multiplies bfloat16, as far as Linux tells."""
    try:
        flags = Path("/proc/cpuinfo").read_text("utf-8", "replace").partition("\nflags")[2].partition("\n")[0]
    except OSError:
        return False
    return not _BFLOAT16_FLAGS.isdisjoint(flags.split())
