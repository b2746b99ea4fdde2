"""The published codec as the official program runs it: weight norm at every call, the whole clip at once."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.plain_transformer import State, apply_norm
from vampcli.codec.config import LacConfig
from vampcli.tokens.grid import TokenGrid


class PlainCodec(Protocol):
    """Mono audio <-> tokens."""

    @property
    def grid(self) -> TokenGrid:
        """Token grid."""

    def encode(self, samples: Tensor) -> Tensor:
        """Float32 (n_samples,) at the grid's rate -> int64 (n_codebooks, n_frames)."""

    def decode(self, codes: Tensor) -> Tensor:
        """int64 (n_codebooks, n_frames) -> float32 (n_frames * hop_length,)."""


@dataclass(frozen=True)
class PlainLac:
    """The codec of the published models.

    Attributes:
        state: its tensors, float32.
        config: its sizes.
    """

    state: State
    config: LacConfig

    @property
    def grid(self) -> TokenGrid:
        """Token grid."""
        return self.config.grid

    def encode(self, samples: Tensor) -> Tensor:
        """Float32 (n_samples,) -> int64 (n_codebooks, n_frames)."""
        x = F.pad(samples, (0, -len(samples) % self.config.hop_length))[None, None]
        x = self._conv("encoder.block.0", x)
        for i, rate in enumerate(self.config.encoder_rates, 1):
            name = f"encoder.block.{i}.block"
            for unit, dilation in enumerate((1, 3, 9)):
                x = self._residual(f"{name}.{unit}.block", x, dilation)
            x = self._conv(f"{name}.4", self._snake(f"{name}.3", x), stride=rate, padding=math.ceil(rate / 2))
        last = len(self.config.encoder_rates) + 1
        x = self._conv(f"encoder.block.{last + 1}", self._snake(f"encoder.block.{last}", x))
        return self._quantised(x)

    def decode(self, codes: Tensor) -> Tensor:
        """int64 (n_codebooks, n_frames) -> float32 (n_frames * hop_length,)."""
        x = self._conv("decoder.model.0", torch.stack([self._row(i, own) for i, own in enumerate(codes)]).sum(0))
        for i, rate in enumerate(self.config.decoder_rates, 1):
            name = f"decoder.model.{i}.block"
            x, up = self._snake(f"{name}.0", x), f"{name}.1"
            weight = apply_norm(self.state, up)
            x = F.conv_transpose1d(x, weight, self.state[f"{up}.bias"], stride=rate, padding=rate // 2)
            x = torch.stack([self._stack(f"{name}.2.mrf_blocks.{stack}.block", x) for stack in range(3)]).mean(0)
        last = len(self.config.decoder_rates) + 1
        return self._conv(f"decoder.model.{last + 1}", self._snake(f"decoder.model.{last}", x)).tanh()[0, 0]

    def _quantised(self, residual: Tensor) -> Tensor:
        codes = []
        for i in range(self.config.n_codebooks):
            name = f"quantizer.quantizers.{i}"
            projected = F.normalize(self._conv(f"{name}.in_proj", residual)[0].T)
            rows = F.normalize(self.state[f"{name}.codebook.weight"])
            distance = projected.square().sum(1, keepdim=True) - 2 * projected @ rows.T + rows.square().sum(1)
            codes.append((-distance).argmax(1))
            residual = residual - self._row(i, codes[-1])
        return torch.stack(codes)

    def _row(self, i: int, codes: Tensor) -> Tensor:
        """Look codes up in a codebook: int64 (n_frames,) -> (1, latent_dim, n_frames)."""
        name = f"quantizer.quantizers.{i}"
        return self._conv(f"{name}.out_proj", F.embedding(codes, self.state[f"{name}.codebook.weight"]).T[None])

    def _stack(self, name: str, x: Tensor) -> Tensor:
        for unit, dilation in enumerate((1, 3, 5)):
            x = self._residual(f"{name}.{unit}.layer", x, dilation)
        return x

    def _residual(self, name: str, x: Tensor, dilation: int) -> Tensor:
        y = self._conv(f"{name}.1", self._snake(f"{name}.0", x), dilation=dilation)
        return x + self._conv(f"{name}.3", self._snake(f"{name}.2", y))

    def _snake(self, name: str, x: Tensor) -> Tensor:
        alpha = self.state[f"{name}.alpha"]
        return x + (alpha + 1e-9).reciprocal() * torch.sin(alpha * x).square()

    def _conv(self, name: str, x: Tensor, stride: int = 1, dilation: int = 1, padding: int | None = None) -> Tensor:
        weight = apply_norm(self.state, name)
        same = dilation * (weight.shape[-1] - 1) // 2
        return F.conv1d(x, weight, self.state[f"{name}.bias"], stride, same if padding is None else padding, dilation)
