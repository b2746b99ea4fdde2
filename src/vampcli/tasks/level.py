"""Offset, mix and gain that turn samples of a recording into input of the models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from vampcli.audio.loudness import complement, gain_at_any_level, level_gain
from vampcli.audio.ranges import split_range
from vampcli.audio.waveform import Samples
from vampcli.config import Stereo
from vampcli.recipe.recipe import Rendering

_BLOCK = 2**19  # samples analysed at once
_LEAST_OFFSET = 0.02  # of the deviation; less is chance
_LEAST_MID = 0.25  # power of the mid over that of the side; below it, one channel is inverted


@dataclass(frozen=True)
class Level:
    """The change of samples before the models.

    Attributes:
        gain: factor on the samples; made samples are divided by it.
        mid: the models hear the mix of the channels.
        offsets: constant component of each channel, which the models do not hear; 0 if it is small, none if it is not
            removed.
        inverted: the second channel is inverted before the mix, and again in the result.
        rendering: see `Recipe.rendering`.
    """

    gain: float
    mid: bool = True
    offsets: tuple[float, ...] = ()
    inverted: bool = False
    rendering: Rendering = 1

    @property
    def is_matched(self) -> bool:
        """Made sound gets the level of what it replaces."""
        return self.rendering > 1

    def centred(self, samples: Samples) -> Samples:
        """Remove the offset, and invert the second channel if that is needed: float (n_channels, n) -> the same."""
        if not self.offsets:
            return samples
        centred: Samples = samples - self._column(samples.dtype)
        return _invert(centred) if self.inverted else centred

    def restored(self, samples: Samples) -> Samples:
        """Invert `centred`."""
        if not self.offsets:
            return samples
        restored: Samples = (_invert(samples) if self.inverted else samples) + self._column(samples.dtype)
        return restored

    def mixed(self, samples: Samples) -> Samples:
        """Mix the channels if the models hear the mix: float (n_channels, n) -> (n_model_channels, n)."""
        return np.asarray(samples.mean(axis=0, keepdims=True)) if self.mid else samples

    def of_recording(self, samples: Samples) -> Level:
        """Return the same change for another recording, float (n_channels, n_samples), which has its own offset."""
        return replace(self, offsets=_offsets(*_moments(samples, [(0, samples.shape[1])]))) if self.offsets else self

    def _column(self, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        return np.array(self.offsets, dtype)[:, None]


def set_level(
    samples: Samples, sample_rate: int, stereo: Stereo, rendering: Rendering, spans: Sequence[tuple[int, int]] = ()
) -> Level:
    """Return the change that brings the kept audio to the models' level.

    Args:
        samples: float (n_channels, n_samples).
        sample_rate: in Hz.
        stereo: the models hear the mix, or each channel.
        rendering: version of the rule: 1 measures all channels together and leaves the offset.
        spans: sample ranges [start, end) that do not count, unless nothing else is there.
    """
    mid = stereo == "mid"
    if rendering == 1:
        return Level(level_gain(samples, sample_rate, spans), mid)
    means, products = _moments(samples, complement(spans, samples.shape[1]) or [(0, samples.shape[1])])
    offsets = _offsets(means, products)
    left, both, right = products[0, 0], products[0, -1], products[-1, -1]
    inverted = mid and len(samples) == 2 and left + 2 * both + right < _LEAST_MID * (left - 2 * both + right)
    level = Level(1.0, mid, offsets, bool(inverted), rendering)
    gain = gain_at_any_level(samples, sample_rate, spans, lambda block: level.mixed(level.centred(block)))
    return replace(level, gain=gain)


def _offsets(means: npt.NDArray[np.float64], covariance: npt.NDArray[np.float64]) -> tuple[float, ...]:
    """Means that stand out against the deviation of their channel; 0 for others, so that silence stays 0."""
    return tuple(np.where(np.abs(means) > _LEAST_OFFSET * np.sqrt(np.diag(covariance).clip(min=0)), means, 0).tolist())


def _moments(
    samples: Samples, ranges: Sequence[tuple[int, int]]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return mean (n_channels,) and covariance, float64 (n_channels, n_channels), of channels over ranges."""
    n, sums, products = 0, np.zeros(len(samples)), np.zeros((len(samples), len(samples)))
    for start, end in ranges:
        for a, b in split_range(start, end, _BLOCK):
            # one channel after another, so that its sum does not depend on the number of channels
            block = [np.ascontiguousarray(channel[a:b], np.float64) for channel in samples]
            sums += [channel.sum() for channel in block]
            products += [[one @ other for other in block] for one in block]
            n += b - a
    means = sums / n
    return means, products / n - np.outer(means, means)


def _invert(samples: Samples) -> Samples:
    return np.concatenate([samples[:1], -samples[1:]])
