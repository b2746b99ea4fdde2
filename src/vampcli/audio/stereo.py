"""Two channels from a mono model: generate the mid, derive the side from the stereo image of the surroundings."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vampcli.audio.waveform import Samples

BARK_EDGES_HZ = (
    *(0, 100, 200, 300, 400, 510, 630, 770, 920, 1080, 1270, 1480, 1720),
    *(2000, 2320, 2700, 3150, 3700, 4400, 5300, 6400, 7700, 9500, 12000),
)
"""Lower edges of the 24 critical bands (Zwicker 1961), the last one open."""

_N_FFT = 2048
REACH = _N_FFT  # samples; input further away does not change the output of `widen`
_IMAGE_STEP = 2**17  # samples between images; in between they are cross-faded, so that changes do not click

Image = Callable[[int, int], Tensor | None]
"""Returns the stereo image of samples [start, stop) of a recording, see `stereo_image`."""


def mid_side(stereo: Samples) -> tuple[Samples, Samples]:
    """Split into half the sum and half the difference: (2, n_samples) -> (1, n_samples), (1, n_samples)."""
    left, right = stereo[:1], stereo[1:]
    return (left + right) / 2, (left - right) / 2


def sides(
    n_samples: int, reach: int, spans: Sequence[tuple[int, int]], span: tuple[int, int]
) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return the sample ranges of kept audio before and after a span; they may be empty.

    Args:
        n_samples: of the recording.
        reach: the most samples on each side.
        spans: all sample ranges [start, end) that are generated.
        span: one of them.
    """
    begin = max([0, span[0] - reach, *(end for _, end in spans if end <= span[0])])
    finish = min([n_samples, span[1] + reach, *(start for start, _ in spans if start >= span[1])])
    return (begin, span[0]), (span[1], finish)


def stereo_image(pieces: list[Samples], sample_rate: int) -> Tensor | None:
    """Measure the complex ratio side / mid of audio in critical bands.

    Its magnitude is the level of the side against the mid, its real part their correlation (hence the panning); the
    uncorrelated remainder is imaginary, a phase shift of 90 degrees.

    Args:
        pieces: of the audio, (2, n_samples) each.
        sample_rate: in Hz.

    Returns:
        complex64 (n_bins,), interpolated between the centres of bands. None if the side is all zero, or there is no
        audio.
    """
    pairs = [mid_side(piece) for piece in pieces if piece.shape[1]]
    return _side_over_mid(pairs, sample_rate) if any(side.any() for _, side in pairs) else None


def widen(mid: npt.NDArray[np.float32], image: Tensor | None) -> Samples:
    """Give mono audio a stereo image: side = mid * image in every STFT bin.

    Args:
        mid: float32 (1, n_samples).
        image: from `stereo_image`; None: both channels equal the mid, to the bit.

    Returns:
        float32 (2, n_samples).
    """
    if image is None:
        return np.concatenate([mid, mid])
    side = _side(mid, image)
    return np.concatenate([mid + side, mid - side])


