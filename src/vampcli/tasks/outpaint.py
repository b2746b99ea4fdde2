"""Go on where a recording ends, or begin before it begins."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from vampcli.audio.waveform import Waveform
from vampcli.codec.base import Codec
from vampcli.errors import UsageError
from vampcli.model.transformer import VampNetConfig
from vampcli.recipe.recipe import Ranges
from vampcli.tasks.inpaint import pasted
from vampcli.tasks.plan import Margin, Pass, Plan, check_channels, plan_outward, plan_ranges
from vampcli.tasks.regenerate import Networks
from vampcli.tasks.spans import context_frames
from vampcli.tasks.take import Take, TakeOptions


@dataclass(frozen=True)
class Outpaint:
    """Extend a recording; all of it stays as it is, to the bit.

    What is further from the recording than half a context is made from what has just been made.

    Attributes:
        after_s: seconds to add at its end.
        before_s: seconds to add at its beginning.
        margin: frames of the recording hidden beside what is added, since their tokens have heard its end.
        context_s: how much the models see, at most their context, which is the default.
    """

    after_s: float = 0.0
    before_s: float = 0.0
    margin: Margin = 1
    context_s: float | None = None
    command: ClassVar[str] = "outpaint"

    def __post_init__(self) -> None:
        for name, seconds in (("after", self.after_s), ("before", self.before_s)):
            if not 0 <= seconds < math.inf:
                raise UsageError(f"{name} is {seconds:g} s", "it must be 0 or more")
        if self.after_s == self.before_s == 0:
            raise UsageError("nothing is to be added", "give --after 4 or --before 4, or both")

    def plan(self, clip: Waveform, codec: Codec, context: int) -> Plan:
        """See `Verb.plan`."""
        check_channels(clip)
        before, after = (round(s * clip.sample_rate) for s in (self.before_s, self.after_s))
        shortest = codec.grid.frame_s
        for n in (before, after):
            if 0 < n < shortest * clip.sample_rate:
                raise UsageError(
                    f"{1000 * n / clip.sample_rate:.1f} ms are to be added, less than a frame",
                    f"add {1000 * shortest:.1f} ms or more",
                )
        canvas = self._canvas(clip)
        ranges = [(0, before), (canvas.n_samples - after, canvas.n_samples)]
        seen = max(2, context_frames(self.context_s, codec.grid, context))  # one to make, and one to go by
        return plan_outward(plan_ranges(canvas, [r for r in ranges if r[0] < r[1]], codec, seen, self.margin), seen)

    def map_ranges(self, ranges: Ranges, clip: Waveform, codec: Codec) -> Ranges:
        """See `Verb.map_ranges`."""
        before = round(self.before_s * clip.sample_rate)
        return tuple((start + before, end + before) for start, end in ranges)

    def passes(self, clip: Waveform, plan: Plan, codec: Codec, coarse: VampNetConfig, seed: int) -> list[Pass]:
        """See `Verb.passes`."""
        return [Pass(plan, plan.mask(codec.grid.n_codebooks))]

    def takes(
        self,
        networks: Networks,
        clip: Waveform,
        plan: Plan,
        order: TakeOptions,
    ) -> Iterator[Take]:
        """See `Verb.takes`."""
        return pasted(networks, self._canvas(clip), plan, order)

    def _canvas(self, clip: Waveform) -> Waveform:
        """The recording with silence where something will be added."""
        before, after = (round(s * clip.sample_rate) for s in (self.before_s, self.after_s))
        return replace(clip, samples=np.pad(clip.samples, ((0, 0), (before, after))))
