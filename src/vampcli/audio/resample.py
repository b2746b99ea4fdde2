"""Resample whole clips, or ranges of them."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from vampcli.audio.waveform import Samples

_N_ZEROS = 64  # zero crossings of the sinc on either side
_LARGEST_KERNEL = 4_000_000  # taps; odd pairs of rates would need gigabytes


def resample(samples: Samples, from_rate: int, to_rate: int) -> npt.NDArray[np.float32]:
    """Change the sample rate; sample 0 stays at time 0, and no sample depends on others beyond `resample_reach`.

    Args:
        samples: float (n_channels, n_samples) at `from_rate` Hz.
        from_rate: in Hz.
        to_rate: in Hz.

    Returns:
        float32 (n_channels, ceil(n_samples * to_rate / from_rate)).
    """
    if from_rate == to_rate:
        return samples.astype(np.float32, copy=False)
    common = math.gcd(from_rate, to_rate)
    up, down = to_rate // common, from_rate // common
    import torch  # not at the start: plans need `resample_reach` alone
    import torchaudio.functional

    if up * (down + 2 * _N_ZEROS * max(1.0, down / up)) <= _LARGEST_KERNEL:
        tensor = torchaudio.functional.resample(
            torch.from_numpy(samples.astype(np.float32)),
            from_rate,
            to_rate,
            lowpass_filter_width=_N_ZEROS,
            resampling_method="sinc_interp_kaiser",
        )
        return np.asarray(tensor.numpy())
    from scipy.signal import firwin, resample_poly  # a second to import, for rates like 44099 Hz only

    n_taps = 2 * _N_ZEROS * max(up, down) + 1
    taps = firwin(n_taps, 0.99 / max(up, down), window=("kaiser", 14.77))
    return np.asarray(resample_poly(samples, up, down, axis=1, window=taps), dtype=np.float32)


def resample_range(
    samples: Samples,
    from_rate: int,
    to_rate: int,
    start: int,
    stop: int,
    first: int = 0,
    change: Callable[[Samples], Samples] = lambda samples: samples,
) -> npt.NDArray[np.float32]:
    """Resample only what samples [start, stop) of the resampled audio depend on.

    Args:
        samples: float (n_channels, n_samples) at `from_rate` Hz; silence before and after.
        from_rate: in Hz.
        to_rate: in Hz.
        start: first sample wanted, counted at `to_rate` from time 0.
        stop: one past the last.
        first: index of `samples[:, 0]`, counted at `from_rate` from time 0.
        change: of the samples before they are resampled; it may mix the channels.

    Returns:
        float32 (n_channels, stop - start).
    """
    common = math.gcd(from_rate, to_rate)
    up, down = to_rate // common, from_rate // common
    reach = resample_reach(to_rate, from_rate)
    # Range of input samples [begin, end) that matter. It begins on a sample that both rates share, so that the
    # filter's phases are those of the whole clip.
    begin = max(0, start * down // up - reach) // down * down
    end = -(-stop * down // up) + reach
    # Take them, with zeros for those that do not exist.
    inside = change(samples[:, max(0, begin - first) : max(0, end - first)])
    before = max(0, first - begin)
    after = max(0, end - begin - before - inside.shape[1])
    padded = np.pad(inside, ((0, 0), (before, after)))
    offset = begin // down * up
    return resample(padded, from_rate, to_rate)[:, start - offset : stop - offset]


def resample_reach(from_rate: int, to_rate: int) -> int:
    """Return how far one input sample reaches, in samples at `to_rate`."""
    if from_rate == to_rate:
        return 0
    return math.ceil((_N_ZEROS + 1) / 0.99 * max(1.0, to_rate / from_rate)) + 1
