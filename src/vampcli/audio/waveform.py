"""Audio in memory: an array of samples, its rate and its sample format."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.floating[Any]]
"""float32 or float64 (n_channels, n_samples); full scale is 1."""


@dataclass(frozen=True)
class Waveform:
    """Audio and the sample format it came in.

    Attributes:
        samples: float32 (n_channels, n_samples), full scale 1; float64 for files of 32-bit integers or doubles,
            so that every sample of the file is represented exactly.
        sample_rate: in Hz.
        subtype: libsndfile's name of the sample format, such as `PCM_16` or `FLOAT`.
    """

    samples: Samples
    sample_rate: int
    subtype: str = "FLOAT"

    @property
    def n_channels(self) -> int:
        """Number of channels."""
        return int(self.samples.shape[0])

    @property
    def n_samples(self) -> int:
        """Number of samples in each channel."""
        return int(self.samples.shape[1])

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.n_samples / self.sample_rate
