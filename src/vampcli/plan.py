"""What is going to be re-made: spans in seconds become samples and frames, before any model is loaded."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from vampcli.audio import Waveform
from vampcli.codec import Codec
from vampcli.errors import InputError, UsageError
from vampcli.grid import TokenGrid
from vampcli.resampling import resample_reach

Margin = int | Literal["auto"]
"""Frames hidden around a span; `auto` = all that have heard it."""


@dataclass(frozen=True)
class Plan:
    """What is going to be re-made, before any model is loaded.

    Attributes:
        spans: ranges of the file's samples that will change, in order and apart.
        hidden: ranges of frames that the models fill, one for each span.
        first_frame: where the part of the clip begins that the models get to see.
        n_frames: length of that part.
    """

    spans: tuple[tuple[int, int], ...]
    hidden: tuple[tuple[int, int], ...]
    first_frame: int
    n_frames: int

    @property
    def n_hidden_frames(self) -> int:
        """How many frames are re-made."""
        return sum(end - start for start, end in merged(self.hidden))


def plan_inpaint(
    audio: Waveform,
    spans: Sequence[tuple[float, float]],
    codec: Codec,
    context: int,
    margin: Margin = 1,
) -> Plan:
    """Turn spans in seconds into samples and frames.

    Args:
        audio: the clip.
        spans: start and end in seconds; they may overlap.
        codec: tells the grid and how far it hears; its weights do not matter.
        context: how many frames on each side the models see.
        margin: frames hidden on each side of a span, beyond those it touches; `auto` = all that have
            heard the span, through resampling and the encoder.

    Raises:
        UsageError: no span, a reversed one, one shorter than a frame, or a negative margin.
        InputError: a span lies outside the clip, or the clip has more than two channels.
    """
    if audio.n_channels > 2:
        raise InputError(f"the clip has {audio.n_channels} channels", "vamp takes one or two: mix it down first")
    if margin != "auto" and margin < 0:
        raise UsageError(f"the margin is {margin} frames", "it must be 0 or more, or auto")
    if not spans:
        raise UsageError("no span is named", "name one with --start and --end, or --span 4-6")
    grid, rate = codec.grid, audio.sample_rate
    ranges = merged([_sample_range(audio, start, end, grid) for start, end in spans])
    heard = resample_reach(grid.sample_rate, rate) if margin == "auto" else 0
    n_margin = codec.encoder_reach if margin == "auto" else margin
    n_clip_frames = grid.n_frames(grid.n_samples(audio.n_samples, audio.sample_rate))
    hidden = []
    for start, end in ranges:
        first, last = grid.frames_touched(max(0, start - heard), end + heard, rate)
        hidden.append((max(0, first - n_margin), min(n_clip_frames, last + n_margin)))
    first_frame = max(0, hidden[0][0] - context)
    n_frames = min(n_clip_frames, hidden[-1][1] + context) - first_frame
    return Plan(tuple(ranges), tuple(hidden), first_frame, n_frames)


def _sample_range(audio: Waveform, start_s: float, end_s: float, grid: TokenGrid) -> tuple[int, int]:
    if not 0 <= start_s < math.inf or not math.isfinite(end_s):
        raise InputError(f"no place in the clip: {start_s:g} to {end_s:g} s", "times are seconds from the beginning")
    if end_s < start_s:
        raise UsageError(f"the span ends at {end_s:g} s, before it starts at {start_s:g} s", "swap the two")
    shortest = grid.hop_length / grid.sample_rate
    if end_s - start_s < shortest:
        raise UsageError(
            f"the span is {1000 * (end_s - start_s):.1f} ms long, less than a frame",
            f"make it {1000 * shortest:.1f} ms or longer",
        )
    length = audio.duration_s
    if start_s >= length:
        raise InputError(
            f"the span starts at {start_s:g} s but the clip is {length:.2f} s long",
            "times are seconds from the beginning",
        )
    end = round(end_s * audio.sample_rate)
    if end > audio.n_samples:
        if end_s - length > 0.0055:  # people read "6.00" off a display that rounds
            raise InputError(
                f"the span ends at {end_s:g} s but the clip is {length:.2f} s long",
                f"--end takes seconds; try --end {int(length * 100) / 100:g}",
            )
        end = audio.n_samples
    return round(start_s * audio.sample_rate), end


def merged(ranges: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Join half-open ranges that overlap or touch."""
    joined: list[tuple[int, int]] = []
    for start, end in sorted(ranges):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return joined
