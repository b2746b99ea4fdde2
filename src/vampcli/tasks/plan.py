"""What is going to be re-made: spans in seconds become samples and frames, before any model is loaded."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import pad

from vampcli.audio.resample import resample_reach
from vampcli.audio.waveform import Waveform
from vampcli.codec.base import Codec
from vampcli.errors import InputError, UsageError
from vampcli.tokens import masks
from vampcli.tokens.grid import TokenGrid

Margin = int | Literal["auto"]
"""Frames hidden around a span; `auto` = all that have heard it."""


@dataclass(frozen=True)
class Turn:
    """One call of the sampler.

    Attributes:
        first: of the frames that the models see.
        end: one past the last of them.
        hidden: range of frames that is filled, or of which a part is.
    """

    first: int
    end: int
    hidden: tuple[int, int]


@dataclass(frozen=True)
class Plan:
    """What is going to be re-made, before any model is loaded.

    Attributes:
        spans: ranges of the canvas's samples that will change, in order and apart.
        hidden: ranges of frames that the models fill, one for each span.
        first_frame: where the part of the canvas begins that the models get to see.
        n_frames: length of that part.
        turns: calls of the sampler, each on what the earlier ones made.
        n_canvas_samples: length of the canvas.
    """

    spans: tuple[tuple[int, int], ...]
    hidden: tuple[tuple[int, int], ...]
    first_frame: int
    n_frames: int
    turns: tuple[Turn, ...]
    n_canvas_samples: int

    @property
    def n_hidden_frames(self) -> int:
        """How many frames are re-made."""
        return sum(end - start for start, end in merge_ranges(self.hidden))

    def mask(self, n_codebooks: int) -> Tensor:
        """All tokens of the frames that are re-made: bool (n_codebooks, n_frames)."""
        ranges = [(start - self.first_frame, end - self.first_frame) for start, end in self.hidden]
        return masks.spans(n_codebooks, self.n_frames, ranges)

    def in_turns(self, mask: Tensor) -> Iterator[tuple[slice, Tensor]]:
        """For each turn the frames of `mask` that the models see, and what of them is filled.

        Args:
            mask: bool (..., n_frames), True = generate.
        """
        for turn in self.turns:
            now = mask[..., turn.first - self.first_frame : turn.end - self.first_frame].clone()
            now[..., : turn.hidden[0] - turn.first] = False
            now[..., turn.hidden[1] - turn.first :] = False
            yield slice(turn.first - self.first_frame, turn.end - self.first_frame), now


@dataclass(frozen=True)
class Pass:
    """What the models make in one go over a canvas.

    Attributes:
        plan: where.
        mask: bool (n_codebooks, plan.n_frames), True = generate.
        name: for people, where there are others or the canvas is not what comes out.
    """

    plan: Plan
    mask: Tensor
    name: str = ""

    def on_canvas(self, n_frames: int) -> Tensor:
        """The mask of all of a canvas of so many frames: bool (n_codebooks, n_frames)."""
        first, end = self.plan.first_frame, self.plan.first_frame + self.plan.n_frames
        return pad(self.mask, (first, n_frames - end))


def plan_spans(
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
    if not spans:
        raise UsageError("no span is named", "name one with --start and --end, or --span 4-6")
    check_channels(audio)
    ranges = [sample_range(audio, start, end, codec.grid) for start, end in spans]
    return plan_ranges(audio, ranges, codec, context, margin)


def check_channels(audio: Waveform) -> None:
    """Refuse what has more than two channels.

    Raises:
        InputError: it has.
    """
    if audio.n_channels > 2:
        raise InputError(f"the clip has {audio.n_channels} channels", "vamp takes one or two: mix it down first")


def plan_ranges(
    audio: Waveform, ranges: Sequence[tuple[int, int]], codec: Codec, context: int, margin: Margin = 1
) -> Plan:
    """Plan to re-make ranges of samples, as `plan_spans` does for seconds."""
    if margin != "auto" and margin < 0:
        raise UsageError(f"the margin is {margin} frames", "it must be 0 or more, or auto")
    grid, rate = codec.grid, audio.sample_rate
    ranges = merge_ranges(ranges)
    heard = resample_reach(grid.sample_rate, rate) if margin == "auto" else 0
    n_margin = codec.encoder_reach if margin == "auto" else margin
    n_clip_frames = grid.n_frames(grid.n_samples(audio.n_samples, audio.sample_rate))
    hidden = []
    for start, end in ranges:
        first, last = grid.frames_touched(max(0, start - heard), end + heard, rate)
        hidden.append((max(0, first - n_margin), min(n_clip_frames, last + n_margin)))
    first_frame = max(0, hidden[0][0] - context)
    stop = min(n_clip_frames, hidden[-1][1] + context)
    seeing_each_other = merge_ranges(hidden, max(0, context - 1))
    turns = [Turn(max(0, a - context), min(n_clip_frames, b + context), (a, b)) for a, b in seeing_each_other]
    return Plan(tuple(ranges), tuple(hidden), first_frame, stop - first_frame, tuple(turns), audio.n_samples)


def narrowed(plan: Plan, wanted: Tensor, grid: TokenGrid, file_rate: int) -> Plan:
    """Leave frames as they are that a plan would make; what the models see stays the same.

    Args:
        plan: without a margin.
        wanted: bool (plan.n_frames,), the frames that are to be made.
        grid: of the tokens.
        file_rate: of the canvas, in Hz.

    Returns:
        A plan whose spans are the samples of wanted frames; none if there are no such frames.
    """
    frames = (torch.nonzero(wanted)[:, 0] + plan.first_frame).tolist()
    spans, hidden = [], []
    for (start, end), (first, last) in zip(plan.spans, plan.hidden, strict=True):
        for a, b in merge_ranges((frame, frame + 1) for frame in frames if first <= frame < last):
            begin = max(start, -(-a * grid.hop_length * file_rate // grid.sample_rate))
            stop = min(end, b * grid.hop_length * file_rate // grid.sample_rate)
            if begin >= stop:  # a frame of which the span touches less than a sample
                begin = min(begin, end - 1)
                stop = begin + 1
            spans.append((begin, stop))
            hidden.append((a, b))
    return replace(plan, spans=tuple(spans), hidden=tuple(hidden))


def plan_outward(plan: Plan, context: int) -> Plan:
    """Fill spans at the ends of the canvas piece by piece, away from what is kept.

    A piece is at most half a context, and the models see a context that ends with it: what lies further
    out does not exist yet.

    Args:
        plan: its spans touch the beginning or the end of the canvas; what they hide may meet, or be everything.
        context: how many frames the models see, 2 or more.
    """
    stop, half = plan.first_frame + plan.n_frames, context // 2
    tail = plan.hidden[-1] if plan.hidden[-1][1] == stop else (stop, stop)
    head = (0, min(plan.hidden[0][1], tail[0])) if plan.hidden[0][0] == 0 else (0, 0)
    begin = max(plan.first_frame, head[1])
    after = [Turn(max(begin, b - context), b, (a, b)) for a, b in _pieces(*tail, half)]
    before = [Turn(a, min(stop, a + context), (a, b)) for a, b in reversed(_pieces(*head, half))]
    return replace(plan, turns=(*after, *before))


def _pieces(start: int, end: int, longest: int) -> list[tuple[int, int]]:
    """Equal pieces of a range; none of an empty one."""
    n = max(1, -(-(end - start) // longest))
    edges = pairwise(start + (end - start) * i // n for i in range(n + 1))
    return [(a, b) for a, b in edges if a < b]


def sample_range(audio: Waveform, start_s: float, end_s: float, grid: TokenGrid) -> tuple[int, int]:
    """A span in seconds -> samples; an end that a display rounded up is the end of the clip.

    Raises:
        UsageError: it is reversed, or shorter than a frame.
        InputError: it lies outside the clip.
    """
    if not 0 <= start_s < math.inf or not math.isfinite(end_s):
        raise InputError(f"no place in the clip: {start_s:g} to {end_s:g} s", "times are seconds from the beginning")
    if end_s < start_s:
        raise UsageError(f"the span ends at {end_s:g} s, before it starts at {start_s:g} s", "swap the two")
    shortest = grid.frame_s
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


def merge_ranges(ranges: Iterable[tuple[int, int]], gap: int = 0, longest: float = math.inf) -> list[tuple[int, int]]:
    """Join half-open ranges that overlap, touch or have no more than a gap between them, up to a length."""
    joined: list[tuple[int, int]] = []
    for start, end in sorted(ranges):
        if joined and start <= joined[-1][1] + gap and end - joined[-1][0] <= longest:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return joined
