"""Helpers of the tests of training: short runs, and the smallest task."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from conftest import TINY_CODEC
from vampcli.model.config import VampNetConfig
from vampcli.train.config import CodecLossConfig, CodecRun, DataConfig, LoopConfig, TokenRun
from vampcli.train.loop import Task

LOOP = LoopConfig(steps=40, batch_size=4, learning_rate=3e-3, warmup_steps=5, ema_decay=0.9, log_every=5)


def codec_run(prepared: Path, **loss: object) -> CodecRun:
    data = DataConfig(str(prepared), str(prepared))
    return CodecRun(data, TINY_CODEC, CodecLossConfig(**loss), replace(LOOP, learning_rate=2e-3, steps=60))  # type: ignore[arg-type]


def token_run(packed: Path, tiny_folder: Path, n_conditioning: int = 0) -> TokenRun:
    sizes = VampNetConfig(5 if n_conditioning else 2, n_conditioning, 1, 16, 2, 40, 32, dropout=0.1)
    return TokenRun(DataConfig(str(packed), str(packed), codec=str(tiny_folder)), sizes, 30, LOOP)


class Line(Task):
    """The smallest task: fit one number to noise, with a buffer that counts."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(3))
        self.dropout = torch.nn.Dropout(0.5)
        self.register_buffer("n_seen", torch.zeros((), dtype=torch.int64))
        self.poison = -1

    def loss(self, step: int, rng: np.random.Generator) -> tuple[torch.Tensor, dict[str, float]]:
        self.n_seen += 1
        target = torch.from_numpy(rng.normal(1, 0.1, 3)).float()
        loss = ((self.dropout(self.weight + 1) - target) ** 2).sum()
        return (loss * math.nan if step == self.poison else loss), {}

    def validate(self) -> dict[str, float]:
        return {"weight": float(self.weight.sum())}
