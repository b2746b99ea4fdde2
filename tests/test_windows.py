"""Windows and regions against slow versions; fused windows against the triangular mean."""

from itertools import combinations

import pytest
import torch
from torch import Tensor

import oracles
from vampcli.model.batching import Batches
from vampcli.sampling.placement import find_regions, shown_frames, window_starts
from vampcli.sampling.windows import window_predictor

LENGTHS = [1, 2, 7, 8, 9, 12, 13, 37]
MODEL = oracles.fake_model(3, 1, 10)


def random_mask(n_takes: int, n_frames: int, share: float, seed: int) -> Tensor:
    """Which frames hide something: bool (n_takes, n_frames)."""
    return torch.rand(n_takes, n_frames, generator=torch.Generator().manual_seed(seed)) < share


def mask_of(n_frames: int, *frames: int) -> Tensor:
    """One row that hides these frames: bool (1, n_frames)."""
    mask = torch.zeros(1, n_frames, dtype=torch.bool)
    mask[0, list(frames)] = True
    return mask


def random_tokens(n_takes: int, n_frames: int, seed: int = 0) -> Tensor:
    return torch.randint(11, (n_takes, 3, n_frames), generator=torch.Generator().manual_seed(seed))


Logits = dict[int, dict[int, Tensor]]


def predict(tokens: Tensor, hidden: Tensor, context: int, batches: Batches | None = None) -> Logits:
    """Frame -> row -> logits (n_predicted, classes); fails where a frame of a row is in two pieces."""
    found: Logits = {}
    for rows, first, logits in window_predictor(MODEL, context, hidden, batches)(tokens, hidden):
        for row, part in zip(range(rows.start, rows.stop), logits, strict=True):
            assert first >= max((frame for frame in found if row in found[frame]), default=-1)
            for i in range(part.shape[1]):
                assert row not in found.setdefault(first + i, {})
                found[first + i][row] = part[:, i]
    return found


def run(tokens: Tensor, ever: Tensor, hidden: Tensor, batches: Batches | None = None) -> list[tuple[Tensor, slice]]:
    """The inputs of the model in contexts of 8 frames."""
    calls = []

    def forward(tokens: Tensor, wanted: slice = slice(None)) -> Tensor:
        calls.append((tokens, wanted))
        return MODEL(tokens, wanted)

    list(window_predictor(forward, 8, ever, batches)(tokens, hidden))
    return calls


# --- placing


@pytest.mark.parametrize("context", [1, 7, 16, 40])
def test_no_window_leaves_the_shown_frames(context: int) -> None:
    generator = torch.Generator().manual_seed(context)
    for _ in range(300):
        n_frames = int(torch.randint(1, 150, (1,), generator=generator))
        first, end = sorted(torch.randint(0, n_frames + 1, (2,), generator=generator).tolist())
        hidden = torch.rand(n_frames, generator=generator) < 0.3
        hidden[:first] = hidden[end:] = False
        start, stop = shown_frames(first, end, n_frames, context)
        for window in window_starts(hidden, context):
            assert start <= window
            assert min(n_frames, window + context) <= stop


def test_shown_frames_are_few() -> None:
    assert shown_frames(500, 540, 2000, 160) == (500 - 80, 540 + 80)
    assert shown_frames(0, 8, 2000, 160) == (0, 160)
    assert shown_frames(1990, 2000, 2000, 160) == (2000 - 160, 2000)


@pytest.mark.parametrize("share", [0.02, 0.1, 1.0])
@pytest.mark.parametrize("context", [1, 2, 8, 17, 24])
@pytest.mark.parametrize("n_frames", [*LENGTHS, 90])
def test_starts_equal_the_slow_search(n_frames: int, context: int, share: float) -> None:
    for seed in range(5):
        hidden = random_mask(1, n_frames, share, seed)[0]
        starts = window_starts(hidden, context)
        assert starts == oracles.starts(hidden.tolist(), context)
        for frame in hidden.nonzero()[:, 0].tolist():
            assert set(starts) & set(oracles.places_that_see_enough([frame], n_frames, context))


