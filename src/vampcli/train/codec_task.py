"""How a codec learns to re-make what it hears."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from vampcli.checkpoints.weights import load_parts
from vampcli.codec.dac import DacCodec
from vampcli.codec.kinds import build_codec, kind_of
from vampcli.codec.magnitude import MagnitudeCodec
from vampcli.errors import ModelError
from vampcli.evaluate.metrics import mel_error, perplexity, piece_mel_error, si_sdr, spectral_convergence
from vampcli.train.codec_init import count_codes, fill_codebooks, fit, reseed_unused
from vampcli.train.config import CodecRun
from vampcli.train.data import Pool, training_pool
from vampcli.train.discriminators import Discriminators, adversarial_losses
from vampcli.train.loop import Task
from vampcli.train.losses import TRAINING_SCALES, complex_error, magnitude_error
from vampcli.train.schedule import autocast_dtype

_N_VALIDATION_CLIPS = 24
_VALIDATION_S = 2.0
_N_FILL_BATCHES = 64
_N_FIT_FRAMES = 126  # for each row of a codebook


class CodecTask(Task):
    """Reconstruction of short excerpts.

    The encoder and the codebooks of a `MagnitudeCodec` are fitted before the first step, and stay. Those of a
    `DacCodec` learn: the first steps pass latents on unquantised; then the codebooks are filled from what the
    encoder gives, and codes that nobody chooses are moved to encoder outputs again and again. Otherwise nearly
    all of them die.
    """

    newcomers = ("discriminators.",)

    def __init__(self, run: CodecRun) -> None:
        super().__init__()
        self.run = run
        codec = build_codec(kind_of(type(run.codec)), asdict(run.codec))
        assert isinstance(codec, MagnitudeCodec | DacCodec)
        self.codec = codec
        shape = (run.codec.n_codebooks, run.codec.codebook_size)
        self.register_buffer("usage", torch.zeros(shape, dtype=torch.int64))
        self.usage: Tensor
        self.pool = training_pool(run.data.train, "samples", run.data.author_cap)
        held_out = Pool(run.data.validation, "samples")
        self.validation_clips = held_out.draw(
            np.random.default_rng(0), _N_VALIDATION_CLIPS, round(_VALIDATION_S * run.codec.sample_rate)
        )
        self.audio_s = run.loop.batch_size * run.loss.n_frames * run.codec.hop_length / run.codec.sample_rate
        if run.start:
            start = load_parts(Path(run.start), torch.device("cpu"), torch.float32).codec
            try:
                self.codec.load_state_dict(start.state_dict())
            except RuntimeError as error:
                raise ModelError(
                    f"the codec of {run.start} is of another kind or size than the run's",
                    "take those of its config.json",
                ) from error
        self.learns_codes = isinstance(codec, DacCodec) and not run.loss.freeze_encoder
        if not self.learns_codes:
            for part in (self.codec.encoder, self.codec.quantizer):
                part.requires_grad_(False)
        self.discriminators = Discriminators(run.discriminators) if run.loss.adversarial_from >= 0 else None

    @property
    def device(self) -> torch.device:
        """Where the codec is."""
        return self.usage.device

    def _autocast(self) -> torch.autocast:
        """A codec of waveforms learns in float32: in bfloat16 its codes die out, 1 to 7 of 32 left after 40 steps."""
        dtype = autocast_dtype(self.run.loop.dtype, self.device)
        enabled = dtype is not None and isinstance(self.codec, MagnitudeCodec)
        return torch.autocast(self.device.type, dtype, enabled=enabled)

    def _draw(self, rng: np.random.Generator) -> Tensor:
        """Float32 (batch, n_frames * hop_length), as prepared."""
        length = self.run.loss.n_frames * self.run.codec.hop_length
        return self.pool.draw(rng, self.run.loop.batch_size, length).to(self.device).float() / 32768

    def _excerpts(self, rng: np.random.Generator) -> Tensor:
        """Float32 (batch, n_frames * hop_length), at random levels and phases."""
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
        """How far the reconstruction is off, and the quantiser's two losses."""
        config, self.rewritten = self.run.loss, ()
        if step == 0 and isinstance(self.codec, MagnitudeCodec) and not self.run.start:
            n_batches = -(-_N_FIT_FRAMES * self.run.codec.codebook_size // (self.run.loop.batch_size * config.n_frames))
            fit(self.codec, (self._draw(rng) for _ in range(n_batches)), rng)
            self.rewritten = list(self.codec.state_dict().values())
        unquantised = self.learns_codes and not self.run.start and step < config.quantize_from
        if self.learns_codes and not self.run.start and step == config.quantize_from:
            self._fill_codebooks(rng)
        clips = self._excerpts(rng)
        latents = self.codec.analyze(clips)  # in float32: in bfloat16 training would know other codes than use
        if unquantised:  # the codes have no meaning yet
            codes = torch.from_numpy(rng.integers(0, 2**31, (len(clips), 1, latents.shape[2]))).to(self.device)
            return self._reconstruction_loss(step, clips, latents, codes)
        quantized = self.codec.quantizer(latents, self._n_active(rng, len(clips)))
        self._keep_codes_alive(step, rng, latents.detach(), quantized.codes)
        loss, figures = self._reconstruction_loss(step, clips, quantized.latents, quantized.codes)
        if not self.learns_codes:
            return loss, figures
        loss = loss + config.commitment_weight * quantized.commitment_loss
        loss = loss + config.codebook_weight * quantized.codebook_loss
        return loss, figures | {"commitment": float(quantized.commitment_loss.detach())}

    def _reconstruction_loss(
        self, step: int, clips: Tensor, latents: Tensor, codes: Tensor
    ) -> tuple[Tensor, dict[str, float]]:
        """What any codec learns from: how its sound is off, and from some step on what discriminators say."""
        judged = self.discriminators is not None and step >= self.run.loss.adversarial_from
        losses = self._magnitude_loss if isinstance(self.codec, MagnitudeCodec) else self._sound_loss
        made, loss, figures = losses(clips, latents, codes, judged)
        if not judged:
            return loss, figures
        assert made is not None
        other, more = self._adversarial_loss(made, clips)
        return loss + other, figures | more

    def _magnitude_loss(
        self, clips: Tensor, latents: Tensor, codes: Tensor, judged: bool
    ) -> tuple[Tensor | None, Tensor, dict[str, float]]:
        """A codec of magnitudes learns from them directly; phases are looked for only if somebody listens."""
        assert isinstance(self.codec, MagnitudeCodec)
        rate, weight = self.run.codec.sample_rate, self.run.loss.waveform_weight
        with self._autocast():
            guess = self.codec.decoder(latents)
        error = magnitude_error(guess, self.codec.log_magnitude(clips), rate)
        figures = {"magnitude": float(error.detach())}
        made = self.codec.sound(guess, codes) if judged or weight else None
        if made is None or not weight:
            return made, error, figures
        mel = mel_error(made, clips, rate, TRAINING_SCALES)
        return made, error + weight * mel, figures | {"mel": float(mel.detach())}

    def _sound_loss(
        self, clips: Tensor, latents: Tensor, codes: Tensor, judged: bool
    ) -> tuple[Tensor | None, Tensor, dict[str, float]]:
        """A codec of waveforms learns from spectra of what it makes."""
        config = self.run.loss
        with self._autocast():
            made = self.codec.synthesize(latents, codes).float()
        mel = mel_error(made, clips, self.run.codec.sample_rate, TRAINING_SCALES)
        compressed = complex_error(made, clips)
        figures = {"mel": float(mel.detach()), "complex": float(compressed.detach())}
        return made, config.mel_weight * mel + config.complex_weight * compressed, figures

    def _adversarial_loss(self, made: Tensor, clips: Tensor) -> tuple[Tensor, dict[str, float]]:
        assert self.discriminators is not None
        config = self.run.loss
        said = adversarial_losses(self.discriminators, made, clips)  # float32: bfloat16 is slow here on CPUs
        loss = config.adversarial_weight * said.generator + config.feature_weight * said.features + said.discriminator
        return loss, {name: float(value.detach()) for name, value in vars(said).items()}

    def _fill_codebooks(self, rng: np.random.Generator) -> None:
        with torch.no_grad():
            latents = torch.cat([self.codec.analyze(self._excerpts(rng)) for _ in range(_N_FILL_BATCHES)])
            fill_codebooks(self.codec.quantizer, latents, rng)
        self.rewritten = list(self.codec.quantizer.state_dict().values())

    def _keep_codes_alive(self, step: int, rng: np.random.Generator, latents: Tensor, codes: Tensor) -> None:
        config = self.run.loss
        if not self.learns_codes or step >= config.reseed_until:
            return
        self.usage += count_codes(codes, self.run.codec.codebook_size)
        if (step + 1) % config.reseed_every == 0:
            reseed_unused(self.codec.quantizer, latents, self.usage == 0, rng)
            self.rewritten = [*self.rewritten, self.codec.codebooks]
            self.usage.zero_()

    def validate(self) -> dict[str, float]:
        """Mel error, tonal figures and code use of whole-quantiser reconstructions of 2 s clips.

        The mel error is that of model cards, each clip brought to the original's RMS, but of excerpts: whole pieces
        take minutes, and `vamp eval codec` measures them.
        """
        clips = self.validation_clips.to(self.device).float() / 32768
        codes = [self.codec.encode(clip) for clip in clips]
        made = torch.stack([self.codec.decode(code)[: clips.shape[1]] for code in codes])
        use = perplexity(torch.cat(codes, dim=1), self.run.codec.codebook_size)
        rate = self.run.codec.sample_rate
        return {
            "mel_error": sum(piece_mel_error(*pair, rate) for pair in zip(made, clips, strict=True)) / len(clips),
            "complex_error": float(complex_error(made, clips)),
            "spectral_convergence": float(spectral_convergence(made, clips)),
            "si_sdr_db": float(si_sdr(made, clips)),
            "level_db": float(10 * (made.square().mean() / clips.square().mean()).log10()),
            "perplexity_first": float(use[0]),
            "perplexity_least": float(use.min()),
        }


def rotate_phases(clips: Tensor, angles: Tensor) -> Tensor:
    """Turn all phases of each clip by an angle: what is heard stays, the waveform is another.

    Args:
        clips: float32 (batch, n_samples).
        angles: float32 (batch,), in radians; pi changes the polarity.
    """
    spectrum = torch.fft.rfft(clips)
    turn = torch.polar(torch.ones_like(angles), angles)[:, None]
    result: Tensor = torch.fft.irfft(spectrum * turn, n=clips.shape[1])
    return result
