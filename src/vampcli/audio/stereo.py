"""Two channels from one model: re-make the middle, give it the width its surroundings had."""

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
REACH = _N_FFT  # samples: further away nothing changes what `widen` makes
_IMAGE_S = 0.5  # how much audio on each side of a span tells its stereo image


_IMAGE_STEP = 2**17  # samples from one image to the next; in between they blend, so that none ends in a click

Image = Callable[[int, int], Tensor | None]
"""For samples [start, stop) of a recording the stereo image they get, as `image_in` makes it."""


def mid_side(stereo: Samples) -> tuple[Samples, Samples]:
    """Half the sum and half the difference: (2, n_samples) -> (1, n_samples), (1, n_samples)."""
    left, right = stereo[:1], stereo[1:]
    return (left + right) / 2, (left - right) / 2


def surroundings(
    samples: Samples, sample_rate: int, spans: Sequence[tuple[int, int]], span: tuple[int, int]
) -> list[Samples]:
    """Up to 0.5 s of kept audio on each side of a span.

    Args:
        samples: float (n_channels, n_samples).
        sample_rate: in Hz.
        spans: all sample ranges [start, end) that are re-made.
        span: one of them.
    """
    reach = round(_IMAGE_S * sample_rate)
    begin = max([0, span[0] - reach, *(end for _, end in spans if end <= span[0])])
    finish = min([samples.shape[1], span[1] + reach, *(start for start, _ in spans if start >= span[1])])
    return [samples[:, begin : span[0]], samples[:, span[1] : finish]]


def image_in(pieces: list[Samples], sample_rate: int) -> Tensor | None:
    """The stereo image of audio, band by band.

    Its size keeps the level of side against mid, its real part their correlation, and thereby the panning; what is
    uncorrelated is turned by a quarter.

    Args:
        pieces: of the audio, (2, n_samples).
        sample_rate: in Hz.

    Returns:
        Side over mid of every bin, complex64 (n_bins,). None where the side is all zero, or there is no audio.
    """
    pairs = [mid_side(piece) for piece in pieces if piece.shape[1]]
    return _side_over_mid(pairs, sample_rate) if any(side.any() for _, side in pairs) else None


def widen(mid: npt.NDArray[np.float32], image: Tensor | None) -> Samples:
    """Give a mono sound a stereo image: the side is the mid times the image.

    Args:
        mid: float32 (1, n_samples).
        image: as `image_in` makes it; None: both channels become the mid, to the bit.

    Returns:
        float32 (2, n_samples).
    """
    if image is None:
        return np.concatenate([mid, mid])
    spectrum = _stft(torch.from_numpy(mid)) * image[:, None]
    window = torch.hann_window(_N_FFT)
    side = torch.istft(spectrum, _N_FFT, _N_FFT // 4, window=window, length=mid.shape[1]).numpy()
    return np.concatenate([mid + side, mid - side])


def widen_along(mid: npt.NDArray[np.float32], image: Image, start: int, stop: int, first: int) -> Samples:
    """Give a mono sound a stereo image that changes with time.

    Args:
        mid: float32 (1, n_samples), from `REACH` samples before what is wanted to `REACH` after, if there are any.
        image: of each place.
        start: first sample of `mid` wanted.
        stop: one past the last.
        first: place of `mid` in the recording; it tells where images change.

    Returns:
        float32 (2, stop - start).
    """
    wide = np.zeros((2, stop - start), np.float32)
    before = (first + start) // _IMAGE_STEP * _IMAGE_STEP - first
    for middle in range(before, stop + _IMAGE_STEP, _IMAGE_STEP):
        a, b = max(start, middle - _IMAGE_STEP), min(stop, middle + _IMAGE_STEP)
        if a < b:
            share = 1 - np.abs(np.arange(a, b, dtype=np.float32) - middle) / _IMAGE_STEP
            begin = max(0, a - REACH)
            own = image(max(0, first + middle - _IMAGE_STEP), first + middle + _IMAGE_STEP)
            part = widen(mid[:, begin : b + REACH], own)
            wide[:, a - start : b - start] += share * part[:, a - begin : b - begin]
    return wide


def _stft(samples: Tensor) -> Tensor:
    window = torch.hann_window(_N_FFT)
    return torch.stft(
        samples, _N_FFT, _N_FFT // 4, window=window, center=True, pad_mode="constant", return_complex=True
    )


def _side_over_mid(pairs: list[tuple[Samples, Samples]], sample_rate: int) -> Tensor:
    """The ratio at every bin, interpolated between bands: complex64 (n_bins,)."""
    n_bins = _N_FFT // 2 + 1
    power_mid, power_side, cross = torch.zeros(n_bins), torch.zeros(n_bins), torch.zeros(n_bins, dtype=torch.complex64)
    for mid, side in pairs:
        m, s = (_stft(torch.from_numpy(x.astype(np.float32)))[0] for x in (mid, side))
        power_mid += m.abs().square().sum(-1)
        power_side += s.abs().square().sum(-1)
        cross += (s * m.conj()).sum(-1)
    bin_hz = torch.arange(n_bins) * sample_rate / _N_FFT
    band = torch.bucketize(bin_hz, torch.tensor(BARK_EDGES_HZ[1:], dtype=torch.float32), right=True)
    n_bands = int(band.max()) + 1
    mid_band, side_band = (torch.zeros(n_bands).index_add_(0, band, p) for p in (power_mid, power_side))
    cross_band = torch.zeros(n_bands, dtype=torch.complex64).index_add_(0, band, cross)
    n_inside = torch.bincount(band)  # none in some bands of a very high rate
    centre = torch.zeros(n_bands).index_add_(0, band, bin_hz) / n_inside.clamp(min=1)

    size = (side_band / mid_band.clamp(min=1e-12)).sqrt().clamp(max=4.0)
    correlation = (cross_band.real / (mid_band * side_band).clamp(min=1e-24).sqrt()).clamp(-1, 1)
    filled = n_inside > 0
    size, correlation = (
        torch.from_numpy(np.interp(bin_hz.numpy(), centre[filled].numpy(), part[filled].numpy())).float()
        for part in (size, correlation)
    )
    # One direction for all bands: between bands that turn oppositely the side would vanish.
    quarter = (1 - correlation.square()).clamp(min=0).sqrt() * (-1.0 if cross.imag.sum() < 0 else 1.0)
    return torch.complex(size * correlation, size * quarter)
