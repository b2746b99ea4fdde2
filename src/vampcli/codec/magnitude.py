"""The embedded codec: magnitudes of short-time spectra as tokens; phases are found again while decoding."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vampcli.codec.base import Codec
from vampcli.codec.rvq import ResidualVectorQuantizer
from vampcli.tokens.grid import TokenGrid
from vampcli.tokens.noise import white_noise

_QUIETEST = 1e-4  # magnitudes below it, 134 dB under a full-scale sine, are silence
_LOUDEST_LOG = 3.0  # log10; a full-scale sine reaches log10(n_fft / 4) = 2.7
_MOMENTUM = 0.99


@dataclass(frozen=True)
class MagnitudeConfig:
    """Sizes of a `MagnitudeCodec`.

    Attributes:
        n_subframes: STFT frames in a token frame.
        n_fft: a multiple of the hop between STFT frames.
        bandwidth: of the bands whose power is coded, as a share of their frequency; one bin at least.
        latent_dim: how many main axes of a frame's bands are kept for the quantiser.
        n_phase_steps: Griffin-Lim iterations while decoding.
    """

    sample_rate: int = 44100
    hop_length: int = 768
    n_fft: int = 1920
    n_subframes: int = 2
    bandwidth: float = 0.01
    latent_dim: int = 160
    frame_width: int = 512
    frame_blocks: int = 3
    subframe_width: int = 384
    subframe_blocks: int = 2
    n_codebooks: int = 9
    codebook_size: int = 1024
    codebook_dim: int = 8
    n_phase_steps: int = 6

    def __post_init__(self) -> None:
        if self.hop_length % self.n_subframes or self.n_fft % self.stft_hop:
            raise ValueError(f"n_fft {self.n_fft} is no multiple of {self.hop_length} / {self.n_subframes}")
        if self.n_fft < 2 * self.stft_hop or (self.n_fft - self.stft_hop) % 2:
            raise ValueError(f"windows of {self.n_fft} do not overlap evenly every {self.stft_hop} samples")

    @property
    def stft_hop(self) -> int:
        """Samples between STFT frames."""
        return self.hop_length // self.n_subframes

    @property
    def n_bins(self) -> int:
        """Frequencies of an STFT frame."""
        return self.n_fft // 2 + 1

    @property
    def grid(self) -> TokenGrid:
        """The token grid that this codec fills."""
        return TokenGrid(self.sample_rate, self.hop_length, self.n_codebooks, self.codebook_size)


class ConvNeXtBlock(nn.Module):
    """Depth-wise convolution over time, then a two-layer network in every frame, added to the input.

    Source: Siuzdak, "Vocos" (arXiv 2306.00814), section 3.2. Normalises over channels only, so that
    nothing reaches further in time than the kernel.
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
    """How many neighbouring bins each band joins, from the lowest on: one, then a share of the frequency."""
    sizes: list[int] = []
    while (first := sum(sizes)) < n_bins:
        sizes.append(min(n_bins - first, max(1, round(first * bandwidth))))
    return tuple(sizes)


@lru_cache
def _band_of_bin(n_bins: int, bandwidth: float, device: torch.device) -> Tensor:
    """int64 (n_bins,)."""
    sizes = torch.tensor(band_sizes(n_bins, bandwidth), device=device)
    with torch.inference_mode(False):  # what is kept must serve training, too
        return torch.repeat_interleave(sizes)


class MagnitudeEncoder(nn.Module):
    """Bands of a token frame -> their main axes: a fixed rotation, computed by `vampcli.train.codec_init`."""

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
    """Latents -> log-magnitudes: the encoder's rotation undone, and what a network adds to that."""

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


