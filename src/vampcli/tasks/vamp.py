"""The task `vamp`: vary a recording. A prompt keeps some of its tokens, and the models generate the others."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from vampcli.audio.metadata.base import Timeline
from vampcli.audio.ranges import merge_ranges
from vampcli.audio.waveform import Waveform
from vampcli.codec.config import CodecShape
from vampcli.config import PromptConfig
from vampcli.errors import InputError, UsageError
from vampcli.model.config import VampNetConfig
from vampcli.recipe.recipe import RENDERING, Rendering
from vampcli.tasks.base import Task
from vampcli.tasks.plan import Pass, Plan, check_channels, plan_ranges, sample_range
from vampcli.tasks.recording import Recording, silence_like
from vampcli.tasks.spans import SpanRequest
from vampcli.tokens import presets
from vampcli.tokens.grid import TokenGrid
from vampcli.tokens.mask_file import MaskFile
from vampcli.tokens.masks import Mask
from vampcli.tokens.prompt import draw, event_ranges, stretch

if TYPE_CHECKING:
    from vampcli.tasks.networks import Networks
    from vampcli.tasks.take import Take, TakeOptions
    from vampcli.tasks.vary import MaskOf

Events = list[tuple[Sequence[float], float]]
"""Pairs of times and a duration, in seconds."""


Edit = float | Literal["off"]
"""Share of a change, or `off` for tokens alone."""


@dataclass(frozen=True)
class Vamp(Task):
    """Vary a recording, or spans of it; every other sample stays bit-identical.

    Attributes:
        prompt: the tokens to keep.
        at: spans to vary; the whole recording by default.
        prefix: seconds at the beginning of the first span that stay as they are.
        suffix: the same at the end of the last span.
        amount: if given, `presets.dial` decides which tokens the prompt keeps; its effects stay.
        mask: if given, a mask from a file replaces the prompt within the spans, all but its pitch. Frames that it keeps
            whole are not changed, unless the pitch is shifted.
        edit: share of the change of tokens that the sound of the recording gets, from 0 to 1; `off` = tokens alone make
            the sound, as they do if the prompt keeps none, or with a stretch or a pitch.
    """

    prompt: PromptConfig = field(default_factory=PromptConfig)
    at: SpanRequest = field(default_factory=SpanRequest)
    prefix: float = 0.0
    suffix: float = 0.0
    amount: float | None = None
    mask: MaskFile | None = None
    edit: Edit = 1.0
    command: ClassVar[str] = "vamp"

    def __post_init__(self) -> None:
        for name, seconds in (("prefix", self.prefix), ("suffix", self.suffix)):
            if not 0 <= seconds < math.inf:
                raise UsageError(f"the {name} is {seconds:g} s", "it must be 0 or more")
        if self.amount is not None and not 0 <= self.amount <= 1:
            raise UsageError(
                f"the amount is {self.amount:g}", "it must be from 0 (keep everything) to 1 (keep nothing)"
            )
        if self.edit != "off" and not 0 <= self.edit <= 1:
            raise UsageError(
                f"the edit is {self.edit:g}", "it must be from 0 (a copy) to 1 (all of the change), or off"
            )
        if self.prompt.stretch > 1 and self._has_limits:
            raise UsageError("a stretch moves all of the clip", "leave spans, prefix and suffix out, or the stretch")
        if self.mask and (self.amount is not None or self.prompt != PromptConfig(pitch=self.prompt.pitch)):
            raise UsageError("a mask file says all of what is kept", "leave it out, or the rest of the prompt")

    def plan(self, recording: Recording, codec: CodecShape, context: int) -> Plan:
        """See `Task.plan`."""
        clip = recording.clip
        check_channels(clip)
        spans_s = self.at.seconds(recording)
        ranges = merge_ranges([sample_range(clip, *span, codec.grid) for span in spans_s]) or [(0, clip.n_samples)]
        prefix, suffix = (round(s * clip.sample_rate) for s in (self.prefix, self.suffix))
        ranges[0] = (ranges[0][0] + prefix, ranges[0][1])
        ranges[-1] = (ranges[-1][0], ranges[-1][1] - suffix)
        left_s = min(end - start for start, end in ranges) / clip.sample_rate
        if left_s < codec.grid.frame_s:
            raise InputError(
                f"{1000 * max(0.0, left_s):.1f} ms are left to vary, less than a frame",
                "make prefix and suffix shorter, or the span longer",
            )
        self._events(recording)  # raises before a model is loaded if there is no beat
        if self.prompt.stretch > 1:
            ranges = [(0, clip.n_samples * self.prompt.stretch)]
        plan = plan_ranges(self.canvas(clip), ranges, codec, context, margin=0)
        return plan if self.mask is None else self._narrow(plan, recording, codec.grid, self.mask)

    def timeline(self, recording: Recording, codec: CodecShape) -> Timeline | None:
        """See `Task.timeline`."""
        return super().timeline(recording, codec) if self.prompt.stretch == 1 else None

    def passes(
        self, recording: Recording, plan: Plan, codec: CodecShape, coarse: VampNetConfig, seed: int
    ) -> list[Pass]:
        """See `Task.passes`."""
        mask_of = self._dialled(codec.grid, coarse, RENDERING)._masks(recording, plan, codec.grid)
        n = self.prompt.feedback
        return [Pass(plan, mask_of(seed, i), f"pass {i + 1} of {n}" if n > 1 else "") for i in range(n)]

    def takes(self, networks: Networks, recording: Recording, plan: Plan, options: TakeOptions) -> Iterator[Take]:
        """See `Task.takes`."""
        from vampcli.tasks.vary import vary

        clip, mask_of = recording.clip, self._mask_of(recording, plan, networks, options)
        return vary(networks, clip, self.canvas(clip), plan, options, self.prompt, mask_of, self.edit)

    def mask_of(
        self, recording: Recording, plan: Plan, networks: Networks, options: TakeOptions
    ) -> Callable[[int], Mask]:
        """Return the function that gives the mask of the first pass of a take by its seed."""
        mask_of = self._mask_of(recording, plan, networks, options)
        return lambda seed: mask_of(seed, 0)

    def canvas(self, clip: Waveform) -> Waveform:
        """See `Task.canvas`: the recording, or silence of its stretched length."""
        factor = self.prompt.stretch
        return clip if factor == 1 else silence_like(clip, clip.n_samples * factor)

    @property
    def _has_limits(self) -> bool:
        return bool(self.at.span or self.prefix or self.suffix)

    def _narrow(self, plan: Plan, recording: Recording, grid: TokenGrid, mask_file: MaskFile) -> Plan:
        """Leave out the frames that a mask file keeps whole, unless the pitch is shifted."""
        generated: Mask = np.logical_or.reduce(self._masks(recording, plan, grid)(0, 0))
        if not generated.any():
            where = " where something is to be made" if self._has_limits else ""
            raise InputError(f"{mask_file.path} hides nothing{where}", "True or 1 means make, False or 0 keep")
        return plan if self.prompt.pitch else _narrow_plan(plan, generated, grid, recording.clip.sample_rate)

    def _mask_of(self, recording: Recording, plan: Plan, networks: Networks, options: TakeOptions) -> MaskOf:
        dialled = self._dialled(networks.grid, networks.coarse.config, options.rendering)
        return dialled._masks(recording, plan, networks.grid)

    def _dialled(self, grid: TokenGrid, coarse: VampNetConfig, rendering: Rendering) -> Vamp:
        """Replace the amount, if there is one, by its prompt for a model of these sizes."""
        if self.amount is None:
            return self
        dial = presets.dial if rendering > 2 else presets.dial_without_onsets
        prompt = dial(self.amount, grid.n_codebooks, coarse.n_codebooks)
        effects = {name: getattr(self.prompt, name) for name in ("feedback", "stretch", "pitch")}
        return replace(self, prompt=replace(prompt, **effects), amount=None)

    def _events(self, recording: Recording) -> Events:
        """Beats and onsets that the prompt keeps."""
        prompt = self.prompt
        events: Events = []
        if prompt.beats:
            pulse = recording.pulse(self.at.tempo)
            times_s = pulse.downbeats_s if prompt.downbeats_only else pulse.beats_s
            events.append((times_s, prompt.beat_width / 1000))
        if prompt.onsets:
            events.append((recording.onsets_s, prompt.onset_width / 1000))
        return events

    def _masks(self, recording: Recording, plan: Plan, grid: TokenGrid) -> MaskOf:
        """Return the function that gives the mask of each pass."""
        if self.mask is None:
            events = self._events(recording)
            return lambda seed, n_earlier: self._mask(grid, plan, events, seed, n_earlier)
        n_frames = grid.n_frames(grid.n_samples(recording.clip.n_samples, recording.clip.sample_rate))
        whole = self.mask.load(grid.n_codebooks, n_frames)
        part = whole[:, plan.first_frame : plan.first_frame + plan.n_frames] & plan.mask(grid.n_codebooks)
        return lambda _seed, _n_earlier: part

    def _mask(self, grid: TokenGrid, plan: Plan, events: Events, seed: int, n_earlier: int) -> Mask:
        """Draw the mask of a pass: bool (n_codebooks, n_frames)."""
        # The first prompt is drawn for the clip before it is stretched; later ones for the stretched clip.
        factor = 1 if n_earlier else self.prompt.stretch
        n_frames, moved = -(-plan.n_frames // factor), self.prompt.stretch // factor
        # Frames of the beats and onsets; in later passes their times are stretched.
        ranges = [
            frames
            for times_s, width_s in events
            for frames in event_ranges([t * moved for t in times_s], width_s, grid, plan.first_frame, n_frames)
        ]
        rng = np.random.default_rng(seed % 2**64)
        drawn = draw(self.prompt, grid.n_codebooks, n_frames, ranges, rng, n_earlier)
        # Frames between the stretched ones are generated, and so is nothing outside the plan.
        return stretch(drawn, factor)[:, : plan.n_frames] & plan.mask(grid.n_codebooks)


def _narrow_plan(plan: Plan, generated: Mask, grid: TokenGrid, file_rate: int) -> Plan:
    """Restrict a plan to some of its frames; the models see the same part of the canvas.

    Args:
        plan: without a margin.
        generated: bool (plan.n_frames,), True = keep the frame in the plan.
        grid: of the tokens.
        file_rate: of the canvas, in Hz.

    Returns:
        A plan whose spans are the samples of these frames; none if there are no such frames.
    """
    frames = (np.flatnonzero(generated) + plan.first_frame).tolist()
    spans, hidden = [], []
    for (start, end), (first, last) in zip(plan.spans, plan.hidden, strict=True):
        for a, b in merge_ranges((frame, frame + 1) for frame in frames if first <= frame < last):
            # The samples inside frames [a, b), rounded inwards and clipped to the span: at least one.
            begin = max(start, -(-a * grid.hop_length * file_rate // grid.sample_rate))
            stop = min(end, b * grid.hop_length * file_rate // grid.sample_rate)
            if begin >= stop:
                begin = min(begin, end - 1)
                stop = begin + 1
            spans.append((begin, stop))
            hidden.append((a, b))
    return replace(plan, spans=tuple(spans), hidden=tuple(hidden))
