"""The embedded codec: tokens of short-time magnitudes; the decoder reconstructs the phases."""

from __future__ import annotations

import math
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vampcli.codec.base import Codec
from vampcli.codec.config import MagnitudeConfig
from vampcli.codec.rvq import ResidualVectorQuantizer
from vampcli.codec.stft import Stft
from vampcli.tokens.noise import white_noise

_QUIETEST = 1e-4  # magnitudes below it, 134 dB under a full-scale sine, are silence
_LOUDEST_LOG = 3.0  # log10; a full-scale sine reaches log10(n_fft / 4) = 2.7
_MOMENTUM = 0.99


class ConvNeXtBlock(nn.Module):
    """Depth-wise convolution over time, then a two-layer network in every frame, added to the input.

    Normalises over channels only, so that the kernel bounds the reach in time.

    Source: Siuzdak, "Vocos" (arXiv 2306.00814), section 3.2.
    """

    def __init__(self, width: int, kernel: int, expansion: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv1d(width, width, kernel, padding=kernel // 2, groups=width)
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.expand = nn.Linear(width, expansion * width)
        self.project = nn.Linear(expansion * width, width)
        self.scale = nn.Parameter(torch.full((width,), 0.1))

    def forward(self, x: Tensor) -> Tensor:
        """Float (batch, width, n_frames) -> the same shape."""
        y: Tensor = self.norm(self.depthwise(x).transpose(1, 2))
        y = self.scale * self.project(F.gelu(self.expand(y)))
        return x + y.transpose(1, 2)


def _blocks(n: int, width: int, kernel: int, expansion: int) -> nn.Sequential:
    return nn.Sequential(*(ConvNeXtBlock(width, kernel, expansion) for _ in range(n)))


@lru_cache
def band_sizes(n_bins: int, bandwidth: float) -> tuple[int, ...]:
    """Number of bins of each band, from the lowest: `bandwidth` times the band's frequency, at least one bin."""
    sizes: list[int] = []
    first = 0
    while first < n_bins:
        sizes.append(min(n_bins - first, max(1, round(first * bandwidth))))
        first += sizes[-1]
    return tuple(sizes)


@lru_cache
def _band_of_bin(n_bins: int, bandwidth: float, device: torch.device) -> Tensor:
    """int64 (n_bins,)."""
    sizes = torch.tensor(band_sizes(n_bins, bandwidth), device=device)
    with torch.inference_mode(False):  # the cached tensor must also work in training
        return torch.repeat_interleave(sizes)


class MagnitudeEncoder(nn.Module):
    """Bands of a token frame -> principal components: a fixed rotation, from `vampcli.train.codec_init`."""

    def __init__(self, config: MagnitudeConfig) -> None:
        super().__init__()
        n_bands = len(band_sizes(config.n_bins, config.bandwidth))
        self.rotation = nn.Linear(config.n_subframes * n_bands, config.latent_dim)

    def forward(self, bands: Tensor) -> Tensor:
        """Float32 (batch, n_subframes * n_frames, n_bands) -> float32 (batch, latent_dim, n_frames)."""
        frames = bands.reshape(len(bands), -1, self.rotation.in_features)
        latents: Tensor = self.rotation(frames).transpose(1, 2)
        return latents


class MagnitudeDecoder(nn.Module):
    """Latents -> log-magnitudes: the inverse of the encoder's rotation plus the output of a network."""

    def __init__(self, config: MagnitudeConfig) -> None:
        super().__init__()
        self.config = config
        n_bands = len(band_sizes(config.n_bins, config.bandwidth))
        frame, subframe, n = config.frame_width, config.subframe_width, config.n_subframes
        self.rotation = nn.Linear(config.latent_dim, n * n_bands)
        self.embed = nn.Conv1d(config.latent_dim, frame, 1)
        self.frame_blocks = _blocks(config.frame_blocks, frame, 7, 2)
        self.up = nn.ConvTranspose1d(frame, subframe, n, n)
        self.subframe_blocks = _blocks(config.subframe_blocks, subframe, 7, 3)
        self.norm = nn.LayerNorm(subframe, eps=1e-6)
        self.head = nn.Linear(subframe, config.n_bins)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)
        self.bands = (config.n_bins, config.bandwidth)

    def forward(self, latents: Tensor) -> Tensor:
        """Float32 (batch, latent_dim, n_frames) -> float32 (batch, n_subframes * n_frames, n_bins), log10."""
        x = self.subframe_blocks(self.up(self.frame_blocks(self.embed(latents))))
        x = self.norm(x.transpose(1, 2))
        with torch.autocast(x.device.type, enabled=False):
            bands = self.rotation(latents.float().transpose(1, 2)).view(len(x), x.shape[1], -1)
            log_magnitude: Tensor = bands[..., _band_of_bin(*self.bands, x.device)] + self.head(x.float())
            return log_magnitude.clamp(max=_LOUDEST_LOG)


class SpectrumCorrector(nn.Module):
    """Gain and phase shift for every bin of a spectrum whose phases were estimated.

    Estimated phases are not those of any recording: overlapping frames cancel each other in part, and frames beat. The
    network sees the wanted magnitudes and the spectrum that the frames add up to, both without absolute phases.
    """

    def __init__(self, config: MagnitudeConfig) -> None:
        super().__init__()
        width, n_bins = config.subframe_width, config.n_bins
        self.embed = nn.Linear(4 * n_bins, width)
        self.blocks = _blocks(config.correction_blocks, width, 7, 3)
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.head = nn.Linear(width, 2 * n_bins)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, log_magnitude: Tensor, direction: Tensor, found: Tensor) -> Tensor:
        """Return the corrected spectrum.

        Args:
            log_magnitude: wanted, float32 (batch, n, n_bins), log10.
            direction: complex64 (batch, n, n_bins) of absolute value 1: the phases of the frames.
            found: complex64 (batch, n, n_bins): spectrum of the sum of the frames.
        """
        wanted, level = log_magnitude.clamp(min=math.log10(_QUIETEST)), found.abs().clamp(min=_QUIETEST)
        turned = found * direction.conj() / level
        features = torch.cat([wanted, level.log10() - wanted, turned.real, turned.imag], dim=-1)
        x = self.blocks(self.embed(features).transpose(1, 2)).transpose(1, 2)
        gain, shift = self.head(self.norm(x)).float().chunk(2, dim=-1)
        magnitude = 10 ** (log_magnitude + gain.clamp(-2, 1)).clamp(max=_LOUDEST_LOG)
        corrected: Tensor = torch.polar(magnitude / level, shift) * found
        return corrected


