"""How a `SpectralCodec` learns."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from vampcli import checkpoint
from vampcli.codec.rvq import Quantized, ResidualVectorQuantizer
from vampcli.codec.spectral import SpectralCodec, mix
from vampcli.train.config import CodecRun
from vampcli.train.data import Pool
from vampcli.train.loop import Task
from vampcli.train.losses import (
    TRAINING_SCALES,
    complex_error,
    mel_error,
    si_sdr,
    spectral_convergence,
)

_N_VALIDATION_CLIPS = 24
_VALIDATION_S = 2.0
_N_FILL_BATCHES = 64
_N_LLOYD = 8


class CodecTask(Task):
    """Reconstruction of short excerpts.

    The first steps pass latents on unquantised; then the codebooks are filled from what the encoder
    gives, and codes that nobody chooses are moved to encoder outputs again and again. Otherwise nearly
    all of them die.
    """

    def __init__(self, run: CodecRun) -> None:
        super().__init__()
        self.run = run
        self.codec = SpectralCodec(run.codec)
        shape = (run.codec.n_codebooks, run.codec.codebook_size)
        self.register_buffer("usage", torch.zeros(shape, dtype=torch.int64))
        self.usage: Tensor
        self.pool = Pool(run.data.train, "samples", run.data.author_cap)
        held_out = Pool(run.data.validation, "samples")
        self.validation_clips = held_out.draw(
            np.random.default_rng(0), _N_VALIDATION_CLIPS, round(_VALIDATION_S * run.codec.sample_rate)
        )
        self.dtype = torch.bfloat16 if run.loop.dtype == "bf16" else None
        if run.start:
            start = checkpoint.load_parts(Path(run.start), torch.device("cpu"), torch.float32).codec
            self.codec.load_state_dict(start.state_dict())
        if run.loss.freeze_encoder:
            for part in (self.codec.encoder, self.codec.quantizer):
                part.requires_grad_(False)

    def _autocast(self) -> torch.autocast:
        return torch.autocast("cpu", self.dtype, enabled=self.dtype is not None)

    def _excerpts(self, rng: np.random.Generator) -> Tensor:
        """Float32 (batch, n_frames * hop_length), at random levels and polarities."""
        n = self.run.loop.batch_size
        clips = self.pool.draw(rng, n, self.run.loss.n_frames * self.run.codec.hop_length).float() / 32768
        gains = 10 ** rng.uniform(-0.6, 0.2, n) * rng.choice([-1.0, 1.0], n)
        return clips * torch.from_numpy(gains).float()[:, None]

    def _latents(self, clips: Tensor) -> tuple[Tensor, Tensor]:
        """Latents of magnitudes alone and of all, each float32 (batch, latent_dim, n_frames)."""
        spectrum = self.codec.spectrum(clips)
        with self._autocast():
            blind, sighted = self.codec.encoder(spectrum, blind=True), self.codec.encoder(spectrum)
        return blind.float(), sighted.float()

    def _n_active(self, rng: np.random.Generator, n_clips: int) -> Tensor:
        n_codebooks = self.run.codec.n_codebooks
        drawn = rng.integers(1, n_codebooks + 1, n_clips)
        dropped = rng.random(n_clips) < self.run.loss.quantizer_dropout
        return torch.from_numpy(np.where(dropped, drawn, n_codebooks))

    def loss(self, step: int, rng: np.random.Generator) -> tuple[Tensor, dict[str, float]]:
        """Mel and complex spectra of the reconstruction, and the quantiser's two losses."""
        config = self.run.loss
        if step == config.quantize_from and not config.freeze_encoder:
            self._fill_codebooks(rng)
        clips = self._excerpts(rng)
        blind, sighted = self._latents(clips)
        figures: dict[str, float] = {}
        if step >= config.quantize_from or config.freeze_encoder:
            quantized = self._quantize(blind, sighted, rng)
            extra = (
                config.commitment_weight * quantized.commitment_loss + config.codebook_weight * quantized.codebook_loss
            )
            self._keep_codes_alive(step, rng, blind.detach(), sighted.detach(), quantized.codes)
            figures["commitment"] = float(quantized.commitment_loss.detach())
            latents, codes = quantized.latents, quantized.codes
        else:  # learn to make do with either; the codes have no meaning yet
            coin = torch.from_numpy(rng.random(len(clips)) < 0.5)[:, None, None]
            latents, extra = torch.where(coin, blind, sighted), blind.new_zeros(())
            codes = torch.from_numpy(rng.integers(0, 2**31, (len(clips), 1, latents.shape[2])))
        with self._autocast():
            magnitude, vector = self.codec.decoder(latents)
        # Each loss teaches its own part: mel spectra the magnitudes, complex ones what can be foretold. A
        # mel loss on the latter would prefer wrong phases to noise.
        share = self.codec.noise_share(clips.device)
        made = self.codec.waveform(mix(magnitude, vector.detach(), share, self.codec.noise(codes)))
        foretold = self.codec.waveform(mix(magnitude.detach(), vector, share, None))
        mel = mel_error(made, clips, self.run.codec.sample_rate, TRAINING_SCALES)
        compressed = complex_error(foretold, clips)
        figures |= {"mel": float(mel.detach()), "complex": float(compressed.detach())}
        return config.mel_weight * mel + config.complex_weight * compressed + extra, figures

    def _quantize(self, blind: Tensor, sighted: Tensor, rng: np.random.Generator) -> Quantized:
        first, second = self.codec.quantizers
        n_active = self._n_active(rng, len(blind))
        a = first(blind, n_active)
        b = second(sighted - a.latents, n_active - self.run.codec.n_blind)
        return Quantized(
            a.latents + b.latents,
            torch.cat([a.codes, b.codes], dim=1),
            a.commitment_loss + b.commitment_loss,
            a.codebook_loss + b.codebook_loss,
        )

    def _fill_codebooks(self, rng: np.random.Generator) -> None:
        first, second = self.codec.quantizers
        with torch.no_grad():
            pairs = [self._latents(self._excerpts(rng)) for _ in range(_N_FILL_BATCHES)]
            blind, sighted = (torch.cat(latents) for latents in zip(*pairs, strict=True))
            fill_from(first, blind, rng)
            fill_from(second, sighted - first.decode(first.encode(blind)), rng)

    def _keep_codes_alive(
        self, step: int, rng: np.random.Generator, blind: Tensor, sighted: Tensor, codes: Tensor
    ) -> None:
        config = self.run.loss
        if config.freeze_encoder or step >= config.reseed_until:
            return
        self.usage += count_codes(codes, self.run.codec.codebook_size)
        if (step + 1) % config.reseed_every == 0:
            first, second = self.codec.quantizers
            n_blind = self.run.codec.n_blind
            rest = sighted - first.decode(codes[:, :n_blind])
            reseed_unused(first, blind, self.usage[:n_blind] == 0, rng)
            reseed_unused(second, rest, self.usage[n_blind:] == 0, rng)
            self.usage.zero_()

    def validate(self) -> dict[str, float]:
        """Mel error, tonal figures and code use of whole-quantiser reconstructions of 2 s clips."""
        clips = self.validation_clips.float() / 32768
        codes = [self.codec.encode(clip) for clip in clips]
        made = torch.stack([self.codec.decode(code)[: clips.shape[1]] for code in codes])
        counts = count_codes(torch.stack(codes), self.run.codec.codebook_size).double()
        share = counts / counts.sum(1, keepdim=True)
        perplexity = torch.exp(-(share * share.clamp(min=1e-12).log()).sum(1))
        rate = self.run.codec.sample_rate
        return {
            "mel_error": float(mel_error(made, clips, rate)),
            "complex_error": float(complex_error(made, clips)),
            "spectral_convergence": float(spectral_convergence(made, clips)),
            "si_sdr_db": float(si_sdr(made, clips)),
            "perplexity_first": float(perplexity[0]),
            "perplexity_least": float(perplexity.min()),
        }


