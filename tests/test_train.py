"""How a codec learns."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from conftest import music
from training import LOOP, codec_run
from vampcli import checkpoint
from vampcli.codec.rvq import ResidualVectorQuantizer
from vampcli.train.codebooks import fill_from, reseed_unused
from vampcli.train.codec import CodecTask
from vampcli.train.loop import Trainer
from vampcli.train.losses import complex_error, mel_error, si_sdr, spectral_convergence


def test_a_codec_learns_and_keeps_its_codes_alive(prepared: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    task = CodecTask(codec_run(prepared))
    trainer = Trainer(task, task.run.loop, tmp_path)

    def error_on_one_batch() -> float:
        with torch.no_grad():
            return task.loss(1000, np.random.default_rng(99))[1]["mel"]

    for _ in range(6):  # codebooks are filled at step 5
        trainer.advance()
    before = error_on_one_batch()
    for _ in range(task.run.loop.n_steps):
        trainer.advance()
    assert error_on_one_batch() < 0.9 * before
    with torch.no_grad():
        codes = torch.stack([task.codec.encode(clip.float() / 32768) for clip in task.validation_clips[:4]])
    assert min(len(level.unique()) for level in codes.transpose(0, 1)) > 8


def test_a_frozen_encoder_stays_as_it_is(prepared: Path, tmp_path: Path) -> None:
    run = codec_run(prepared, freeze_encoder=True)
    task = CodecTask(run)
    for quantizer in task.codec.quantizers:
        fill_from(quantizer, torch.randn(8, 24, 50), np.random.default_rng(0))
    before = checkpoint.codec_hash(task.codec.state_dict())
    decoder = {name: t.clone() for name, t in task.codec.decoder.state_dict().items()}
    trainer = Trainer(task, LOOP, tmp_path)
    for _ in range(6):
        trainer.advance()
    assert checkpoint.codec_hash(task.codec.state_dict()) == before
    assert any(not torch.equal(t, decoder[name]) for name, t in task.codec.decoder.state_dict().items())


def test_filled_codebooks_code_most_of_the_latents() -> None:
    torch.manual_seed(0)
    quantizer = ResidualVectorQuantizer(24, 5, 256, 8)
    latents = torch.einsum(
        "ij,bjf->bif", torch.randn(24, 24), torch.randn(8, 24, 200) * torch.linspace(2, 0.1, 24)[:, None]
    )
    fill_from(quantizer, latents, np.random.default_rng(0))
    with torch.no_grad():
        left = latents - quantizer.decode(quantizer.encode(latents))
    assert left.var() < 0.3 * latents.var()


def test_only_unused_codes_are_moved() -> None:
    torch.manual_seed(0)
    quantizer = ResidualVectorQuantizer(24, 5, 32, 8)
    quantizer.codebooks.data.normal_()
    before = quantizer.codebooks.detach().clone()
    unused = torch.rand(5, 32) < 0.3
    reseed_unused(quantizer, torch.randn(2, 24, 50), unused, np.random.default_rng(0))
    moved = (quantizer.codebooks != before).any(-1)
    assert torch.equal(moved, unused)


def test_losses_know_silence_identity_and_level() -> None:
    x = torch.from_numpy(music(1, 44100, 2)).float()
    noisy = x + 0.001 * torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
    assert mel_error(x, x, 44100) == 0
    assert mel_error(x * 10, x, 44100) == pytest.approx(1.0, abs=0.01)  # 20 dB is 1
    assert 0 < complex_error(noisy, x) < complex_error(torch.zeros_like(x), x)
    assert spectral_convergence(torch.zeros_like(x), x) == pytest.approx(1)
    expected = float((10 * ((x**2).sum(-1) / ((noisy - x) ** 2).sum(-1)).log10()).mean())
    assert float(si_sdr(noisy, x)) == pytest.approx(expected, abs=1.0)
    assert float(si_sdr(noisy * 3, x)) == pytest.approx(float(si_sdr(noisy, x)), abs=1e-3)
