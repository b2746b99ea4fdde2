"""The task `loop`: a seamless loop, whose repeats may vary."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from vampcli.audio.junction import Junction, Sides, decide, measure, treat
from vampcli.audio.metadata.base import Timeline
from vampcli.audio.waveform import Waveform
from vampcli.codec.config import CodecShape
from vampcli.config import MemoryConfig
from vampcli.errors import UsageError
from vampcli.memory.loop_points import LoopPoints
from vampcli.model.config import VampNetConfig
from vampcli.recipe.recipe import Ranges
from vampcli.tasks import sources
from vampcli.tasks.base import Task
from vampcli.tasks.loop_span import check_seam, count_made, locate_loop
from vampcli.tasks.plan import LoopCut, Margin, Pass, Plan, check_channels, plan_ranges
from vampcli.tasks.recording import Recording, silence_like
from vampcli.tasks.spans import SpanRequest
from vampcli.tasks.take import Take, TakeOptions
from vampcli.tasks.vamp import Vamp
from vampcli.tokens.grid import TokenGrid

if TYPE_CHECKING:
    from vampcli.tasks.networks import Networks

MOST_REPEATS = 10_000


@dataclass(frozen=True)
class Loop(Task):
    """Make a span of a recording loop without a seam, for a number of repeats; the length is exact.

    Attributes:
        at: one span; the whole recording by default.
        repeats: number of copies, end to end.
        variation: 0: all copies are the same; above: all but the first are varied, by that amount of `presets.dial`.
        seam: seconds that are regenerated around every junction; 0 = raw cuts; None = as little as leaves no click,
            see `junction.decide`.
        margin: frames hidden on each side of a seam.
        memory: use of similar places of the recording, for varied copies.
        find: search for better loop points near the span, or in the whole recording if there is none.
        found: loop points of an earlier take, which are used again: samples [start, end); None = searched.
    """

    at: SpanRequest = field(default_factory=SpanRequest)
    repeats: int = 1
    variation: float = 0.0
    seam: float | None = None
    margin: Margin = 1
    memory: MemoryConfig = field(default_factory=MemoryConfig)
    find: bool = False
    found: tuple[int, int] | None = None
    command: ClassVar[str] = "loop"

    def __post_init__(self) -> None:
        self.memory.refuse_named_places()
        if len(self.at.span) > 1:
            raise UsageError(f"{len(self.at.span)} spans are named", "a loop is one: leave the others out")
        if not 1 <= self.repeats <= MOST_REPEATS:
            raise UsageError(f"{self.repeats} repeats are asked for", f"ask for 1 to {MOST_REPEATS}")
        if not 0 <= self.variation <= 1:
            raise UsageError(f"the variation is {self.variation:g}", "it must be from 0 to 1")
        if self.variation and self.repeats == 1:
            raise UsageError("one repeat has nothing to vary", "ask for more: --repeats 4")
        if self.seam is not None and not 0 <= self.seam < math.inf:
            raise UsageError(f"the seam is {self.seam:g} s", "it must be 0 or more, or auto")
        if self.found and not 0 <= self.found[0] < self.found[1]:
            raise UsageError(f"the loop found is samples {self.found[0]} to {self.found[1]}", "search for it again")

    def plan(self, recording: Recording, codec: CodecShape, context: int) -> Plan:
        """See `Task.plan`."""
        clip = recording.clip
        check_channels(clip)
        cut = self._cut(recording, codec.grid)
        n, junction = cut.end - cut.start, cut.junction
        if self.seam:
            check_seam(self.seam, n, clip.sample_rate, codec.grid)
        total, canvas = n * self.repeats, silence_like(clip, n * self.repeats)
        ranges = [(n, total)] if self.variation else []
        if junction.method == "generated" and (self.seam or not self.variation):
            made = [(i * n + junction.start, i * n + junction.end) for i in range(1, self.repeats + 1)]
            ranges += [*made[:-1], (made[-1][0], min(made[-1][1], total))]
            ranges += [(0, junction.end)] if junction.end > 0 else []
        if not ranges:
            return replace(Plan.of_nothing(total), loop=cut)
        plan = replace(plan_ranges(canvas, ranges, codec, context, self.margin), loop=cut)
        if not self.variation:
            return plan
        copies = sources.for_copies(_plan_copies(canvas, n, codec, context), recording, self.memory, cut.start, n)
        return replace(plan, stretches=copies.stretches, edit=copies.edit)

    def map_ranges(self, ranges: Ranges, recording: Recording, codec: CodecShape) -> Ranges:
        """See `Task.map_ranges`."""
        first, last, _ = self._points(recording, codec.grid)
        inside = [(max(start, first) - first, min(end, last) - first) for start, end in ranges]
        copies = range(0, (last - first) * self.repeats, last - first)
        return tuple((start + copy, end + copy) for copy in copies for start, end in inside if start < end)

    def timeline(self, recording: Recording, codec: CodecShape) -> Timeline:
        """See `Task.timeline`: the first copy stands for all."""
        start, end, _ = self._points(recording, codec.grid)
        return Timeline(start, end, -start, (end - start) * self.repeats, recording.clip.sample_rate)

    def passes(
        self, recording: Recording, plan: Plan, codec: CodecShape, coarse: VampNetConfig, seed: int
    ) -> list[Pass]:
        """See `Task.passes`: the varied copies if there are any, then the junctions of the rotated loop; or none."""
        cut, context = _cut_of(plan), coarse.context_frames
        n = cut.end - cut.start
        if not self.variation:
            linear = silence_like(recording.clip, n)
            return [self._closing_pass(linear, n, cut.junction, codec, context)] if plan.calls else []
        linear = _repeat(self._once(recording.clip, cut), self.repeats)  # its onsets are kept
        copies = _plan_copies(linear, n, codec, context)
        (varied,) = self._vary.passes(Recording(linear), copies, codec, coarse, seed)
        varied = replace(varied, name="all copies but the first")
        return [varied, self._closing_pass(linear, n, cut.junction, codec, context)] if self.seam else [varied]

    def takes(self, networks: Networks, recording: Recording, plan: Plan, options: TakeOptions) -> Iterator[Take]:
        """See `Task.takes`."""
        if not plan.calls:
            return self.copies(recording, plan, options, networks.grid.n_codebooks)
        cut = _cut_of(plan)
        once = self._once(recording.clip, cut)
        base = _repeat(once, self.repeats)

        def finish(take: Take) -> Take:
            audio = take.audio if self.variation else _repeat(take.audio, self.repeats)
            junctions = take.junctions or (cut.junction,) * self.repeats
            return replace(
                take, audio=audio, spans=plan.spans, base=base, junctions=junctions, loop=(cut.start, cut.end)
            )

        if self.variation:
            return map(finish, self._vary_copies(networks, recording, base, plan, options))
        n = once.n_samples
        return map(finish, self._close(networks, once, n, _places([cut.junction], n), options))

    def copies(self, recording: Recording, plan: Plan, options: TakeOptions, n_codebooks: int) -> Iterator[Take]:
        """Yield takes of a plan without calls, which no model makes; they differ in their seeds alone."""
        import torch

        cut = _cut_of(plan)
        audio = _repeat(self._once(recording.clip, cut), self.repeats)
        n_channels = audio.n_channels if options.stereo == "channels" else 1
        tokens, mask = torch.zeros(n_channels, n_codebooks, 0).long(), torch.zeros(n_codebooks, 0).bool()
        for seed in options.seeds:
            take = Take(audio, tokens, mask, seed, (), audio)
            yield replace(take, junctions=(cut.junction,) * self.repeats, loop=(cut.start, cut.end))

    def _vary_copies(
        self, networks: Networks, recording: Recording, linear: Waveform, whole: Plan, options: TakeOptions
    ) -> Iterator[Take]:
        """Vary all copies but the first, then treat the junctions of each take."""
        from vampcli.tasks.recall import recall_spans

        cut = _cut_of(whole)
        n = cut.end - cut.start
        plan = _plan_copies(linear, n, networks.codec, networks.context_frames)
        plan = replace(plan, stretches=whole.stretches, edit=whole.edit)
        for batch in options.batches(networks.batches.n_takes):
            if plan.stretches:
                mask_of = self._vary.mask_of(Recording(linear), plan, networks, options)
                half = batch.part(0, 2)
                varied = recall_spans(networks, linear, plan, recording, half, mask_of)
            else:
                varied = self._vary.takes(networks, Recording(linear), plan, batch.part(0, 2))
            closing = batch.part(1, 2)
            for j, seed in enumerate(batch.seeds):
                take, part = next(varied), closing.part(j, len(batch.seeds), [seed])
                if self.seam:
                    everywhere = _places([cut.junction] * self.repeats, n)
                    closed = self._close(networks, take.audio, n, everywhere, part)
                else:
                    closed = self._close_varied(networks, recording.clip, take, cut, part)
                with_sources = partial(replace, sources=take.sources)
                del take  # before the next is made: it may be long
                yield from map(with_sources, closed)

    def _close_varied(
        self, networks: Networks, clip: Waveform, take: Take, cut: LoopCut, options: TakeOptions
    ) -> Iterator[Take]:
        """Treat the junctions of varied copies, each as far as it needs it; the first copy stays exact."""
        rate, n = clip.sample_rate, cut.end - cut.start
        n_made = count_made(n, rate, networks.grid)
        sides = Sides.of(clip.samples, cut.start, cut.end, rate, last=take.audio.samples)
        junctions = [decide(sides, n_made, around=False) if self.seam is None else measure(sides, "cut")]
        end, _ = treat(sides, junctions[0])
        if not np.array_equal(end, sides.end):
            take.audio.samples[:, take.audio.n_samples - end.shape[1] :] = end
        for i in range(1, self.repeats):  # these were generated without a break, unless a place ends there
            before = measure(Sides.in_loop(take.audio.samples, i * n, n, rate), "varied")
            if self.seam is None and n_made and (before.click or 0.0) > cut.junction.allowed:
                first = 0 if i == 1 else -(n_made // 2)
                before = replace(before, method="generated", start=first, end=first + n_made)
            junctions.append(before)
        made = [(place, one) for place, one in _places(junctions, n) if one.method == "generated"]
        take = replace(take, junctions=tuple(junctions))
        if made:
            kept = partial(replace, junctions=take.junctions, tokens=take.tokens, mask=take.mask)
            return map(kept, self._close(networks, take.audio, n, made, options))
        if options.progress:
            options.progress(1, 1)
        return iter([take])

    def _close(
        self,
        networks: Networks,
        linear: Waveform,
        n: int,
        junctions: Iterable[tuple[int, Junction]],
        options: TakeOptions,
    ) -> Iterator[Take]:
        """Regenerate junctions of copies of `n` samples, of which that at the end is the wrap.

        Rotated by half a copy, the wrap lies inside an ordinary clip like the other junctions.
        """
        from vampcli.tasks.regenerate import inpaint_spans

        shift = n // 2
        rotated = replace(linear, samples=np.roll(linear.samples, -shift, axis=1))
        plan = self._plan_junctions(rotated, n, junctions, networks.codec, networks.context_frames)

        def rotate_back(take: Take) -> Take:
            for channel in take.audio.samples:  # one at a time: the loop may be long
                channel[:] = np.roll(channel, shift)
            return take

        return map(rotate_back, inpaint_spans(networks, rotated, plan, options))

    def _closing_pass(self, linear: Waveform, n: int, junction: Junction, codec: CodecShape, context: int) -> Pass:
        plan = self._plan_junctions(linear, n, _places([junction] * (linear.n_samples // n), n), codec, context)
        return Pass(plan, plan.mask(codec.grid.n_codebooks), "the junctions, of the loop turned by half")

    def _plan_junctions(
        self, rotated: Waveform, n: int, junctions: Iterable[tuple[int, Junction]], codec: CodecShape, context: int
    ) -> Plan:
        """Plan junctions of the rotated loop, named by their positions before the rotation."""
        ranges = [(place - n // 2 + one.start, place - n // 2 + one.end) for place, one in junctions]
        return plan_ranges(rotated, ranges, codec, context, self.margin)

    @property
    def _vary(self) -> Vamp:
        return Vamp(amount=self.variation, edit="off")

    def _cut(self, recording: Recording, grid: TokenGrid) -> LoopCut:
        """The loop, and what is done at its junction."""
        start, end, found = self._points(recording, grid)
        clip = recording.clip
        sides = Sides.of(clip.samples, start, end, clip.sample_rate)
        if self.seam is None:
            junction = decide(sides, count_made(end - start, clip.sample_rate, grid))
        elif self.seam == 0:
            junction = measure(sides, "cut")
        else:
            half = round(self.seam / 2 * clip.sample_rate)
            junction = measure(sides, "generated", -half, half)
        return LoopCut(start, end, junction, found)

    def _points(self, recording: Recording, grid: TokenGrid) -> tuple[int, int, tuple[LoopPoints, ...]]:
        """First sample of the loop, one past the last, and the points found."""
        return locate_loop(recording, self.at, self.find, self.found, grid)

    def _once(self, clip: Waveform, cut: LoopCut) -> Waveform:
        """One copy of the loop, before anything is generated."""
        once = clip.samples[:, cut.start : cut.end]
        junction = cut.junction
        if not self.variation and (junction.method == "crossfaded" or junction.hold):
            end, start = treat(Sides.of(clip.samples, cut.start, cut.end, clip.sample_rate), junction)
            once = once.copy()
            once[:, : start.shape[1]], once[:, once.shape[1] - end.shape[1] :] = start, end
        return replace(clip, samples=once)


def _places(junctions: Sequence[Junction], n: int) -> list[tuple[int, Junction]]:
    """Pair junctions, of which the first is the wrap, with their positions: the end of the loop, and n, 2n, ..."""
    return [(i * n or len(junctions) * n, one) for i, one in enumerate(junctions)]


def _cut_of(plan: Plan) -> LoopCut:
    assert plan.loop is not None
    return plan.loop


def _plan_copies(linear: Waveform, n: int, codec: CodecShape, context: int) -> Plan:
    """Plan all copies of `n` samples but the first."""
    return plan_ranges(linear, [(n, linear.n_samples)], codec, context, margin=0)


def _repeat(clip: Waveform, n: int) -> Waveform:
    return clip if n == 1 else replace(clip, samples=np.tile(clip.samples, (1, n)))
