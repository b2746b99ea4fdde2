"""Discriminators of reconstructed and real sound, and the adversarial losses of a codec."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.utils.parametrizations import weight_norm

from vampcli.evaluate.metrics import stft
from vampcli.schema import Between

_SLOPE = 0.1
_QUIETEST_RMS = 1e-3  # quieter sound is not scaled to the common level


@dataclass(frozen=True)
class DiscriminatorConfig:
    """Sizes of `Discriminators`.

    Attributes:
        windows: in samples, one discriminator of spectra for each; the hop is a quarter.
        bands: edges of frequency bands with separate layers, as shares of the highest frequency; none = one band.
        width: channels of a layer over spectra; 8 for a CPU, 32 in DAC and EnCodec.
        periods: in samples, one discriminator of the folded waveform for each; none by default.
        period_width: channels of the first layer over a folded waveform; each later one has four times as many, at
            most 32 times.
    """

    windows: Annotated[tuple[Annotated[int, Between(4, 2**16)], ...], Between(0, 16)] = (512, 1024, 2048)
    bands: tuple[float, ...] = (0.1, 0.25, 0.5, 0.75)
    width: Annotated[int, Between(1, 2**12)] = 8
    periods: Annotated[tuple[Annotated[int, Between(1, 2**12)], ...], Between(0, 16)] = ()
    period_width: Annotated[int, Between(1, 2**12)] = 8

    def __post_init__(self) -> None:
        if not self.windows and not self.periods:
            raise ValueError("discriminators need windows or periods")
        if list(self.bands) != sorted(set(self.bands)) or any(not 0 < edge < 1 for edge in self.bands):
            raise ValueError(f"bands {self.bands} do not rise between 0 and 1")


def _layer(n_in: int, n_out: int, kernel: tuple[int, int], stride: tuple[int, int]) -> nn.Module:
    layer: nn.Module = weight_norm(nn.Conv2d(n_in, n_out, kernel, stride, (kernel[0] // 2, kernel[1] // 2)))
    return layer


def _features(layers: nn.Module, x: Tensor) -> list[Tensor]:
    """Return the output of every layer of a stack."""
    maps = []
    for layer in layers.children():
        x = F.leaky_relu(layer(x), _SLOPE)
        maps.append(x)
    return maps


class SpectrumDiscriminator(nn.Module):
    """Discriminator of complex spectra: real and imaginary parts are channels, bands have separate layers.

    Source: Defossez et al., "High Fidelity Neural Audio Compression" (arXiv 2210.13438), section 3.4, with the
    bands of Kumar et al. (arXiv 2306.06546), section 3.3. Departs from both: the first layer takes every second
    bin already, which halves the work.
    """

    def __init__(self, window: int, bands: tuple[float, ...], width: int) -> None:
        super().__init__()
        self.window = window
        n_bins = window // 2 + 1
        edges = sorted({0, n_bins, *(round(share * n_bins) for share in bands)})
        self.sizes = [stop - start for start, stop in pairwise(edges)]
        self.bands = nn.ModuleList(
            nn.Sequential(
                *(_layer(2 if i == 0 else width, width, (3, 9), (1, 2)) for i in range(4)),
                _layer(width, width, (3, 3), (1, 1)),
            )
            for _ in self.sizes
        )
        self.verdict = _layer(width, 1, (3, 3), (1, 1))

    def forward(self, samples: Tensor) -> list[Tensor]:
        """Map (batch, n_samples) to the layers' outputs (batch, channels, n_frames, n_bins), the verdict last."""
        spectrum = torch.view_as_real(stft(samples, self.window)) / self.window**0.5
        bands = spectrum.permute(0, 3, 2, 1).split(self.sizes, dim=-1)
        maps = [_features(layers, band) for layers, band in zip(self.bands, bands, strict=True)]
        last = torch.cat([band[-1] for band in maps], dim=-1)
        return [*(x for band in maps for x in band), self.verdict(last)]


