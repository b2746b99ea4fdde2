"""Results of decoders, and an array that grows while a file is decoded."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from vampcli.audio.waveform import Samples

SAMPLES_A_BYTE = 16
"""Samples for which memory is reserved at first, for each byte of a file; silence and low rates have more."""


@dataclass(frozen=True)
class Header:
    """The header of a sound file.

    Attributes:
        container: libsndfile's or FFmpeg's name of the file format.
        subtype: of the sample format or the codec.
        sample_rate: in Hz.
        n_channels: number of channels.
        n_samples: in each channel, as the header says; None if it does not say.
    """

    container: str
    subtype: str
    sample_rate: int
    n_channels: int
    n_samples: int | None


@dataclass(frozen=True)
class Decoded:
    """The samples of a file.

    Attributes:
        header: of the file.
        samples: float32 or float64 (n_channels, n_samples).
        subtype: libsndfile's name of the sample format that represents them exactly.
        tolerance: samples by which header and content may differ in a file that is whole.
        complete: the decoder has met no error, and found as much as it expected.
    """

    header: Header
    samples: Samples
    subtype: str
    tolerance: int = 0
    complete: bool = True

    @property
    def n_samples(self) -> int:
        """Number of samples in each channel."""
        return int(self.samples.shape[1])

    @property
    def differs(self) -> bool:
        """True if the header says another length than the file holds."""
        stated = self.header.n_samples
        return stated is not None and abs(stated - self.n_samples) > self.tolerance


def collect(blocks: Iterable[Samples], n_channels: int, dtype: str, n_expected: int) -> Samples:
    """Join blocks (n_channels, n) in one array, which grows with them.

    Args:
        blocks: each is copied before the next one is made.
        n_channels: of all blocks.
        dtype: of the array.
        n_expected: samples in each channel for which memory is reserved at first.
    """
    data, n = np.empty((n_channels, max(1, n_expected)), dtype), 0
    for block in blocks:
        end = n + block.shape[1]
        if end > data.shape[1]:
            longer = np.empty((n_channels, max(end, 2 * data.shape[1])), dtype)
            longer[:, :n] = data[:, :n]
            data = longer
        data[:, n:end] = block
        n = end
    return data[:, :n] if n > 0.9 * data.shape[1] else np.ascontiguousarray(data[:, :n])


def join(parts: list[Decoded]) -> Decoded:
    """Join the parts of a chain, which have the same rate and the same number of channels."""
    if len(parts) == 1:
        return parts[0]
    stated = [part.header.n_samples for part in parts]
    known = [n for n in stated if n is not None]
    header = replace(parts[0].header, n_samples=sum(known) if len(known) == len(parts) else None)
    samples = np.concatenate([part.samples for part in parts], axis=1)
    return replace(parts[0], header=header, samples=samples, tolerance=sum(part.tolerance for part in parts))