def count_codes(codes: Tensor, codebook_size: int) -> Tensor:
    """How often each code was chosen: int64 (batch, n_codebooks, n_frames) -> (n_codebooks, codebook_size)."""
    flat = codes.transpose(0, 1).flatten(1)
    return torch.stack([torch.bincount(level, minlength=codebook_size) for level in flat])


def fill_from(quantizer: ResidualVectorQuantizer, latents: Tensor, rng: np.random.Generator) -> None:
    """Set every level to the main axes of what is left to code, and its rows to points found there.

    Args:
        quantizer: changed in place.
        latents: float32 (batch, latent_dim, n_frames), some thousands of frames.
        rng: chooses the points.
    """
    residual = latents.transpose(1, 2).flatten(0, 1)
    size, dim = quantizer.codebooks.shape[1:]
    with torch.no_grad():
        for level in range(len(quantizer.codebooks)):
            mean = residual.mean(0)
            _, values, axes = torch.pca_lowrank(residual, q=dim, center=True, niter=4)
            # Whitened, since look-up compares directions: a dominant axis would leave only two of them.
            scale = (values / len(residual) ** 0.5).clamp(min=0.1 * float(values[0]) / len(residual) ** 0.5)
            into, out = quantizer.projections(level)
            _set(into, (axes / scale).T, -(axes.T @ mean) / scale)
            _set(out, axes * scale, mean)
            points = into(residual.T[None])[0].T
            quantizer.codebooks[level] = points[torch.from_numpy(rng.integers(0, len(points), size))]
            for _ in range(_N_LLOYD):
                codes = quantizer.look_up(points.T[None], level)[0]
                counts = torch.bincount(codes, minlength=size)[:, None]
                sums = torch.zeros(size, dim).index_add_(0, codes, points)
                quantizer.codebooks[level] = torch.where(counts > 0, sums / counts, quantizer.codebooks[level])
            codes = quantizer.look_up(points.T[None], level)
            residual = residual - out(quantizer.rows(codes, level))[0].T


def _set(projection: nn.Conv1d, weight: Tensor, bias: Tensor) -> None:
    projection.load_state_dict({"weight": weight[:, :, None], "bias": bias})


def reseed_unused(
    quantizer: ResidualVectorQuantizer, latents: Tensor, unused: Tensor, rng: np.random.Generator
) -> None:
    """Move unused codebook rows to random encoder outputs of their level.

    Args:
        quantizer: changed in place.
        latents: float32 (batch, latent_dim, n_frames).
        unused: bool (n_codebooks, codebook_size).
        rng: chooses the outputs.
    """
    residual = latents
    with torch.no_grad():
        for level in range(len(unused)):
            into, out = quantizer.projections(level)
            projected = into(residual)
            points = projected.transpose(1, 2).flatten(0, 1)
            rows = torch.nonzero(unused[level])[:, 0]
            chosen = rng.integers(0, len(points), len(rows))
            codes = quantizer.look_up(projected, level)
            residual = residual - out(quantizer.rows(codes, level))
            quantizer.codebooks[level, rows] = points[torch.from_numpy(chosen)]
