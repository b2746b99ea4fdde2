"""How much work a take is, before any weight is loaded: windows, passes of the models, draws, seconds."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain, pairwise

import torch
from torch import Tensor

from vampcli.config import Sampler
from vampcli.model.transformer import Layer, VampNetConfig
from vampcli.sampling.order import schedule
from vampcli.sampling.windows import regions, window_starts
from vampcli.tasks.plan import Pass

_FLOPS_PER_CLASS = 500  # what it costs to draw, in the time of a layer; fits `mini`, see `seconds`
_MEASURED_S = 0.2
_MEASURED_FRAMES = 256  # enough to fill a CPU; a whole window of the largest model would take too long


@dataclass(frozen=True)
class Work:
    """What one model does for a take of one channel.

    Attributes:
        n_windows: windows that hide something, over all passes and turns.
        n_forwards: passes of the model over a window, at most: late steps leave out windows that are done.
        flops: multiplications and additions in these.
        n_classes: logits that tokens are drawn from.
    """

    n_windows: int
    n_forwards: int
    flops: float
    n_classes: int


def work(passes: Sequence[Pass], config: VampNetConfig, n_steps: int, sampler: Sampler = "confidence") -> Work:
    """Count what a model does for a take.

    Args:
        passes: of the take.
        config: sizes of the model.
        n_steps: of the sampler.
        sampler: `halton` draws every token once, `confidence` all that are hidden in every step.
    """
    n_windows, flops, n_drawn = 0, 0.0, 0
    for _, mask in chain.from_iterable(one.plan.in_turns(one.mask) for one in passes):
        own = mask[config.n_conditioning : config.n_codebooks]
        for n_frames, n_wanted in _windows(own.any(0), config.context_frames):
            n_windows += 1
            flops += forward_flops(config, n_frames, n_wanted)
        for start, end in regions(own.any(0), config.context_frames):
            n_tokens = int(own[:, start:end].sum())
            n_drawn += n_tokens if sampler == "halton" else _n_drawn(n_tokens, n_steps)
    return Work(n_windows, n_windows * n_steps, flops * n_steps, n_drawn * config.codebook_size)


def sampled_regions(one: Pass, context: int) -> list[tuple[int, int]]:
    """Frames of the canvas that are sampled together, as half-open ranges; see `vampcli.sampling.windows.regions`."""
    turns = [(one.plan.first_frame + seen.start, mask) for seen, mask in one.plan.in_turns(one.mask)]
    return [(first + a, first + b) for first, mask in turns for a, b in regions(mask.any(0), context)]


def _windows(hidden: Tensor, context: int) -> Iterator[tuple[int, int]]:
    """Frames of each window that hides something, and how many of them get logits."""
    for start in window_starts(hidden, context):
        window = hidden[start : start + context]
        frames = torch.nonzero(window)[:, 0].tolist()
        yield len(window), frames[-1] - frames[0] + 1


def _n_drawn(n_tokens: int, n_steps: int) -> int:
    """Draws of a region where all that is hidden is drawn in every step that makes something."""
    hidden = [n for (n,) in schedule([n_tokens], n_steps)]
    return sum(now for now, after in pairwise(hidden) if after < now)


def forward_flops(config: VampNetConfig, n_frames: int, n_wanted: int) -> float:
    """Multiplications and additions in the matrix products of one pass over a window.

    Args:
        config: sizes of the model.
        n_frames: of the window.
        n_wanted: of them that get logits.
    """
    embedding = n_frames * config.n_codebooks * config.codebook_dim * config.width
    logits = n_wanted * config.width * config.n_predicted * config.codebook_size
    inner = (config.n_layers - 1) * _layer_flops(config.width, n_frames, n_frames)
    return 2 * (embedding + logits) + inner + _layer_flops(config.width, n_frames, n_wanted)


def _layer_flops(width: int, n_frames: int, n_wanted: int) -> float:
    keys_and_values = n_frames * 2 * width**2
    rest = n_wanted * (2 + 4 + 2) * width**2  # query and output, the wide network, and back
    attention = 2 * n_wanted * n_frames * width
    return 2 * (keys_and_values + rest + attention)


@lru_cache
def layer_rate(config: VampNetConfig, dtype: torch.dtype) -> float:
    """Measure how many multiplications and additions this CPU does in a second, in a layer of these sizes.

    It takes a fifth of a second, and no weights: they are random.
    """
    n = min(config.context_frames, _MEASURED_FRAMES)
    layer = Layer(config).to(dtype).eval()
    x, bias = torch.zeros(1, n, config.width, dtype=dtype), torch.zeros(config.n_heads, n, n, dtype=dtype)
    with torch.inference_mode():
        layer(x, bias)  # the first time takes longer
        n_done, began = 0, time.perf_counter()
        while not n_done or time.perf_counter() - began < _MEASURED_S:
            layer(x, bias)
            n_done += 1
        return n_done * _layer_flops(config.width, n, n) / (time.perf_counter() - began)


def seconds(parts: Sequence[Work], rate: float) -> float:
    """About how long the sampler takes on a CPU; loading, encoding and decoding come on top.

    With `mini` on one thread it says 97 to 140 % of the processor time of variations of 10 s, of 2 s re-made in 10 s,
    and of the fine model alone: least for the fine model, most for `halton`. Windows that run side by side take less
    wall clock.

    Args:
        parts: of the work.
        rate: what `layer_rate` measured.
    """
    return sum(part.flops + _FLOPS_PER_CLASS * part.n_classes for part in parts) / rate
