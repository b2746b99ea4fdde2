"""The codecs that `codec_comparison.py` compares: losses, networks, and a name for each trial."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vampcli.codec.config import DacConfig, MagnitudeConfig
from vampcli.codec.dac import DacCodec
from vampcli.codec.lac import Snake
from vampcli.codec.magnitude import ConvNeXtBlock, MagnitudeCodec
from vampcli.codec.rvq import ResidualVectorQuantizer
from vampcli.evaluate.metrics import mel_error
from vampcli.train.losses import TRAINING_SCALES, complex_error, magnitude_error

RATE, HOP = 44100, 768


@dataclass(frozen=True)
class Loss:
    """Weights and windows of the losses on waveforms."""

    complex_weight: float = 25.0
    scales: tuple[tuple[int, int], ...] = TRAINING_SCALES
    windows: tuple[int, ...] = (1024, 4096)

    def __call__(self, made: Tensor, clips: Tensor) -> Tensor:
        """Mel and complex spectra: float32 (batch, n_samples) twice -> scalar."""
        mel = mel_error(made, clips, RATE, self.scales)
        return mel + self.complex_weight * complex_error(made, clips, self.windows)


@dataclass(frozen=True)
class Sizes:
    """Sizes of the networks of all trained trials: about 10 M parameters."""

    n_subframes: int
    encoder_width: int = 256
    encoder_blocks: int = 1
    latent_dim: int = 512
    latent_blocks: int = 3
    decoder_width: int = 384
    decoder_blocks: int = 2


def blocks(n: int, width: int, kernel: int, expansion: int) -> nn.Sequential:
    """A stack of blocks."""
    return nn.Sequential(*(ConvNeXtBlock(width, kernel, expansion) for _ in range(n)))


class Trial(nn.Module):
    """Frame-rate networks between features and a head, after Vocos; a subclass says which."""

    def __init__(self, sizes: Sizes, n_in: int, n_out: int, loss: Loss) -> None:
        super().__init__()
        width, latent, out, n = sizes.encoder_width, sizes.latent_dim, sizes.decoder_width, sizes.n_subframes
        self.waveform_loss = loss
        self.embed = nn.Linear(n_in, width)
        self.encoder_blocks = blocks(sizes.encoder_blocks, width, 7, 3)
        self.down = nn.Conv1d(width, latent, n, n)
        self.latent_blocks = blocks(sizes.latent_blocks, latent, 3, 2)
        self.latent_norm = nn.LayerNorm(latent)
        self.quantizer = ResidualVectorQuantizer(latent, 9, 1024, 8)
        self.frame_blocks = blocks(sizes.latent_blocks, latent, 7, 2)
        self.up = nn.ConvTranspose1d(latent, out, n, n)
        self.decoder_blocks = blocks(sizes.decoder_blocks, out, 7, 3)
        self.norm = nn.LayerNorm(out)
        self.head = nn.Linear(out, n_out)

    def features(self, samples: Tensor) -> Tensor:
        """(batch, n_samples) -> (batch, n_columns, n_in)."""
        raise NotImplementedError

    def synthesise(self, y: Tensor, codes: Tensor) -> Tensor:
        """(batch, n_columns, n_out) -> (batch, n_samples)."""
        raise NotImplementedError

    def analyze(self, samples: Tensor) -> Tensor:
        """(batch, n_samples) -> latents (batch, latent_dim, n_frames)."""
        x = self.encoder_blocks(self.embed(self.features(samples)).transpose(1, 2))
        return self.latent_norm(self.latent_blocks(self.down(x)).transpose(1, 2)).transpose(1, 2)

    def guess(self, latents: Tensor) -> Tensor:
        """Latents -> (batch, n_columns, n_out)."""
        x = self.decoder_blocks(self.up(self.frame_blocks(latents)))
        return self.head(self.norm(x.transpose(1, 2)))

    def synthesize(self, latents: Tensor, codes: Tensor) -> Tensor:
        """Latents -> (batch, n_samples)."""
        return self.synthesise(self.guess(latents), codes)

    def loss(self, latents: Tensor, codes: Tensor, clips: Tensor) -> Tensor:
        """Return the reconstruction loss."""
        return self.waveform_loss(self.synthesize(latents, codes), clips)


class Phase(Trial):
    """Magnitude and phase: log-magnitudes and compressed real and imaginary parts in, all three out."""

    def __init__(self, n_fft: int = 1920, loss: Loss | None = None) -> None:
        n_bins = n_fft // 2 + 1
        super().__init__(Sizes(n_subframes=4), 3 * n_bins, 3 * n_bins, loss or Loss())
        self.codec = (MagnitudeCodec(MagnitudeConfig(n_fft=n_fft, n_subframes=4)),)  # for its transforms alone

    def _advance(self, spectrum: Tensor) -> Tensor:
        """Return the phase advance of a tone in the middle of each bin since the start of its token frame."""
        c = self.codec[0].config
        place = torch.arange(c.n_subframes)[:, None] * c.stft_hop
        angle = torch.arange(c.n_fft // 2 + 1) * place % c.n_fft * (2 * math.pi / c.n_fft)
        return torch.polar(torch.ones_like(angle), angle).repeat(spectrum.shape[1] // c.n_subframes, 1)

    def features(self, samples: Tensor) -> Tensor:
        spectrum = self.codec[0].stft.spectrum(samples)
        spectrum = spectrum * self._advance(spectrum).conj()
        magnitude = spectrum.abs()
        root = spectrum / (magnitude + 1e-4).sqrt()
        return torch.cat([magnitude.clamp(min=1e-4).log10(), root.real, root.imag], dim=-1)

    def synthesise(self, y: Tensor, codes: Tensor) -> Tensor:
        log_magnitude, real, imag = y.chunk(3, dim=-1)
        scale = 10 ** log_magnitude.clamp(max=3) * torch.rsqrt(real.square() + imag.square() + 1e-6)
        spectrum = scale * torch.complex(real, imag)
        return self.codec[0].stft.waveform(spectrum * self._advance(spectrum))


class SnakeBlock(ConvNeXtBlock):
    """A block with a periodic activation, a period for each channel."""

    def __init__(self, width: int, kernel: int, expansion: int) -> None:
        super().__init__(width, kernel, expansion)
        self.snake = Snake(expansion * width)

    def forward(self, x: Tensor) -> Tensor:
        y = self.expand(self.norm(self.depthwise(x).transpose(1, 2))).transpose(1, 2)
        return x + (self.scale * self.project(self.snake(y).transpose(1, 2))).transpose(1, 2)


def periodic(trial: Trial) -> Trial:
    """The trial with Snake in all its blocks."""
    for stack in (trial.encoder_blocks, trial.latent_blocks, trial.frame_blocks, trial.decoder_blocks):
        for i, block in enumerate(stack):
            width, kernel = block.depthwise.weight.shape[0], block.depthwise.weight.shape[-1]
            stack[i] = SnakeBlock(width, kernel, block.expand.out_features // width)
    return trial


class Mdct(Trial):
    """Coefficients of a modified discrete cosine transform, root-compressed with their signs."""

    def __init__(self) -> None:
        super().__init__(Sizes(n_subframes=1), 2 * HOP, HOP, Loss())
        n, k = torch.arange(2 * HOP)[:, None], torch.arange(HOP)[None]
        window = torch.sin(math.pi / (2 * HOP) * (n + 0.5))
        basis = window * torch.cos(math.pi / HOP * (n + 0.5 + HOP / 2) * (k + 0.5)) * (2 / HOP) ** 0.5
        self.register_buffer("basis", basis)

    def features(self, samples: Tensor) -> Tensor:
        c = F.pad(samples, (HOP // 2, HOP // 2)).unfold(-1, 2 * HOP, HOP) @ self.basis
        return torch.cat([c.abs().clamp(min=1e-5).log10(), c.sign() * c.abs().sqrt()], dim=-1)

    def synthesise(self, y: Tensor, codes: Tensor) -> Tensor:
        pieces = (y * y.abs()) @ self.basis.T
        first, second = pieces.split(HOP, dim=-1)
        total = F.pad(first, (0, 0, 0, 1)) + F.pad(second, (0, 0, 1, 0))
        return total.flatten(1)[:, HOP // 2 : -(HOP // 2)]


class Magnitude(Trial):
    """Magnitudes alone, phases by Griffin-Lim; learned like the others, from log-magnitudes directly."""

    def __init__(self) -> None:
        self_codec = MagnitudeCodec(MagnitudeConfig())
        super().__init__(Sizes(n_subframes=2), self_codec.config.n_bins, self_codec.config.n_bins, Loss())
        self.codec = (self_codec,)

    def features(self, samples: Tensor) -> Tensor:
        return self.codec[0].log_magnitude(samples)

    def synthesise(self, y: Tensor, codes: Tensor) -> Tensor:
        return self.codec[0].sound(y.clamp(max=3), codes)

    def loss(self, latents: Tensor, codes: Tensor, clips: Tensor) -> Tensor:
        return magnitude_error(self.guess(latents).clamp(max=3), self.features(clips), RATE)


class Fitted(nn.Module):
    """Magnitudes alone, encoder and codebooks in closed form: what `mini` has."""

    def __init__(self, **sizes: float) -> None:
        super().__init__()
        self.codec = MagnitudeCodec(MagnitudeConfig(**sizes))
        self.quantizer, self.analyze, self.synthesize = self.codec.quantizer, self.codec.analyze, self.codec.synthesize
        for part in (self.codec.encoder, self.codec.quantizer):
            part.requires_grad_(False)

    def loss(self, latents: Tensor, codes: Tensor, clips: Tensor) -> Tensor:
        return magnitude_error(self.codec.decoder(latents), self.codec.log_magnitude(clips), RATE)


class Dac(nn.Module):
    """A small DAC."""

    def __init__(self) -> None:
        super().__init__()
        self.codec = DacCodec(
            DacConfig(encoder_dim=24, encoder_rates=(2, 6, 8, 8), decoder_dim=512, decoder_rates=(8, 8, 6, 2))
        )
        self.quantizer, self.analyze, self.synthesize = self.codec.quantizer, self.codec.analyze, self.codec.synthesize

    def loss(self, latents: Tensor, codes: Tensor, clips: Tensor) -> Tensor:
        return Loss()(self.synthesize(latents, codes), clips)


LONG = Loss(scales=(*TRAINING_SCALES, (8192, 320)), windows=(2048, 8192))
TRIALS: dict[str, Callable[[], nn.Module]] = {
    "fitted": Fitted,
    "magnitude": Magnitude,
    "phase": Phase,
    "phase-long-windows": lambda: Phase(3840, LONG),
    "phase-complex-100": lambda: Phase(loss=Loss(complex_weight=100)),
    "phase-snake": lambda: periodic(Phase()),
    "mdct": Mdct,
    "dac": Dac,
}
