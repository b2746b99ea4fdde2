"""On a GPU: `pytest -m cuda`."""

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

CONFIG = SamplingConfig(steps=8, fine_steps=2)


def generate(model: Model, seed: int = 3, n_takes: int = 1) -> list[Take]:
    """Regenerate two seconds of twelve, which is more than one window."""
    return model.inpaint(clip(12.0), [(4, 6)], seed=seed, takes=n_takes, sampling=CONFIG)


def agreement(one: Take, two: Take) -> float:
    """Share of generated tokens that are equal."""
    return float((one.tokens == two.tokens)[0, one.mask].float().mean())


@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
def test_exact_takes_depend_on_seed_alone(dtype: str) -> None:
    model = load("mini", "cuda", dtype, exact=True)
    assert model.made_by.exact
    for i, take in enumerate(generate(model, n_takes=4)):
        (alone,) = generate(model, seed=3 + i)
        assert torch.equal(alone.tokens, take.tokens)


@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
def test_same_request_gives_same_takes(dtype: str) -> None:
    model = load("mini", "cuda", dtype)
    assert not model.made_by.exact
    assert all(
        torch.equal(a.tokens, b.tokens)
        for a, b in zip(generate(model, n_takes=4), generate(model, n_takes=4), strict=True)
    )


def test_gpu_agrees_with_cpu() -> None:
    (here,), (there,) = generate(load("mini", "cpu", "fp32")), generate(load("mini", "cuda", "fp32", exact=True))
    assert agreement(here, there) > 0.8


def test_batches_and_compilation_change_little() -> None:
    takes = [
        generate(load("mini", "cuda", "fp32", **how), n_takes=4)  # type: ignore[arg-type]
        for how in ({"exact": True}, {}, {"compile": True})
    ]
    for one, two in pairwise(takes):
        assert min(agreement(a, b) for a, b in zip(one, two, strict=True)) > 0.8
