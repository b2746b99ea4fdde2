"""Lower bounds of times: measured rates of products and copies of this machine, and the work of a call."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.measuring import time_call

_SIDE = {"cpu": 2048, "cuda": 8192}
_COPIED = {"cpu": 2**26, "cuda": 2**30}
_N_RUNS = 5


@dataclass(frozen=True)
class Rates:
    """Highest rates of the machine.

    Attributes:
        flops: multiplications and additions in a product of large square matrices.
        bytes: read and written by a copy of a large tensor.
    """

    flops: float
    bytes: float


@dataclass(frozen=True)
class Need:
    """Smallest amount of work of a call.

    Attributes:
        flops: multiplications and additions in matrix products and convolutions.
        bytes: read once or written once: weights, what comes in, what goes out.
    """

    flops: float
    bytes: float

    def limit_s(self, rates: Rates) -> float:
        """The least time in which the machine could do it."""
        return max(self.flops / rates.flops, self.bytes / rates.bytes)


def finisher(device: str) -> Callable[[], None]:
    """Waits for what was started on a device."""
    return torch.cuda.synchronize if device == "cuda" else lambda: None


def measure_rates(device: str, dtype: torch.dtype) -> Rates:
    """Measure on as many threads as torch uses now; the best of some runs counts."""
    side, n_copied, finish = _SIDE[device], _COPIED[device], finisher(device)
    a, b = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    source = torch.zeros(n_copied, dtype=torch.uint8, device=device)
    target = torch.ones_like(source)
    product, copy = (
        min(time_call(do, finish) for _ in range(_N_RUNS)) for do in (lambda: a @ b, lambda: target.copy_(source))
    )
    return Rates(2 * side**3 / product, 2 * n_copied / copy)


def count_flops(do: Callable[[], object]) -> float:
    """Multiplications and additions in the matrix products, attention and convolutions of a call.

    Of attention torch counts only the plain implementation, so that is used.
    """
    with torch.inference_mode(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        do()
    return float(counter.get_total_flops())
