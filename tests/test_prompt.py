"""Drawn prompts against a loop over tokens, and the settings of prompts."""

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

import oracles
from vampcli.config import PromptConfig
from vampcli.errors import UsageError
from vampcli.tokens import prompt
from vampcli.tokens.grid import TokenGrid
from vampcli.tokens.masks import Mask

GRID = TokenGrid(800, 16, 4, 32)  # 50 frames a second
EVENTS = [(0, 2), (9, 13), (39, 40)]


def draw(config: PromptConfig, events: list[tuple[int, int]] = [], seed: int = 0, n_frames: int = 60) -> Mask:  # noqa: B006
    return prompt.draw(config, 4, n_frames, events, np.random.default_rng(seed))


def random_config(rng: np.random.Generator) -> PromptConfig:
    period = rng.choice([None, 0, 1, 2, 5, 7, 13])
    return PromptConfig(
        period=period,
        width=int(rng.integers(1, 1 + max(1, period or 0))),
        keep_codebooks=rng.choice([None, 1, 3, 9]),
        dropout=float(rng.choice([0, 0.2, 0.5, 1])),
        intensity=float(rng.choice([0, 0.7, 1])),
    )


def random_ranges(rng: np.random.Generator, n_frames: int) -> list[tuple[int, int]]:
    starts = rng.integers(0, n_frames, rng.integers(0, 5))
    return [(int(start), int(min(n_frames, start + rng.integers(1, 6)))) for start in starts]


@pytest.mark.parametrize("seed", range(60))
def test_draw_equals_loop_over_tokens(seed: int) -> None:
    rng = np.random.default_rng(seed)
    config, n_codebooks, n_frames = random_config(rng), int(rng.integers(1, 6)), int(rng.integers(1, 40))
    events = random_ranges(rng, n_frames)
    mask = prompt.draw(config, n_codebooks, n_frames, events, np.random.default_rng(seed))
    assert mask.dtype == bool
    expected = oracles.drawn_prompt(config, n_codebooks, n_frames, events, np.random.default_rng(seed))
    assert mask.tolist() == expected


def test_a_seed_draws_one_prompt() -> None:
    config = PromptConfig(period=7, intensity=0.8, dropout=0.3)
    assert np.array_equal(draw(config, seed=1), draw(config, seed=1))
    assert not np.array_equal(draw(config, seed=1), draw(config, seed=2))
    rng = np.random.default_rng(0)
    first, second = (prompt.draw(config, 4, 60, [], rng) for _ in range(2))
    assert not np.array_equal(first, second)


def test_period_begins_anywhere() -> None:
    firsts = {int((~draw(PromptConfig(period=5), seed=seed)[0]).nonzero()[0][0]) for seed in range(60)}
    assert firsts == set(range(5))


@pytest.mark.parametrize("config", [PromptConfig(3), PromptConfig(intensity=0.6), PromptConfig(keep_codebooks=2)])
def test_more_dropout_hides_more(config: PromptConfig) -> None:
    shares = [0, 0.1, 0.3, 0.7, 1]
    drawn = [draw(replace(config, dropout=share)) for share in shares]
    kept = [int((~mask).any(0).sum()) for mask in drawn]
    assert kept == [kept[0] - round(share * kept[0]) for share in shares]
    assert all(np.array_equal(more & less, less) for less, more in pairwise(drawn))


@pytest.mark.parametrize(
    ("asked", "period"),
    [
        ({}, 7),
        ({"dropout": 0.5, "pitch": 3}, 7),
        ({"keep_codebooks": 2}, 1),
        ({"beats": True, "keep_codebooks": 2}, 0),
        ({"onsets": True}, 0),
        ({"intensity": 0.9}, 0),
        ({"beats": True, "period": 13}, 13),
        ({"period": 0}, 0),
    ],
)
def test_resolved_period(asked: dict[str, object], period: int) -> None:
    assert PromptConfig(**asked).resolved_period == period  # type: ignore[arg-type]


