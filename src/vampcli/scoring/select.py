"""Select the best of many takes, and draw hopeless ones again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from vampcli.audio.waveform import Waveform
from vampcli.scoring.scores import Scores, best
from vampcli.tasks.plan import merge_ranges
from vampcli.tasks.take import Take


@dataclass(frozen=True)
class Choice:
    """Selected takes.

    Attributes:
        kept: takes and their scores, best first.
        n_drawn: number of takes drawn.
        hopeless: number of takes drawn again, by reason.
    """

    kept: tuple[tuple[Take, Scores], ...]
    n_drawn: int
    hopeless: dict[str, int]


def choose(
    draw: Callable[[Sequence[int]], Iterator[Take]],
    score: Callable[[Take], Scores],
    seeds: Sequence[int],
    n_kept: int,
) -> Choice:
    """Keep the best takes, and no others in memory.

    Each hopeless take is drawn again with the next free seed, up to as many takes as there are seeds.

    Args:
        draw: makes takes of seeds, one by one.
        score: scores a take.
        seeds: of the takes requested.
        n_kept: number of takes to keep.
    """
    kept: list[tuple[Take, Scores]] = []
    hopeless: Counter[str] = Counter()
    n_drawn, limit = 0, 2 * len(seeds)
    todo, free = list(seeds), max(seeds) + 1
    while todo:
        again = 0
        for take in draw(todo):
            kept.append((take, score(take)))
            n_drawn += 1
            if reason := kept[-1][1].hopeless:
                hopeless[reason] += 1
                again += 1
            kept = [kept[i] for i in best([scores for _, scores in kept], n_kept)]
            del take  # before the next is made: it may be long
        todo = list(range(free, free + min(again, limit - n_drawn)))
        free += len(todo)
    return Choice(tuple(kept), n_drawn, dict(hopeless))


def rotate_loop(take: Take) -> Take:
    """Rotate a loop by half, so that its wrap is inside and is scored like any other edge."""
    n, turn = take.audio.n_samples, take.audio.n_samples // 2
    halves = [
        (max(s, a) - a, min(e, b) - a, n - turn if a == 0 else 0)
        for s, e in take.spans
        for a, b in ((0, turn), (turn, n))
    ]
    spans = merge_ranges((s + shift, e + shift) for s, e, shift in halves if s < e)

    def roll(sound: Waveform) -> Waveform:
        return replace(sound, samples=np.roll(sound.samples, -turn, axis=1))

    return replace(take, audio=roll(take.audio), base=roll(take.base), spans=tuple(spans))


def spare_seeds(seeds: Sequence[int]) -> range:
    """Return the seeds with which takes may be drawn again."""
    return range(max(seeds) + 1, max(seeds) + 1 + len(seeds))
