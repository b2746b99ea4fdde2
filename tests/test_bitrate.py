"""Bit rates of prompts, and the fullest prompt within a bit rate."""

import math

import numpy as np
import pytest

from vampcli.errors import UsageError
from vampcli.tokens.bitrate import LEAST, bits_per_second, bits_per_token, choose
from vampcli.tokens.grid import TokenGrid

PUBLISHED = TokenGrid(44100, 768, 14, 1024)
GRIDS = [PUBLISHED, TokenGrid(44100, 512, 9, 1000), TokenGrid(16000, 321, 3, 2)]


@pytest.mark.parametrize(("size", "bits"), [(2, 1), (3, 2), (32, 5), (1000, 10), (1024, 10), (1025, 11), (65536, 16)])
def test_bits_per_token(size: int, bits: int) -> None:
    assert bits_per_token(size) == bits == math.ceil(math.log2(size))


@pytest.mark.parametrize("k", [0, 1, 14])
@pytest.mark.parametrize("period", [1, 7])
def test_bits_per_second(k: int, period: int) -> None:
    assert bits_per_second(PUBLISHED, k, period) == pytest.approx(8039.0625 * k / (14 * period))
    assert bits_per_second(PUBLISHED, k, 0) == 0


@pytest.mark.parametrize("grid", GRIDS)
def test_choose_inverts_bits_per_second(grid: TokenGrid) -> None:
    for k in range(1, grid.n_codebooks + 1):
        assert choose(grid, bits_per_second(grid, k, 1)) == (k, 1)
    for period in [*range(2, 2000), 39_999]:
        assert choose(grid, bits_per_second(grid, 1, period)) == (1, period)


@pytest.mark.parametrize("grid", GRIDS)
def test_choice_is_the_fullest(grid: TokenGrid) -> None:
    for limit in (*np.geomspace(LEAST, 20_000, 400), math.inf):
        k, period = choose(grid, float(limit))
        assert bits_per_second(grid, k, period) <= limit
        if period > 1:
            assert k == 1
            assert bits_per_second(grid, 1, period - 1) > limit
        elif k < grid.n_codebooks:
            assert bits_per_second(grid, k + 1, 1) > limit


@pytest.mark.parametrize("limit", [0, -1, -math.inf, math.nan, 1e-300])
def test_limits_that_are_no_bit_rate(limit: float) -> None:
    with pytest.raises(UsageError, match="bit rate of") as caught:
        choose(PUBLISHED, limit)
    assert "574 bit/s" in caught.value.hint
