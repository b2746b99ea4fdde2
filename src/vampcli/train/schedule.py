"""Learning rate schedules, and the precision of matrix products."""

from __future__ import annotations

import math

import torch

from vampcli.errors import UsageError
from vampcli.model.devices import pick_dtype
from vampcli.train.config import LoopConfig


def learning_rate(config: LoopConfig, step: int) -> float:
    """The rate of a step (from 0): a linear warm-up to `learning_rate`, then what `schedule` says.

    `linear` and `cosine` stay there until `decay_from` and reach zero at `n_steps` (a `linear` one with
    `decay_from` = 0 never falls, a `cosine` one then falls from the warm-up on); `noam` falls with the
    square root of the step.

    Source: Vaswani et al., "Attention Is All You Need" (arXiv 1706.03762), section 5.3; `noam_peak`
    gives the `learning_rate` of VampNet's own factor.
    """
    warmup = max(1, config.warmup_steps)
    rate = config.learning_rate * min(1.0, (step + 1) / warmup)
    start = config.decay_from or (warmup if config.schedule == "cosine" else 0)
    if config.schedule == "noam":
        return rate * min(1.0, math.sqrt(warmup / (step + 1)))
    if config.schedule == "constant" or not start or step < start:
        return rate
    left = max(0.0, (config.n_steps - step) / max(1, config.n_steps - start))
    return rate * (left if config.schedule == "linear" else 0.5 - 0.5 * math.cos(math.pi * left))


def noam_peak(width: int, warmup_steps: int, factor: float = 2.0) -> float:
    """The highest rate of the Noam schedule, at the end of its warm-up; the paper's factor is 2."""
    return factor / math.sqrt(width * warmup_steps)


def autocast_dtype(name: str, device: torch.device) -> torch.dtype | None:
    """The precision to multiply in, None for float32; auto is bfloat16 where the hardware has it.

    Raises:
        UsageError: the name is none of auto, fp32 and bf16.
    """
    if name not in ("auto", "fp32", "bf16"):
        raise UsageError(f"dtype is {name!r}", "a run takes auto, fp32 or bf16")
    dtype = pick_dtype(name, device)
    return None if dtype == torch.float32 else dtype
