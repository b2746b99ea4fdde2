"""Scores that rank takes: agreement of what is re-made with the music around it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from vampcli.audio.clicks import LIMIT, click_figure
from vampcli.audio.spectra import finite
from vampcli.audio.waveform import Samples, Waveform
from vampcli.scoring.context import Music, beside, edges, measured_ranges, music_around
from vampcli.scoring.spectra import Floats, Ranges, frames_in
from vampcli.tasks.take import Take

_PLATEAU = 0.999  # of the peak: few samples of an unclipped wave are above
_LEAST_PEAK = 0.01  # quieter sound may be flat because it is rounded to few bits
_BLOCK = 2**18  # samples
_ATTACKS = 0.3  # of correlation: chosen on takes of other pieces than those in the documentation
_CLICK_S = 0.05  # reach of `click_figure`


@dataclass(frozen=True)
class Scores:
    """Scores of one take; 0 is best for most.

    None = not measurable: there is no music to compare with.

    Attributes:
        click: largest click figure at an edge of a span over the figure allowed there: `clicks.LIMIT`, or that of an
            attack at the same position before re-making. Audible above 1.
        plateau: share, 0 to 1, of samples at the peak or above full scale, beyond that of the music.
        jump: largest change of the spectrum at an edge over the 95th percentile of changes in the music kept, or over
            the change at the same position before re-making. Inconspicuous up to 1.
        level_db: level of what is re-made above that of the music around it; from -60 to 60.
        colour_db: mean imbalance of the bands of the spectrum; noise has 10 or more.
        silence: share, 0 to 1, of silence where there should be sound.
        attacks: correlation of the attacks with those of similar places, see `ExpectedAttacks`; 1 is best.
        hopeless: reason to draw the take again with another seed: `silent`, `saturated`, `clicks`; or empty.
        total: all scores in one number: 0 is flawless, negative is worse.
    """

    click: float
    plateau: float
    jump: float | None = None
    level_db: float | None = None
    colour_db: float | None = None
    silence: float = 0.0
    attacks: float | None = None
    hopeless: str = ""
    total: float = 0.0


@dataclass(frozen=True)
class Reference:
    """Reference for the scores of all takes of one request; it depends on the input alone.

    Attributes:
        spans: sample ranges [start, end) that are re-made, in order and disjoint.
        clicks: float64 (n_edges,), click figures allowed at the edges of spans inside the clip.
        plateau: share of the kept samples that are at their peak.
        music: statistics of the music around the spans, or in them if everything is re-made; None if it is silent.
    """

    spans: Ranges
    clicks: Floats
    plateau: float
    music: Music | None

    @classmethod
    def of(cls, base: Waveform, spans: Ranges) -> Reference:
        """Measure the clip before re-making.

        Args:
            base: as in `Take.base`.
            spans: as in `Take.spans`.
        """
        music = music_around(base, spans)
        allowed = np.full(len(edges(base, spans)), LIMIT)
        if music is not None:  # an attack that was there may occur again, but not the bare end of a recording
            inside = (beside(base, spans).power >= music.quiet).reshape(-1, 2).all(axis=1)
            allowed = np.where(inside, np.maximum(allowed, click_figures(base, spans)), allowed)
        return cls(spans, allowed, _plateau(base, measured_ranges(base, spans)), music)

    def score(self, take: Take, attacks: float | None = None) -> Scores:
        """Score a take, independently of other takes.

        Args:
            take: the take.
            attacks: agreement of its attacks with those of similar places, if there are any.
        """
        audio, music = take.audio, self.music
        scores = Scores(
            click=float((click_figures(audio, self.spans) / self.clicks).max(initial=0)),
            plateau=max(0.0, _plateau(audio, self.spans) - self.plateau),
            attacks=attacks,
        )
        if music is not None:
            made = frames_in(audio, self.spans)
            scores = replace(
                scores,
                jump=music.jump(beside(audio, self.spans)),
                level_db=music.level_db(made),
                colour_db=music.colour_db(made.where(made.power >= music.quiet)),
                silence=music.silence(made),
            )
        return replace(scores, hopeless=_why_hopeless(scores), total=_total(scores))


def best(scores: Sequence[Scores], n: int) -> list[int]:
    """Return the indices of the n best takes, best first; hopeless takes come last, ties in order."""
    return sorted(range(len(scores)), key=lambda i: (scores[i].hopeless != "", -scores[i].total))[: max(0, n)]


def _why_hopeless(scores: Scores) -> str:
    if scores.silence > 0.5:
        return "silent"
    if scores.plateau > 0.1:  # a loud wave cut at a quarter of its height; a pure tone has 0.03
        return "saturated"
    return "clicks" if scores.click > 4 else ""


def _total(scores: Scores) -> float:
    """Return minus the sum of squared faults, each in units of a noticeable difference.

    One gross fault so outweighs several slight ones.
    """
    faults = [
        math.log2(max(1, scores.click)),  # 1 for a click of twice the limit
        math.log2(max(1, scores.jump or 0)),  # likewise
        (scores.level_db or 0) / 4,  # two seconds of 21 pieces were within 3 dB of their surroundings
        (scores.colour_db or 0) / 4,  # and within 4 dB here
        scores.silence / 0.1,  # a fifth of it missing is as bad as 8 dB too loud
        scores.plateau / 0.03,  # 6 dB too much for a wave with few peaks
        (1 - scores.attacks) / _ATTACKS if scores.attacks is not None else 0,
    ]
    return 0.0 - sum(fault**2 for fault in faults)


def click_figures(audio: Waveform, spans: Ranges) -> Floats:
    """Return the worst channel's click figure at each edge: float64 (n_edges,); 0 where there is too little sound."""
    return np.array(
        [max(_figure(channel, audio.sample_rate, edge) for channel in audio.samples) for edge in edges(audio, spans)]
    )


def _figure(channel: Samples, sample_rate: int, edge: int) -> float:
    reach = round(_CLICK_S * sample_rate)
    first = max(0, edge - reach)
    try:
        return click_figure(finite(channel[first : edge + reach]), sample_rate, edge - first)
    except (ValueError, np.linalg.LinAlgError):  # too short, or a wave that is predicted exactly
        return 0.0


def _plateau(audio: Waveform, ranges: Ranges) -> float:
    """Return the share of samples in ranges at their channel's peak or above full scale."""
    n_flat = 0
    for channel in audio.samples:
        peak = max((float(np.abs(block).max()) for block in _blocks(channel, ranges)), default=0.0)
        if peak >= _LEAST_PEAK:
            flat = min(_PLATEAU * peak, 1.0)
            n_flat += sum(int(np.count_nonzero(np.abs(block) >= flat)) for block in _blocks(channel, ranges))
    n = sum(end - start for start, end in ranges)
    return n_flat / max(1, n * audio.n_channels)


def _blocks(channel: Samples, ranges: Ranges) -> Iterator[Floats]:
    for start, end in ranges:
        for first in range(start, end, _BLOCK):
            yield finite(channel[first : min(end, first + _BLOCK)])
