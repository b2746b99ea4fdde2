"""Agreement of the attacks of takes with those of similar places of the recording."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vampcli.audio import beats
from vampcli.audio.waveform import Waveform
from vampcli.memory.search import cut
from vampcli.scoring.spectra import Floats
from vampcli.tasks.plan import Stretch

_N_PLACES = 3  # of a stretch, whose mean is expected
_AROUND_S = 1.0  # on each side: the spectrum's floor and the first frames depend on it
_MOST_SHIFT = 1  # frames of 12 ms


@dataclass(frozen=True)
class ExpectedAttacks:
    """Onset strength that is expected of takes.

    Attributes:
        stretches: sample ranges [start, end) of takes.
        strengths: for each of them, float (n_frames,) at `beats.RATE` / `beats.HOP` frames a second.
    """

    stretches: tuple[tuple[int, int], ...]
    strengths: tuple[Floats, ...]

    @classmethod
    def of(cls, recording: Waveform, stretches: Sequence[Stretch]) -> ExpectedAttacks:
        """Average the onset strength of the first places of each stretch, weighted by trust.

        Args:
            recording: holds the places; those in other files are left out.
            stretches: of a plan whose canvas is as long as the takes.
        """
        ranges, strengths = [], []
        for stretch in stretches:
            places = [place for place in stretch.places[:_N_PLACES] if place.trust > 0 and not place.file]
            if places:
                ranges.append((stretch.start, stretch.end))
                found = [strength(recording, stretch.start + one.lag, stretch.end + one.lag) for one in places]
                strengths.append(np.average(found, axis=0, weights=[one.trust for one in places]))
        return cls(tuple(ranges), tuple(strengths))

    def agreement(self, audio: Waveform) -> float | None:
        """Return the correlation of a take's onset strength with the expected one, within a frame of shift.

        Returns:
            From -1 to 1, or None if nothing is expected or either has no attack.
        """
        made = [strength(audio, start, end) for start, end in self.stretches]
        return correlation(np.concatenate([[], *made]), np.concatenate([[], *self.strengths]))


def strength(audio: Waveform, start: int, end: int) -> Floats:
    """Return the onset strength of samples [start, end): float (n_frames,); the same number for the same length."""
    rate = audio.sample_rate
    around = round(_AROUND_S * rate)
    attacks = beats.attack_strength(beats.log_mel(cut(audio.samples, start - around, end + around), rate))
    first, n = beats.SILENCE + round(_AROUND_S * beats.RATE / beats.HOP), (end - start) * beats.RATE // rate
    return attacks[first : first + n // beats.HOP]


def correlation(made: Floats, expected: Floats) -> float | None:
    """Return the largest correlation of two onset strengths within a frame of shift; None if either is constant."""
    n, found = len(made), []
    for shift in range(-_MOST_SHIFT, _MOST_SHIFT + 1):
        a, b = made[max(0, shift) : n + min(0, shift)], expected[max(0, -shift) : n - max(0, shift)]
        if len(a) > 1 and a.std() > 0 and b.std() > 0:
            found.append(float(np.corrcoef(a, b)[0, 1]))
    return max(found, default=None)
