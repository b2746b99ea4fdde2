"""The learning rate, and the precision of matrix products."""

from __future__ import annotations

import torch

from vampcli.errors import UsageError
from vampcli.model.devices import pick_dtype
from vampcli.train.config import LoopConfig


def learning_rate(config: LoopConfig, step: int) -> float:
    """Return the rate of a step (from 0): a linear warm-up, then the peak, and a linear fall from `decay_from` on."""
    rate = config.learning_rate * min(1.0, (step + 1) / max(1, config.warmup_steps))
    if config.schedule == "constant" or not config.decay_from or step < config.decay_from:
        return rate
    return rate * max(0.0, (config.steps - step) / max(1, config.steps - config.decay_from))


def autocast_dtype(name: str, device: torch.device) -> torch.dtype | None:
    """Return the precision to multiply in, None for float32; auto is bfloat16 where the hardware has it.

    Raises:
        UsageError: the name is none of auto, fp32 and bf16.
    """
    if name not in ("auto", "fp32", "bf16"):
        raise UsageError(f"dtype is {name!r}", "a run takes auto, fp32 or bf16")
    dtype = pick_dtype(name, device)
    return None if dtype == torch.float32 else dtype
