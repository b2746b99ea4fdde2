"""What a transformer knows before its first step."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from vampcli.model import VampNet, VampNetConfig
from vampcli.train.initial import informed

CONFIG = VampNetConfig(5, 2, 1, 64, 4, 40, codebook_size=32, dropout=0.0)


@pytest.fixture
def counts() -> torch.Tensor:
    return torch.rand(3, 32, generator=torch.Generator().manual_seed(1)) * 100 + 1


@pytest.fixture
def model(counts: torch.Tensor) -> VampNet:
    torch.manual_seed(0)
    model = VampNet(CONFIG)
    model.codebooks.normal_()
    informed(model, counts, seed=0)
    return model.eval()


def test_alike_codes_get_alike_logits(model: VampNet) -> None:
    features = torch.randn(400, 64)
    weights = model.classifier.weight.view(3, 32, 64)
    for level in range(3):
        logits = features @ weights[level].detach().T
        apart = torch.pdist((logits - logits.mean(0)).T)
        assert torch.corrcoef(torch.stack([apart, torch.pdist(model.codebooks[2 + level])]))[0, 1] > 0.9


def test_the_first_guess_is_about_how_often_codes_occur(model: VampNet, counts: torch.Tensor) -> None:
    hidden = torch.full((1, 5, 40), 32)
    hidden[:, :2] = torch.randint(32, (1, 2, 40))
    logits = model(hidden)[0].mean(1)
    often = (counts / counts.sum(1, keepdim=True)).log()
    assert F.kl_div(logits.log_softmax(-1), often, log_target=True, reduction="batchmean") < 0.1 * math.log(32)


def test_heads_look_near_and_far(model: VampNet) -> None:
    bias = model.attention_bias(40).detach()
    assert torch.equal(bias, bias.transpose(1, 2))
    assert (bias.diagonal(dim1=1, dim2=2) == 0).all()
    first, last = bias[0, 0], bias[-1, 0]
    assert (first.diff() <= 0).all()
    assert first[5] == -5
    assert last[5] == first[5] / 8


def test_the_seed_alone_decides(counts: torch.Tensor) -> None:
    models = [VampNet(CONFIG) for _ in range(3)]
    for model, seed in zip(models, (0, 0, 1), strict=True):
        model.codebooks.copy_(torch.randn(5, 32, 8, generator=torch.Generator().manual_seed(2)))
        informed(model, counts, seed)
    weights = [model.classifier.weight for model in models]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
