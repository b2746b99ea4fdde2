"""Low-rank adapters: a few small matrices that bend a trained model towards other music.

To the weight W of a projection a pair adds `b @ a / rank`. Pairs sit on query, value, output, widen and narrow of
every layer; whatever else a model holds stays as it is.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vampcli.errors import ModelError
from vampcli.model.transformer import VampNet

RANK = 8
TARGETS = ("query", "value", "output", "widen", "narrow")

Pairs = dict[str, tuple[Tensor, Tensor]]
"""By the projection's name, such as `layers.0.query`: float32 a (rank, n_inputs) and b (n_outputs, rank)."""


class LoRALinear(nn.Module):
    """A frozen projection and its pair, kept apart, so that the large matrix needs no gradient.

    Source: Hu et al., "LoRA" (arXiv 2106.09685), section 4.1, with alpha = 1 like the published models.
    """

    def __init__(self, base: nn.Linear, a: Tensor, b: Tensor) -> None:
        super().__init__()
        self.base, self.a, self.b = base, nn.Parameter(a), nn.Parameter(b)

    def forward(self, x: Tensor) -> Tensor:
        """Float (..., n_inputs) -> (..., n_outputs)."""
        straight: Tensor = self.base(x)
        return straight + F.linear(F.linear(x, self.a), self.b) / len(self.a)


def add(model: VampNet, rank: int, generator: torch.Generator) -> None:
    """Give a model pairs that change nothing yet, and freeze all the rest.

    Args:
        model: changed in place.
        rank: of the pairs.
        generator: draws every `a`, on the CPU; every `b` is zero.
    """
    model.requires_grad_(False)
    for layer, target, projection in list(_places(model)):
        assert isinstance(projection, nn.Linear)
        like = projection.weight
        bound = 1 / math.sqrt(projection.in_features)
        a = torch.empty(rank, projection.in_features).uniform_(-bound, bound, generator=generator)
        b = torch.zeros(projection.out_features, rank, device=like.device)
        setattr(model.layers[layer], target, LoRALinear(projection, a.to(like.device), b))


def remove(model: VampNet) -> Pairs:
    """Take a model's pairs off again; its own weights are what they were, to the bit.

    Returns:
        The pairs, on the CPU.
    """
    pairs = {}
    for layer, target, projection in list(_places(model)):
        if isinstance(projection, LoRALinear):
            a, b = (half.detach().to("cpu", torch.float32, copy=True) for half in (projection.a, projection.b))
            pairs[f"layers.{layer}.{target}"] = a, b
            setattr(model.layers[layer], target, projection.base)
    return pairs


def _places(model: VampNet) -> Iterator[tuple[int, str, nn.Module]]:
    for i, layer in enumerate(model.layers):
        for target in TARGETS:
            yield i, target, getattr(layer, target)


def add_pair(weight: Tensor, pair: tuple[Tensor, Tensor] | None) -> Tensor:
    """Add a pair to a weight, in float32; a missing pair counts as zero.

    Args:
        weight: float (n_outputs, n_inputs).
        pair: a (rank, n_inputs) and b (n_outputs, rank).
    """
    if pair is None:
        return weight
    a, b = pair
    return weight.float() + b.float() @ a.float() / len(a)


def check(pairs: Pairs, shapes: Mapping[str, torch.Size], where: object) -> None:
    """Make sure that pairs fit a model.

    Args:
        pairs: of one transformer.
        shapes: of the transformer's tensors, by name.
        where: what to call the adapter.

    Raises:
        ModelError: a pair is of no projection that takes one, or of another size.
    """
    for name, (a, b) in pairs.items():
        shape = tuple(shapes.get(f"{name}.weight", ()))
        if name.rpartition(".")[2] not in TARGETS or (len(b), a.shape[-1]) != shape or b.shape[-1] != len(a):
            raise ModelError(
                f"the adapter {where} is for another model: its {name} is {len(b)} x {a.shape[-1]}, not {shape}",
                "use it with the model it was learned on",
            )
