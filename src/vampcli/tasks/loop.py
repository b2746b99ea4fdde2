"""A loop without a seam, whose repeats may vary."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np

from vampcli.audio.waveform import Waveform
from vampcli.codec.base import Codec
from vampcli.errors import InputError, UsageError
from vampcli.model.transformer import VampNetConfig
from vampcli.recipe.recipe import Ranges
from vampcli.tasks.inpaint import pasted
from vampcli.tasks.plan import Margin, Pass, Plan, check_channels, plan_ranges, sample_range
from vampcli.tasks.regenerate import Networks
from vampcli.tasks.spans import SpanRequest
from vampcli.tasks.take import Take, TakeOptions
from vampcli.tasks.vamp import Vamp


@dataclass(frozen=True)
class Loop:
    """Make a span of a recording a loop, as often as asked for; its length is exact.

    Attributes:
        places: one span; all of the recording by default.
        repeats: how many copies are laid end to end.
        variation: 0: all copies are the same; above: all but the first are varied, as by that amount of `dial`.
        seam_s: how much around every junction is made anew.
        margin: frames hidden around a seam.
    """

    places: SpanRequest = field(default_factory=SpanRequest)
    repeats: int = 1
    variation: float = 0.0
    seam_s: float = 0.3
    margin: Margin = 1
    command: ClassVar[str] = "loop"

    def __post_init__(self) -> None:
        if len(self.places.spans) > 1:
            raise UsageError(f"{len(self.places.spans)} spans are named", "a loop is one: leave the others out")
        if self.repeats < 1:
            raise UsageError(f"{self.repeats} repeats are asked for", "ask for one or more")
        if not 0 <= self.variation <= 1:
            raise UsageError(f"the variation is {self.variation:g}", "it must be from 0 to 1")
        if self.variation and self.repeats == 1:
            raise UsageError("one repeat has nothing to vary", "ask for more: --repeats 4")
        if not 0 < self.seam_s < math.inf:
            raise UsageError(f"the seam is {self.seam_s:g} s", "it must be above 0")

    def plan(self, clip: Waveform, codec: Codec, context: int) -> Plan:
        """See `Verb.plan`."""
        check_channels(clip)
        start, end = self._cut(clip, codec)
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
        canvas = _silent(clip, total)
        return plan_ranges(canvas, [(0, half), *seams, *varied, (total - half, total)], codec, context, self.margin)

    def map_ranges(self, ranges: Ranges, clip: Waveform, codec: Codec) -> Ranges:
        """See `Verb.map_ranges`."""
        first, last = self._cut(clip, codec)
        inside = [(max(start, first) - first, min(end, last) - first) for start, end in ranges]
        copies = range(0, (last - first) * self.repeats, last - first)
        return tuple((start + copy, end + copy) for copy in copies for start, end in inside if start < end)

    def passes(self, clip: Waveform, plan: Plan, codec: Codec, coarse: VampNetConfig, seed: int) -> list[Pass]:
        """See `Verb.passes`: the varied copies if there are any, then the junctions of the turned loop."""
        start, end = self._cut(clip, codec)
        n, context = end - start, coarse.context_frames
        linear = _silent(clip, n * self.repeats if self.variation else n)
        junctions = self._junctions(linear, n, codec, context)
        closing = Pass(junctions, junctions.mask(codec.grid.n_codebooks), "the junctions, of the loop turned by half")
        if not self.variation:
            return [closing]
        copies = _copies(linear, n, codec, context)
        (varied,) = self._vary.passes(linear, copies, codec, coarse, seed)
        return [replace(varied, name="all copies but the first"), closing]

    def takes(
        self,
        networks: Networks,
        clip: Waveform,
        plan: Plan,
        order: TakeOptions,
    ) -> Iterator[Take]:
        """See `Verb.takes`."""
        start, end = self._cut(clip, networks.codec)
        once = replace(clip, samples=clip.samples[:, start:end])
        base = _repeated(once, self.repeats)

        def finished(take: Take) -> Take:
            audio = take.audio if self.variation else _repeated(take.audio, self.repeats)
            return replace(take, audio=audio, spans=plan.spans, base=base)

        make = self._varied if self.variation else self._closed
        linear = base if self.variation else once
        return map(finished, make(networks, linear, end - start, order))

    def _varied(
        self,
        networks: Networks,
        linear: Waveform,
        n: int,
        order: TakeOptions,
    ) -> Iterator[Take]:
        """Vary all copies but the first, of `n` samples each, and then make the junctions."""
        context = networks.coarse.config.context_frames
        plan = _copies(linear, n, networks.codec, context)
        for batch in order.batches(networks.batches.n_takes):
            varied, closing = self._vary.takes(networks, linear, plan, batch.part(0, 2)), batch.part(1, 2)
            for j, seed in enumerate(batch.seeds):
                own = closing.part(j, len(batch.seeds), [seed])
                yield from self._closed(networks, next(varied).audio, n, own)

    def _closed(
        self,
        networks: Networks,
        linear: Waveform,
        n: int,
        order: TakeOptions,
    ) -> Iterator[Take]:
        """Make every junction of copies of `n` samples anew, and that of the end with the beginning.

        Turned by half a copy, the wrap lies inside an ordinary clip like the other junctions.
        """
        turn = n // 2
        turned = replace(linear, samples=np.roll(linear.samples, -turn, axis=1))
        plan = self._junctions(turned, n, networks.codec, networks.coarse.config.context_frames)

        def turned_back(take: Take) -> Take:
            for channel in take.audio.samples:  # one at a time: the loop may be long
                channel[:] = np.roll(channel, turn)
            return take

        return map(turned_back, pasted(networks, turned, plan, order))

    def _junctions(self, turned: Waveform, n: int, codec: Codec, context: int) -> Plan:
        """The junctions of copies of `n` samples, once these are turned; what the samples are does not matter."""
        places, half = range(n - n // 2, turned.n_samples, n), self._half_seam(turned)
        return plan_ranges(turned, [(p - half, p + half) for p in places], codec, context, self.margin)

    @property
    def _vary(self) -> Vamp:
        return Vamp(amount=self.variation)

    def _cut(self, clip: Waveform, codec: Codec) -> tuple[int, int]:
        """First sample of the loop, and one past the last; its length is the span's, rounded once."""
        named = self.places.seconds(clip)
        if not named:
            return 0, clip.n_samples
        start, _ = sample_range(clip, *named[0], codec.grid)
        n = round((min(named[0][1], clip.duration_s) - named[0][0]) * clip.sample_rate)
        start = min(start, clip.n_samples - n)
        return start, start + n

    def _half_seam(self, clip: Waveform) -> int:
        return round(self.seam_s / 2 * clip.sample_rate)


def _copies(linear: Waveform, n: int, codec: Codec, context: int) -> Plan:
    """All copies of `n` samples but the first."""
    return plan_ranges(linear, [(n, linear.n_samples)], codec, context, margin=0)


def _silent(clip: Waveform, n_samples: int) -> Waveform:
    """As much silence, which takes no memory."""
    return replace(clip, samples=np.broadcast_to(np.zeros((), clip.samples.dtype), (clip.n_channels, n_samples)))


def _repeated(clip: Waveform, n: int) -> Waveform:
    return clip if n == 1 else replace(clip, samples=np.tile(clip.samples, (1, n)))
