"""Splice generated audio into a recording without discontinuities."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from vampcli.audio.ranges import split_range
from vampcli.audio.waveform import Samples, Waveform

FADE_S = 0.010
_BLOCK = 2**19  # samples rendered at once, so that memory does not grow with the span

Render = Callable[[int, int], Samples]
"""Returns samples [start, stop) of the recording: float (n_channels, stop - start)."""


@dataclass(frozen=True)
class Patch:
    """Generated audio for one span of a recording.

    Attributes:
        start: first sample of the span in the recording.
        end: one past its last sample.
        render: renders audio inside the span and up to 10 ms around it.
    """

    start: int
    end: int
    render: Render


def paste(original: Waveform, patches: Sequence[Patch]) -> Waveform:
    """Replace spans of the original by generated audio, without a step at the borders.

    The difference between original and generated audio on the kept side of a border is mirrored into the
    span and faded out over F = 10 ms, so the removed sound cannot leak: with b the border, x the original
    and g the generated audio, y(b+t) = g(b+t) + cos^2(pi t / 2F) (x - g)(b-1-t). Where the span, or the
    kept audio beside it, is shorter than 10 ms, F is that length.

    Args:
        original: stays bit-identical outside the spans.
        patches: in order of time, their spans apart from each other.

    Returns:
        A waveform of the original's length and sample format.
    """
    fade = round(FADE_S * original.sample_rate)
    edges = [0, *(edge for patch in patches for edge in (patch.start, patch.end)), original.n_samples]
    samples = original.samples.copy()
    for i, patch in enumerate(patches):
        length = patch.end - patch.start
        before = min(fade, patch.start - edges[2 * i], length)
        after = min(fade, edges[2 * i + 3] - patch.end, length)
        _fill(samples, original.samples, patch, before, after)
    return replace(original, samples=samples)


def _fill(samples: Samples, kept: Samples, patch: Patch, before: int, after: int) -> None:
    """Write a patch into `samples` block by block, fading over `before` samples at its start, `after` at its end."""
    # Render in equal blocks, from `before` samples ahead of the span to `after` behind it.
    first, last = patch.start - before, patch.end + after
    for start, stop in split_range(first, last, _BLOCK):
        made = patch.render(start, stop)
        inside = slice(max(start, patch.start), min(stop, patch.end))
        samples[:, inside] = made[:, inside.start - start : inside.stop - start]
        if start == first:
            residual_before = _subtract(kept[:, first : patch.start], made[:, :before])
        if stop == last:
            residual_after = _subtract(kept[:, patch.end : last], made[:, made.shape[1] - after :])
    # Add the residuals x - g of the kept sides, mirrored and faded out.
    head, tail = samples[:, patch.start : patch.start + before], samples[:, patch.end - after : patch.end]
    head[:] = head.astype(np.float64) + _fade_out(before) * residual_before[:, ::-1]
    tail[:] = tail.astype(np.float64) + (_fade_out(after) * residual_after)[:, ::-1]


def _fade_out(n: int) -> npt.NDArray[np.float64]:
    return np.asarray(np.cos(np.pi * np.arange(n) / (2 * n)) ** 2)


def _subtract(kept: Samples, made: Samples) -> npt.NDArray[np.float64]:
    return np.asarray(kept.astype(np.float64) - made.astype(np.float64))


def cut_out(made: Waveform, spans: Sequence[tuple[int, int]]) -> Waveform:
    """Concatenate spans of a waveform: sample ranges [start, end)."""
    return replace(made, samples=np.concatenate([made.samples[:, start:end] for start, end in spans], axis=1))


def difference(made: Waveform, base: Waveform) -> Waveform:
    """Subtract `base` from a waveform of the same length."""
    return replace(made, samples=made.samples - base.samples)
