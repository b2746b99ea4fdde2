"""Which codec learns most in the same time: small trials, equal processor time, one thread each.

python experiments/codec_comparison.py --train data/train --validation data/val --minutes 6 -o runs/trials [TRIAL ...]

Every trial has the same quantiser (9 codebooks at 57.4 frames a second), data, batches and schedule. Each
writes one JSON line and a picture of original and reconstruction. `docs/experiments.md` has the results.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vampcli.codec.dac import DacCodec, DacConfig
from vampcli.codec.lac import Snake
from vampcli.codec.magnitude import ConvNeXtBlock, MagnitudeCodec, MagnitudeConfig
from vampcli.codec.rvq import ResidualVectorQuantizer
from vampcli.evaluate.metrics import perplexity
from vampcli.train.codebooks import fill_from, reseed_unused
from vampcli.train.data import Pool
from vampcli.train.fit import fit
from vampcli.train.losses import (
    TRAINING_SCALES,
    complex_error,
    magnitude_error,
    mel_error,
    si_sdr,
    spectral_convergence,
    stft,
)

mpl.use("agg")
RATE, BATCH, N_FRAMES, HOP, LEARNING_RATE = 44100, 8, 23, 768, 4e-4


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
    """Of the networks that all learned trials share: some 10 M parameters."""

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

    def listen(self, samples: Tensor) -> Tensor:
        """(batch, n_samples) -> latents (batch, latent_dim, n_frames)."""
        x = self.encoder_blocks(self.embed(self.features(samples)).transpose(1, 2))
        return self.latent_norm(self.latent_blocks(self.down(x)).transpose(1, 2)).transpose(1, 2)

    def guess(self, latents: Tensor) -> Tensor:
        """Latents -> (batch, n_columns, n_out)."""
        x = self.decoder_blocks(self.up(self.frame_blocks(latents)))
        return self.head(self.norm(x.transpose(1, 2)))

    def render(self, latents: Tensor, codes: Tensor) -> Tensor:
        """Latents -> (batch, n_samples)."""
        return self.synthesise(self.guess(latents), codes)

    def loss(self, latents: Tensor, codes: Tensor, clips: Tensor) -> Tensor:
        """How far the reconstruction is off."""
        return self.waveform_loss(self.render(latents, codes), clips)


class Phase(Trial):
    """Magnitude and phase: log-magnitudes and compressed real and imaginary parts in, all three out."""

    def __init__(self, n_fft: int = 1920, loss: Loss | None = None) -> None:
        n_bins = n_fft // 2 + 1
        super().__init__(Sizes(n_subframes=4), 3 * n_bins, 3 * n_bins, loss or Loss())
        self.codec = (MagnitudeCodec(MagnitudeConfig(n_fft=n_fft, n_subframes=4)),)  # for its transforms alone

    def _advance(self, spectrum: Tensor) -> Tensor:
        """How far a tone in the middle of each bin has turned since the start of its token frame."""
        c = self.codec[0].config
        place = torch.arange(c.n_subframes)[:, None] * c.stft_hop
        angle = torch.arange(c.n_fft // 2 + 1) * place % c.n_fft * (2 * math.pi / c.n_fft)
        return torch.polar(torch.ones_like(angle), angle).repeat(spectrum.shape[1] // c.n_subframes, 1)

    def features(self, samples: Tensor) -> Tensor:
        spectrum = self.codec[0].spectrum(samples)
        spectrum = spectrum * self._advance(spectrum).conj()
        magnitude = spectrum.abs()
        root = spectrum / (magnitude + 1e-4).sqrt()
        return torch.cat([magnitude.clamp(min=1e-4).log10(), root.real, root.imag], dim=-1)

    def synthesise(self, y: Tensor, codes: Tensor) -> Tensor:
        log_magnitude, real, imag = y.chunk(3, dim=-1)
        scale = 10 ** log_magnitude.clamp(max=3) * torch.rsqrt(real.square() + imag.square() + 1e-6)
        spectrum = scale * torch.complex(real, imag)
        return self.codec[0].waveform(spectrum * self._advance(spectrum))


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
        self.quantizer, self.listen, self.render = self.codec.quantizer, self.codec.listen, self.codec.render
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
        self.quantizer, self.listen, self.render = self.codec.quantizer, self.codec.listen, self.codec.render

    def loss(self, latents: Tensor, codes: Tensor, clips: Tensor) -> Tensor:
        return Loss()(self.render(latents, codes), clips)


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


def train(trial: nn.Module, pool: Pool, seconds: float) -> tuple[nn.Module, int]:
    """Step for that much processor time; returns the averaged trial and how many steps there were."""
    parameters = [p for p in trial.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=LEARNING_RATE, betas=(0.9, 0.999))
    average = torch.optim.swa_utils.AveragedModel(trial, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.99))
    began, step, filled = time.process_time(), 0, False

    def excerpts(rng: np.random.Generator) -> Tensor:
        clips = pool.draw(rng, BATCH, N_FRAMES * HOP).float() / 32768
        gains = 10 ** rng.uniform(-0.6, 0.2, BATCH) * rng.choice([-1.0, 1.0], BATCH)
        return clips * torch.from_numpy(gains).float()[:, None]

    if isinstance(trial, Fitted):
        rng = np.random.default_rng(0)
        fit(trial.codec, (excerpts(rng) for _ in range(200)), rng)
    while (share := (time.process_time() - began) / seconds) < 1:
        rng = np.random.default_rng([0, step])
        if share > 0.2 and not filled and not isinstance(trial, Fitted):
            with torch.no_grad():
                fill_from(trial.quantizer, torch.cat([trial.listen(excerpts(rng)) for _ in range(48)]), rng)
            filled, usage = True, torch.zeros(9, 1024, dtype=torch.int64)
        clips = excerpts(rng)
        latents = trial.listen(clips)
        codes, extra = torch.zeros(BATCH, 1, latents.shape[2], dtype=torch.int64), latents.new_zeros(())
        raw = latents.detach()
        if isinstance(trial, Fitted):
            latents, codes = trial.quantizer(latents)[:2]
        elif filled:
            latents, codes, commitment, codebook = trial.quantizer(latents)
            extra = 0.25 * commitment + codebook
            usage.scatter_add_(1, codes.transpose(0, 1).flatten(1), torch.ones_like(codes).transpose(0, 1).flatten(1))
            if step % 50 == 0 and share < 0.85:
                reseed_unused(trial.quantizer, raw, usage == 0, rng)
                usage.zero_()
        optimizer.param_groups[0]["lr"] = LEARNING_RATE * min(1, (step + 1) / 100, (1 - share) / 0.4)
        optimizer.zero_grad()
        (trial.loss(latents, codes, clips) + extra).backward()
        nn.utils.clip_grad_norm_(parameters, 5.0)
        optimizer.step()
        average.update_parameters(trial)
        step += 1
    return average.module, step


@torch.no_grad()
def measure(trial: nn.Module, clips: Tensor) -> tuple[dict[str, float], Tensor]:
    """Figures of whole-quantiser reconstructions, and these: float32 (n_clips, n_samples)."""
    padded = F.pad(clips, (0, -clips.shape[1] % HOP))
    began = time.process_time()
    codes = torch.cat([trial.quantizer.encode(trial.listen(clip[None])) for clip in padded])
    made = torch.cat([trial.render(trial.quantizer.decode(code[None]), code[None]) for code in codes])
    seconds = time.process_time() - began
    made = made[:, : clips.shape[1]]
    entropy = perplexity(codes.transpose(0, 1).flatten(1), 1024).log()
    same = (codes[:, :4, 1:] == codes[:, :4, :-1]).double().mean()
    return {
        "mel_error": float(mel_error(made, clips, RATE)),
        "spectral_convergence": float(spectral_convergence(made, clips)),
        "si_sdr_db": float(si_sdr(made, clips)),
        "level_db": float(10 * (made.square().mean() / clips.square().mean()).log10()),
        "entropy_nats": float(entropy.mean()),
        "repeats_4": float(same),
        "times_real_time": clips.numel() / RATE / seconds,
    }, made


def picture(original: Tensor, made: Tensor, path: Path) -> None:
    """Spectrograms of two clips, float32 (n_samples,), side by side."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(14, 6), layout="tight")
    for axis, samples in zip(figure.subplots(1, 2, sharey=True), (original, made), strict=True):
        decibels = 20 * stft(samples[None], 2048)[0].abs().clamp(min=1e-3).log10()
        extent = (0, len(samples) / RATE, 0, RATE / 2)
        axis.imshow(decibels, origin="lower", aspect="auto", vmin=-50, vmax=30, extent=extent)
        axis.set_ylim(0, 8000)
    figure.savefig(path)