def _side(mid: npt.NDArray[np.float32], image: Tensor) -> npt.NDArray[np.float32]:
    """The side of mono audio with an image: float32 (1, n_samples)."""
    spectrum = _stft(torch.from_numpy(mid)) * image[:, None]
    window = torch.hann_window(_N_FFT)
    return np.asarray(torch.istft(spectrum, _N_FFT, _N_FFT // 4, window=window, length=mid.shape[1]).numpy())


def widen_along(
    mid: npt.NDArray[np.float32], image: Image, start: int, stop: int, first: int, exact: bool = True
) -> Samples:
    """Give mono audio a stereo image that changes with time.

    Args:
        mid: float32 (1, n_samples), from `REACH` samples before `start` to `REACH` after `stop`, as far as they exist.
        image: of each range of the recording.
        start: index in `mid` of the first sample to return.
        stop: one past the last.
        first: index of `mid[:, 0]` in the recording, on whose grid images change.
        exact: without an image both channels equal the mid, to the bit; else they are rounded, as older versions did.

    Returns:
        float32 (2, stop - start).
    """
    wide, sides = np.zeros((2, stop - start), np.float32), np.zeros((1, stop - start), np.float32)
    # Images belong to multiples of `_IMAGE_STEP` in the recording; each fades in and out linearly over one step.
    before = (first + start) // _IMAGE_STEP * _IMAGE_STEP - first
    for centre in range(before, stop + _IMAGE_STEP, _IMAGE_STEP):
        a, b = max(start, centre - _IMAGE_STEP), min(stop, centre + _IMAGE_STEP)
        if a < b:
            share = 1 - np.abs(np.arange(a, b, dtype=np.float32) - centre) / _IMAGE_STEP
            current = image(max(0, first + centre - _IMAGE_STEP), first + centre + _IMAGE_STEP)
            begin = max(0, a - REACH)
            if not exact:
                part = widen(mid[:, begin : b + REACH], current)
                wide[:, a - start : b - start] += share * part[:, a - begin : b - begin]
            elif current is not None:
                side = _side(mid[:, begin : b + REACH], current)
                sides[:, a - start : b - start] += share * side[:, a - begin : b - begin]
    middle = mid[:, start:stop]
    return np.concatenate([middle + sides, middle - sides]) if exact else wide


def _stft(samples: Tensor) -> Tensor:
    """Float32 (1, n_samples) -> complex64 (1, n_bins, n_hops)."""
    window = torch.hann_window(_N_FFT)
    return torch.stft(
        samples, _N_FFT, _N_FFT // 4, window=window, center=True, pad_mode="constant", return_complex=True
    )


def _side_over_mid(pairs: list[tuple[Samples, Samples]], sample_rate: int) -> Tensor:
    """The ratio at every bin, interpolated between bands: complex64 (n_bins,)."""
    # Sum powers and cross spectrum over time: (n_bins,).
    n_bins = _N_FFT // 2 + 1
    power_mid, power_side, cross = torch.zeros(n_bins), torch.zeros(n_bins), torch.zeros(n_bins, dtype=torch.complex64)
    for mid, side in pairs:
        m, s = (_stft(torch.from_numpy(x.astype(np.float32)))[0] for x in (mid, side))
        power_mid += m.abs().square().sum(-1)
        power_side += s.abs().square().sum(-1)
        cross += (s * m.conj()).sum(-1)

    # Sum them over the bins of each band, and find the bands' centres: (n_bands,).
    bin_hz = torch.arange(n_bins) * sample_rate / _N_FFT
    band = torch.bucketize(bin_hz, torch.tensor(BARK_EDGES_HZ[1:], dtype=torch.float32), right=True)
    n_bands = int(band.max()) + 1
    mid_band, side_band = (torch.zeros(n_bands).index_add_(0, band, p) for p in (power_mid, power_side))
    cross_band = torch.zeros(n_bands, dtype=torch.complex64).index_add_(0, band, cross)
    n_inside = torch.bincount(band)  # 0 in some bands of a very high rate
    centre = torch.zeros(n_bands).index_add_(0, band, bin_hz) / n_inside.clamp(min=1)

    # Level and correlation of each band, interpolated to the bins: (n_bins,).
    size = (side_band / mid_band.clamp(min=1e-12)).sqrt().clamp(max=4.0)
    correlation = (cross_band.real / (mid_band * side_band).clamp(min=1e-24).sqrt()).clamp(-1, 1)
    filled = n_inside > 0
    size, correlation = (
        torch.from_numpy(np.interp(bin_hz.numpy(), centre[filled].numpy(), part[filled].numpy())).float()
        for part in (size, correlation)
    )
    # The uncorrelated part is turned by 90 degrees, in one direction for all bands: between bands that turn in opposite
    # directions the side would vanish.
    quadrature = (1 - correlation.square()).clamp(min=0).sqrt() * (-1.0 if cross.imag.sum() < 0 else 1.0)
    return torch.complex(size * correlation, size * quadrature)
