"""Audio in memory: an array of samples, its rate and its sample format."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from vampcli.errors import UsageError

Samples = npt.NDArray[np.floating[Any]]
"""float32 or float64 (n_channels, n_samples); full scale is 1."""


_FORMATS: dict[str, tuple[str, type[np.floating[Any]], int]] = {
    "float32": ("FLOAT", np.float32, 1),
    "float64": ("DOUBLE", np.float64, 1),
    "int16": ("PCM_16", np.float32, 2**15),
    "int32": ("PCM_32", np.float64, 2**31),
}
"""Type of an array -> sample format, type of the samples in memory, and full scale."""


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

    def __repr__(self) -> str:
        channels = {1: "mono", 2: "stereo"}.get(self.n_channels, f"{self.n_channels} channels")
        return f"Waveform({self.duration_s:.2f} s, {self.sample_rate} Hz, {channels}, {self.subtype})"

    @classmethod
    def from_array(cls, array: npt.ArrayLike, sample_rate: int) -> Waveform:
        """Return the waveform of an array in the shape that `soundfile` reads and writes.

        Args:
            array: (n_samples,) or (n_samples, n_channels): floats of full scale 1, int16 or int32. Its type becomes the
                sample format of results: FLOAT, DOUBLE, PCM_16 or PCM_32.
            sample_rate: in Hz.

        Raises:
            UsageError: the array is of another type or shape, or has more channels than samples.
        """
        found = np.asarray(array)
        if str(found.dtype) not in _FORMATS:
            raise UsageError(f"the samples are {found.dtype}", f"convert them to {', '.join(_FORMATS)}")
        columns = found[:, None] if found.ndim == 1 else found
        if columns.ndim != 2 or not columns.size:
            raise UsageError(f"the samples have the shape {found.shape}", "it must be (n_samples, n_channels)")
        if columns.shape[1] > columns.shape[0]:
            raise UsageError(
                f"the samples have the shape {found.shape}, more channels than samples",
                "it must be (n_samples, n_channels): transpose the array",
            )
        subtype, dtype, full_scale = _FORMATS[str(found.dtype)]
        samples = np.ascontiguousarray(columns.T, dtype)
        return cls(samples / dtype(full_scale) if full_scale > 1 else samples, sample_rate, subtype)

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
