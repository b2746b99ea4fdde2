"""Plans: spans in seconds become sample ranges, frame ranges and sampler calls; no model is needed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from vampcli.audio.junction import Junction
from vampcli.audio.ranges import merge_ranges
from vampcli.audio.resample import resample_reach
from vampcli.audio.waveform import Waveform
from vampcli.codec.config import CodecShape
from vampcli.config import MOST_PLACES, Place, Source
from vampcli.errors import InputError, UsageError
from vampcli.memory.loop_points import LoopPoints
from vampcli.tasks.times import parse_seconds
from vampcli.tokens import masks
from vampcli.tokens.grid import TokenGrid
from vampcli.tokens.masks import Mask

Margin = int | str
"""Frames hidden on each side of a span; or a time such as `40ms`; `auto` = all whose tokens depend on its samples."""

ROUNDING_S = 0.0055
"""Displays round times to 10 ms: an end at most this far past the clip's is the clip's."""

_KEPT_EACH = 3  # of a fully trusted place, one frame in so many is kept as a prompt


@dataclass(frozen=True)
class SamplerCall:
    """One call of the sampler.

    Attributes:
        first: first frame that the models see.
        end: one past the last of them.
        hidden: frame range that the call fills, or in which it fills some tokens.
    """

    first: int
    end: int
    hidden: tuple[int, int]


@dataclass(frozen=True)
class Stretch:
    """A part of a span that is made from a similar place of the recording.

    Attributes:
        start: first sample on the canvas.
        end: one past the last.
        hidden: frame range that the models fill.
        places: candidates, best first, one or more.
    """

    start: int
    end: int
    hidden: tuple[int, int]
    places: tuple[Place, ...]

    def source(self, seed: int) -> Source:
        """Return the place for a take of this seed: multiples of `MOST_PLACES` get the best, the next the second."""
        return Source(self.start, self.end, self.places[seed % MOST_PLACES % len(self.places)])


@dataclass(frozen=True)
class LoopCut:
    """A loop in the recording.

    Attributes:
        start: first sample.
        end: one past the last.
        junction: of its end with its start, as it is before any copy is varied.
        found: loop points that a search has found, best first; the first are those of the loop.
    """

    start: int
    end: int
    junction: Junction
    found: tuple[LoopPoints, ...] = ()


@dataclass(frozen=True)
class Plan:
    """The parts of a canvas that a task generates. The canvas is a clip as long as the result.

    Attributes:
        spans: sample ranges of the canvas that change, in order and apart.
        hidden: frame ranges that the models fill, one for each span.
        first_frame: first frame of the canvas that the models see.
        n_frames: number of frames that they see.
        calls: calls of the sampler in order; each sees the results of those before.
        n_canvas_samples: length of the canvas.
        stretches: parts of spans that are made from places of the recording; others are made by the models alone.
        edit: share of the models' changes that places get.
        loop: the loop, if the result is one.
    """

    spans: tuple[tuple[int, int], ...]
    hidden: tuple[tuple[int, int], ...]
    first_frame: int
    n_frames: int
    calls: tuple[SamplerCall, ...]
    n_canvas_samples: int
    stretches: tuple[Stretch, ...] = ()
    edit: float = 1.0
    loop: LoopCut | None = None

    @classmethod
    def of_nothing(cls, n_canvas_samples: int) -> Plan:
        """Plan to generate nothing: no model runs."""
        return cls((), (), 0, 0, (), n_canvas_samples)

    @property
    def n_hidden_frames(self) -> int:
        """Number of frames that the models fill."""
        return sum(end - start for start, end in merge_ranges(self.hidden))

    def mask(self, n_codebooks: int) -> Mask:
        """Mask of all tokens of the hidden frames: bool (n_codebooks, n_frames)."""
        ranges = [(start - self.first_frame, end - self.first_frame) for start, end in self.hidden]
        return masks.spans(n_codebooks, self.n_frames, ranges)

    def recall_mask(self, n_codebooks: int, seed: int) -> Mask:
        """Mask of a take: some frames of trusted places are kept. bool (n_codebooks, n_frames)."""
        mask = self.mask(n_codebooks)
        for stretch in self.stretches:
            if trust := stretch.source(seed).place.trust:
                period, (first, end) = round(_KEPT_EACH / trust), stretch.hidden
                mask[:, first - self.first_frame + period // 2 : end - self.first_frame : period] = False
        return mask

    def split_mask(self, mask: Mask) -> Iterator[tuple[slice, Mask]]:
        """For each call yield the frames of `mask` that the models see, and the mask of the tokens it fills.

        Args:
            mask: bool (..., n_frames), True = generate.
        """
        for call in self.calls:
            seen = slice(call.first - self.first_frame, call.end - self.first_frame)
            filled = mask[..., seen].copy()
            filled[..., : call.hidden[0] - call.first] = False
            filled[..., call.hidden[1] - call.first :] = False
            yield seen, filled


@dataclass(frozen=True)
class Pass:
    """One run of the models over a canvas; a task has one or several.

    Attributes:
        plan: the parts of the canvas.
        mask: bool (n_codebooks, plan.n_frames), True = generate.
        name: for the user, if there are several passes or the canvas is not the result.
    """

    plan: Plan
    mask: Mask
    name: str = ""

    def on_canvas(self, n_frames: int) -> Mask:
        """Return the mask of a whole canvas of `n_frames`: bool (n_codebooks, n_frames)."""
        first, end = self.plan.first_frame, self.plan.first_frame + self.plan.n_frames
        return np.pad(self.mask, ((0, 0), (first, n_frames - end)))


def plan_spans(
    audio: Waveform,
    spans: Sequence[tuple[float, float]],
    codec: CodecShape,
    context: int,
    margin: Margin = 1,
) -> Plan:
    """Plan to generate spans given in seconds.

    Args:
        audio: the clip.
        spans: start and end in seconds; they may overlap.
        codec: gives the token grid and the encoder's reach; its weights do not matter.
        context: frames that the models see on each side.
        margin: frames hidden on each side of a span, beyond those it touches; or a time such as `40ms`, rounded up to
            frames; `auto` = all whose tokens depend on the span's samples, through resampling and the encoder.

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
    """Raise an InputError if a clip has more than two channels."""
    if audio.n_channels > 2:
        raise InputError(f"the clip has {audio.n_channels} channels", "vamp takes one or two: mix it down first")