@pytest.mark.parametrize(
    ("n_frames", "context", "share"),
    [(700, 173, 0.01), (700, 173, 0.1), (900, 64, 0.01), (80, 96, 0.1), (80, 96, 1.0), (200, 48, 1.0)],
)
def test_rounded_windows_are_hardly_more(n_frames: int, context: int, share: float) -> None:
    for seed in range(3):
        hidden = random_mask(1, n_frames, share, seed)[0]
        starts, fewest = window_starts(hidden, context), oracles.starts(hidden.tolist(), context)
        for frame in hidden.nonzero()[:, 0].tolist():
            assert set(starts) & set(oracles.places_that_see_enough([frame], n_frames, context))
        assert len(fewest) <= len(starts) <= 1.15 * len(fewest) + 1


def test_similar_prompts_have_the_same_windows() -> None:
    """Periods of 16 frames, each take with its own offset."""
    hidden = ~torch.eye(16, dtype=torch.bool).repeat(1, 108)[:, :1722]
    assert len({tuple(window_starts(row, 575)) for row in hidden}) <= 2


def test_no_fewer_windows_would_do() -> None:
    n_frames, context, counts = 26, 8, set()
    for seed in range(30):
        hidden = random_mask(1, n_frames, 0.15, seed)[0]
        wanted = [oracles.places_that_see_enough([f], n_frames, context) for f in hidden.nonzero()[:, 0].tolist()]
        starts = window_starts(hidden, context)
        counts.add(len(starts))
        fewer = combinations(range(n_frames - context + 1), max(0, len(starts) - 1))
        assert not starts or not any(all(set(starts_of) & set(chosen) for starts_of in wanted) for chosen in fewer)
    assert counts >= {1, 2, 3}


def test_short_span_is_centred() -> None:
    assert window_starts(mask_of(100, *range(50, 62))[0], 16) == [48]
    assert len(window_starts(mask_of(100, *range(50, 63))[0], 16)) == 2


# --- regions


@pytest.mark.parametrize("share", [0.0, 0.03, 0.3, 0.9])
@pytest.mark.parametrize("context", [1, 2, 7, 8, 25])
def test_regions_join_gaps_and_cut_runs(share: float, context: int) -> None:
    for seed in range(20):
        hidden = random_mask(1, 90, share, seed)[0]
        regions = find_regions(hidden, context)
        assert regions == oracles.regions(hidden.tolist(), context)
        frames = [frame for start, end in regions for frame in range(start, end)]
        assert len(frames) == len(set(frames))
        assert set(hidden.nonzero()[:, 0].tolist()) <= set(frames)
        assert all(0 < end - start <= context for start, end in regions)


@pytest.mark.parametrize(("gap", "n_regions"), [(1, 1), (4, 1), (5, 2), (30, 2)])
def test_half_a_context_parts_regions(gap: int, n_regions: int) -> None:
    assert len(find_regions(torch.tensor([False, True, *[False] * gap, True, False]), 10)) == n_regions


# --- logits


@pytest.mark.parametrize("context", [2, 5, 8])
@pytest.mark.parametrize("n_frames", LENGTHS)
def test_fusion_is_the_triangular_mean(n_frames: int, context: int) -> None:
    tokens, hidden = random_tokens(2, n_frames), random_mask(2, n_frames, 0.4, n_frames)
    found = predict(tokens, hidden, context)
    for row, frame in hidden.nonzero().tolist():
        expected = oracles.fused(MODEL, tokens[row], context, frame, hidden[row].tolist())
        torch.testing.assert_close(found[frame][row].log_softmax(-1).double(), expected, atol=1e-5, rtol=0)


def test_fused_probabilities_sum_to_one() -> None:
    for rows in predict(random_tokens(1, 37), torch.ones(1, 37, dtype=torch.bool), 8).values():
        torch.testing.assert_close(rows[0].exp().sum(-1), torch.ones(2))


@pytest.mark.parametrize("size", [2, 3, 64])
@pytest.mark.parametrize("n_frames", LENGTHS)
def test_any_batch_size_predicts_the_same(n_frames: int, size: int) -> None:
    tokens, hidden = random_tokens(3, n_frames), random_mask(3, n_frames, 0.2, n_frames)
    alone, batched = (predict(tokens, hidden, 8, batches) for batches in (Batches(), Batches(size)))
    for row, frame in hidden.nonzero().tolist():
        torch.testing.assert_close(batched[frame][row], alone[frame][row], atol=1e-5, rtol=0)


