"""Continue a recording into generated audio by linear prediction, so that no kink remains where they meet."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from vampcli.audio.splice import FADE_S, Render
from vampcli.audio.waveform import Samples, Waveform

PREDICTED_FROM_S = 0.020
_ORDER = 32


def extrapolate(samples: npt.NDArray[np.float64], n: int) -> npt.NDArray[np.float64]:
    """Continue a signal by linear prediction (autocorrelation method, order 32), whose result decays.

    Args:
        samples: float64 (n_samples,).
        n: number of samples to add.

    Returns:
        float64 (n,); zeros if the signal is silent or has at most 64 samples.
    """
    if len(samples) <= 2 * _ORDER or not samples.any():
        return np.zeros(n)
    correlation = np.array([samples[: len(samples) - lag] @ samples[lag:] for lag in range(_ORDER + 1)])
    correlation[0] *= 1 + 1e-6  # pure tones make the equations singular
    lags = np.arange(_ORDER)
    weights = np.linalg.solve(correlation[np.abs(lags[:, None] - lags)], correlation[1:])[::-1]
    continued = np.concatenate([samples[-_ORDER:], np.zeros(n)])
    for i in range(n):  # a few hundred samples: less time than the import of a filter takes
        continued[_ORDER + i] = weights @ continued[i : i + _ORDER]
    return continued[_ORDER:]


def match_edges(render: Render, original: Waveform, span: tuple[int, int], spans: Sequence[tuple[int, int]]) -> Render:
    """Return a renderer that equals the original outside a span, and continues it inside.

    With b the border, x the original, g the rendered audio and e the continuation of x - g beyond b:
    y(b+t) = g(b+t) + cos^2(pi t / 2F) e(t), for F = 10 ms.

    Args:
        render: renders the span and up to 20 ms around it.
        original: the recording.
        span: sample range [start, end).
        spans: all ranges that are replaced, the span among them: nothing is predicted from their samples.
    """
    (start, end), samples = span, original.samples
    n_known, n = round(PREDICTED_FROM_S * original.sample_rate), min(round(FADE_S * original.sample_rate), end - start)
    fade = np.cos(np.pi * np.arange(n) / (2 * n)) ** 2
    before = max([0, start - n_known, *(b for _, b in spans if b <= start)])
    after = min([original.n_samples, end + n_known, *(a for a, _ in spans if a >= end)])
    head = _continue(samples[:, before:start] - render(before, start), fade)
    tail = _continue((samples[:, end:after] - render(end, after))[:, ::-1], fade)[:, ::-1]

    def matched(first: int, last: int) -> Samples:
        made = np.array(render(first, last), np.float64)
        for correction, begin in ((head, start), (tail, end - n)):
            a, b = max(first, begin), min(last, begin + n)
            if a < b:
                made[:, a - first : b - first] += correction[:, a - begin : b - begin]
        for a, b in ((first, min(last, start)), (max(first, end), last)):
            if a < b:
                made[:, a - first : b - first] = samples[:, a:b]
        return made

    return matched


def _continue(residual: Samples, fade: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.stack([extrapolate(channel.astype(np.float64), len(fade)) * fade for channel in residual])