def plan_ranges(
    canvas: Waveform, ranges: Sequence[tuple[int, int]], codec: CodecShape, context: int, margin: Margin = 1
) -> Plan:
    """Plan to generate sample ranges of a canvas; the arguments are those of `plan_spans`."""
    grid, rate = codec.grid, canvas.sample_rate
    n_canvas_frames = grid.n_frames(grid.n_samples(canvas.n_samples, rate))

    # Hidden frames: those that a span touches, and the margin on each side of them.
    reach = resample_reach(grid.sample_rate, rate) if margin == "auto" else 0
    n_margin = codec.encoder_reach if margin == "auto" else count_margin(margin, grid)
    ranges, hidden = merge_ranges(ranges), []
    for start, end in ranges:
        first, last = grid.frames_touched(max(0, start - reach), end + reach, rate)
        hidden.append((max(0, first - n_margin), min(n_canvas_frames, last + n_margin)))

    # Hidden ranges that lie within a context of each other share a sampler call, which sees a context around them.
    calls = [
        SamplerCall(max(0, start - context), min(n_canvas_frames, end + context), (start, end))
        for start, end in merge_ranges(hidden, gap=max(0, context - 1))
    ]
    first_frame, stop = calls[0].first, calls[-1].end
    return Plan(tuple(ranges), tuple(hidden), first_frame, stop - first_frame, tuple(calls), canvas.n_samples)


def count_margin(margin: Margin, grid: TokenGrid) -> int:
    """Return the frames of a margin that is not `auto`.

    Raises:
        UsageError: it is negative, or no time in seconds or milliseconds.
    """
    if isinstance(margin, int):
        if margin < 0:
            raise UsageError(f"the margin is {margin} frames", "it must be 0 or more, or auto")
        return margin
    if not margin.endswith("s"):
        raise UsageError(f"the margin is {margin!r}", "it must be a number of frames, a time such as 40ms, or auto")
    return math.ceil(parse_seconds(margin) * grid.frame_rate - 1e-9)


def sample_range(audio: Waveform, start_s: float, end_s: float, grid: TokenGrid) -> tuple[int, int]:
    """Convert a span in seconds to samples; an end that a display has rounded up becomes the end of the clip.

    Raises:
        UsageError: it is reversed, or shorter than a frame.
        InputError: it lies outside the clip.
    """
    if not 0 <= start_s < math.inf or not math.isfinite(end_s):
        raise InputError(f"no span in the clip: {start_s:g} to {end_s:g} s", "times are seconds from the beginning")
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
    if end_s - length > ROUNDING_S:
        raise InputError(
            f"the span ends at {end_s:g} s but the clip is {length:.2f} s long",
            f"times are seconds from the beginning; a span may end at {int(length * 100) / 100:g} s",
        )
    return round(start_s * audio.sample_rate), min(round(end_s * audio.sample_rate), audio.n_samples)
