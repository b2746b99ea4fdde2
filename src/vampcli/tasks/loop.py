"""The task `loop`: a seamless loop, whose repeats may vary."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import ClassVar

import numpy as np

from vampcli.audio.metadata.base import Timeline
from vampcli.audio.waveform import Waveform
from vampcli.codec.config import CodecShape
from vampcli.config import MemoryConfig
from vampcli.errors import InputError, UsageError
from vampcli.model.config import VampNetConfig
from vampcli.recipe.recipe import Ranges
from vampcli.tasks import sources
from vampcli.tasks.base import Task
from vampcli.tasks.networks import Networks
from vampcli.tasks.plan import Margin, Pass, Plan, check_channels, plan_ranges, sample_range
from vampcli.tasks.recall import recall_spans
from vampcli.tasks.recording import Recording, silence_like
from vampcli.tasks.regenerate import inpaint_spans
from vampcli.tasks.spans import SpanRequest
from vampcli.tasks.take import Take, TakeOptions
from vampcli.tasks.vamp import Vamp
from vampcli.tokens.grid import TokenGrid

MOST_REPEATS = 10_000


@dataclass(frozen=True)
class Loop(Task):
    """Make a span of a recording loop without a seam, for a number of repeats; the length is exact.

    Attributes:
        places: one span; the whole recording by default.
        repeats: number of copies, end to end.
        variation: 0: all copies are the same; above: all but the first are varied, by that amount of `presets.dial`.
        seam_s: seconds that are regenerated around every junction.
        margin: frames hidden on each side of a seam.
        memory: use of similar places of the recording, for varied copies.
    """

    places: SpanRequest = field(default_factory=SpanRequest)
    repeats: int = 1
    variation: float = 0.0
    seam_s: float = 0.3
    margin: Margin = 1
    memory: MemoryConfig = field(default_factory=MemoryConfig)
    command: ClassVar[str] = "loop"

    def __post_init__(self) -> None:
        self.memory.refuse_named_places()
        if len(self.places.spans) > 1:
            raise UsageError(f"{len(self.places.spans)} spans are named", "a loop is one: leave the others out")
        if not 1 <= self.repeats <= MOST_REPEATS:
            raise UsageError(f"{self.repeats} repeats are asked for", f"ask for 1 to {MOST_REPEATS}")
        if not 0 <= self.variation <= 1:
            raise UsageError(f"the variation is {self.variation:g}", "it must be from 0 to 1")
        if self.variation and self.repeats == 1:
            raise UsageError("one repeat has nothing to vary", "ask for more: --repeats 4")
        if not 0 < self.seam_s < math.inf:
            raise UsageError(f"the seam is {self.seam_s:g} s", "it must be above 0")

    def plan(self, recording: Recording, codec: CodecShape, context: int) -> Plan:
        """See `Task.plan`."""
        clip = recording.clip
        check_channels(clip)
        start, end = self._cut(recording, codec.grid)
        n, half = end - start, self._half_seam(clip)
        if n < 4 * half:
            raise InputError(
                f"the loop is {n / clip.sample_rate:.2f} s long, less than two seams of {self.seam_s:g} s",
                f"make it longer, or --seam {n / clip.sample_rate / 4:.2g}",
            )
        if 2 * half < codec.grid.frame_s * clip.sample_rate:
            raise UsageError(f"the seam is {self.seam_s:g} s, less than a frame", "leave it at 0.3")
        total = n * self.repeats
        seams = [(n * i - half, n * i + half) for i in range(1, self.repeats)]
        varied = [(n, total)] if self.variation else []
        ranges = [(0, half), *seams, *varied, (total - half, total)]
        canvas = silence_like(clip, total)
        plan = plan_ranges(canvas, ranges, codec, context, self.margin)
        if not self.variation:
            return plan
        copies = sources.for_copies(_plan_copies(canvas, n, codec, context), recording, self.memory, start, n)
        return replace(plan, stretches=copies.stretches, edit=copies.edit)

    def map_ranges(self, ranges: Ranges, recording: Recording, codec: CodecShape) -> Ranges:
        """See `Task.map_ranges`."""
        first, last = self._cut(recording, codec.grid)
        inside = [(max(start, first) - first, min(end, last) - first) for start, end in ranges]
        copies = range(0, (last - first) * self.repeats, last - first)
        return tuple((start + copy, end + copy) for copy in copies for start, end in inside if start < end)

    def timeline(self, recording: Recording, codec: CodecShape) -> Timeline:
        """See `Task.timeline`: the first copy stands for all."""
        start, end = self._cut(recording, codec.grid)
        return Timeline(start, end, -start, (end - start) * self.repeats, recording.clip.sample_rate)

    def passes(
        self, recording: Recording, plan: Plan, codec: CodecShape, coarse: VampNetConfig, seed: int
    ) -> list[Pass]:
        """See `Task.passes`: the varied copies if there are any, then the junctions of the rotated loop."""
        start, end = self._cut(recording, codec.grid)
        n, context = end - start, coarse.context_frames
        linear = silence_like(recording.clip, n * self.repeats if self.variation else n)
        junctions = self._plan_junctions(linear, n, codec, context)
        closing = Pass(junctions, junctions.mask(codec.grid.n_codebooks), "the junctions, of the loop turned by half")
        if not self.variation:
            return [closing]
        copies = _plan_copies(linear, n, codec, context)
        (varied,) = self._vary.passes(Recording(linear), copies, codec, coarse, seed)
        return [replace(varied, name="all copies but the first"), closing]

    def takes(self, networks: Networks, recording: Recording, plan: Plan, options: TakeOptions) -> Iterator[Take]:
        """See `Task.takes`."""
        start, end = self._cut(recording, networks.grid)
        once = replace(recording.clip, samples=recording.clip.samples[:, start:end])
        base = _repeat(once, self.repeats)

        def finish(take: Take) -> Take:
            audio = take.audio if self.variation else _repeat(take.audio, self.repeats)
            return replace(take, audio=audio, spans=plan.spans, base=base)

        if self.variation:
            return map(finish, self._vary_copies(networks, recording, base, plan, end - start, options))
        return map(finish, self._close(networks, once, end - start, options))

    def _vary_copies(
        self, networks: Networks, recording: Recording, linear: Waveform, whole: Plan, n: int, options: TakeOptions
    ) -> Iterator[Take]:
        """Vary all copies of `n` samples but the first, then regenerate the junctions of each take."""
        plan = _plan_copies(linear, n, networks.codec, networks.context_frames)
        plan = replace(plan, stretches=whole.stretches, edit=whole.edit)
        for batch in options.batches(networks.batches.n_takes):
            if plan.stretches:
                mask_of = self._vary.mask_of(Recording(linear), plan, networks)
                half = batch.part(0, 2)
                varied = recall_spans(networks, linear, plan, recording, half, mask_of)
            else:
                varied = self._vary.takes(networks, Recording(linear), plan, batch.part(0, 2))
            closing = batch.part(1, 2)
            for j, seed in enumerate(batch.seeds):
                take = next(varied)
                closed = self._close(networks, take.audio, n, closing.part(j, len(batch.seeds), [seed]))
                with_sources = partial(replace, sources=take.sources)
                del take  # before the next is made: it may be long
                yield from map(with_sources, closed)

    def _close(self, networks: Networks, linear: Waveform, n: int, options: TakeOptions) -> Iterator[Take]:
        """Regenerate every junction of copies of `n` samples, and that of the end with the beginning.

        Rotated by half a copy, the wrap lies inside an ordinary clip like the other junctions.
        """
        shift = n // 2
        rotated = replace(linear, samples=np.roll(linear.samples, -shift, axis=1))
        plan = self._plan_junctions(rotated, n, networks.codec, networks.context_frames)

        def rotate_back(take: Take) -> Take:
            for channel in take.audio.samples:  # one at a time: the loop may be long
                channel[:] = np.roll(channel, shift)
            return take

        return map(rotate_back, inpaint_spans(networks, rotated, plan, options))

    def _plan_junctions(self, rotated: Waveform, n: int, codec: CodecShape, context: int) -> Plan:
        """Plan the junctions of copies of `n` samples in the rotated loop; its samples do not matter."""
        junctions, half = range(n - n // 2, rotated.n_samples, n), self._half_seam(rotated)
        return plan_ranges(rotated, [(j - half, j + half) for j in junctions], codec, context, self.margin)

    @property
    def _vary(self) -> Vamp:
        return Vamp(amount=self.variation)

    def _cut(self, recording: Recording, grid: TokenGrid) -> tuple[int, int]:
        """First sample of the loop, and one past the last; its length is the span's, rounded once."""
        clip, spans_s = recording.clip, self.places.seconds(recording)
        if not spans_s:
            return 0, clip.n_samples
        start, _ = sample_range(clip, *spans_s[0], grid)
        n = round((min(spans_s[0][1], clip.duration_s) - spans_s[0][0]) * clip.sample_rate)
        start = min(start, clip.n_samples - n)
        return start, start + n

    def _half_seam(self, clip: Waveform) -> int:
        return round(self.seam_s / 2 * clip.sample_rate)


def _plan_copies(linear: Waveform, n: int, codec: CodecShape, context: int) -> Plan:
    """Plan all copies of `n` samples but the first."""
    return plan_ranges(linear, [(n, linear.n_samples)], codec, context, margin=0)


def _repeat(clip: Waveform, n: int) -> Waveform:
    return clip if n == 1 else replace(clip, samples=np.tile(clip.samples, (1, n)))
