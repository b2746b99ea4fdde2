"""Bit rates are what the kept tokens cost, and a bit rate buys the fullest prompt within it."""

from __future__ import annotations

import math

import numpy as np
import pytest

from vampcli.errors import UsageError
from vampcli.tokens.bitrate import LEAST, bits_per_second, bits_per_token, choose
from vampcli.tokens.grid import TokenGrid

PUBLISHED = TokenGrid(44100, 768, 14, 1024)
GRIDS = [PUBLISHED, TokenGrid(44100, 512, 9, 1000), TokenGrid(16000, 321, 3, 2)]


@pytest.mark.parametrize(("size", "bits"), [(2, 1), (3, 2), (32, 5), (1000, 10), (1024, 10), (1025, 11), (65536, 16)])
def test_a_token_costs_as_many_bits_as_number_its_classes(size: int, bits: int) -> None:
    assert bits_per_token(size) == bits == math.ceil(math.log2(size))


@pytest.mark.parametrize("k", [0, 1, 3, 14])
@pytest.mark.parametrize("period", [1, 7, 13])
def test_prompts_of_the_published_codec(k: int, period: int) -> None:
    assert bits_per_second(PUBLISHED, k, period) == pytest.approx(8039.0625 * k / (14 * period))


def test_a_period_of_0_keeps_nothing() -> None:
    assert bits_per_second(PUBLISHED, 14, 0) == 0


@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        (math.inf, (14, 1)),
        (8040, (14, 1)),
        (8039, (13, 1)),
        (1200, (2, 1)),
        (575, (1, 1)),
        (574, (1, 2)),
        (100, (1, 6)),
        (1, (1, 575)),
    ],
)
def test_what_a_bit_rate_buys(limit: float, expected: tuple[int, int]) -> None:
    assert choose(PUBLISHED, limit) == expected


@pytest.mark.parametrize("grid", GRIDS)
def test_what_a_prompt_costs_buys_it_again(grid: TokenGrid) -> None:
    for k in range(1, grid.n_codebooks + 1):
        assert choose(grid, bits_per_second(grid, k, 1)) == (k, 1)
    for period in [*range(2, 2000), 39_999]:
        assert choose(grid, bits_per_second(grid, 1, period)) == (1, period)


@pytest.mark.parametrize("grid", GRIDS)
def test_what_is_bought_fits_and_the_next_larger_does_not(grid: TokenGrid) -> None:
    for limit in np.geomspace(LEAST, 20_000, 400):
        k, period = choose(grid, float(limit))
        assert bits_per_second(grid, k, period) <= limit
        if period > 1:
            assert k == 1
            assert bits_per_second(grid, 1, period - 1) > limit
        elif k < grid.n_codebooks:
            assert bits_per_second(grid, k + 1, 1) > limit


@pytest.mark.parametrize("limit", [0, -1, -math.inf, math.nan, 1e-300])
def test_no_bit_rate_is_a_usage_error_that_names_one(limit: float) -> None:
    with pytest.raises(UsageError, match="bit rate of") as caught:
        choose(PUBLISHED, limit)
    assert "574 bit/s" in caught.value.hint
