"""Clips of any length through windows equal the slow triangular mean."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations

import pytest
import torch
from torch import Tensor

import oracles
from vampcli.model.batching import Batches
from vampcli.sampling.windows import regions, window_starts, windowed

LENGTHS = [1, 2, 7, 8, 9, 11, 12, 13, 16, 20, 37]
MODEL = oracles.fake_model(3, 1, 10)


def random_mask(n_takes: int, n_frames: int, share: float, seed: int) -> Tensor:
    """Which frames hide something: bool (n_takes, n_frames)."""
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(n_takes, n_frames, generator=generator) < share


def random_tokens(n_takes: int, n_frames: int, seed: int = 0) -> Tensor:
    return torch.randint(11, (n_takes, 3, n_frames), generator=torch.Generator().manual_seed(seed))


Found = dict[int, dict[int, Tensor]]


def predicted(tokens: Tensor, hidden: Tensor, context: int, batches: Batches | None = None) -> Found:
    """Frame -> row -> logits (n_predicted, classes); fails where a frame of a row is in two pieces."""
    found: Found = {}
    for rows, first, logits in windowed(MODEL, context, hidden, batches)(tokens, hidden):
        for row, own in zip(range(rows.start, rows.stop), logits, strict=True):
            assert first >= max((frame for frame in found if row in found[frame]), default=-1)
            for i in range(own.shape[1]):
                assert row not in found.setdefault(first + i, {})
                found[first + i][row] = own[:, i]
    return found


@pytest.mark.parametrize("share", [0.02, 0.1, 1.0])
@pytest.mark.parametrize("context", [1, 2, 5, 8, 17, 24])
@pytest.mark.parametrize("n_frames", [*LENGTHS, 90])
def test_windows_lie_around_what_is_hidden(n_frames: int, context: int, share: float) -> None:
    for seed in range(5):
        hidden = random_mask(1, n_frames, share, seed)[0]
        starts = window_starts(hidden, context)
        assert starts == oracles.starts(hidden.tolist(), context)
        for frame in hidden.nonzero()[:, 0].tolist():
            assert set(starts) & set(oracles.places_that_see_enough([frame], n_frames, context))


@pytest.mark.parametrize(
    ("n_frames", "context", "share"),
    [
        *((n, context, share) for n, context in ((700, 173), (900, 64), (80, 96)) for share in (0.01, 0.1)),
        (400, 96, 1.0),
        (80, 96, 1.0),
        (1722, 575, 0.02),  # the oracle takes minutes for more
    ],
)
def test_long_windows_let_all_see_enough_and_are_hardly_more(n_frames: int, context: int, share: float) -> None:
    for seed in range(5):
        hidden = random_mask(1, n_frames, share, seed)[0]
        starts, fewest = window_starts(hidden, context), oracles.starts(hidden.tolist(), context)
        for frame in hidden.nonzero()[:, 0].tolist():
            assert set(starts) & set(oracles.places_that_see_enough([frame], n_frames, context))
        assert len(fewest) <= len(starts) <= 1.15 * len(fewest) + 1


def test_prompts_that_differ_a_little_have_the_same_windows() -> None:
    """Periods of 16 frames, each take with an offset of its own."""
    placed = []
    for offset in range(16):
        hidden = torch.ones(1722, dtype=torch.bool)
        hidden[offset::16] = False
        placed.append(window_starts(hidden, 575))
    assert len({tuple(starts) for starts in placed}) <= 2


def test_what_was_not_to_be_hidden_must_not_be() -> None:
    ever = torch.zeros(1, 20, dtype=torch.bool)
    ever[:, 3:6] = True
    tokens, now = torch.zeros(1, 3, 20, dtype=torch.int64), torch.zeros(1, 20, dtype=torch.bool)
    now[:, 6] = True
    with pytest.raises(ValueError, match="was not when windows were placed"):
        list(windowed(MODEL, 8, ever)(tokens, now))


def test_no_fewer_windows_would_do() -> None:
    n_frames, context, counts = 26, 8, set()
    for seed in range(30):
        hidden = random_mask(1, n_frames, 0.15, seed)[0]
        wanted = [oracles.places_that_see_enough([f], n_frames, context) for f in hidden.nonzero()[:, 0].tolist()]
        starts = window_starts(hidden, context)
        counts.add(len(starts))
        fewer = combinations(range(n_frames - context + 1), max(0, len(starts) - 1))
        assert not starts or not any(all(set(own) & set(chosen) for own in wanted) for chosen in fewer)
    assert counts >= {1, 2, 3}


def test_a_span_that_leaves_room_is_one_window_with_the_span_in_its_middle() -> None:
    hidden = torch.zeros(100, dtype=torch.bool)
    hidden[50:62] = True
    assert window_starts(hidden, 16) == [48]
    hidden[62] = True
    assert len(window_starts(hidden, 16)) == 2


@pytest.mark.parametrize("share", [0.03, 0.1, 0.3, 0.9])
@pytest.mark.parametrize("context", [1, 2, 7, 8, 25])
def test_regions_join_close_frames_and_cut_long_runs(share: float, context: int) -> None:
    for seed in range(20):
        hidden = random_mask(1, 90, share, seed)[0]
        assert regions(hidden, context) == oracles.regions(hidden.tolist(), context)


@pytest.mark.parametrize(("gap", "n_regions"), [(1, 1), (4, 1), (5, 2), (30, 2)])
def test_a_gap_of_half_a_context_parts_regions(gap: int, n_regions: int) -> None:
    hidden = torch.tensor([False, True, *[False] * gap, True, False])
    assert len(regions(hidden, 10)) == n_regions


def test_nothing_hidden_has_no_region() -> None:
    assert regions(torch.zeros(20, dtype=torch.bool), 8) == []


def test_every_hidden_frame_is_in_one_region_no_longer_than_a_context() -> None:
    for seed in range(20):
        hidden = random_mask(1, 90, 0.4, seed)[0]
        found = regions(hidden, 9)
        frames = [frame for start, end in found for frame in range(start, end)]
        assert len(frames) == len(set(frames))
        assert set(hidden.nonzero()[:, 0].tolist()) <= set(frames)
        assert all(0 < end - start <= 9 for start, end in found)


@pytest.mark.parametrize("context", [2, 5, 8])
@pytest.mark.parametrize("n_frames", LENGTHS)
def test_fusion_is_the_triangular_mean_of_all_windows(n_frames: int, context: int) -> None:
    tokens, hidden = random_tokens(2, n_frames), random_mask(2, n_frames, 0.4, n_frames)
    found = predicted(tokens, hidden, context)
    for row, frame in hidden.nonzero().tolist():
        expected = oracles.fused(MODEL, tokens[row], context, frame, hidden[row].tolist())
        torch.testing.assert_close(found[frame][row].log_softmax(-1).double(), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("size", [2, 3, 4, 64])
@pytest.mark.parametrize("n_frames", LENGTHS)
def test_batches_of_any_size_predict_the_same(n_frames: int, size: int) -> None:
    tokens, hidden = random_tokens(3, n_frames), random_mask(3, n_frames, 0.2, n_frames)
    alone, batched = (predicted(tokens, hidden, 8, batches) for batches in (Batches(), Batches(size)))
    for row, frame in hidden.nonzero().tolist():
        torch.testing.assert_close(batched[frame][row], alone[frame][row], atol=1e-5, rtol=0)


def test_a_batch_is_never_larger_than_asked_for() -> None:
    calls: list[Tensor] = []
    hidden = torch.ones(5, 37, dtype=torch.bool)
    list(windowed(counting(calls), 8, hidden, Batches(3))(random_tokens(5, 37), hidden))
    n_windows = len(oracles.starts([True] * 37, 8))
    assert [len(call) for call in calls] == [3] * n_windows + [2] * n_windows
    calls.clear()
    list(windowed(counting(calls), 8, hidden[:2], Batches(6))(random_tokens(2, 37), hidden[:2]))
    assert [len(call) for call in calls] == [6] * (n_windows // 3) + [2 * (n_windows % 3)] * (n_windows % 3 > 0)


def test_a_window_has_one_shape_however_much_of_it_is_done() -> None:
    widths: set[int] = set()

    def forward(tokens: Tensor, wanted: slice = slice(None)) -> Tensor:
        widths.add(wanted.stop - wanted.start)
        return MODEL(tokens, wanted)

    ever = random_mask(1, 8, 0.6, 0)
    for share in (1.0, 0.5, 0.2):
        hidden = ever & random_mask(1, 8, share, 1)
        for _, first, logits in windowed(forward, 8, ever)(random_tokens(1, 8), hidden):
            assert hidden[0, first : first + logits.shape[2]].any()
    assert len(widths) == 1


def test_a_compiled_model_is_asked_for_whole_windows() -> None:
    hidden = torch.zeros(1, 37, dtype=torch.bool)
    hidden[0, 20] = True
    widths: set[tuple[int, int]] = set()

    def forward(tokens: Tensor, wanted: slice = slice(None)) -> Tensor:
        widths.add((wanted.start, wanted.stop))
        return MODEL(tokens, wanted)

    list(windowed(forward, 8, hidden, Batches(whole=True))(random_tokens(1, 37), hidden))
    assert widths == {(0, 8)}


@pytest.mark.parametrize("n_frames", [1, 5, 8])
def test_a_clip_within_one_context_is_a_single_pass(n_frames: int) -> None:
    tokens, hidden = random_tokens(1, n_frames), torch.ones(1, n_frames, dtype=torch.bool)
    pieces = list(windowed(MODEL, 8, hidden)(tokens, hidden))
    assert [(piece.rows, piece.first_frame) for piece in pieces] == [(slice(0, 1), 0)]
    torch.testing.assert_close(pieces[0].logits.softmax(-1), MODEL(tokens).softmax(-1))


def test_fused_probabilities_sum_to_one() -> None:
    for rows in predicted(random_tokens(1, 37), torch.ones(1, 37, dtype=torch.bool), 8).values():
        torch.testing.assert_close(rows[0].exp().sum(-1), torch.ones(2), atol=1e-5, rtol=0)


@pytest.mark.parametrize("n_frames", LENGTHS)
def test_every_hidden_frame_is_in_exactly_one_piece(n_frames: int) -> None:
    for seed in range(10):
        hidden = random_mask(3, n_frames, 0.2, seed)
        found = predicted(random_tokens(3, n_frames), hidden, 8)
        assert all(row in found[frame] for row, frame in hidden.nonzero().tolist())


def test_nothing_hidden_runs_nothing() -> None:
    assert predicted(random_tokens(2, 37), torch.zeros(2, 37, dtype=torch.bool), 8) == {}


def counting(calls: list[Tensor]) -> Callable[..., Tensor]:
    def forward(tokens: Tensor, wanted: slice = slice(None)) -> Tensor:
        calls.append(tokens)
        return MODEL(tokens, wanted)

    return forward


def test_only_windows_that_hide_something_run_and_only_for_that_take() -> None:
    tokens, ever, calls = random_tokens(3, 37), random_mask(3, 37, 0.4, 5), list[Tensor]()
    hidden = ever & random_mask(3, 37, 0.1, 6)
    list(windowed(counting(calls), 8, ever)(tokens, hidden))
    placed = [(take, start) for take in range(3) for start in oracles.starts(ever[take].tolist(), 8)]
    due = [(take, start) for take, start in placed if hidden[take, start : start + 8].any()]
    assert 0 < len(due) < len(placed)
    assert len(calls) == len(due)
    for call, (take, start) in zip(calls, due, strict=True):
        assert torch.equal(call, tokens[take : take + 1, :, start : start + 8])


def test_rows_whose_windows_differ_are_not_run_together() -> None:
    """So that the windows of a take depend on that take alone."""
    hidden, calls = torch.zeros(4, 37, dtype=torch.bool), list[Tensor]()
    hidden[[0, 1], 10], hidden[2, 30], hidden[3, 10] = True, True, True
    list(windowed(counting(calls), 8, hidden, Batches(64))(random_tokens(4, 37), hidden))
    assert [len(call) for call in calls] == [2, 1, 1]


@pytest.mark.parametrize("n_frames", LENGTHS)
def test_takes_do_not_influence_each_other_to_the_bit(n_frames: int) -> None:
    for seed in range(30):
        tokens, hidden = random_tokens(3, n_frames, seed), random_mask(3, n_frames, 0.15, seed)
        together = predicted(tokens, hidden, 8)
        for take in range(3):
            alone = predicted(tokens[take : take + 1], hidden[take : take + 1], 8)
            for frame in hidden[take].nonzero()[:, 0].tolist():
                assert torch.equal(alone[frame][0], together[frame][take])


def test_far_tokens_do_not_matter_beyond_the_windows() -> None:
    tokens, hidden = random_tokens(1, 37), torch.zeros(1, 37, dtype=torch.bool)
    hidden[0, 3] = True
    other = tokens.clone()
    other[..., 8:] = 0
    assert torch.equal(predicted(tokens, hidden, 8)[3][0], predicted(other, hidden, 8)[3][0])