@pytest.mark.parametrize("n_frames", [7, 13, 37])
def test_takes_are_independent_to_the_bit(n_frames: int) -> None:
    for seed in range(10):
        tokens, hidden = random_tokens(3, n_frames, seed), random_mask(3, n_frames, 0.15, seed)
        together = predict(tokens, hidden, 8)
        for take in range(3):
            alone = predict(tokens[take : take + 1], hidden[take : take + 1], 8)
            for frame in hidden[take].nonzero()[:, 0].tolist():
                assert torch.equal(alone[frame][0], together[frame][take])


@pytest.mark.parametrize("n_frames", [1, 5, 8])
def test_one_context_is_one_pass(n_frames: int) -> None:
    tokens, hidden = random_tokens(1, n_frames), torch.ones(1, n_frames, dtype=torch.bool)
    pieces = list(window_predictor(MODEL, 8, hidden)(tokens, hidden))
    assert [(piece.rows, piece.first_frame) for piece in pieces] == [(slice(0, 1), 0)]
    torch.testing.assert_close(pieces[0].logits.softmax(-1), MODEL(tokens).softmax(-1))


def test_far_tokens_do_not_matter() -> None:
    tokens, hidden = random_tokens(1, 37), mask_of(37, 3)
    other = tokens.clone()
    other[..., 8:] = 0
    assert torch.equal(predict(tokens, hidden, 8)[3][0], predict(other, hidden, 8)[3][0])


# --- passes


def test_batches_stay_within_their_size() -> None:
    hidden = torch.ones(5, 37, dtype=torch.bool)
    n_windows = len(oracles.starts([True] * 37, 8))
    sizes = [len(call) for call, _ in run(random_tokens(5, 37), hidden, hidden, Batches(3))]
    assert sizes == [3] * n_windows + [2] * n_windows
    sizes = [len(call) for call, _ in run(random_tokens(2, 37), hidden[:2], hidden[:2], Batches(6))]
    assert sizes == [6] * (n_windows // 3) + [2 * (n_windows % 3)] * (n_windows % 3 > 0)


def test_rows_with_different_windows_run_apart() -> None:
    hidden = torch.cat([mask_of(37, frame) for frame in (10, 10, 30, 10)])
    assert [len(call) for call, _ in run(random_tokens(4, 37), hidden, hidden, Batches(64))] == [2, 1, 1]


def test_only_windows_that_hide_something_run() -> None:
    tokens, ever = random_tokens(3, 37), random_mask(3, 37, 0.4, 5)
    hidden = ever & random_mask(3, 37, 0.1, 6)
    placed = [(take, start) for take in range(3) for start in oracles.starts(ever[take].tolist(), 8)]
    busy = [(take, start) for take, start in placed if hidden[take, start : start + 8].any()]
    assert 0 < len(busy) < len(placed)
    for (call, _), (take, start) in zip(run(tokens, ever, hidden), busy, strict=True):
        assert torch.equal(call, tokens[take : take + 1, :, start : start + 8])
    assert run(tokens, ever, torch.zeros_like(ever)) == []


def test_a_window_keeps_one_shape() -> None:
    ever = random_mask(1, 8, 0.6, 0)
    wanted = [run(random_tokens(1, 8), ever, ever & random_mask(1, 8, share, 1))[0][1] for share in (1.0, 0.5, 0.2)]
    assert len({(w.start, w.stop) for w in wanted}) == 1


def test_compiled_models_get_whole_windows() -> None:
    calls = run(random_tokens(1, 37), mask_of(37, 20), mask_of(37, 20), Batches(whole=True))
    assert [wanted for _, wanted in calls] == [slice(0, 8)]


@pytest.mark.parametrize("hidden", [mask_of(20, 6), torch.zeros(2, 20, dtype=torch.bool)])
def test_frames_without_windows_are_an_error(hidden: Tensor) -> None:
    with pytest.raises(ValueError, match="no windows were placed"):
        list(window_predictor(MODEL, 8, mask_of(20, 3, 4, 5))(random_tokens(len(hidden), 20), hidden))