class PeriodDiscriminator(nn.Module):
    """Discriminator of a waveform folded into lines of one period, which compares samples a period apart.

    Source: Kong et al., "HiFi-GAN" (arXiv 2010.05646), section 2.3.
    """

    def __init__(self, period: int, width: int) -> None:
        super().__init__()
        self.period = period
        widths = [1, *(min(4**i, 32) * width for i in range(4))]
        self.layers = nn.Sequential(
            *(_layer(a, b, (5, 1), (3, 1)) for a, b in pairwise(widths)),
            _layer(widths[-1], widths[-1], (5, 1), (1, 1)),
        )
        self.verdict = _layer(widths[-1], 1, (3, 1), (1, 1))

    def forward(self, samples: Tensor) -> list[Tensor]:
        """Map (batch, n_samples) to the layers' outputs (batch, channels, n_lines, period), the verdict last."""
        folded = F.pad(samples, (0, -samples.shape[1] % self.period)).view(len(samples), 1, -1, self.period)
        maps = _features(self.layers, folded)
        return [*maps, self.verdict(maps[-1])]


class Discriminators(nn.Module):
    """All discriminators of a configuration."""

    def __init__(self, config: DiscriminatorConfig) -> None:
        super().__init__()
        self.each = nn.ModuleList(
            [
                *(SpectrumDiscriminator(window, config.bands, config.width) for window in config.windows),
                *(PeriodDiscriminator(period, config.period_width) for period in config.periods),
            ]
        )

    def forward(self, samples: Tensor) -> list[list[Tensor]]:
        """Map float32 (batch, n_samples) to the outputs of each discriminator, its verdict last."""
        return [discriminator(samples) for discriminator in self.each]


@dataclass(frozen=True)
class AdversarialLosses:
    """Scalar losses of the codec and of the discriminators.

    Attributes:
        generator: squared distance of verdicts on reconstructed sound from 1; trains the codec alone.
        features: L1 distance of the layers' maps of reconstructed and real sound, relative to the real sound's; trains
            the codec alone.
        discriminator: squared distance of verdicts from 1 (real) and 0 (reconstructed); trains the discriminators
            alone.
    """

    generator: Tensor
    features: Tensor
    discriminator: Tensor


def adversarial_losses(discriminators: Discriminators, made: Tensor, real: Tensor) -> AdversarialLosses:
    """Return losses with which one backward pass trains both codec and discriminators.

    The discriminators' loss uses detached sound, the codec's losses use detached weights.

    Args:
        discriminators: to train.
        made: reconstructed, float32 (batch, n_samples), with a gradient.
        real: float32 (batch, n_samples); both are scaled by the gain to its common level.

    Source: least squares after Mao et al. (arXiv 1611.04076); feature matching as in EnCodec
    (arXiv 2210.13438), section 3.4.
    """
    scale = 0.1 / real.square().mean(1, keepdim=True).sqrt().clamp(min=_QUIETEST_RMS)
    made, real = made * scale, real * scale
    frozen = {name: weight.detach() for name, weight in discriminators.named_parameters()}
    maps_of_made: list[list[Tensor]] = functional_call(discriminators, frozen, (made,))
    both = discriminators(torch.cat([real, made.detach()]))
    generator, features, discriminator = [], [], []
    for maps, pairs in zip(maps_of_made, both, strict=True):
        generator.append((1 - maps[-1].float()).square().mean())
        verdict_real, verdict_made = pairs[-1].float().chunk(2)
        discriminator.append((1 - verdict_real).square().mean() + verdict_made.square().mean())
        for map_made, pair in zip(maps[:-1], pairs[:-1], strict=True):
            map_real = pair.chunk(2)[0].detach().float()
            features.append((map_made.float() - map_real).abs().mean() / map_real.abs().mean().clamp(min=1e-6))
    return AdversarialLosses(*(torch.stack(terms).mean() for terms in (generator, features, discriminator)))