class MagnitudeCodec(Codec):
    """Mono audio <-> tokens of short-time magnitudes.

    Tokens do not describe phases: these are unpredictable for a token model and would cost most of the bits,
    and overlapping magnitudes nearly determine them. Decoding starts from noise that the codes seed and makes
    the spectrum consistent by a few Griffin-Lim iterations. The encoder is a rotation to principal components
    and a search for the nearest codebook rows, both computed in closed form; only the decoder is trained.

    Source: phases after Perraudin et al., "A fast Griffin-Lim algorithm" (WASPAA 2013); network of the decoder
    after Vocos (arXiv 2306.00814); residual quantiser after DAC (arXiv 2306.06546).
    """

    config: MagnitudeConfig

    def __init__(self, config: MagnitudeConfig) -> None:
        super().__init__()
        self.config = config
        self.grid = config.grid
        self.stft = Stft(config.n_fft, config.stft_hop)
        self.encoder = MagnitudeEncoder(config)
        self.quantizer = ResidualVectorQuantizer(
            config.latent_dim, config.n_codebooks, config.codebook_size, config.codebook_dim, by_direction=False
        )
        self.decoder = MagnitudeDecoder(config)
        self.corrector = SpectrumCorrector(config) if config.correction_blocks else None

    def log_magnitude(self, samples: Tensor) -> Tensor:
        """log10 magnitudes, the target of training: (batch, n_samples) -> (batch, n_subframes * n_frames, n_bins)."""
        return self.stft.spectrum(samples).abs().clamp(min=_QUIETEST).log10()

    def bands(self, log_magnitude: Tensor) -> Tensor:
        """log10 of the root mean square magnitude of each band: (batch, n, n_bins) -> (batch, n, n_bands)."""
        sizes = band_sizes(self.config.n_bins, self.config.bandwidth)
        power = 10 ** (2 * log_magnitude)
        lengths = torch.tensor(sizes, device=power.device).expand(*power.shape[:-1], -1)
        means: Tensor = torch.segment_reduce(power, "mean", lengths=lengths, axis=2)
        return means.log10() / 2

    def sound(self, log_magnitude: Tensor, codes: Tensor) -> Tensor:
        """Reconstruct phases by the fast Griffin-Lim algorithm and return samples.

        Args:
            log_magnitude: float32 (batch, n_subframes * n_frames, n_bins).
            codes: int64 (batch, n_codebooks or fewer, n_frames): seed of the first phases.

        Returns:
            float32 (batch, n_frames * hop_length); differentiable in the magnitudes, with constant phases.
        """
        magnitude = 10**log_magnitude
        with torch.no_grad():
            direction = torch.sgn(self.stft.spectrum(white_noise(codes, self.config.hop_length)))
            previous = torch.zeros_like(direction)
            for _ in range(self.config.n_phase_steps):
                consistent = self.stft.spectrum(self.stft.waveform(magnitude * direction))
                direction = torch.sgn(torch.sub(consistent, previous, alpha=_MOMENTUM / (1 + _MOMENTUM)))
                previous = consistent
        made = self.stft.waveform(magnitude * direction)
        if self.corrector is None:
            return made
        with torch.no_grad():
            found = self.stft.spectrum(made)
        return self.stft.waveform(self.corrector(log_magnitude, direction, found))

    def analyze(self, samples: Tensor) -> Tensor:
        """Audio -> latents: float32 (batch, n_frames * hop_length) -> (batch, latent_dim, n_frames)."""
        with torch.autocast(samples.device.type, enabled=False):  # training must see the codes of inference
            latents: Tensor = self.encoder(self.bands(self.log_magnitude(samples)))
            return latents

    def synthesize(self, latents: Tensor, codes: Tensor) -> Tensor:
        """Latents and the codes that they come from -> audio: float32 (batch, n_frames * hop_length)."""
        return self.sound(self.decoder(latents), codes)

    def decode_log_magnitude(self, codes: Tensor) -> Tensor:
        """See `Codec.decode_log_magnitude`: the output of the network, before phases are reconstructed."""
        magnitude: Tensor = self.decoder(self.quantizer.decode(codes[None]))
        return magnitude[0]
