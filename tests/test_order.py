"""Which tokens are made in a step, and how many."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import get_args

import pytest
import torch
from torch import Tensor

import oracles
from vampcli.config import Sampler
from vampcli.sampling import order
from vampcli.sampling.order import ORDERS, due, hidden_tokens, n_hidden_after, schedule, stay_hidden

CONTEXT = 30


def random_mask(share: float, n_takes: int = 3, n_frames: int = 80, seed: int = 0) -> Tensor:
    return torch.rand(n_takes, 4, n_frames, generator=torch.Generator().manual_seed(seed)) < share


# --- how many


@pytest.mark.parametrize("n_steps", [1, 2, 12, 36, 128])
@pytest.mark.parametrize("n_total", [1, 2, 7, 100, 2300])
def test_the_schedule_falls_to_none(n_steps: int, n_total: int) -> None:
    hidden = [n_total]
    for step in range(n_steps):
        hidden.append(n_hidden_after(step, n_steps, n_total, hidden[-1]))
    assert hidden[-1] == 0
    assert all(after <= before for before, after in pairwise(hidden))
    assert all(after >= 1 for after in hidden[:-1])


@pytest.mark.parametrize("step", range(11))
def test_the_schedule_is_a_cosine(step: int) -> None:
    expected = math.cos(math.pi / 2 * (step + 1) / 12) * 1000
    assert n_hidden_after(step, 12, 1000, 1000) == pytest.approx(expected - 0.5, abs=0.501)


def test_every_step_reveals_a_token_while_there_are_enough() -> None:
    assert n_hidden_after(0, 1000, 50, 50) == 49


@pytest.mark.parametrize(("n_total", "n_hidden"), [(1, 1), (100, 1), (100, 2), (100, 60)])
def test_never_more_are_hidden_than_were(n_total: int, n_hidden: int) -> None:
    for step in range(36):
        assert n_hidden_after(step, 36, n_total, n_hidden) <= n_hidden


def test_the_share_is_that_of_float32() -> None:
    """After 2 of 3 steps 499 of 1000 are hidden, as in the official code; in float64 it would be 500."""
    for n_steps in (3, 12, 36, 100):
        for step in range(n_steps - 1):
            gamma = torch.cos(torch.tensor((step + 1) / n_steps, dtype=torch.float32) * math.pi / 2)
            for n in (7, 1000, 2300, 103_500):
                assert n_hidden_after(step, n_steps, n, n) == max(1, min(n - 1, int(torch.floor(gamma * n))))


def test_a_schedule_is_one_of_each_region() -> None:
    counts = schedule([100, 1, 0], 5)
    assert counts[0] == [100, 1, 0]
    assert [row[0] for row in counts[1:]] == [n_hidden_after(step, 5, 100, counts[step][0]) for step in range(5)]
    assert [row[1:] for row in counts] == [[1, 0]] * 5 + [[0, 0]]


# --- which


def test_hidden_tokens_are_those_of_the_mask_in_order_and_in_their_regions() -> None:
    mask = random_mask(0.02, n_frames=200)
    hidden, sizes = hidden_tokens(mask, CONTEXT, ORDERS["confidence"])
    expected, n_regions, expected_sizes = [], 0, []
    for take in range(3):
        for start, end in oracles.regions(mask[take].any(0).tolist(), CONTEXT):
            inside = [(take, f, c, n_regions, 0) for f in range(start, end) for c in range(4) if mask[take, c, f]]
            expected, n_regions = expected + inside, n_regions + 1
            expected_sizes.append(len(inside))
    assert torch.stack(list(vars(hidden).values()), 1).tolist() == [list(token) for token in expected]
    assert sizes == expected_sizes
    assert n_regions > 6


def test_places_count_those_before_in_the_region() -> None:
    hidden, _ = hidden_tokens(random_mask(0.5), CONTEXT, ORDERS["halton"])
    keys = [oracles.halton(c, f) for c, f in zip(hidden.levels.tolist(), hidden.frames.tolist(), strict=True)]
    for region in range(int(hidden.regions.max()) + 1):
        inside = torch.nonzero(hidden.regions == region)[:, 0].tolist()
        for i in inside:
            assert int(hidden.places[i]) == sum(keys[j] < keys[i] for j in inside)


@pytest.mark.parametrize("sampler", get_args(Sampler))
def test_who_stays_hidden_is_due_last_and_least_sure(sampler: Sampler) -> None:
    """Whatever is not due stays, whatever its confidence; and a region makes as many as its schedule says."""
    hidden, sizes = hidden_tokens(random_mask(0.6), CONTEXT, ORDERS[sampler])
    generator = torch.Generator().manual_seed(1)
    for n_now, n_after in pairwise(schedule(sizes, 7)):
        assert torch.bincount(hidden.regions, minlength=len(sizes)).tolist() == n_now
        drawn = set(due(hidden, sizes, n_now, n_after).tolist())
        sure = torch.rand(len(hidden), generator=generator).mul(8).round()  # with ties
        stay = stay_hidden(hidden, sure, n_now, n_after).tolist()
        expected: list[int] = []
        for region, n in enumerate(n_after):
            inside = [i for i, own in enumerate(hidden.regions.tolist()) if own == region]
            expected += sorted(inside, key=lambda i: (-int(hidden.places[i]), float(sure[i])))[:n]
        assert stay == sorted(expected)
        assert set(range(len(hidden))) - set(stay) <= drawn
        hidden = hidden[torch.tensor(stay, dtype=torch.int64)]
    assert len(hidden) == 0


def test_halton_draws_what_it_makes_and_confidence_everything() -> None:
    for sampler in get_args(Sampler):
        hidden, sizes = hidden_tokens(random_mask(0.9), CONTEXT, ORDERS[sampler])
        n_now, n_after = schedule(sizes, 4)[:2]
        n_drawn = len(due(hidden, sizes, n_now, n_after))
        assert n_drawn == (sum(n_now) if sampler == "confidence" else sum(n_now) - sum(n_after))


def test_a_step_that_makes_nothing_draws_nothing() -> None:
    mask = torch.zeros(1, 4, 30, dtype=torch.bool)
    mask[0, 2, 7] = True
    hidden, sizes = hidden_tokens(mask, CONTEXT, ORDERS["confidence"])
    counts = schedule(sizes, 3)
    assert [len(due(hidden, sizes, now, after)) for now, after in pairwise(counts)] == [0, 0, 1]


@pytest.mark.parametrize("share", [0.25, 0.5, 0.75])
def test_what_halton_has_made_is_even_in_time_and_over_codebooks(share: float) -> None:
    """In any 16 frames about that share of the tokens; of one in four, one in each frame, and all codebooks in turn."""
    mask = torch.ones(1, 4, 128, dtype=torch.bool)
    hidden, _ = hidden_tokens(mask, 128, ORDERS["halton"])
    made = torch.zeros(4, 128, dtype=torch.bool)
    first = hidden[torch.nonzero(hidden.places < share * 512)[:, 0]]
    made[first.levels, first.frames] = True
    assert torch.equal(made.sum(0), torch.full((128,), round(4 * share)))
    assert torch.equal(made.unfold(1, 16, 16).sum(2), torch.full((4, 8), round(16 * share)))


def test_every_sampler_has_an_order() -> None:
    assert set(ORDERS) == set(get_args(Sampler))


def test_bits_are_read_from_the_other_end() -> None:
    numbers = [0, 1, 2, 3, 575, 2**31, 2**32 - 1]
    expected = [int(format(n, "032b")[::-1], 2) for n in numbers]
    assert order._bits_reversed(torch.tensor(numbers)).tolist() == expected