def main() -> None:
    """Run the trials named, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("trials", nargs="*", help=f"of {', '.join(TRIALS)}; all by default")
    parser.add_argument("--train", required=True)
    parser.add_argument("--validation", required=True)
    parser.add_argument("--minutes", type=float, default=6.0)
    parser.add_argument("-o", "--out", type=Path, required=True)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    pool = Pool(arguments.train, "samples", 0.08)
    clips = Pool(arguments.validation, "samples").draw(np.random.default_rng(0), 24, 2 * RATE).float() / 32768
    arguments.out.mkdir(parents=True, exist_ok=True)
    for name in arguments.trials or TRIALS:
        torch.manual_seed(0)
        trial = TRIALS[name]()
        n_parameters = sum(p.numel() for p in trial.parameters())
        averaged, n_steps = train(trial, pool, 60 * arguments.minutes)
        figures, made = measure(averaged.eval(), clips)
        facts = {"trial": name, "minutes": arguments.minutes, "steps": n_steps, "parameters": n_parameters}
        with (arguments.out / "results.jsonl").open("a") as file:
            file.write(json.dumps(facts | {k: round(v, 4) for k, v in figures.items()}) + "\n")
        for i in (0, 5, 9):
            picture(clips[i], made[i], arguments.out / f"{name}-{i}.png")


if __name__ == "__main__":
    main()
