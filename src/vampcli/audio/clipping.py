"""Lower generated audio that lies beyond full scale, while the samples around it stay as they are."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from vampcli.audio.formats import BITS
from vampcli.audio.splice import FADE_S
from vampcli.audio.waveform import Waveform

log = logging.getLogger(__name__)

Range = tuple[int, int]


def rescale(made: Waveform, spans: Sequence[Range], stored: str, is_loop: bool = False) -> Waveform:
    """Multiply the generated spans by one gain, so that their peak fits an integer format.

    The gain g is reached by a fade over F = 10 ms from each border to a kept sample, so that no step arises there:
    y(b+t) = x(b+t) (g + (1 - g) cos^2(pi t / 2F)). Samples that are still too large within a fade are clamped when they
    are written.

    Args:
        made: the result of a task.
        spans: sample ranges [start, end) that were generated, apart from each other and in order.
        stored: libsndfile's name of the sample format; only integers have a full scale.
        is_loop: the first sample follows the last one.

    Returns:
        The same waveform if nothing in the spans is too large; all other samples stay bit-identical in any case.
    """
    bits = BITS.get(stored)
    if bits is None or not spans:
        return made
    highest = max(float(made.samples[:, start:end].max()) for start, end in spans)
    lowest = min(float(made.samples[:, start:end].min()) for start, end in spans)
    limit = 1 - 2.0 ** (1 - bits)  # integers reach -1, but not 1
    gain = min(1.0, limit / max(highest, limit), 1 / max(-lowest, 1.0))
    if gain == 1:
        return made
    log.warning(
        "generated samples beyond full scale: the generated spans are lowered by %.1f dB", -20 * math.log10(gain)
    )
    starts, ends, samples = {s for s, _ in spans}, {e for _, e in spans}, made.samples.copy()
    wrapped = is_loop and not (0 in starts and made.n_samples in ends)
    for start, end in spans:
        before, after = start > 0 or wrapped, end < made.n_samples or wrapped
        curve = 1 + (gain - 1) * _fade_in(end - start, round(FADE_S * made.sample_rate), before, after)
        samples[:, start:end] = samples[:, start:end].astype(np.float64) * curve
    return replace(made, samples=samples)


def _fade_in(length: int, fade: int, before: bool, after: bool) -> npt.NDArray[np.float64]:
    """Return weights of a span: 0 at a border to a kept sample, 1 from `fade` samples on, or from the middle."""
    weights, fade = np.ones(length), min(fade, length // 2 if before and after else length)
    rising = np.sin(np.pi * np.arange(fade) / (2 * fade)) ** 2 if fade else np.ones(0)
    if before:
        weights[:fade] = rising
    if after:
        weights[length - fade :] = rising[::-1]
    return weights
