"""Give generated audio the level of its surroundings, or of the sound that it replaces."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from vampcli.audio.loudness import weighted_powers
from vampcli.audio.ranges import split_range
from vampcli.audio.splice import Render
from vampcli.audio.waveform import Samples

_MOST_BOOST = 4.0
_LEAST_SIDE_S = 0.05  # less says nothing about a level
_STEP_S = 0.5  # between gains that follow a recording
_SILENCE_S = 0.05  # blocks in which the original sounds or is silent
_MEASURED_S = 2.0  # at each end of a span
_FARTHEST = 10 ** (5 / 20)  # of a span's level from that of its surroundings
_LEAST = 1e-15  # amplitude
_BLOCK = 2**19  # samples measured at once

Range = tuple[int, int]
Gains = npt.NDArray[np.float64]
"""Factors for channels: float64 (n_channels, ...)."""


def match_sides(render: Render, original: Render, sample_rate: int, span: Range, sides: Sequence[Range]) -> Render:
    """Return a renderer without the loss of level that its audio has beside a span.

    The gain of each channel is that between the original and the rendered audio before the span at its start, and that
    after the span at its end, by K-weighted power; it is linear in between.

    Args:
        render: renders the span and its sides.
        original: reads the original; inside the span it does not matter.
        sample_rate: in Hz.
        span: sample range [start, end).
        sides: kept sample ranges before and after the span; empty ones do not count.
    """
    known = [side for side in sides if side[1] - side[0] >= _LEAST_SIDE_S * sample_rate]
    if not known:
        return render
    gains = [_gains(original(*side), render(*side), sample_rate) for side in known]
    first, last = gains[0], gains[-1]

    def matched(start: int, stop: int) -> Samples:
        share = np.clip((np.arange(start, stop) - span[0]) / (span[1] - span[0]), 0, 1)
        return _multiply(render(start, stop), first[:, None] * (1 - share) + last[:, None] * share)

    return matched


def match_level(
    render: Render,
    sample_rate: int,
    span: Range,
    around: Sequence[Samples],
    near: Sequence[Samples],
    share: float,
) -> Render:
    """Return a renderer whose level in a span is near that of the surroundings; silence stays silence.

    Args:
        render: renders the span; of a long one, some seconds at each end are measured.
        sample_rate: in Hz.
        span: sample range [start, end).
        around: the surroundings, float (n_channels, n) each, without offset; empty ones do not count.
        near: the part of them next to the span; a channel that is silent in it is silent in the span.
        share: of the distance between the two levels in dB that remains; it is 5 dB at most.
    """
    if not sum(piece.shape[1] for piece in near):
        return render
    measured = round(_MEASURED_S * sample_rate)
    ends = [(span[0], span[0] + measured), (span[1] - measured, span[1])]
    made = [render(*end) for end in (ends if ends[0][1] < ends[1][0] else [span])]
    wanted, level = (np.sqrt(_weighted_power(pieces, sample_rate)) for pieces in (around, made))
    remaining = np.clip((max(level, _LEAST) / max(wanted, _LEAST)) ** share, 1 / _FARTHEST, _FARTHEST)
    sounds = np.ptp(np.concatenate(near, axis=1), axis=1) > 0
    factors = min(remaining * wanted / max(level, _LEAST), _MOST_BOOST) * sounds[:, None]
    return lambda start, stop: _multiply(render(start, stop), factors)


def follow_level(render: Render, original: Render, sample_rate: int, span: Range) -> Render:
    """Return a renderer whose level follows that of the original at the same time.

    Every half second, the gain of each channel is that between the original and the rendered audio of the second around
    it, by K-weighted power; it is linear in between. Where the original is silent, so is the result, but for a fade.

    Args:
        render: renders the span.
        original: reads what the original has at the same time; its rate may be another.
        sample_rate: in Hz.
        span: sample range [start, end).
    """
    step = max(1, round(_STEP_S * sample_rate))

    def window(centre: int) -> Range:
        start, end = max(span[0], (centre - 1) * step), min(span[1], (centre + 1) * step)
        return min(start, max(span[0], span[1] - step)), max(end, min(span[1], span[0] + step))

    def matched(start: int, stop: int) -> Samples:
        centres = range(start // step, -(-stop // step) + 1)
        windows = [window(centre) for centre in centres]
        first, end = min(start, windows[0][0]), windows[-1][1]
        made = render(first, max(end, stop))
        gains = [_gains(original(a, b), made[:, a - first : b - first], sample_rate) for a, b in windows]
        times, grid = np.arange(start, stop), np.array(centres) * step
        curves = np.stack([np.interp(times, grid, channel) for channel in zip(*gains, strict=True)])
        return _multiply(
            made[:, start - first : stop - first], curves * _gate(original, sample_rate, span, start, stop)
        )

    return matched


def _gate(original: Render, sample_rate: int, span: Range, start: int, stop: int) -> Gains:
    """Return 0 where the original is constant, else 1, with fades of 50 ms inside silence: (n_channels, stop - start).

    Blocks begin at multiples of their length in the recording, so that the result does not depend on `start`.
    """
    size = max(1, round(_SILENCE_S * sample_rate))
    blocks = range(start // size - 1, -(-stop // size) + 1)
    ends = [(max(span[0], block * size), min(span[1], (block + 1) * size)) for block in blocks]
    outside = np.zeros(len(original(span[0], span[0] + 1)), bool)
    sounds = np.stack([np.ptp(original(a, b), axis=1) > 0 if a < b else outside for a, b in ends], axis=1)
    borders = sounds[:, :-1] | sounds[:, 1:]
    times, grid = np.arange(start, stop), np.array(blocks[1:]) * size
    return np.stack([np.interp(times, grid, channel) for channel in borders])


def mean_weighted_power(read: Render, n_samples: int, sample_rate: int) -> float:
    """Return the mean square of all channels of a sound of `n_samples` after the K-weighting filters."""
    blocks = split_range(0, n_samples, _BLOCK)
    return sum((b - a) * float(weighted_powers(read(a, b), sample_rate).mean()) for a, b in blocks) / n_samples


def level_factor(wanted: float, made: float) -> float:
    """Return the factor, within 12 dB, from made sound to the wanted level; both are mean squares; 1 for silence."""
    return float(np.clip(np.sqrt(wanted / made), 1 / _MOST_BOOST, _MOST_BOOST)) if wanted and made else 1.0


def _gains(original: Samples, made: Samples, sample_rate: int) -> Gains:
    wanted, powers = weighted_powers(original, sample_rate), weighted_powers(made, sample_rate)
    return np.asarray(np.minimum(np.sqrt(wanted / np.maximum(powers, _LEAST**2)), _MOST_BOOST))


def _weighted_power(pieces: Sequence[Samples], sample_rate: int) -> float:
    """Mean square of all channels of pieces, laid end to end, after the K-weighting filters."""
    lengths = [piece.shape[1] for piece in pieces]
    return float(np.average([weighted_powers(piece, sample_rate).mean() for piece in pieces], weights=lengths))


def _multiply(samples: Samples, factors: Gains) -> Samples:
    return (samples * factors).astype(samples.dtype)
