"""Power spectra of frames of a sound."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from vampcli.audio.waveform import Samples

_LARGEST_SAMPLE = 1e6  # so that squares stay finite


def power_spectra(
    samples: Samples, starts: npt.NDArray[np.int64], window: npt.NDArray[np.float64]
) -> npt.NDArray[np.float32]:
    """Return power spectra of windowed frames, means over channels; beyond the ends of the sound is silence.

    Args:
        samples: (n_channels, n_samples).
        starts: (n_frames,), first samples of the frames, which may lie outside.
        window: (n_fft,).

    Returns:
        float32 (n_frames, n_fft // 2 + 1).
    """
    from scipy.fft import rfft

    at = starts[:, None] + np.arange(len(window))
    outside = (at < 0) | (at >= samples.shape[1])
    power = np.zeros((len(starts), len(window) // 2 + 1), np.float32)
    for channel in samples:
        frames = finite(channel.take(at, mode="clip")) * window.astype(np.float32)
        frames[outside] = 0
        power += np.abs(rfft(frames, axis=1)) ** 2
    return power / np.float32(len(samples))


def finite(samples: Samples) -> npt.NDArray[np.float32]:
    """Convert to float32 with NaN as 0, clipped to values whose squares are finite."""
    return np.clip(np.nan_to_num(samples), -_LARGEST_SAMPLE, _LARGEST_SAMPLE).astype(np.float32)
