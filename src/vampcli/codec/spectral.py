"""The embedded codec: a network at frame rate between an STFT and an inverse STFT."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vampcli.codec.rvq import ResidualVectorQuantizer
from vampcli.grid import TokenGrid
from vampcli.noise import white_noise

_LARGEST_LOG_MAGNITUDE = 6.5  # a sine at full scale reaches log(n_fft / 4) = 6.2


@dataclass(frozen=True)
class SpectralConfig:
    """Sizes of a `SpectralCodec`.

    Attributes:
        n_subframes: STFT frames in a token frame.
        n_blind: the first codebooks, which code magnitudes alone: phases are left to the others, since to a model
            that guesses tokens they look random.
        noise_from_hz: below it, all that is decoded is the foretold part; see `mix`.
        noise_full_hz: from it on, noise replaces all that cannot be foretold.
    """

    sample_rate: int = 44100
    hop_length: int = 768
    n_fft: int = 2048
    n_subframes: int = 4
    encoder_width: int = 256
    encoder_blocks: int = 2
    decoder_width: int = 384
    decoder_blocks: int = 3
    latent_dim: int = 512
    latent_blocks: int = 2
    encoder_kernel: int = 3
    decoder_kernel: int = 7
    n_codebooks: int = 9
    codebook_size: int = 1024
    codebook_dim: int = 8
    n_blind: int = 4
    noise_from_hz: float = 300.0
    noise_full_hz: float = 2000.0

    @property
    def stft_hop(self) -> int:
        """Samples between STFT frames."""
        return self.hop_length // self.n_subframes

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


class SpectralEncoder(nn.Module):
    """STFT features -> latents, one for every token frame."""

    def __init__(self, config: SpectralConfig) -> None:
        super().__init__()
        n_bins = config.n_fft // 2 + 1
        self.embed = nn.Conv1d(3 * n_bins, config.encoder_width, 1)
        self.subframe_blocks = _blocks(config.encoder_blocks, config.encoder_width, 7, 3)
        self.down = nn.Conv1d(config.encoder_width, config.latent_dim, config.n_subframes, config.n_subframes)
        self.frame_blocks = _blocks(config.latent_blocks, config.latent_dim, config.encoder_kernel, 2)
        self.norm = nn.LayerNorm(config.latent_dim, eps=1e-6)

    def forward(self, spectrum: Tensor, blind: bool = False) -> Tensor:
        """Hear a spectrum.

        Args:
            spectrum: complex64 (batch, n_bins, n_subframes * n_frames).
            blind: to phases: hear magnitudes alone.

        Returns:
            float32 (batch, latent_dim, n_frames).
        """
        magnitude = spectrum.abs()
        # `embed` of log-magnitudes, real and imaginary parts, without copying them side by side.
        log_weight, real_weight, imag_weight = self.embed.weight[:, :, 0].chunk(3, dim=1)
        x = log_weight @ torch.log(magnitude + 1e-3)
        if not blind:
            root = spectrum / (magnitude + 1e-4).sqrt()  # square-root compression keeps quiet partials visible
            x = x + real_weight @ root.real + imag_weight @ root.imag
        if self.embed.bias is not None:
            x = x + self.embed.bias[:, None]
        x = self.frame_blocks(self.down(self.subframe_blocks(x)))
        latents: Tensor = self.norm(x.transpose(1, 2)).transpose(1, 2)
        return latents.float()


class SpectralDecoder(nn.Module):
    """Latents -> a complex spectrum: what can be foretold of it, and noise for the rest."""

    def __init__(self, config: SpectralConfig) -> None:
        super().__init__()
        n_bins = config.n_fft // 2 + 1
        self.frame_blocks = _blocks(config.latent_blocks, config.latent_dim, config.decoder_kernel, 2)
        self.up = nn.ConvTranspose1d(config.latent_dim, config.decoder_width, config.n_subframes, config.n_subframes)
        self.subframe_blocks = _blocks(config.decoder_blocks, config.decoder_width, 7, 3)
        self.norm = nn.LayerNorm(config.decoder_width, eps=1e-6)
        self.head = nn.Linear(config.decoder_width, 3 * n_bins)

    def forward(self, latents: Tensor) -> tuple[Tensor, Tensor]:
        """Estimate magnitudes, and how far phases can be foretold.

        A phase is the direction of a vector v: unlike an angle, it has no jump to learn. The vector's
        length says how sure it is; see `mix`.

        Args:
            latents: float32 (batch, latent_dim, n_frames).

        Returns:
            Magnitudes float32 and vectors complex64, both (batch, n_bins, n_subframes * n_frames).
        """
        x = self.subframe_blocks(self.up(self.frame_blocks(latents)))
        x = self.norm(x.transpose(1, 2))
        with torch.autocast(x.device.type, enabled=False):
            log_magnitude, real, imag = self.head(x.float()).transpose(1, 2).chunk(3, dim=1)
            return log_magnitude.clamp(max=_LARGEST_LOG_MAGNITUDE).exp(), torch.complex(real, imag)


def mix(magnitude: Tensor, vector: Tensor, share: Tensor, noise: Tensor | None) -> Tensor:
    """Join what can be foretold and noise to a spectrum of the given magnitude: M (v + s noise) / sqrt(|v|^2 + s^2).

    A spectrum whose phases are guessed where they cannot be known would ring at multiples of the frame rate.

    Args:
        magnitude: float32 (batch, n_bins, n), the root of the expected power.
        vector: complex64 (batch, n_bins, n), the longer the surer its direction.
        share: float32 (n_bins, 1), how much noise a bin may get, 0 to 1.
        noise: complex64 (batch, n_bins, n) of unit power; without it, the foretold part alone.
    """
    scale = magnitude * torch.rsqrt(vector.real.square() + vector.imag.square() + share.square() + 1e-6)
    return scale * (vector if noise is None else vector + share * noise)


class SpectralCodec(nn.Module):
    """Mono audio <-> tokens through short-time spectra.

    A frame-rate network costs some hundred times less than sample-rate convolutions. Nothing in it
    runs over all time: `context_frames` of audio or tokens around a range determine its result.

    Source: the decoder follows Vocos (arXiv 2306.00814), the quantiser DAC (arXiv 2306.06546).
    """

    def __init__(self, config: SpectralConfig) -> None:
        super().__init__()
        self.config = config
        self.grid = config.grid
        self.encoder = SpectralEncoder(config)
        self.quantizer = nn.ModuleList(
            ResidualVectorQuantizer(config.latent_dim, n, config.codebook_size, config.codebook_dim)
            for n in (config.n_blind, config.n_codebooks - config.n_blind)
        )
        self.decoder = SpectralDecoder(config)

    @property
    def quantizers(self) -> tuple[ResidualVectorQuantizer, ResidualVectorQuantizer]:
        """The quantiser of magnitudes, and the one of all that it leaves over."""
        blind, sighted = self.quantizer
        assert isinstance(blind, ResidualVectorQuantizer)
        assert isinstance(sighted, ResidualVectorQuantizer)
        return blind, sighted

    @property
    def codebooks(self) -> Tensor:
        """All rows: float32 (n_codebooks, codebook_size, codebook_dim)."""
        return torch.cat([quantizer.codebooks for quantizer in self.quantizers])

    @property
    def encoder_reach(self) -> int:
        """How many frames away audio can still change a frame's codes."""
        c = self.config
        subframes = -(-self._overhang // c.stft_hop) + 3 * c.encoder_blocks
        return -(-subframes // c.n_subframes) + c.latent_blocks * (c.encoder_kernel // 2)

    @property
    def context_frames(self) -> int:
        """How many frames around a range determine it, for encoding and for decoding."""
        c = self.config
        subframes = -(-self._overhang // c.stft_hop) + 3 * c.decoder_blocks
        decoder_reach = -(-subframes // c.n_subframes) + c.latent_blocks * (c.decoder_kernel // 2)
        return max(self.encoder_reach, decoder_reach)

    @property
    def _overhang(self) -> int:
        return (self.config.n_fft - self.config.stft_hop) // 2

    def spectrum(self, samples: Tensor) -> Tensor:
        """Short-time spectra, phases counted from the middle of each bin's turning within a token frame.

        Args:
            samples: float32 (batch, n_frames * hop_length).

        Returns:
            complex64 (batch, n_bins, n_subframes * n_frames).
        """
        c = self.config
        padded = F.pad(samples, (self._overhang, self._overhang))
        window = torch.hann_window(c.n_fft, device=samples.device)
        result = torch.stft(padded, c.n_fft, c.stft_hop, window=window, center=False, return_complex=True)
        return result * self._advance(result).conj()

    def _advance(self, spectrum: Tensor) -> Tensor:
        """How far a tone in the middle of each bin has turned since the start of its token frame.

        With that turn taken out, a steady tone keeps its phase through the subframes of a token frame,
        and the networks need not learn to wind it.

        Returns:
            complex64 (n_bins, n_subframes * n_frames), of unit size.
        """
        c = self.config
        n_bins, n_columns = spectrum.shape[-2:]
        place = torch.arange(c.n_subframes, device=spectrum.device) * c.stft_hop
        turn = torch.arange(n_bins, device=spectrum.device)[:, None] * place % c.n_fft
        angle = turn * (2 * torch.pi / c.n_fft)
        return torch.polar(torch.ones_like(angle), angle).repeat(1, n_columns // c.n_subframes)

    def waveform(self, spectrum: Tensor) -> Tensor:
        """The inverse of `spectrum`, by overlapping and adding.

        Args:
            spectrum: complex64 (batch, n_bins, n_subframes * n_frames).

        Returns:
            float32 (batch, n_frames * hop_length).
        """
        c = self.config
        window = torch.hann_window(c.n_fft, device=spectrum.device)
        pieces = torch.fft.irfft(spectrum * self._advance(spectrum), n=c.n_fft, dim=1) * window[:, None]
        n_columns = spectrum.shape[-1]
        length = (n_columns - 1) * c.stft_hop + c.n_fft
        added = F.fold(pieces, (1, length), (1, c.n_fft), stride=(1, c.stft_hop))[:, 0, 0]
        weight = F.conv_transpose1d(added.new_ones(1, 1, n_columns), window.square()[None, None], stride=c.stft_hop)[0]
        inside = slice(self._overhang, length - self._overhang)
        return added[:, inside] / weight[:, inside]

    def noise_share(self, device: torch.device) -> Tensor:
        """How much noise each bin may get: none below `noise_from_hz`, where the ear follows partials.

        Returns:
            float32 (n_bins, 1), rising with the logarithm of frequency to 1 at `noise_full_hz`.
        """
        c = self.config
        hz = torch.arange(1, c.n_fft // 2 + 2, device=device) * (c.sample_rate / c.n_fft)
        rise = torch.log(hz / c.noise_from_hz) / math.log(c.noise_full_hz / c.noise_from_hz)
        return rise.clamp(0, 1)[:, None]

    def noise(self, codes: Tensor) -> Tensor:
        """The spectrum of noise that belongs to codes: the same codes give the same, wherever they stand.

        Args:
            codes: int64 (batch, n_codebooks or fewer, n_frames).

        Returns:
            complex64 (batch, n_bins, n_subframes * n_frames), of unit power.
        """
        window = torch.hann_window(self.config.n_fft, device=codes.device)
        return self.spectrum(white_noise(codes, self.config.hop_length)) / window.square().sum().sqrt()

    def encode(self, samples: Tensor) -> Tensor:
        """Mono audio -> codes; the last frame is filled up with zeros.

        Args:
            samples: float32 (n_samples,) at `grid.sample_rate`.

        Returns:
            int64 (n_codebooks, n_frames).
        """
        blind, sighted = self.quantizers
        spectrum = self.spectrum(F.pad(samples, (0, -len(samples) % self.config.hop_length))[None])
        first = blind.encode(self.encoder(spectrum, blind=True))
        rest = sighted.encode(self.encoder(spectrum) - blind.decode(first))
        return torch.cat([first, rest], dim=1)[0]

    def decode(self, codes: Tensor) -> Tensor:
        """Codes -> mono audio: int64 (n_codebooks or fewer, n_frames) -> float32 (n_frames * hop_length,)."""
        blind, sighted = self.quantizers
        latents = blind.decode(codes[None, : self.config.n_blind])
        if len(codes) > self.config.n_blind:
            latents = latents + sighted.decode(codes[None, self.config.n_blind :])
        magnitude, vector = self.decoder(latents)
        return self.waveform(mix(magnitude, vector, self.noise_share(codes.device), self.noise(codes[None])))[0]
