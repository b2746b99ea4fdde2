"""Measures of the music around spans, and of what is re-made against it: level, timbre, silence, joins."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain

import numpy as np

from vampcli.audio.waveform import Waveform
from vampcli.scoring.spectra import Floats, Frames, Ranges, frames_at, frames_in, window_of

_AROUND_S = 3.0  # on each side of a span: measures level and silence
_KEPT_S = 30.0  # on each side, shared among spans: measures changes and timbre
_LEAST_KEPT_S = 1.0  # if less is kept, the spans before re-making count, too
_SOUND_DB, _QUIET_DB = 60, 20  # sound is no further below the loudest; silence is that far below the quietest sound
_LEAST_CHANGES = 8
_MOST_DB = 60
_INAUDIBLE_DB = 0.05  # of change: makes all steady tones alike


@dataclass(frozen=True)
class Music:
    """Statistics of the music around spans.

    Attributes:
        level: mean power, above 0.
        quiet: power below which a frame is silent.
        silent: share of silent frames around the spans; 1 if all spans border on silence.
        changes: float64 (n_edges,), change of the spectrum allowed at each edge, in dB; infinite beside silence.
        spectrum: float64 (n_bands,), mean levels of the bands, in dB.
    """

    level: float
    quiet: float
    silent: float
    changes: Floats
    spectrum: Floats

    def jump(self, beside: Frames) -> float | None:
        """Return the largest change at an edge, over the change allowed there."""
        judged = np.isfinite(self.changes)
        return float((_changes(beside, self.level) / self.changes)[judged].max()) if judged.any() else None

    def level_db(self, made: Frames) -> float:
        """Return the level of frames above that of the music, from -60 to 60 dB."""
        ratio = float(made.power.mean()) / self.level
        return float(np.clip(10 * np.log10(max(ratio, 1e-30)), -_MOST_DB, _MOST_DB))

    def colour_db(self, sounding: Frames) -> float | None:
        """Return the mean difference of band levels from the music's, without the overall difference."""
        if not len(sounding.starts):
            return None
        differs = sounding.db(self.level).mean(axis=0) - self.spectrum
        return float(np.abs(differs - differs.mean()).mean())

    def silence(self, made: Frames) -> float:
        """Return the share of silent frames beyond that of the music."""
        silent = float((made.power < self.quiet).mean())
        return max(0.0, (silent - self.silent) / (1 - self.silent)) if self.silent < 1 else 0.0


def music_around(base: Waveform, spans: Ranges) -> Music | None:
    """Measure the music around spans of the clip before re-making, or inside them if there is little else.

    Returns:
        None if it is silent.
    """
    around = frames_in(base, measured_ranges(base, spans, _AROUND_S))
    sound = around.power[around.power > around.power.max(initial=0) * 10 ** (-_SOUND_DB / 10)]
    if not len(sound) or not spans:
        return None
    level, quiet = float(sound.mean()), float(np.percentile(sound, 5)) * 10 ** (-_QUIET_DB / 10)
    kept = frames_in(base, measured_ranges(base, spans))
    kept = kept.where(kept.power >= quiet)
    changes = kept.jumps(level)
    starts = np.isin(edges(base, spans), [start for start, _ in spans])
    joined = beside(base, spans)
    sounds = (joined.power >= quiet).reshape(-1, 2)
    kept_sounds = np.where(starts, sounds[:, 0], sounds[:, 1])
    before = np.where(sounds.all(axis=1), _changes(joined, level), 0)  # a change that was there may occur again
    usual = np.percentile(changes, 95) + _INAUDIBLE_DB if len(changes) >= _LEAST_CHANGES else np.inf
    return Music(
        level=level,
        quiet=quiet,
        silent=float((around.power < quiet).mean()) if kept_sounds.any() or not len(starts) else 1.0,
        changes=np.where(kept_sounds, np.maximum(before, usual), np.inf),
        spectrum=kept.db(level).mean(axis=0),
    )


def edges(audio: Waveform, spans: Ranges) -> list[int]:
    """Return starts and ends of spans inside a clip, in samples."""
    return [edge for edge in chain(*spans) if 0 < edge < audio.n_samples]


def beside(audio: Waveform, spans: Ranges) -> Frames:
    """Return two frames for each edge: right before it and right after it."""
    window = window_of(audio.sample_rate)
    return frames_at(audio, [start for edge in edges(audio, spans) for start in (edge - window, edge)])


def measured_ranges(base: Waveform, spans: Ranges, reach_s: float = _KEPT_S) -> Ranges:
    """Return the ranges kept around spans, or the whole clip if these are under a second.

    Args:
        base: the clip.
        spans: what is re-made.
        reach_s: seconds on each side of the spans, shared among them, at least 3 each.
    """
    reach = round(max(min(reach_s, _AROUND_S), reach_s / max(1, len(spans))) * base.sample_rate)
    borders, n = [0, *chain(*spans), base.n_samples], base.n_samples
    kept: list[tuple[int, int]] = []
    for start, end in zip(borders[::2], borders[1::2], strict=True):
        after = min(end, start + reach) if start > 0 else start
        before = max(start, end - reach) if end < n else end
        kept += [(start, end)] if after >= before else [(start, after), (before, end)]
    kept = [(start, end) for start, end in kept if start < end]
    return kept if sum(end - start for start, end in kept) >= _LEAST_KEPT_S * base.sample_rate else [(0, n)]


def _changes(beside: Frames, level: float) -> Floats:
    """Return the change from the first frame of each pair to the second, in dB, mean over bands: (n_edges,)."""
    db = beside.db(level)
    changes: Floats = np.abs(db[1::2] - db[::2]).mean(axis=1)
    return changes
