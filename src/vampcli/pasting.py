"""Made audio into a recording, the rest of it untouched and no jump between."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from vampcli.audio import Samples, Waveform

FADE_S = 0.010


@dataclass(frozen=True)
class Patch:
    """Made audio for one span of a recording.

    Attributes:
        start: first sample of the span in the recording.
        end: one past its last sample.
        first: sample of the recording at which `samples` begins, at most `start`.
        samples: float (n_channels, n); reaches 10 ms over each border, unless the recording ends there.
    """

    start: int
    end: int
    first: int
    samples: Samples


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
        span = slice(patch.start - patch.first, patch.end - patch.first)
        piece = patch.samples[:, span].astype(np.float64)
        n = min(fade, patch.start - edges[2 * i], patch.end - patch.start)
        piece[:, :n] += _fade_out(n) * _residual(original, patch, patch.start - n, patch.start)[:, ::-1]
        n = min(fade, edges[2 * i + 3] - patch.end, patch.end - patch.start)
        piece[:, ::-1][:, :n] += _fade_out(n) * _residual(original, patch, patch.end, patch.end + n)
        samples[:, patch.start : patch.end] = piece
    return replace(original, samples=samples)


def _fade_out(n: int) -> npt.NDArray[np.float64]:
    return np.asarray(np.cos(np.pi * np.arange(n) / (2 * n)) ** 2)


def _residual(original: Waveform, patch: Patch, start: int, end: int) -> npt.NDArray[np.float64]:
    """Original minus made audio in [start, end): float64 (n_channels, end - start)."""
    made = patch.samples[:, start - patch.first : end - patch.first].astype(np.float64)
    return np.asarray(original.samples[:, start:end] - made)
