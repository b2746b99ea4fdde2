"""First weights of a transformer that know what codes and frames are, so that it need not learn that."""

from __future__ import annotations

import torch
from torch import Tensor

from vampcli.model import VampNet, position_buckets

_LOGIT_SCALE = 0.3
_STEEPEST = 1.0


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
    projections = torch.nn.functional.normalize(torch.randn(shape, generator=generator), dim=-1)
    centred = rows - rows.mean(1, keepdim=True)
    scale = _LOGIT_SCALE / centred.square().mean((1, 2), keepdim=True).sqrt().clamp(min=1e-6)
    n_buckets = model.position_bias.shape[0]
    distance = torch.arange(-256, 257)
    buckets = position_buckets(distance)
    nearest = torch.stack([distance[buckets == i].abs().min() for i in range(n_buckets) if (buckets == i).any()])
    slopes = _STEEPEST * 0.5 ** torch.arange(config.n_heads)
    with torch.no_grad():
        model.classifier.weight.copy_(((centred * scale) @ projections).flatten(0, 1))
        model.classifier.bias.copy_((counts / counts.sum(1, keepdim=True)).log().flatten())
        for i, d in zip((i for i in range(n_buckets) if (buckets == i).any()), nearest, strict=True):
            model.position_bias[i] = -slopes * d
