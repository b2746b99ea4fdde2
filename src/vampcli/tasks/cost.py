"""The work of a take before any weight is loaded: windows, forward passes, seconds."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch

from vampcli.model.config import VampNetConfig
from vampcli.model.transformer import Layer
from vampcli.sampling.placement import find_regions, window_starts
from vampcli.tasks.plan import Pass

_MEASURED_S = 0.1
_MEASURED_FRAMES = 256  # enough to fill a CPU; a whole window of the largest model would take too long
_OVERHEAD = 1.35  # time of a forward pass and its draws over that of the layers alone, with `mini`


@dataclass(frozen=True)
class Work:
    """The work of one model for a take of one channel.

    Attributes:
        n_windows: windows with hidden tokens, over all passes and sampler calls.
        n_forwards: forward passes over a window, at most: late steps leave out windows that are done.
        n_frames: frames in these.
    """

    n_windows: int
    n_forwards: int
    n_frames: int


def work(passes: Sequence[Pass], config: VampNetConfig, n_steps: int) -> Work:
    """Count the work of a model in `n_steps` steps of the sampler."""
    context, n_windows, n_frames = config.context_frames, 0, 0
    for one in passes:
        for _, mask in one.plan.split_mask(one.mask):
            starts = window_starts(np.logical_or.reduce(mask[config.n_conditioning : config.n_codebooks]), context)
            n_windows += len(starts)
            n_frames += len(starts) * min(context, mask.shape[1])
    return Work(n_windows, n_windows * n_steps, n_frames * n_steps)


def sampled_regions(one: Pass, context: int) -> list[tuple[int, int]]:
    """Frame ranges of the canvas that are sampled together; see `placement.find_regions`."""
    calls = [(one.plan.first_frame + seen.start, mask) for seen, mask in one.plan.split_mask(one.mask)]
    return [
        (first + a, first + b) for first, mask in calls for a, b in find_regions(np.logical_or.reduce(mask), context)
    ]


def seconds(part: Work, config: VampNetConfig, dtype: torch.dtype) -> float:
    """Estimate the seconds that a model takes on this CPU; loading, encoding and decoding come on top.

    With `mini` on one thread it is 77 to 152 % of the processor time: least for a variation, most for a short span.
    """
    return _OVERHEAD * part.n_frames * config.n_layers * _layer_seconds(config, dtype)


@lru_cache
def _layer_seconds(config: VampNetConfig, dtype: torch.dtype) -> float:
    """Measure the seconds that a layer of random weights takes per frame; it takes a tenth of a second."""
    n = min(config.context_frames, _MEASURED_FRAMES)
    layer = Layer(config).to(dtype).eval()
    x, bias = torch.zeros(1, n, config.width, dtype=dtype), torch.zeros(config.n_heads, n, n, dtype=dtype)
    with torch.inference_mode():
        layer(x, bias)  # the first call takes longer
        n_calls, began = 0, time.perf_counter()
        while not n_calls or time.perf_counter() - began < _MEASURED_S:
            layer(x, bias)
            n_calls += 1
        return (time.perf_counter() - began) / (n_calls * n)
