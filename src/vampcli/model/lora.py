"""Low-rank adapters (LoRA): small trainable matrices beside the frozen weights of a transformer.

A pair (a, b) adds `b @ a / rank` to the weight of a projection: query, value, output, widen or narrow of a layer.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vampcli.errors import ModelError
from vampcli.model.transformer import VampNet

RANK = 8
TARGETS = ("query", "value", "output", "widen", "narrow")

Pairs = dict[str, tuple[Tensor, Tensor]]
"""Projection, such as `layers.0.query` -> float32 a (rank, n_inputs) and b (n_outputs, rank)."""


class LoRALinear(nn.Module):
    """A frozen projection plus a trainable pair; the large matrix needs no gradient.

    Source: Hu et al., "LoRA" (arXiv 2106.09685), section 4.1, with alpha = 1 like the published models.
    """

    def __init__(self, base: nn.Linear, a: Tensor, b: Tensor) -> None:
        super().__init__()
        self.base, self.a, self.b = base, nn.Parameter(a), nn.Parameter(b)

    def forward(self, x: Tensor) -> Tensor:
        """Float (..., n_inputs) -> (..., n_outputs)."""
        straight: Tensor = self.base(x)
        return straight + F.linear(F.linear(x, self.a), self.b) / len(self.a)


def add_pairs(model: VampNet, rank: int, generator: torch.Generator) -> None:
    """Add trainable pairs to a model and freeze its weights; the outputs stay the same until the first step.

    Args:
        model: changed in place.
        rank: of the pairs.
        generator: on the CPU; draws every `a`. Every `b` is zero.
    """
    model.requires_grad_(False)
    for layer, target, projection in _projections(model):
        assert isinstance(projection, nn.Linear)
        like = projection.weight
        bound = 1 / math.sqrt(projection.in_features)
        a = torch.empty(rank, projection.in_features).uniform_(-bound, bound, generator=generator)
        b = torch.zeros(projection.out_features, rank, device=like.device)
        setattr(model.layers[layer], target, LoRALinear(projection, a.to(like.device), b))


def remove_pairs(model: VampNet) -> Pairs:
    """Remove the pairs from a model, whose weights are bit-identical to those before `add_pairs`.

    Returns:
        The pairs, on the CPU.
    """
    pairs = {}
    for layer, target, projection in _projections(model):
        if isinstance(projection, LoRALinear):
            a, b = (half.detach().to("cpu", torch.float32, copy=True) for half in (projection.a, projection.b))
            pairs[f"layers.{layer}.{target}"] = a, b
            setattr(model.layers[layer], target, projection.base)
    return pairs


def _projections(model: VampNet) -> list[tuple[int, str, nn.Module]]:
    return [(i, target, getattr(layer, target)) for i, layer in enumerate(model.layers) for target in TARGETS]


def add_pair(weight: Tensor, pair: tuple[Tensor, Tensor] | None) -> Tensor:
    """Merge a pair into a weight, in float32; None leaves the weight as it is.

    Args:
        weight: float (n_outputs, n_inputs).
        pair: a (rank, n_inputs) and b (n_outputs, rank).
    """
    if pair is None:
        return weight
    a, b = pair
    return weight.float() + b.float() @ a.float() / len(a)


def check_pairs(pairs: Pairs, shapes: Mapping[str, torch.Size], adapter: object) -> None:
    """Check that the pairs of an adapter fit a transformer.

    Args:
        pairs: of one transformer.
        shapes: of the transformer's tensors, by name.
        adapter: its name in messages.

    Raises:
        ModelError: a pair has another size than its projection, or belongs to none of `TARGETS`.
    """
    for name, (a, b) in pairs.items():
        shape = tuple(shapes.get(f"{name}.weight", ()))
        if name.rpartition(".")[2] not in TARGETS or (len(b), a.shape[-1]) != shape or b.shape[-1] != len(a):
            raise ModelError(
                f"the adapter {adapter} is for another model: its {name} is {len(b)} x {a.shape[-1]}, not {shape}",
                "use it with the model that it was trained on",
            )
