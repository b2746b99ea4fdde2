"""Which takes are the best: how well what was made fits the music it was made for."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from vampcli.audio.clicks import LIMIT, click_figure
from vampcli.audio.waveform import Samples, Waveform
from vampcli.config import TempoConfig
from vampcli.scoring.context import Music, beside, edges, measure, music_around
from vampcli.scoring.spectra import Floats, Ranges, finite, frames_in
from vampcli.tasks.take import Take

_PLATEAU = 0.999  # of the peak: few samples of an unclipped wave are above
_LEAST_PEAK = 0.01  # what is quieter may be flat because it was rounded to few bits
_BLOCK = 2**18  # samples
_CLICK_S = 0.05  # as much as `click_figure` looks at


@dataclass(frozen=True)
class Scores:
    """How well a take fits; of most parts, 0 is best.

    None = cannot be told: there is no music to compare with, no beat, or too little was made.

    Attributes:
        click: the worst figure at an edge of a span, over what is allowed there: `clicks.LIMIT`, or as much as an
            attack that lay there before. Above 1 it is heard.
        plateau: share, 0 to 1, of samples at the peak, or above full scale, beyond the music's own.
        jump: the largest change of the spectrum at an edge, over the 95th percentile of changes in the music kept, or
            over the change that was there before. Up to 1 it passes for music.
        groove: 1: attacks keep to the beat as the piece's own do; 0: as chance does; down to -1: they avoid it.
        level_db: how much louder (above 0) what was made is than what sounds around it; from -60 to 60.
        colour_db: by how much the bands of the spectrum, on average, are out of balance; noise has 10 or more.
        silence: share, 0 to 1, of what should sound that is silent.
        motion: how much the stillest second changes, over the music's stillest second: 0 is a tone that stands.
        hopeless: why the take should be drawn again with another seed: `silent`, `saturated`, `stuck`, `clicks`;
            empty if there is no reason.
        total: all parts in one number: 0 is flawless, below it is worse.
    """

    click: float
    plateau: float
    jump: float | None = None
    groove: float | None = None
    level_db: float | None = None
    colour_db: float | None = None
    silence: float = 0.0
    motion: float | None = None
    hopeless: str = ""
    total: float = 0.0


@dataclass(frozen=True)
class Reference:
    """What takes of one request are measured by; it depends on the input alone, and fits all of them.

    Attributes:
        spans: sample ranges [start, end) that are made, in order and apart.
        clicks: float64 (n_edges,), the figures allowed at the edges of spans inside the clip.
        plateau: share of the samples kept that are at their peak.
        music: what sounds around the spans, or in them, if all of it is made; None if there is silence.
    """

    spans: Ranges
    clicks: Floats
    plateau: float
    music: Music | None

    @classmethod
    def of(cls, base: Waveform, spans: Ranges, tempo: TempoConfig | None = None, with_groove: bool = True) -> Reference:
        """Listen to what a take would be if nothing were made.

        Args:
            base: as in `Take.base`.
            spans: as in `Take.spans`.
            tempo: what is known of the tempo; tracked otherwise.
            with_groove: False saves tracking beats.
        """
        music = music_around(base, spans, tempo or TempoConfig(), with_groove)
        allowed = np.full(len(edges(base, spans)), LIMIT)
        if music is not None:  # an attack that lay there may come again, but not the bare end of a recording
            inside = (beside(base, spans).power >= music.quiet).reshape(-1, 2).all(axis=1)
            allowed = np.where(inside, np.maximum(allowed, click_figures(base, spans)), allowed)
        return cls(spans, allowed, _plateau(base, measure(base, spans)), music)

    def score(self, take: Take) -> Scores:
        """Measure a take of the request, whatever the others are."""
        audio, music = take.audio, self.music
        scores = Scores(
            click=float((click_figures(audio, self.spans) / self.clicks).max(initial=0)),
            plateau=max(0.0, _plateau(audio, self.spans) - self.plateau),
        )
        if music is not None:
            made = frames_in(audio, self.spans)
            sounding = made.where(made.power >= music.quiet)
            scores = replace(
                scores,
                jump=music.jump(beside(audio, self.spans)),
                groove=music.groove.agreement(sounding, music.level) if music.groove else None,
                level_db=music.level_db(made),
                colour_db=music.colour_db(sounding),
                silence=music.silence(made),
                motion=music.motion(sounding),
            )
        return replace(scores, hopeless=_why_hopeless(scores), total=_total(scores))


def best(scores: Sequence[Scores], n: int) -> list[int]:
    """Find the best takes.

    Args:
        scores: of all takes.
        n: how many are wanted.

    Returns:
        Their indices, the best first; the hopeless come last, and of equals the earlier is first.
    """
    return sorted(range(len(scores)), key=lambda i: (scores[i].hopeless != "", -scores[i].total))[: max(0, n)]


def _why_hopeless(scores: Scores) -> str:
    if scores.silence > 0.5:
        return "silent"
    if scores.plateau > 0.1:  # a loud wave cut at a quarter of its height; a pure tone has 0.03
        return "saturated"
    if scores.motion is not None and scores.motion < 0.25:
        return "stuck"
    return "clicks" if scores.click > 4 else ""


def _total(scores: Scores) -> float:
    """Minus the sum of squared faults: one that is gross outweighs several that are slight.

    Each is counted in what makes a take noticeably worse, as far as that is 1.
    """
    faults = [
        math.log2(max(1, scores.click)),  # 1 where the click is twice what may be
        math.log2(max(1, scores.jump or 0)),  # likewise
        1 - scores.groove if scores.groove is not None else 0,  # 1 by chance
        (scores.level_db or 0) / 4,  # two seconds of 21 pieces were within 3 dB of what is around
        (scores.colour_db or 0) / 4,  # and within 4 dB here
        scores.silence / 0.1,  # a fifth of it missing is as bad as 8 dB too loud
        scores.plateau / 0.03,  # 6 dB too much for a wave with few peaks
        max(0, 1 - scores.motion) / 0.5 if scores.motion is not None else 0,  # a tone that stands: 2
    ]
    return 0.0 - sum(fault**2 for fault in faults)


def click_figures(audio: Waveform, spans: Ranges) -> Floats:
    """The worst channel's click figure at each edge: float64 (n_edges,); 0 where there is too little sound to tell."""
    return np.array(
        [max(_figure(channel, audio.sample_rate, place) for channel in audio.samples) for place in edges(audio, spans)]
    )


def _figure(channel: Samples, sample_rate: int, place: int) -> float:
    reach = round(_CLICK_S * sample_rate)
    first = max(0, place - reach)
    try:
        return click_figure(finite(channel[first : place + reach]), sample_rate, place - first)
    except (ValueError, np.linalg.LinAlgError):  # too short, or a wave that is predicted exactly
        return 0.0


def _plateau(audio: Waveform, ranges: Ranges) -> float:
    """Share of samples at their channel's peak in these ranges, or above full scale."""
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