OUT_OF_RANGE = {
    **{"period": [-1], "width": [0], "keep_codebooks": [0], "feedback": [0, 9], "stretch": [17], "pitch": [-13]},
    **{"beat_width": [0], "onset_width": [math.inf], "dropout": [1.1, math.nan], "intensity": [-0.1]},
}


@pytest.mark.parametrize("name", OUT_OF_RANGE)
def test_values_out_of_range(name: str) -> None:
    for value in OUT_OF_RANGE[name]:
        with pytest.raises(UsageError, match=f"{name} is {value}"):
            PromptConfig(**{name: value})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("asked", "message", "cure"),
    [
        ({"downbeats_only": True}, "beats are not", "add beats"),
        ({"beat_width": 50}, "beat_width is 50, but beats are not", "add beats"),
        ({"onset_width": 70, "beats": True}, "onset_width is 70, but onsets are not", "add onsets"),
        ({"width": 8}, "width is 8, but the period is 7", "make the period 8 or more"),
        ({"width": 2, "beats": True}, "width is 2, but the period is 0", "name a period"),
    ],
)
def test_settings_without_effect(asked: dict[str, object], message: str, cure: str) -> None:
    with pytest.raises(UsageError, match=message) as raised:
        PromptConfig(**asked)  # type: ignore[arg-type]
    assert cure in raised.value.hint


@pytest.mark.parametrize("seed", range(30))
def test_events_touch_frames_of_samples(seed: int) -> None:
    rng = np.random.default_rng(seed)
    first_frame, n_frames = int(rng.integers(0, 60)), int(rng.integers(1, 60))
    times, width = sorted(rng.uniform(0, 3, 12)), float(rng.choice([0.0004, 0.01, 0.05, 0.3]))
    found = prompt.event_ranges(times, width, GRID, first_frame, n_frames)
    expected = oracles.event_ranges(times, width, GRID.sample_rate, GRID.hop_length, first_frame, n_frames)
    assert [set(range(*pair)) for pair in found] == expected


def test_events_are_clipped() -> None:
    # frames of 0.02 s; the clip is frames 5 to 9: 0.1 to 0.2 s
    times = [0.0, 0.04, 0.08, 0.12, 0.18, 0.2]
    assert prompt.event_ranges(times, 0.04, GRID, 5, 5) == [(0, 1), (1, 3), (4, 5)]
    assert prompt.event_ranges([0.04], 0.0004, GRID, 0, 5) == [(2, 3)]  # shorter than a sample


@pytest.mark.parametrize("factor", [1, 2, 3, 16])
def test_stretch(factor: int) -> None:
    mask = np.random.default_rng(0).random((3, 2, 12)) < 0.5
    longer = prompt.stretch(mask, factor)
    assert longer.shape == (3, 2, 12 * factor)
    assert np.array_equal(longer[..., ::factor], mask)
    assert int((~longer).sum()) == int((~mask).sum())


@pytest.mark.parametrize(("period", "width"), [(2, 1), (7, 1), (7, 3), (5, 4)])
def test_later_prompts_shift_the_period(period: int, width: int) -> None:
    first, second, third = (
        prompt.draw(PromptConfig(period, width), 4, 60, [], np.random.default_rng(5), i) for i in range(3)
    )
    assert np.array_equal(second[:, width:], first[:, :-width])
    assert np.array_equal(third[:, width:], second[:, :-width])
    assert not np.array_equal(first, second)


@pytest.mark.parametrize("config", [PromptConfig(intensity=0.5), PromptConfig(1, dropout=0.5)])
def test_later_prompts_hide_other_tokens(config: PromptConfig) -> None:
    drawn = [prompt.draw(config, 4, 60, [], np.random.default_rng(5), i) for i in (0, 1, 2, 2)]
    assert not any(np.array_equal(drawn[i], drawn[i + 1]) for i in range(2))
    assert np.array_equal(drawn[2], drawn[3])
