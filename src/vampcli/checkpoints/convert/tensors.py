"""Our tensors from foreign ones, each made when it is asked for, so that one at a time is in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from torch import Tensor, nn

from vampcli.checkpoints.convert.read import Content, blaming
from vampcli.errors import ModelError
from vampcli.model import lora

Make = Callable[[], Tensor]


class TensorSource:
    """The tensors of a file, each to be taken once."""

    def __init__(self, content: Content) -> None:
        self._path, self._state, self._left = content.path, content.state, set(content.state)

    def take(self, name: str) -> Make:
        """Take a tensor, weight norm folded: g v / |v|, the norm over all but the first axis.

        Raises:
            ModelError: there is none.
        """
        halves = name + "_g", name + "_v"
        if self._taken(name):
            return lambda: self._state[name].float()
        if self._taken(*halves):
            return lambda: _folded(*(self._state[half].float() for half in halves))
        raise ModelError(f"{self._path} has no tensor {name}", "get it from its source")

    def take_merged(self, name: str) -> Make:
        """Take a weight with its LoRA pair added; a missing half counts as zero.

        Raises:
            ModelError: there is no weight.
        """
        weight, stem = self.take(name), name.removesuffix(".weight")
        a, b = stem + ".lora_A", stem + ".lora_B"
        if self._taken(a, b):
            return lambda: lora.add_pair(weight(), (self._state[a], self._state[b]))
        self._left -= {a, b}
        return weight

    def _taken(self, *names: str) -> bool:
        """Take all of them, or none."""
        there = self._left.issuperset(names)
        if there:
            self._left -= set(names)
        return there

    def must_be_empty(self) -> None:
        """Make sure that all was taken.

        Raises:
            ModelError: the file holds a tensor that our model has no place for.
        """
        if self._left:
            name, more = sorted(self._left)[0], len(self._left) - 1
            others = f" (and {more} more)" if more else ""
            raise ModelError(f"{self._path} has an unknown tensor {name}{others}", "is it a model of another kind?")


def _folded(gain: Tensor, direction: Tensor) -> Tensor:
    norm = direction.flatten(1).square().sum(1).sqrt().view(-1, *[1] * (direction.dim() - 1))
    return (gain * direction).div_(norm)  # in its place: it may be large


class Making(Mapping[str, Tensor]):
    """The tensors of one of our modules, in float32; each access makes one anew.

    Args:
        path: the file to blame.
        module: states names and shapes; needs no weights.
        makers: by our name.
    """

    def __init__(self, path: Path, module: nn.Module, makers: Mapping[str, Make]) -> None:
        self._path, self._makers = path, makers
        self._shapes = {name: tensor.shape for name, tensor in module.state_dict().items()}

    def __getitem__(self, name: str) -> Tensor:
        with blaming(self._path):
            tensor = self._makers[name]()
        if tensor.shape != self._shapes[name]:
            found, wanted = tuple(tensor.shape), tuple(self._shapes[name])
            raise ModelError(f"{self._path}: {name} has shape {found}, not {wanted}", "get it from its source")
        return tensor

    def __iter__(self) -> Iterator[str]:
        return iter(self._shapes)

    def __len__(self) -> int:
        return len(self._shapes)
