"""First weights of a transformer that know what codes and frames are, so that it need not learn that."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from vampcli.model import VampNet, position_buckets

_LOGIT_SCALE = 0.3
_STEEPEST = 1.0  # in the first head, per frame; half of it in the next, and so on
_FURTHEST = 256  # frames; all buckets begin nearer


def informed(model: VampNet, counts: Tensor, seed: int) -> None:
    """Set the classifier by the codebooks and how often their codes occur, and attention by distance.

    A class's weights are its codebook row, seen through one random projection a codebook: classes whose
    sounds are alike get alike logits, so what a step teaches of one it teaches of its neighbours. The bias
    is the logarithm of how often a class occurs. Some heads look near, some far, as in ALiBi.

    Args:
        model: changed in place; its codebooks are those of the codec.
        counts: float32 (n_predicted, codebook_size), above 0: how often each code occurs.
        seed: of the projections.

    Source of the slopes: Press et al., "Train Short, Test Long" (arXiv 2108.12409).
    """
    config, generator = model.config, torch.Generator().manual_seed(seed)
    rows = model.codebooks[config.n_conditioning :]
    shape = (config.n_predicted, config.codebook_dim, config.width)
    projections = F.normalize(torch.randn(shape, generator=generator), dim=-1)
    centred = rows - rows.mean(1, keepdim=True)
    scale = _LOGIT_SCALE / centred.square().mean((1, 2), keepdim=True).sqrt().clamp(min=1e-6)
    with torch.no_grad():
        model.classifier.weight.copy_(((centred * scale) @ projections).flatten(0, 1))
        model.classifier.bias.copy_((counts / counts.sum(1, keepdim=True)).log().flatten())
        slopes = _STEEPEST * 0.5 ** torch.arange(config.n_heads)
        model.position_bias.copy_(-slopes * _nearest(len(model.position_bias))[:, None])


def _nearest(n_buckets: int) -> Tensor:
    """The least distance in each bucket of `position_buckets`, in frames: float32 (n_buckets,); 0 where none falls."""
    distance = torch.arange(-_FURTHEST, _FURTHEST + 1)
    zeros = torch.zeros(n_buckets)
    return zeros.scatter_reduce(0, position_buckets(distance), distance.abs().float(), "amin", include_self=False)
