"""Masks against loops over frames."""

import math

import numpy as np
import pytest

import oracles
from vampcli.tokens import masks


def test_spans_hide_frames_of_all_codebooks() -> None:
    ranges = [(-3, 2), (4, 6), (6, 7), (9, 99), (8, 8), (-5, -2)]
    expected = [any(start <= f < end for start, end in ranges) for f in range(12)]
    assert masks.spans(2, 12, ranges).tolist() == [expected] * 2


@pytest.mark.parametrize("period", [1, 2, 7, 13, 50])
@pytest.mark.parametrize("width", [1, 2, 3, 4, 9])
@pytest.mark.parametrize("offset", [0, 3, -5, 40])
def test_keep_periodic(period: int, width: int, offset: int) -> None:
    kept = oracles.kept_periodic(30, period, width, offset)
    assert (~masks.keep_periodic(2, 30, period, width, offset)).tolist() == [kept] * 2
    assert masks.keep_periodic(3, 20, 0, width, offset).all()


@pytest.mark.parametrize("n_kept", [0, 1, 4, 9])
def test_keep_codebooks(n_kept: int) -> None:
    assert masks.keep_codebooks(4, 6, n_kept).tolist() == [[c >= n_kept] * 6 for c in range(4)]


@pytest.mark.parametrize("intensity", [0.0, 0.3, 1.0])
def test_random_share(intensity: float) -> None:
    share = masks.random(10, 1000, intensity, np.random.default_rng(0)).mean()
    assert float(share) == pytest.approx(intensity, abs=0.02 if 0 < intensity < 1 else 0)


@pytest.mark.parametrize("share", [0, 0.25, 0.2, 0.31, 0.999, 1])
def test_drop_kept_share(share: float) -> None:
    mask = masks.keep_periodic(3, 100, 5)
    counts = [
        int((masks.drop_kept(mask, share, np.random.default_rng(seed)) & ~mask).any(0).sum()) for seed in range(400)
    ]
    assert set(counts) <= {math.floor(20 * share), math.ceil(20 * share)}
    assert np.mean(counts) == pytest.approx(20 * share, abs=0.08)


def test_drop_kept_hides_whole_frames() -> None:
    mask = masks.keep_periodic(4, 60, 3) | masks.keep_codebooks(4, 60, 2)
    before = mask.copy()
    dropped = masks.drop_kept(mask, 0.5, np.random.default_rng(0))
    changed = (dropped != mask).any(0)
    assert dropped[:, changed].all()
    assert np.array_equal(dropped & mask, mask)
    assert np.array_equal(mask, before)
    assert masks.drop_kept(masks.everything(2, 5), 0.5, np.random.default_rng(0)).all()


def test_larger_share_drops_more() -> None:
    mask = masks.keep_periodic(2, 90, 3)
    less, more = (masks.drop_kept(mask, share, np.random.default_rng(0)) for share in (0.3, 0.4))
    assert np.array_equal(more | less, more)
    assert int((more & ~less).any(0).sum()) == 3


def test_masks_combine() -> None:
    span, codebooks = masks.spans(2, 4, [(1, 3)]), masks.keep_codebooks(2, 4, 1)
    assert (span & codebooks).tolist() == [[False] * 4, [False, True, True, False]]
    assert (span | codebooks).tolist() == [[False, True, True, False], [True] * 4]
    assert (~span).tolist() == [[True, False, False, True]] * 2


@pytest.mark.parametrize(
    "mask",
    [
        masks.everything(3, 8),
        masks.spans(3, 8, [(1, 2)]),
        masks.keep_periodic(3, 8, 2),
        masks.keep_codebooks(3, 8, 1),
        masks.random(3, 8, 0.5, np.random.default_rng(0)),
    ],
)
def test_masks_are_writable_bools(mask: masks.Mask) -> None:
    assert mask.dtype == bool
    flipped = ~mask[0, 0]
    before = mask.copy()
    mask[0, 0] = flipped
    assert int((mask != before).sum()) == 1
