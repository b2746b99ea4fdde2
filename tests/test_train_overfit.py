"""Each stage overfits one fixed batch."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from training import LOOP, codec_run, token_run
from vampcli.train.codec_task import CodecTask
from vampcli.train.loop import Trainer
from vampcli.train.masking import draw_masks
from vampcli.train.token_task import TokenTask

STEADY = replace(LOOP, learning_rate=1e-2, batch_size=2, weight_decay=0.0)


@pytest.mark.parametrize("n_conditioning", [0, 2])
def test_transformer_overfits_a_batch(
    packed: Path, tiny_folder: Path, tmp_path: Path, n_conditioning: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = token_run(packed, tiny_folder, n_conditioning)
    run = replace(run, model=replace(run.model, width=32, dropout=0.0), loop=STEADY, label_smoothing=0.0)
    task = TokenTask(run)
    clips = task.pool.draw(np.random.default_rng(0), 2, 30)
    hidden = draw_masks((2, run.model.n_codebooks, 30), n_conditioning, np.full(2, 0.5), np.random.default_rng(0))
    monkeypatch.setattr(task.pool, "draw", lambda *_: clips)
    monkeypatch.setattr("vampcli.train.token_task.draw_masks", lambda *_: hidden)
    trainer = Trainer(task, run.loop, tmp_path)
    figures = [trainer.advance() for _ in range(80)]
    assert figures[0]["loss"] > 0.5 * math.log(32)
    assert figures[-1]["loss"] < 0.1  # the floor is 0
    assert figures[-1]["top_1"] > 0.98


def test_codec_overfits_a_batch(prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = codec_run(prepared, n_frames=10)
    run = replace(run, loop=STEADY)
    task = CodecTask(run)
    trainer = Trainer(task, run.loop, tmp_path)
    first = trainer.advance()["magnitude"]  # fits the codes, on all pieces
    excerpts = task._excerpts(np.random.default_rng(0))
    monkeypatch.setattr(task, "_excerpts", lambda _: excerpts)
    monkeypatch.setattr(task, "_n_active", lambda _, n: torch.full((n,), run.codec.n_codebooks))
    figures = [trainer.advance()["magnitude"] for _ in range(60)]
    assert figures[-1] < 0.35 * first
