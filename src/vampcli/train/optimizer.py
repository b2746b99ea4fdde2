"""The optimizer of a run: AdamW for everything, or Muon for the matrices inside layers and AdamW for the rest."""

from __future__ import annotations

from collections.abc import Mapping

from torch import nn, optim

from vampcli.errors import UsageError
from vampcli.train.config import LoopConfig

_OUTER = ("embed", "classifier", "position_bias", "mask_rows")


def optimizers_of(parameters: Mapping[str, nn.Parameter], config: LoopConfig) -> list[optim.Optimizer]:
    """Return the optimizers of a run; each parameter belongs to one of them.

    Muon replaces the update of a matrix by the nearest orthogonal one. Its rate is scaled so that the updates have the
    root mean square of AdamW's, so both take the same learning rate.

    Args:
        parameters: by name; AdamW takes vectors and the first and last layer.
        config: selects the optimizer.

    Raises:
        UsageError: the installed PyTorch has no Muon.

    Source: Jordan et al., "Muon", 2024; scaling of Liu et al., "Muon is Scalable for LLM Training" (arXiv 2502.16982).
    """
    if config.optimizer == "muon" and not hasattr(optim, "Muon"):
        raise UsageError("this PyTorch has no Muon", "install 2.9 or later, or choose adamw")
    inner = [p for n, p in parameters.items() if p.ndim == 2 and not set(_OUTER) & set(n.split("."))]
    inner = inner if config.optimizer == "muon" else []
    matrices = {id(p) for p in inner}
    outer = [p for p in parameters.values() if id(p) not in matrices]
    decay = config.weight_decay
    found: list[optim.Optimizer] = [optim.AdamW(outer, lr=0.0, betas=(0.9, 0.999), weight_decay=decay, fused=True)]
    if inner:
        found.append(optim.Muon(inner, lr=0.0, weight_decay=decay, adjust_lr_fn="match_rms_adamw"))
    return found
