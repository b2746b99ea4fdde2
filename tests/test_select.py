"""Selection of the best takes, and drawing hopeless ones again."""

import weakref
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch

from vampcli import Take, Waveform
from vampcli.scoring.scores import Scores
from vampcli.scoring.select import Choice, choose, rotate_loop, spare_seeds


def take_of(seed: int) -> Take:
    clip = Waveform(np.full((1, 8), seed, np.float32), 44100)
    return Take(clip, torch.zeros(1, 1, 1), torch.ones(1, 1, dtype=torch.bool), seed, ((0, 8),), clip)


def chosen(totals: dict[int, float], seeds: Sequence[int], n_kept: int, hopeless: Sequence[int] = ()) -> Choice:
    """Choose among takes whose scores are known by their seeds."""

    def draw(wanted: Sequence[int]) -> Iterator[Take]:
        return map(take_of, wanted)

    def score(take: Take) -> Scores:
        return Scores(0.0, 0.0, hopeless="silent" if take.seed in hopeless else "", total=totals.get(take.seed, -50.0))

    return choose(draw, score, seeds, n_kept)


def seeds_of(choice: Choice) -> list[int]:
    return [take.seed for take, _ in choice.kept]


@pytest.mark.parametrize("n_kept", [1, 3, 8])
def test_best_takes_in_order(n_kept: int) -> None:
    totals = {seed: float(total) for seed, total in enumerate(np.random.default_rng(0).permutation(8))}
    choice = chosen(totals, range(8), n_kept)
    assert seeds_of(choice) == sorted(totals, key=lambda seed: -totals[seed])[:n_kept]
    assert (choice.n_drawn, choice.hopeless) == (8, {})


def test_hopeless_takes_are_drawn_again() -> None:
    choice = chosen({3: 0.0, 4: -1.0, 5: -2.0, 6: -3.0}, range(1, 5), 4, hopeless=[1, 2, 5])
    assert seeds_of(choice) == [3, 4, 6, 7]
    assert (choice.n_drawn, choice.hopeless) == (7, {"silent": 3})


def test_hopeless_takes_rank_last() -> None:
    assert seeds_of(chosen({0: 0.0, 1: -40.0}, range(2), 2, hopeless=[0])) == [1, 2]


@pytest.mark.parametrize("n", [1, 2, 16])
def test_drawing_again_ends(n: int) -> None:
    choice = chosen({}, range(5, 5 + n), 1, hopeless=range(1000))
    assert (len(choice.kept), choice.n_drawn) == (1, 2 * n)
    assert max(seeds_of(choice)) <= max(spare_seeds(range(5, 5 + n)))


def test_memory_holds_kept_takes_only() -> None:
    alive: list[weakref.ref[Waveform]] = []
    most = 0

    def draw(seeds: Sequence[int]) -> Iterator[Take]:
        nonlocal most
        for seed in seeds:
            most = max(most, sum(clip() is not None for clip in alive))
            clip = Waveform(np.zeros((1, 8), np.float32), 44100)
            alive.append(weakref.ref(clip))
            take = replace(take_of(seed), audio=clip)
            del clip
            yield take
            del take

    choose(draw, lambda take: Scores(0.0, 0.0, total=float(take.seed)), range(20), 3)
    assert most <= 3


@pytest.mark.parametrize("n", [8, 9])
@pytest.mark.parametrize("spans", [((0, 2), (6, 8)), ((1, 3),), ((3, 6),), ((0, 8),), ((0, 1), (3, 5))])
def test_rotated_loop_holds_the_same(n: int, spans: tuple[tuple[int, int], ...]) -> None:
    """The same samples are inside the spans."""
    clip = Waveform(np.arange(n, dtype=np.float32)[None], 44100)
    take = replace(take_of(0), audio=clip, base=clip, spans=spans)
    found = rotate_loop(take)
    assert {int(found.audio.samples[0, i]) for s, e in found.spans for i in range(s, e)} == {
        i for s, e in spans for i in range(s, e)
    }
    assert found.audio.samples[0, (n - n // 2) % n] == 0
    assert all(a[1] < b[0] for a, b in zip(found.spans, found.spans[1:], strict=False))
