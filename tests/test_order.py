"""The schedule and the choice of tokens that stay hidden, against loops over tokens."""

import math
from itertools import pairwise
from typing import get_args

import pytest
import torch
from torch import Tensor

import oracles
from vampcli.config import Sampler
from vampcli.sampling.order import (
    ORDERS,
    _reverse_bits,
    list_hidden,
    n_hidden_after,
    schedule,
    select_candidates,
    select_remasked,
)

CONTEXT = 30
SAMPLERS = pytest.mark.parametrize("sampler", get_args(Sampler))


def random_mask(share: float, n_takes: int = 3, n_frames: int = 80, seed: int = 0) -> Tensor:
    return torch.rand(n_takes, 4, n_frames, generator=torch.Generator().manual_seed(seed)) < share


@pytest.mark.parametrize("n_steps", [1, 2, 12, 128])
@pytest.mark.parametrize("n_total", [1, 2, 7, 2300])
def test_schedule_falls_to_zero(n_steps: int, n_total: int) -> None:
    hidden = [counts[0] for counts in schedule([n_total], n_steps)]
    assert hidden[-1] == 0
    for before, after in pairwise(hidden[:-1]):
        assert max(1, before - 1) >= after >= 1  # a token is revealed in every step while there are enough


def test_schedule_is_a_cosine_in_float32() -> None:
    """After 2 of 3 steps 499 of 1000 are hidden, as in the official code; in float64 it would be 500."""
    for n_steps in (3, 12, 36, 100):
        for step in range(n_steps - 1):
            gamma = torch.cos(torch.tensor((step + 1) / n_steps, dtype=torch.float32) * math.pi / 2)
            for n in (7, 1000, 2300, 103_500):
                assert n_hidden_after(step, n_steps, n, n) == max(1, min(n - 1, int(torch.floor(gamma * n))))


def test_regions_have_their_own_schedules() -> None:
    counts = schedule([100, 1, 0], 5)
    assert counts[0] == [100, 1, 0]
    assert [row[0] for row in counts[1:]] == [n_hidden_after(step, 5, 100, counts[step][0]) for step in range(5)]
    assert [row[1:] for row in counts] == [[1, 0]] * 5 + [[0, 0]]


def test_hidden_tokens_in_order_with_regions() -> None:
    mask = random_mask(0.02, n_frames=200)
    hidden, sizes = list_hidden(mask, CONTEXT, ORDERS["confidence"])
    expected: list[list[int]] = []
    expected_sizes: list[int] = []
    for take in range(3):
        for start, end in oracles.regions(mask[take].any(0).tolist(), CONTEXT):
            region = len(expected_sizes)
            inside = [[take, f, c, region, 0] for f in range(start, end) for c in range(4) if mask[take, c, f]]
            expected, expected_sizes = expected + inside, [*expected_sizes, len(inside)]
    assert torch.stack(list(vars(hidden).values()), 1).tolist() == expected
    assert sizes == expected_sizes
    assert len(sizes) > 6


def test_ranks_count_earlier_tokens_of_region() -> None:
    hidden, _ = list_hidden(random_mask(0.5), CONTEXT, ORDERS["halton"])
    keys = [oracles.halton(c, f) for c, f in zip(hidden.codebooks.tolist(), hidden.frames.tolist(), strict=True)]
    regions = hidden.regions.tolist()
    for key, region, rank in zip(keys, regions, hidden.ranks.tolist(), strict=True):
        assert rank == sum(other < key for other, r in zip(keys, regions, strict=True) if r == region)


@SAMPLERS
def test_remasked_are_last_or_least_confident(sampler: Sampler) -> None:
    hidden, sizes = list_hidden(random_mask(0.6), CONTEXT, ORDERS[sampler])
    generator = torch.Generator().manual_seed(1)
    for n_now, n_after in pairwise(schedule(sizes, 7)):
        assert torch.bincount(hidden.regions, minlength=len(sizes)).tolist() == n_now
        candidates = select_candidates(hidden, sizes, n_now, n_after).tolist()
        confidence = torch.rand(len(hidden), generator=generator).mul(8).round()  # with ties
        remasked = select_remasked(hidden, confidence, n_now, n_after).tolist()
        expected: list[int] = []
        for region, n in enumerate(n_after):
            inside = [i for i, r in enumerate(hidden.regions.tolist()) if r == region]
            expected += sorted(inside, key=lambda i: (-int(hidden.ranks[i]), float(confidence[i])))[:n]
        assert remasked == sorted(expected)
        assert set(range(len(hidden))) - set(remasked) <= set(candidates)
        hidden = hidden[torch.tensor(remasked, dtype=torch.int64)]
    assert len(hidden) == 0


@SAMPLERS
def test_candidates_of_each_order(sampler: Sampler) -> None:
    hidden, sizes = list_hidden(random_mask(0.9), CONTEXT, ORDERS[sampler])
    n_now, n_after = schedule(sizes, 4)[:2]
    n_candidates = len(select_candidates(hidden, sizes, n_now, n_after))
    assert n_candidates == (sum(n_now) if sampler == "confidence" else sum(n_now) - sum(n_after))


def test_step_that_reveals_nothing_draws_nothing() -> None:
    mask = torch.zeros(1, 4, 30, dtype=torch.bool)
    mask[0, 2, 7] = True
    hidden, sizes = list_hidden(mask, CONTEXT, ORDERS["confidence"])
    counts = schedule(sizes, 3)
    assert [len(select_candidates(hidden, sizes, now, after)) for now, after in pairwise(counts)] == [0, 0, 1]


@pytest.mark.parametrize("share", [0.25, 0.5, 0.75])
def test_halton_is_even_over_the_grid(share: float) -> None:
    """In any 16 frames about that share of the tokens; of one in four, one in each frame, and all codebooks in turn."""
    hidden, _ = list_hidden(torch.ones(1, 4, 128, dtype=torch.bool), 128, ORDERS["halton"])
    made = torch.zeros(4, 128, dtype=torch.bool)
    first = hidden[torch.nonzero(hidden.ranks < share * 512)[:, 0]]
    made[first.codebooks, first.frames] = True
    assert torch.equal(made.sum(0), torch.full((128,), round(4 * share)))
    assert torch.equal(made.unfold(1, 16, 16).sum(2), torch.full((4, 8), round(16 * share)))


def test_every_sampler_has_an_order() -> None:
    assert set(ORDERS) == set(get_args(Sampler))


def test_reverse_bits() -> None:
    numbers = [0, 1, 2, 3, 575, 2**31, 2**32 - 1]
    expected = [int(format(n, "032b")[::-1], 2) for n in numbers]
    assert _reverse_bits(torch.tensor(numbers)).tolist() == expected