class MagnitudeCodec(Codec):
    """Mono audio <-> tokens that describe magnitudes alone.

    Phases look random to a model that guesses tokens, and cost most of the bits; overlapping magnitudes
    nearly determine them. So no token speaks of phase: decoding starts from noise that belongs to the codes
    and makes the spectrum consistent by a few Griffin-Lim steps. The way to the codes is a rotation to main
    axes and a search for nearest rows, both found in closed form from data; only the decoder learns by steps.
    Nothing in it runs over all time: `halo_frames` of audio or tokens around a range determine its result.

    Source: phases after Perraudin et al., "A fast Griffin-Lim algorithm" (WASPAA 2013), the decoder's network
    after Vocos (arXiv 2306.00814), the stack of quantisers after DAC (arXiv 2306.06546).
    """

    config: MagnitudeConfig

    def __init__(self, config: MagnitudeConfig) -> None:
        super().__init__()
        self.config = config
        self.grid = config.grid
        self.encoder = MagnitudeEncoder(config)
        self.quantizer = ResidualVectorQuantizer(
            config.latent_dim, config.n_codebooks, config.codebook_size, config.codebook_dim, by_direction=False
        )
        self.decoder = MagnitudeDecoder(config)

    @property
    def encoder_reach(self) -> int:
        """How many frames away audio can still change a frame's codes."""
        return -(-self._overhang // self.config.hop_length)

    @property
    def halo_frames(self) -> int:
        """How many frames around a range determine it, for encoding and for decoding."""
        c = self.config
        n_overlapping = c.n_fft // c.stft_hop - 1
        subframes = 3 * c.subframe_blocks + (c.n_phase_steps + 1) * n_overlapping
        return max(self.encoder_reach, -(-subframes // c.n_subframes) + 3 * c.frame_blocks)

    @property
    def _overhang(self) -> int:
        return (self.config.n_fft - self.config.stft_hop) // 2

    def spectrum(self, samples: Tensor) -> Tensor:
        """Short-time spectra, a whole number for every token frame.

        Args:
            samples: float32 (batch, n_frames * hop_length).

        Returns:
            complex64 (batch, n_subframes * n_frames, n_bins).
        """
        c = self.config
        pieces = F.pad(samples, (self._overhang, self._overhang)).unfold(-1, c.n_fft, c.stft_hop)
        result: Tensor = torch.fft.rfft(pieces * _window(c.n_fft, samples.device))
        return result

    def waveform(self, spectrum: Tensor) -> Tensor:
        """The inverse of `spectrum`, by overlapping and adding.

        Args:
            spectrum: complex64 (batch, n_subframes * n_frames, n_bins).

        Returns:
            float32 (batch, n_frames * hop_length).
        """
        c = self.config
        window = _window(c.n_fft, spectrum.device)
        pieces = torch.fft.irfft(spectrum, n=c.n_fft) * window
        inside = slice(self._overhang, -self._overhang)
        weight = _weight(pieces.shape[1], c.n_fft, c.stft_hop, spectrum.device)
        return _overlap_add(pieces, c.stft_hop)[:, inside] / weight[:, inside]

    def log_magnitude(self, samples: Tensor) -> Tensor:
        """What is to be re-made, log10: float32 (batch, n_samples) -> (batch, n_subframes * n_frames, n_bins)."""
        return self.spectrum(samples).abs().clamp(min=_QUIETEST).log10()

    def bands(self, log_magnitude: Tensor) -> Tensor:
        """log10 of the root mean power of each band: (batch, n, n_bins) -> (batch, n, n_bands)."""
        sizes = band_sizes(self.config.n_bins, self.config.bandwidth)
        power = 10 ** (2 * log_magnitude)
        lengths = torch.tensor(sizes, device=power.device).expand(*power.shape[:-1], -1)
        means: Tensor = torch.segment_reduce(power, "mean", lengths=lengths, axis=2)
        return means.log10() / 2

    def sound(self, log_magnitude: Tensor, codes: Tensor) -> Tensor:
        """Find phases that fit magnitudes, and go back to samples.

        Args:
            log_magnitude: float32 (batch, n_subframes * n_frames, n_bins).
            codes: int64 (batch, n_codebooks or fewer, n_frames): the same ones start from the same noise.

        Returns:
            float32 (batch, n_frames * hop_length). Gradients reach the magnitudes, not through the phases.
        """
        magnitude = 10**log_magnitude
        with torch.no_grad():
            direction = torch.sgn(self.spectrum(white_noise(codes, self.config.hop_length)))
            previous = torch.zeros_like(direction)
            for _ in range(self.config.n_phase_steps):
                consistent = self.spectrum(self.waveform(magnitude * direction))
                direction = torch.sgn(torch.sub(consistent, previous, alpha=_MOMENTUM / (1 + _MOMENTUM)))
                previous = consistent
        return self.waveform(magnitude * direction)

    def analyze(self, samples: Tensor) -> Tensor:
        """Audio -> latents: float32 (batch, n_frames * hop_length) -> (batch, latent_dim, n_frames)."""
        with torch.autocast(samples.device.type, enabled=False):  # else training would know other codes than use
            latents: Tensor = self.encoder(self.bands(self.log_magnitude(samples)))
            return latents

    def synthesize(self, latents: Tensor, codes: Tensor) -> Tensor:
        """Latents and the codes that they come from -> audio: float32 (batch, n_frames * hop_length)."""
        return self.sound(self.decoder(latents), codes)


@lru_cache(maxsize=8)
def _window(n: int, device: torch.device) -> Tensor:
    with torch.inference_mode(False):  # what is kept must serve training, too
        return torch.hann_window(n, device=device)


@lru_cache(maxsize=2)
def _weight(n: int, n_fft: int, hop: int, device: torch.device) -> Tensor:
    """The sum of the squares of `n` overlapping windows: float32 (1, (n - 1) * hop + n_fft)."""
    with torch.inference_mode(False):  # as above
        return _overlap_add(_window(n_fft, device).square().expand(1, n, -1), hop)


def _overlap_add(pieces: Tensor, hop: int) -> Tensor:
    """Add pieces, each `hop` samples after the one before: (batch, n, k * hop) -> (batch, (n + k - 1) * hop)."""
    n_batch, n, length = pieces.shape
    blocks = pieces.view(n_batch, n, length // hop, hop)
    total = pieces.new_zeros(n_batch, n + length // hop - 1, hop)
    for i in range(length // hop):
        total[:, i : i + n] += blocks[:, :, i]
    return total.flatten(1)
