"""Initial weights of a transformer."""

import pytest
import torch

from vampcli.model.config import VampNetConfig
from vampcli.model.transformer import VampNet
from vampcli.train.token_init import init_from_counts

CONFIG = VampNetConfig(5, 2, 1, 64, 4, 40, codebook_size=32, dropout=0.0)


@pytest.fixture
def counts() -> torch.Tensor:
    return torch.rand(3, 32, generator=torch.Generator().manual_seed(1)) * 100 + 1


@pytest.fixture
def model(counts: torch.Tensor) -> VampNet:
    torch.manual_seed(0)
    model = VampNet(CONFIG)
    model.codebooks.normal_()
    init_from_counts(model, counts, seed=0)
    return model.eval()


def test_similar_codes_have_similar_logits(model: VampNet) -> None:
    features = torch.randn(400, 64)
    weights = model.classifier.weight.view(3, 32, 64)
    for level in range(3):
        logits = features @ weights[level].detach().T
        apart = torch.pdist((logits - logits.mean(0)).T)
        assert torch.corrcoef(torch.stack([apart, torch.pdist(model.codebooks[2 + level])]))[0, 1] > 0.9


def test_hidden_code_is_predicted_from_neighbours() -> None:
    torch.manual_seed(0)
    coarse = VampNet(VampNetConfig(2, 0, 2, 64, 4, 40, codebook_size=32, dropout=0.0)).eval()
    coarse.codebooks.normal_()
    coarse.mask_rows.data.copy_(coarse.codebooks.mean(1))
    init_from_counts(coarse, torch.ones(2, 32), seed=0)
    held = torch.randint(32, (64, 2, 1)).expand(-1, -1, 9).clone()
    given = held.clone()
    given[:, :, 4] = 32
    guess = coarse(given)[:, :, 4].argmax(-1)
    assert (guess == held[:, :, 4]).float().mean() > 0.5  # chance: 0.03


def test_heads_attend_near_and_far(model: VampNet) -> None:
    bias = model.attention_bias(40).detach()
    assert torch.equal(bias, bias.transpose(1, 2))
    assert (bias.diagonal(dim1=1, dim2=2) == 0).all()
    first, last = bias[0, 0], bias[-1, 0]
    assert (first.diff() <= 0).all()
    assert first[5] == -5
    assert last[5] == first[5] / 8


def test_weights_depend_on_the_seed(counts: torch.Tensor) -> None:
    models = [VampNet(CONFIG) for _ in range(3)]
    for model, seed in zip(models, (0, 0, 1), strict=True):
        model.codebooks.copy_(torch.randn(5, 32, 8, generator=torch.Generator().manual_seed(2)))
        init_from_counts(model, counts, seed)
    weights = [model.classifier.weight for model in models]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
