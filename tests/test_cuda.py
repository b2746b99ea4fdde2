"""On a GPU: `pytest -m cuda`."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from clips import clip
from vampcli.api import Model, load
from vampcli.config import SamplingConfig
from vampcli.tasks.take import Take

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here"),
]

CONFIG = SamplingConfig(n_steps=8, n_fine_steps=2)


def made(model: Model, seed: int = 3, n_takes: int = 1) -> list[Take]:
    """Two seconds of twelve, which is more than one window."""
    return model.inpaint(clip(12.0), [(4, 6)], seed=seed, n_takes=n_takes, config=CONFIG)


def agreement(one: Take, two: Take) -> float:
    """The share of made tokens that are the same."""
    return float((one.tokens == two.tokens)[0, one.mask].float().mean())


@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
def test_exact_takes_depend_on_their_seed_alone(dtype: str) -> None:
    model = load("mini", "cuda", dtype, exact=True)
    assert model.made_by.exact
    for i, take in enumerate(made(model, n_takes=4)):
        (alone,) = made(model, seed=3 + i)
        assert torch.equal(alone.tokens, take.tokens)


@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
def test_the_same_request_is_made_the_same_again(dtype: str) -> None:
    model = load("mini", "cuda", dtype)
    assert not model.made_by.exact
    assert all(
        torch.equal(a.tokens, b.tokens) for a, b in zip(made(model, n_takes=4), made(model, n_takes=4), strict=True)
    )


def test_a_gpu_makes_nearly_what_a_cpu_makes() -> None:
    (here,), (there,) = made(load("mini", "cpu", "fp32")), made(load("mini", "cuda", "fp32", exact=True))
    assert agreement(here, there) > 0.8


def test_batches_and_compiled_kernels_change_few_tokens() -> None:
    takes = [
        made(load("mini", "cuda", "fp32", **how), n_takes=4)  # type: ignore[arg-type]
        for how in ({"exact": True}, {}, {"compiled": True})
    ]
    for one, two in pairwise(takes):
        assert min(agreement(a, b) for a, b in zip(one, two, strict=True)) > 0.8
