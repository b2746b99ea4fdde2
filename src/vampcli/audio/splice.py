"""Made audio into a recording, the rest of it untouched and no jump between."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from vampcli.audio.waveform import Samples, Waveform

FADE_S = 0.010
_BLOCK = 2**19  # samples made at once, so that memory does not grow with the span

Render = Callable[[int, int], Samples]
"""Makes the recording's samples [start, stop): float (n_channels, stop - start)."""


@dataclass(frozen=True)
class Patch:
    """Made audio for one span of a recording.

    Attributes:
        start: first sample of the span in the recording.
        end: one past its last sample.
        render: makes audio inside the span and up to 10 ms around it.
    """

    start: int
    end: int
    render: Render


def paste(original: Waveform, patches: Sequence[Patch]) -> Waveform:
    """Put made audio into spans of the original, without a jump at the borders.

    The difference between original and made audio on the kept side of a border is mirrored into the
    span and faded out over F = 10 ms, so the removed sound cannot leak: with b the border, x the original
    and g the made audio, y(b+t) = g(b+t) + cos^2(pi t / 2F) (x - g)(b-1-t). Where the span, or what is
    kept beside it, is shorter than 10 ms, F is that length.

    Args:
        original: kept outside the spans, to the bit.
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
    """Write a patch into `samples`, block by block; `before` and `after` samples around it are compared."""
    first, last = patch.start - before, patch.end + after
    n_blocks = -(-(last - first) // _BLOCK)
    edges = [first + (last - first) * i // n_blocks for i in range(n_blocks + 1)]
    for start, stop in itertools.pairwise(edges):
        made = patch.render(start, stop)
        inside = slice(max(start, patch.start), min(stop, patch.end))
        samples[:, inside] = made[:, inside.start - start : inside.stop - start]
        if start == first:
            residual_before = _difference(kept[:, first : patch.start], made[:, :before])
        if stop == last:
            residual_after = _difference(kept[:, patch.end : last], made[:, made.shape[1] - after :])
    head, tail = samples[:, patch.start : patch.start + before], samples[:, patch.end - after : patch.end]
    head[:] = head.astype(np.float64) + _fade_out(before) * residual_before[:, ::-1]
    tail[:] = tail.astype(np.float64) + (_fade_out(after) * residual_after)[:, ::-1]


def _fade_out(n: int) -> npt.NDArray[np.float64]:
    return np.asarray(np.cos(np.pi * np.arange(n) / (2 * n)) ** 2)


def _difference(kept: Samples, made: Samples) -> npt.NDArray[np.float64]:
    return np.asarray(kept.astype(np.float64) - made.astype(np.float64))


def cut_out(made: Waveform, spans: Sequence[tuple[int, int]]) -> Waveform:
    """The spans alone, one after another."""
    return replace(made, samples=np.concatenate([made.samples[:, start:end] for start, end in spans], axis=1))


def difference(made: Waveform, base: Waveform) -> Waveform:
    """What has to be added to `base` to get `made`, of the same length."""
    return replace(made, samples=made.samples - base.samples)
