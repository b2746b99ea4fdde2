"""The span of a loop in a recording: as it is named, or where a search finds better loop points."""

from __future__ import annotations

from vampcli.audio.junction import MADE_S
from vampcli.errors import InputError, UsageError
from vampcli.memory.loop_points import LoopPoints, Meter
from vampcli.tasks.plan import sample_range
from vampcli.tasks.recording import Recording
from vampcli.tasks.spans import SpanRequest
from vampcli.tasks.times import is_counted
from vampcli.tokens.grid import TokenGrid


def locate_loop(
    recording: Recording, at: SpanRequest, find: bool, earlier: tuple[int, int] | None, grid: TokenGrid
) -> tuple[int, int, tuple[LoopPoints, ...]]:
    """Return the first sample of a loop, one past the last, and the loop points found, best first.

    Args:
        recording: the input.
        at: a span or none; the length is the span's, rounded once.
        find: search near the span, or in all of the recording.
        earlier: the loop that an earlier search found, which is used again.
        grid: of the tokens.

    Raises:
        InputError: the earlier loop is not in the recording, or no loop points are found.
    """
    clip = recording.clip
    if earlier is not None:
        if earlier[1] > clip.n_samples:
            raise InputError(
                f"the loop found ends at sample {earlier[1]} but the clip has {clip.n_samples}", "search for it again"
            )
        return *earlier, ()
    spans_s, span = at.seconds(recording), (0, clip.n_samples)
    if spans_s:
        start, _ = sample_range(clip, *spans_s[0], grid)
        n = round((min(spans_s[0][1], clip.duration_s) - spans_s[0][0]) * clip.sample_rate)
        start = min(start, clip.n_samples - n)
        span = (start, start + n)
    if not find:
        return *span, ()
    found = recording.loop_points(span if spans_s else None, _meter(recording, at, span))
    if not found:
        where = f"near {spans_s[0][0]:g}-{spans_s[0][1]:g} s" if spans_s else f"in {clip.duration_s:.2f} s of sound"
        raise InputError(f"no loop points were found {where}", "leave --find out, or name another span")
    return found[0].start, found[0].end, tuple(found)


def count_made(n: int, sample_rate: int, grid: TokenGrid) -> int:
    """Return the samples that the models make at a junction of a loop of `n`; 0 if it is too short for that."""
    made = round(MADE_S * sample_rate)
    return made if n >= 2 * made and made >= grid.frame_s * sample_rate else 0


def check_seam(seam_s: float, n: int, sample_rate: int, grid: TokenGrid) -> None:
    """Raise an error if a seam is longer than half of a loop of `n` samples, or shorter than a frame."""
    half = round(seam_s / 2 * sample_rate)
    if n < 4 * half:
        raise InputError(
            f"the loop is {n / sample_rate:.2f} s long, less than two seams of {seam_s:g} s",
            f"make it longer, or --seam {n / sample_rate / 4:.2g}",
        )
    if 2 * half < grid.frame_s * sample_rate:
        raise UsageError(f"the seam is {seam_s:g} s, less than a frame", "make it 0.3, 0 or auto")


def _meter(recording: Recording, at: SpanRequest, span: tuple[int, int]) -> Meter | None:
    """Beats and bars, if they are known: the tempo is given, or the span counts them. Near a span, any beat counts."""
    named = next(iter(at.span), None)
    if at.tempo.bpm is None and not is_counted(named):
        return None
    pulse, rate = recording.pulse(at.tempo), recording.clip.sample_rate
    beat = 60 / pulse.bpm * rate
    unit, length = beat * pulse.beats_per_bar, span[1] - span[0]
    if named and abs(length - max(1, round(length / unit)) * unit) > beat / 2:
        unit = beat  # the span is no whole number of bars
    times_s = pulse.beats_s if named else pulse.downbeats_s
    return Meter(tuple(time * rate for time in times_s), unit)
