"""Figures of transformers with known answers."""

import math
from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn

from vampcli.api import Model
from vampcli.evaluate.token_accuracy import evaluate_tokens, nearest_kept, spread
from vampcli.model.config import VampNetConfig

SIZE = 32


class Knowing(nn.Module):
    """Always sure that a token is its codebook's number plus its frame's, modulo the size; wrong in odd frames."""

    def __init__(self, n_conditioning: int) -> None:
        super().__init__()
        self.config = VampNetConfig(4, n_conditioning, 1, 8, 1, 20, SIZE)

    def forward(self, tokens: Tensor) -> Tensor:
        assert (tokens[:, : self.config.n_conditioning] < SIZE).all(), "conditioning is never hidden"
        answers = pattern(tokens.shape[-1])[self.config.n_conditioning :]
        answers = (answers + torch.arange(tokens.shape[-1]) % 2) % SIZE
        return 50 * nn.functional.one_hot(answers, SIZE)[None].float()


def pattern(n_frames: int) -> Tensor:
    return (torch.arange(4)[:, None] + torch.arange(n_frames)) % SIZE


@pytest.mark.parametrize("n_conditioning", [0, 2])
def test_accuracy_of_a_known_model(n_conditioning: int) -> None:
    figures = evaluate_tokens(Knowing(n_conditioning), [pattern(20)] * 8, ratios=(0.5, 0.9))  # type: ignore[arg-type]
    assert figures["n_windows"] == 8
    for row in figures["by_ratio"]:
        assert row["top_1"] == pytest.approx(0.5, abs=0.1)  # the even frames
        assert row["loss"] == pytest.approx(50 * (1 - row["top_1"]), rel=1e-3)
        assert row["nearest_top_1"] == 0  # neighbours always differ


def test_unigrams_of_the_other_pieces(tiny: Model) -> None:
    n = 80  # one context of the coarse model
    pieces = [torch.full((5, n), 7), torch.full((5, n), 7), torch.full((5, 3), 8)]
    row = evaluate_tokens(tiny.coarse, pieces, ratios=(0.3,))["by_ratio"][0]
    assert row["unigram_loss"] == pytest.approx(-math.log((n + 1) / (n + 3 + SIZE)), rel=1e-5)
    assert (row["unigram_top_1"], row["nearest_top_1"]) == (1, 1)


def test_random_weights_are_at_chance(tiny: Model) -> None:
    pieces = [torch.randint(SIZE, (5, 200), generator=torch.Generator().manual_seed(0))]
    figures = evaluate_tokens(tiny.fine, pieces, ratios=(0.5,))
    again = evaluate_tokens(tiny.fine, pieces, ratios=(0.5,))
    assert figures == again
    assert figures["n_windows"] == 4
    assert figures["by_ratio"][0]["loss"] > math.log(SIZE) - 0.2
    assert evaluate_tokens(tiny.fine, [pieces[0][:, :5]])["by_ratio"] == []


def test_nearest_kept_equals_search() -> None:
    rng = torch.Generator().manual_seed(0)
    tokens = torch.randint(SIZE, (6, 30), generator=rng)
    hidden = torch.rand(6, 30, generator=rng) < torch.tensor([0.1, 0.3, 0.5, 0.7, 0.9, 2.0])[:, None]
    found = nearest_kept(tokens, hidden)
    for level in range(6):
        kept = [f for f in range(30) if not hidden[level, f]]
        for frame in range(30):
            wanted = int(tokens[level, min(kept, key=lambda k: (abs(k - frame), k))]) if kept else -1
            assert found[level, frame] == wanted


def test_spread_excerpts_do_not_overlap() -> None:
    x = torch.arange(100)
    assert [(int(e[0]), len(e)) for e in spread(x, 10, 2)] == [(20, 10), (70, 10)]
    starts = [int(e[0]) for e in spread(x, 30, 9)]
    assert len(starts) == 3
    assert all(b - a >= 30 for a, b in pairwise(starts))
    assert spread(x, 101, 4) == []
