"""The junction of a loop, where its end meets its start: figures, and the least treatment that leaves no click."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from vampcli.audio import biquad
from vampcli.audio.clicks import LIMIT, click_figure
from vampcli.audio.waveform import Samples

FADE_S = 0.004
MADE_S = 0.12
"""Length that the models re-make: of 0.06 to 0.3 s, that with the least jumps of the spectrum (with `mini`)."""

_CLEAN = 1.0  # click figure that nine of ten places in music do not exceed
_NATURAL = 1.1  # times the figure of an attack in the recording: as much, for what was before it differs
_ATTACK_DB = 6.0  # a rise of the level from which on it is an attack
_MOST_CHANGE_DB = 7.0  # of the spectrum: repeats of music stay below it, three of four random cuts exceed it
_MOST_CHANGE_AT_ATTACK_DB = 12.0  # likewise; 19 of 20 pairs of adjacent windows of music stay below it
_HOLD_S = 0.010  # copied before an attack: a splice of generated audio mirrors as much of what follows it
_REACH_S = 0.1
_SIDE_S = 0.020  # over which levels are measured
_ATTACK_WITHIN_S = 0.030  # of the start of a loop
_BEFORE_ATTACK_S = 0.002
_HIGHPASS_HZ = 200.0
_SILENCE_DB = -80.0
_SPECTRUM_S = 0.046
_BANDS_HZ = 60.0 * 2 ** (np.arange(26) / 3)  # thirds of an octave
_MASKED_DB = 50.0  # below the louder side

Method = Literal["copied", "cut", "crossfaded", "generated", "varied"]
"""Treatment of a junction: nothing, as it is clean; nothing, as no seam is wanted; a crossfade; made by the models
alone, or with the varied copies on both sides."""


@dataclass(frozen=True)
class Junction:
    """Treatment of a junction, with the figures before it. Positions are samples from the start of the loop on.

    Attributes:
        method: what is done.
        start: first sample that is crossfaded or generated.
        end: one past the last.
        hold: samples before the start of the loop that are copies of those before it in the recording.
        click: click figure; None = too few samples.
        attack_db: see `attack_db`.
        allowed: largest click figure of a junction without a click: that of an attack in the recording is none.
        natural: click figure of the loop's start in the recording; 0 = unknown.
        attack: generated samples end before an attack.
    """

    method: Method
    start: int = 0
    end: int = 0
    hold: int = 0
    click: float | None = None
    attack_db: float = 0.0
    allowed: float = LIMIT
    natural: float = 0.0
    attack: bool = False


@dataclass(frozen=True)
class Sides:
    """The sound around a junction; each is float (n_channels, n_samples).

    Attributes:
        end: the end of the loop.
        start: its start.
        before: of the recording, before the start; may be empty.
        after: of the recording, after the end; may be empty.
        sample_rate: in Hz.
    """

    end: Samples
    start: Samples
    before: Samples
    after: Samples
    sample_rate: int

    @classmethod
    def of(cls, samples: Samples, start: int, end: int, sample_rate: int, last: Samples | None = None) -> Sides:
        """Cut the sides of a loop, samples [start, end), out of a recording; `last` replaces the loop's last copy."""
        reach = round(_REACH_S * sample_rate)
        inside = min(reach, (end - start) // 2)
        last = samples[:, start:end] if last is None else last
        after = samples[:, end : end + reach]
        before = samples[:, max(0, start - reach) : start]
        return cls(last[:, last.shape[1] - inside :], samples[:, start : start + inside], before, after, sample_rate)

    @classmethod
    def in_loop(cls, samples: Samples, position: int, n: int, sample_rate: int) -> Sides:
        """Cut the sides of a position in a loop, whose end continues at its start; its copies have `n` samples."""
        inside = min(round(_REACH_S * sample_rate), n // 2)
        around = samples.take(range(position - inside, position + inside), axis=1, mode="wrap")
        return cls(around[:, :inside], around[:, inside:], around[:, :0], around[:, :0], sample_rate)

    @property
    def fade(self) -> int:
        """Length of a crossfade in samples."""
        return min(round(FADE_S * self.sample_rate), int(self.end.shape[1]) // 2)


def click_between(left: Samples, right: Samples, sample_rate: int) -> float | None:
    """Return the largest click figure of any channel where two sounds meet; None = too few samples."""
    around = np.concatenate([left, right], axis=1)
    try:
        return max(click_figure(channel, sample_rate, left.shape[1]) for channel in around)
    except ValueError:
        return None
    except np.linalg.LinAlgError:  # a wave that is predicted exactly
        return 0.0


def attack_db(left: Samples, right: Samples, sample_rate: int) -> float:
    """Return the rise of the level above 200 Hz from the last 20 ms of a sound to the first 20 ms of another, in dB."""
    return _rises_db(left, right, sample_rate, [0])[0]


def _rises_db(left: Samples, right: Samples, sample_rate: int, positions: Sequence[int]) -> list[float]:
    """Return `attack_db` at positions in `right`; 0 at the edges of the sound."""
    around, n_left, side = np.concatenate([left, right], axis=1, dtype=np.float64), left.shape[1], _SIDE_S * sample_rate
    if sample_rate > 4 * _HIGHPASS_HZ:
        around = biquad.apply(around, biquad.highpass(sample_rate, _HIGHPASS_HZ, 1 / math.sqrt(2)))
    rises, n = [], round(side)
    for i in (n_left + position for position in positions):
        before, after = around[:, max(0, i - n) : i], around[:, i : i + n]
        rises.append(_level_db(after) - _level_db(before) if before.size and after.size else 0.0)
    return rises


def measure(sides: Sides, method: Method, start: int = 0, end: int = 0) -> Junction:
    """Return the junction with its figures, for a treatment that is decided already."""
    left, right, rate = sides.end, sides.start, sides.sample_rate
    click, rise = click_between(left, right, rate), attack_db(left, right, rate)
    natural = None
    if sides.before.shape[1] >= round(_SIDE_S * rate) or _find_attack(sides) is not None:
        natural = click_between(_padded(sides.before, left.shape[1]), right, rate)
    return Junction(method, start, end, 0, click, rise, max(LIMIT, _NATURAL * (natural or 0.0)), natural or 0.0)


def decide(sides: Sides, made: int, around: bool = True) -> Junction:
    """Choose the least that leaves no click: nothing, a crossfade, or samples that the models make.

    A crossfade leads from the end of the loop to what lies before its start in the recording, so that an attack at the
    start stays exact. Generated samples end before such an attack, or else lie around the junction.

    Args:
        sides: the sound around it.
        made: samples that the models would make; 0 = the loop is too short for them.
        around: the start of the loop may change; otherwise its end alone does.
    """
    rate, fade, attack = sides.sample_rate, sides.fade, _find_attack(sides)
    raw = measure(sides, "copied")
    if raw.click is None or raw.click <= max(_CLEAN, _NATURAL * raw.natural):
        return raw
    late = around and attack is None and sides.before.shape[1] < fade <= sides.after.shape[1]
    start, end = (0, fade) if late else (-fade, 0)
    faded = replace(raw, method="crossfaded", start=start, end=end)
    after = click_between(*treat(sides, faded), rate) or 0.0
    if raw.click <= raw.allowed:
        return faded if after < raw.click else raw
    # The models: before the attack and a copy of what is before it in the recording, or around the junction.
    kept = 0 if attack is None or not around else max(0, attack - round(_BEFORE_ATTACK_S * rate))
    stop = kept - round(_HOLD_S * rate)
    unknown = attack is not None and sides.before.shape[1] < max(0, -stop) + fade  # nothing is before it
    if (after <= raw.allowed and _fits(sides, attack is not None)) or made == 0 or unknown:
        return faded
    if attack is None:
        stop = made - made // 2 if around else 0
        return replace(raw, method="generated", start=stop - made, end=stop)
    return replace(raw, method="generated", start=stop - made, end=stop, hold=max(0, -stop), attack=True)


def treat(sides: Sides, junction: Junction) -> tuple[Samples, Samples]:
    """Return end and start of a loop with its crossfade, or with the copy before an attack; generated samples lack."""
    end, start = sides.end.copy(), sides.start.copy()
    n = end.shape[1]
    if junction.method == "crossfaded" and junction.end > 0:
        rise = _rise(junction.end)
        start[:, : junction.end] = rise * start[:, : junction.end] + (1 - rise) * sides.after[:, : junction.end]
    elif junction.method == "crossfaded" or junction.hold:
        fade = sides.fade
        to = _padded(sides.before, junction.hold + fade)
        first, rise = n - junction.hold - fade, _rise(fade)
        end[:, first : first + fade] = (1 - rise) * end[:, first : first + fade] + rise * to[:, :fade]
        end[:, first + fade :] = to[:, fade:]
    return end, start


def _find_attack(sides: Sides) -> int | None:
    """Return the position of the steepest attack within 30 ms of the start, in samples; None if there is none."""
    rate, step = sides.sample_rate, max(1, sides.sample_rate // 1000)
    whole = sides.before.shape[1] >= round(_SIDE_S * rate)
    left = sides.before if whole else sides.end  # the recording tells where its attacks are
    last = min(round(_ATTACK_WITHIN_S * rate), sides.start.shape[1] - round(_SIDE_S * rate))
    positions = range(0, max(1, last), step)
    rises = _rises_db(left, sides.start, rate, positions)
    best = max(range(len(rises)), key=rises.__getitem__)
    return positions[best] if rises[best] >= _ATTACK_DB else None


def _fits(sides: Sides, attack: bool) -> bool:
    """Return whether the loop's end sounds like what lies before its start, or else like the start itself."""
    n = min(round(_SPECTRUM_S * sides.sample_rate), sides.end.shape[1])
    other = sides.before[:, -n:] if sides.before.shape[1] >= n else sides.start[:, :n]
    one, two = (_bands(side, sides.sample_rate) for side in (sides.end[:, -n:], other))
    floor = max(one.sum(), two.sum(), 1e-20) * 10 ** (-_MASKED_DB / 10)
    change = np.abs(10 * np.log10(np.maximum(one, floor) / np.maximum(two, floor))).mean()
    return bool(change <= (_MOST_CHANGE_AT_ATTACK_DB if attack else _MOST_CHANGE_DB))


def _bands(samples: Samples, sample_rate: int) -> npt.NDArray[np.float64]:
    """Powers of thirds of an octave: float64 (n_bands,)."""
    window = np.hanning(samples.shape[1] + 2)[1:-1]
    power = np.square(np.abs(np.fft.rfft(samples * window, 2 * samples.shape[1]))).sum(axis=0)
    edges = np.searchsorted(np.fft.rfftfreq(2 * samples.shape[1], 1 / sample_rate), _BANDS_HZ)
    return np.diff(np.concatenate([[0.0], np.cumsum(power)])[edges])


def _level_db(samples: Samples) -> float:
    power = float(np.square(samples).mean()) if samples.size else 0.0
    return max(_SILENCE_DB, 10 * float(np.log10(max(power, 1e-20))))


def _rise(n: int) -> npt.NDArray[np.float64]:
    return np.asarray(np.sin(np.pi / 2 * (np.arange(n) + 0.5) / max(1, n)) ** 2)


def _padded(samples: Samples, n: int) -> Samples:
    """The last n samples, after silence if there are fewer."""
    inside = samples[:, max(0, samples.shape[1] - n) :]
    return np.pad(inside, ((0, 0), (n - inside.shape[1], 0)))
