"""First weights of a transformer that already guesses a hidden code to be like those around it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vampcli.model.transformer import Layer, VampNet, position_buckets

_LOGIT_SCALE = 0.3
_SHARPNESS = 0.25  # how much a class's distance from the mean counts against it
_LATER = 0.3  # what later layers add, as a share of torch's usual
_STEEPEST = 1.0  # in the first head, per frame; half of it in the next, and so on
_FURTHEST = 256  # frames; all buckets begin nearer


def init_from_counts(model: VampNet, counts: Tensor, seed: int) -> None:
    """Set first weights that copy: a hidden code is guessed from the codes around, by likeness and by habit.

    Codebook rows, centred and scaled, have axes of their own in the model's width, and the row of a hidden token
    lies at their centre. The first layer passes on what it attends to, some heads looking near and some far, as in
    ALiBi. A class's weights are its row on the same axes, and its bias is the logarithm of how often it occurs, less
    what a row far from the centre gains by its length: the logits of a Gaussian around each row.

    Args:
        model: changed in place; its codebooks are those of the codec, its rows of hidden tokens the codebooks' means.
        counts: float32 (n_predicted, codebook_size), above 0: how often each code occurs.
        seed: of the axes.

    Source of the slopes: Press et al., "Train Short, Test Long" (arXiv 2108.12409).
    """
    config = model.config
    centre = model.codebooks.mean(1, keepdim=True)
    size = (model.codebooks - centre).square().mean((1, 2), keepdim=True).sqrt().clamp(min=1e-6)
    rows = (model.codebooks - centre) / size
    axes = _axes(config.n_codebooks * config.codebook_dim, config.width, seed).view(
        config.n_codebooks, -1, config.width
    )
    first, *later = (layer for layer in model.layers if isinstance(layer, Layer))
    with torch.no_grad():
        model.embed.weight.copy_((axes / size).flatten(0, 1).T)
        model.embed.bias.copy_(-(centre / size @ axes).sum((0, 1)))
        for matrix in (first.value, first.output):
            nn.init.eye_(matrix.weight)
        for matrix in (first.narrow, *(matrix for layer in later for matrix in (layer.output, layer.narrow))):
            matrix.weight.mul_(_LATER)
        predicted = slice(config.n_conditioning, None)
        model.classifier.weight.copy_((_LOGIT_SCALE * rows @ axes)[predicted].flatten(0, 1))
        habit = (counts / counts.sum(1, keepdim=True)).log()
        model.classifier.bias.copy_((habit - _SHARPNESS * rows.square().sum(-1)[predicted]).flatten())
        slopes = _STEEPEST * 0.5 ** torch.arange(config.n_heads)
        model.position_bias.copy_(-slopes * _nearest(len(model.position_bias))[:, None])


def _axes(n: int, width: int, seed: int) -> Tensor:
    """Directions at right angles to each other, where the width has room for as many: float32 (n, width)."""
    generator = torch.Generator().manual_seed(seed)
    return nn.init.orthogonal_(torch.empty(n, width), generator=generator)


def _nearest(n_buckets: int) -> Tensor:
    """The least distance in each bucket of `position_buckets`, in frames: float32 (n_buckets,); 0 where none falls."""
    distance = torch.arange(-_FURTHEST, _FURTHEST + 1)
    zeros = torch.zeros(n_buckets)
    return zeros.scatter_reduce(0, position_buckets(distance), distance.abs().float(), "amin", include_self=False)
