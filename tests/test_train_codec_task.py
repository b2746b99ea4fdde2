"""How a codec learns."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from conftest import music, random_codec
from training import LOOP, codec_run
from vampcli.checkpoints.weights import codec_hash, load_parts
from vampcli.codec.rvq import ResidualVectorQuantizer
from vampcli.errors import ModelError
from vampcli.train.codec_init import fill_codebooks
from vampcli.train.codec_task import CodecTask, rotate_phases
from vampcli.train.loop import Trainer
from vampcli.train.losses import complex_error, magnitude_error


def test_codec_learns_while_codes_stay(prepared: Path, tmp_path: Path) -> None:
    task = CodecTask(codec_run(prepared, n_frames=10))
    trainer = Trainer(task, replace(LOOP, learning_rate=5e-3), tmp_path)
    figures = [trainer.advance()]
    codes = codec_hash(task.codec.state_dict())
    figures += [trainer.advance() for _ in range(LOOP.steps)]
    early, late = (np.mean([f["magnitude"] for f in some]) for some in (figures[:5], figures[-5:]))
    assert late < 0.9 * early
    assert codec_hash(task.codec.state_dict()) == codes
    assert not any(name.startswith(("codec.encoder", "codec.quantizer")) for name in trainer.parameters)


def test_started_codec_keeps_its_codes(prepared: Path, tiny_folder: Path, tmp_path: Path) -> None:
    task = CodecTask(replace(codec_run(prepared), start=str(tiny_folder)))
    Trainer(task, LOOP, tmp_path).advance()
    started = load_parts(tiny_folder, torch.device("cpu"), torch.float32).codec
    assert codec_hash(task.codec.state_dict()) == codec_hash(started.state_dict())


def test_codec_starts_from_no_other_size(prepared: Path, tiny_folder: Path) -> None:
    run = codec_run(prepared)
    other = replace(run, codec=replace(run.codec, codebook_size=16), start=str(tiny_folder))
    with pytest.raises(ModelError, match="another kind or size"):
        CodecTask(other)


def test_validation_measures_reconstructions(prepared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vampcli.train.codec_task._VALIDATION_S", 0.5)
    monkeypatch.setattr("vampcli.train.codec_task._N_VALIDATION_CLIPS", 4)
    task = CodecTask(codec_run(prepared)).eval()
    with torch.no_grad():
        task.codec.quantizer.codebooks.normal_()
        figures = task.validate()
        assert figures == task.validate()
    assert figures.keys() == {
        "mel_error", "spectral_convergence", "si_sdr_db", "level_db", "perplexity_first",
        "perplexity_least",
    }  # fmt: skip
    assert all(np.isfinite(value) for value in figures.values())
    assert 1 <= figures["perplexity_least"] <= figures["perplexity_first"] <= 32


def test_validation_mel_error_ignores_level(prepared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task = CodecTask(codec_run(prepared)).eval()
    encoded = iter(task.validation_clips.float() / 32768)
    monkeypatch.setattr(task.codec, "encode", lambda clip: torch.ones(5, 4, dtype=torch.int64))
    monkeypatch.setattr(task.codec, "decode", lambda codes: 0.25 * next(encoded))
    figures = task.validate()
    assert figures["mel_error"] == pytest.approx(0, abs=0.01)
    assert figures["level_db"] == pytest.approx(-12, abs=0.1)


def test_filled_codebooks_code_most_of_latents() -> None:
    torch.manual_seed(0)
    quantizer = ResidualVectorQuantizer(24, 5, 256, 8)
    latents = torch.einsum(
        "ij,bjf->bif", torch.randn(24, 24), torch.randn(8, 24, 200) * torch.linspace(2, 0.1, 24)[:, None]
    )
    fill_codebooks(quantizer, latents, np.random.default_rng(0))
    with torch.no_grad():
        left = latents - quantizer.decode(quantizer.encode(latents))
    assert left.var() < 0.3 * latents.var()


def test_constant_latents_fill_codebooks() -> None:
    for by_direction in (False, True):
        quantizer = ResidualVectorQuantizer(24, 2, 16, 8, by_direction)
        latents = torch.ones(2, 24, 30)
        fill_codebooks(quantizer, latents, np.random.default_rng(0))
        with torch.no_grad():
            torch.testing.assert_close(quantizer.decode(quantizer.encode(latents)), latents, atol=1e-4, rtol=0)


def test_complex_error_knows_silence_and_noise() -> None:
    x = torch.from_numpy(music(1, 44100, 2)).float()
    noisy = x + 0.001 * torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
    assert complex_error(x, x) == 0
    assert 0 < complex_error(noisy, x) < complex_error(torch.zeros_like(x), x)


def test_magnitude_error_of_level_and_smearing() -> None:
    codec = random_codec()
    target = codec.log_magnitude(torch.from_numpy(music(1, 44100, 2)).float())
    assert magnitude_error(target, target, 44100) == 0
    louder = magnitude_error(target + 0.5, target, 44100)  # 10 dB: 0.5 in both mel scales, 10^0.5 - 1 in the loud bins
    assert float(louder) == pytest.approx(0.5 + 0.5 + 10**0.5 - 1, rel=0.01)
    smeared = torch.nn.functional.avg_pool1d(target, 9, 1, 4)
    assert 0 < magnitude_error(0.5 * (smeared + target), target, 44100) < magnitude_error(smeared, target, 44100)


def test_rotated_phases_keep_magnitudes() -> None:
    clips = torch.from_numpy(music(1, 44100, 3)).float()
    angles = torch.tensor([0.0, math.pi, 1.0])
    result = rotate_phases(clips, angles)
    torch.testing.assert_close(result[0], clips[0], atol=1e-5, rtol=0)
    torch.testing.assert_close(result[1], -clips[1], atol=1e-5, rtol=0)
    assert (result[2] - clips[2]).abs().max() > 0.01
    before, after = (torch.fft.rfft(x)[:, 1:-1].abs() for x in (clips, result))  # not 0 Hz, which has no phase
    torch.testing.assert_close(after, before, atol=1e-2, rtol=1e-4)
