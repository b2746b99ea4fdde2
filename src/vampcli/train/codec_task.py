"""Training task of the decoder of a codec: reconstruction of short excerpts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from vampcli.checkpoints.weights import load_parts
from vampcli.codec.magnitude import MagnitudeCodec
from vampcli.errors import ModelError
from vampcli.evaluate.metrics import mel_error, perplexity, piece_mel_error, si_sdr, spectral_convergence
from vampcli.train.codec_init import fit
from vampcli.train.config import CodecRun
from vampcli.train.data import Pool, training_pool
from vampcli.train.discriminators import Discriminators, adversarial_losses
from vampcli.train.loop import Task
from vampcli.train.losses import TRAINING_SCALES, magnitude_error
from vampcli.train.schedule import autocast_dtype

_N_VALIDATION_CLIPS = 24
_VALIDATION_S = 2.0
_N_FIT_FRAMES = 126  # for each row of a codebook


class CodecTask(Task):
    """Reconstruction of short excerpts by a decoder of magnitudes.

    The encoder and the codebooks are fitted before the first step, and frozen.
    """

    newcomers = ("discriminators.", "usage")  # `usage`: in states of earlier versions

    def __init__(self, run: CodecRun) -> None:
        super().__init__()
        self.run = run
        self.codec = MagnitudeCodec(run.codec)
        self.pool = training_pool(run.data.train, "samples", run.data.author_cap)
        held_out = Pool(run.data.validation, "samples")
        self.validation_clips = held_out.draw(
            np.random.default_rng(0), _N_VALIDATION_CLIPS, round(_VALIDATION_S * run.codec.sample_rate)
        )
        self.audio_s = run.loop.batch_size * run.loss.n_frames * run.codec.hop_length / run.codec.sample_rate
        if run.start:
            start = load_parts(Path(run.start), torch.device("cpu"), torch.float32).codec
            new = {n: p for n, p in self.codec.state_dict().items() if n.startswith("corrector.")}
            try:
                self.codec.load_state_dict(new | start.state_dict())
            except RuntimeError as error:
                raise ModelError(
                    f"the codec of {run.start} is of another kind or size than the run's",
                    "take those of its config.json",
                ) from error
        for part in (self.codec.encoder, self.codec.quantizer):
            part.requires_grad_(False)
        self.discriminators = Discriminators(run.discriminators) if run.loss.adversarial_from >= 0 else None

    @property
    def device(self) -> torch.device:
        """The codec's device."""
        return self.codec.codebooks.device

    def _draw(self, rng: np.random.Generator) -> Tensor:
        """Draw clips at prepared levels: float32 (batch, n_frames * hop_length)."""
        length = self.run.loss.n_frames * self.run.codec.hop_length
        return self.pool.draw(rng, self.run.loop.batch_size, length).to(self.device).float() / 32768

    def _excerpts(self, rng: np.random.Generator) -> Tensor:
        """Draw clips at random levels and phases: float32 (batch, n_frames * hop_length)."""
        clips = self._draw(rng)
        gains = torch.from_numpy(10 ** rng.uniform(-0.6, 0.2, len(clips))).to(clips)
        angles = torch.from_numpy(rng.uniform(0, 2 * np.pi, len(clips))).to(clips)
        return rotate_phases(clips, angles) * gains[:, None]

    def _n_active(self, rng: np.random.Generator, n_clips: int) -> Tensor:
        n_codebooks = self.run.codec.n_codebooks
        drawn = rng.integers(1, n_codebooks + 1, n_clips)
        dropped = rng.random(n_clips) < self.run.loss.quantizer_dropout
        return torch.from_numpy(np.where(dropped, drawn, n_codebooks)).to(self.device)

    def loss(self, step: int, rng: np.random.Generator) -> tuple[Tensor, dict[str, float]]:
        """Return the error of the magnitudes, with waveform and adversarial losses as configured, and figures."""
        config, rate, self.rewritten = self.run.loss, self.run.codec.sample_rate, ()
        if step == 0 and not self.run.start:
            n_batches = -(-_N_FIT_FRAMES * self.run.codec.codebook_size // (self.run.loop.batch_size * config.n_frames))
            fit(self.codec, (self._draw(rng) for _ in range(n_batches)), rng)
            self.rewritten = list(self.codec.state_dict().values())
        clips = self._excerpts(rng)
        latents = self.codec.analyze(clips)  # in float32: in bfloat16 codes would differ from those in use
        quantized = self.codec.quantizer(latents, self._n_active(rng, len(clips)))
        dtype = autocast_dtype(self.run.loop.dtype, self.device)
        with torch.autocast(self.device.type, dtype, enabled=dtype is not None):
            guess = self.codec.decoder(quantized.latents)
        loss = magnitude_error(guess, self.codec.log_magnitude(clips), rate)
        figures = {"magnitude": float(loss.detach())}
        is_adversarial = self.discriminators is not None and step >= config.adversarial_from
        if not (is_adversarial or config.waveform_weight):
            return loss, figures
        made = self.codec.sound(guess, quantized.codes)
        if config.waveform_weight:
            mel = mel_error(made, clips, rate, TRAINING_SCALES)
            loss, figures["mel"] = loss + config.waveform_weight * mel, float(mel.detach())
        if is_adversarial:
            other, more = self._adversarial_loss(made, clips)
            loss, figures = loss + other, figures | more
        return loss, figures

    def _adversarial_loss(self, made: Tensor, clips: Tensor) -> tuple[Tensor, dict[str, float]]:
        assert self.discriminators is not None
        config = self.run.loss
        losses = adversarial_losses(self.discriminators, made, clips)  # float32: bfloat16 is slow here on CPUs
        loss = config.adversarial_weight * losses.generator + config.feature_weight * losses.features
        return loss + losses.discriminator, {name: float(value.detach()) for name, value in vars(losses).items()}

    def validate(self) -> dict[str, float]:
        """Return mel error, spectral figures and code use of reconstructions of 2 s clips with all codebooks.

        The mel error is that of model cards at the original's RMS, but on excerpts; `vamp eval codec` measures whole
        pieces in minutes.
        """
        clips = self.validation_clips.to(self.device).float() / 32768
        codes = [self.codec.encode(clip) for clip in clips]
        made = torch.stack([self.codec.decode(code)[: clips.shape[1]] for code in codes])
        use = perplexity(torch.cat(codes, dim=1), self.run.codec.codebook_size)
        rate = self.run.codec.sample_rate
        return {
            "mel_error": sum(piece_mel_error(*pair, rate) for pair in zip(made, clips, strict=True)) / len(clips),
            "spectral_convergence": float(spectral_convergence(made, clips)),
            "si_sdr_db": float(si_sdr(made, clips)),
            "level_db": float(10 * (made.square().mean() / clips.square().mean()).log10()),
            "perplexity_first": float(use[0]),
            "perplexity_least": float(use.min()),
        }


def rotate_phases(clips: Tensor, angles: Tensor) -> Tensor:
    """Add an angle to all phases of each clip, which changes the waveform but hardly the sound.

    Args:
        clips: float32 (batch, n_samples).
        angles: float32 (batch,), in radians; pi changes the polarity.
    """
    spectrum = torch.fft.rfft(clips)
    turn = torch.polar(torch.ones_like(angles), angles)[:, None]
    result: Tensor = torch.fft.irfft(spectrum * turn, n=clips.shape[1])
    return result
