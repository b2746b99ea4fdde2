"""Comparison of codecs trained for the same processor time, one thread each.

python experiments/codec_comparison.py --train data/train --validation data/val --minutes 6 -o runs/trials [TRIAL ...]

Every trial has the same quantiser (9 codebooks at 57.4 frames a second), data, batches and schedule. Each
writes one JSON line and a picture of original and reconstruction. `docs/explanation/experiments.md` has the results.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import matplotlib as mpl
import numpy as np
import torch
import torch.nn.functional as F
from codec_trials import HOP, RATE, TRIALS, Fitted
from torch import Tensor, nn

from vampcli.codec.rvq import ResidualVectorQuantizer
from vampcli.evaluate.metrics import mel_error, perplexity, si_sdr, spectral_convergence, stft
from vampcli.train.codec_init import fill_codebooks, fit
from vampcli.train.data import Pool

mpl.use("agg")
BATCH, N_FRAMES, LEARNING_RATE = 8, 23, 4e-4


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
                fill_codebooks(trial.quantizer, torch.cat([trial.analyze(excerpts(rng)) for _ in range(48)]), rng)
            filled, usage = True, torch.zeros(9, 1024, dtype=torch.int64)
        clips = excerpts(rng)
        latents = trial.analyze(clips)
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
    codes = torch.cat([trial.quantizer.encode(trial.analyze(clip[None])) for clip in padded])
    made = torch.cat([trial.synthesize(trial.quantizer.decode(code[None]), code[None]) for code in codes])
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
