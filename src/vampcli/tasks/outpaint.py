"""The task `outpaint`: continue a recording after its end or before its beginning."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np

from vampcli.audio.metadata.base import Timeline
from vampcli.audio.ranges import split_range
from vampcli.audio.waveform import Waveform
from vampcli.codec.config import CodecShape
from vampcli.config import MemoryConfig
from vampcli.errors import UsageError
from vampcli.recipe.recipe import Ranges
from vampcli.tasks import sources
from vampcli.tasks.base import Task
from vampcli.tasks.plan import Margin, Plan, SamplerCall, check_channels, plan_ranges
from vampcli.tasks.recording import Recording
from vampcli.tasks.spans import context_frames


@dataclass(frozen=True)
class Outpaint(Task):
    """Extend a recording; all of it stays bit-identical.

    Audio further than half a context from the recording is generated from audio generated before.

    Attributes:
        after: seconds to add at the end.
        before: seconds to add at the beginning.
        margin: frames of the recording hidden beside the extension, because their tokens depend on its edge.
        context: seconds that the models see, at most; by default their context.
        memory: use of similar places of the recording.
    """

    after: float = 0.0
    before: float = 0.0
    margin: Margin = 1
    context: float | None = None
    memory: MemoryConfig = field(default_factory=MemoryConfig)
    command: ClassVar[str] = "outpaint"

    def __post_init__(self) -> None:
        self.memory.refuse_named_places()
        for name, seconds in (("after", self.after), ("before", self.before)):
            if not 0 <= seconds < math.inf:
                raise UsageError(f"{name} is {seconds:g} s", "it must be 0 or more")
        if self.after == self.before == 0:
            raise UsageError("nothing is to be added", "give --after 4 or --before 4, or both")

    def plan(self, recording: Recording, codec: CodecShape, context: int) -> Plan:
        """See `Task.plan`."""
        clip, shortest = recording.clip, codec.grid.frame_s
        check_channels(clip)
        before, after = self._n_added(clip)
        for n in (before, after):
            if 0 < n < shortest * clip.sample_rate:
                raise UsageError(
                    f"{1000 * n / clip.sample_rate:.1f} ms are to be added, less than a frame",
                    f"add {1000 * shortest:.1f} ms or more",
                )
        canvas = self.canvas(clip)
        ranges = [(0, before), (canvas.n_samples - after, canvas.n_samples)]
        seen = max(2, context_frames(self.context, codec.grid, context))  # one frame to fill, and one to see
        plan = plan_ranges(canvas, [r for r in ranges if r[0] < r[1]], codec, seen, self.margin)
        return sources.for_extension(_plan_outward(plan, seen), recording, self.memory, before)

    def map_ranges(self, ranges: Ranges, recording: Recording, codec: CodecShape) -> Ranges:
        """See `Task.map_ranges`."""
        before, _ = self._n_added(recording.clip)
        return tuple((start + before, end + before) for start, end in ranges)

    def timeline(self, recording: Recording, codec: CodecShape) -> Timeline:
        """See `Task.timeline`."""
        clip, (before, after) = recording.clip, self._n_added(recording.clip)
        return Timeline(0, clip.n_samples, before, before + clip.n_samples + after, clip.sample_rate)

    def canvas(self, clip: Waveform) -> Waveform:
        """See `Task.canvas`: the recording with silence before and after it."""
        return replace(clip, samples=np.pad(clip.samples, ((0, 0), self._n_added(clip))))

    def _n_added(self, clip: Waveform) -> tuple[int, int]:
        """Number of samples to add before and after a clip."""
        return round(self.before * clip.sample_rate), round(self.after * clip.sample_rate)


def _plan_outward(plan: Plan, context: int) -> Plan:
    """Fill spans at the ends of the canvas piece by piece, outwards from the recording.

    A piece is at most half a context, and the models see a context that ends with it: frames further out are still
    empty.

    Args:
        plan: its spans touch the beginning or the end of the canvas; their hidden frames may meet, or be all.
        context: frames that the models see, 2 or more.
    """
    stop, half = plan.first_frame + plan.n_frames, context // 2
    # Hidden frames after and before the recording; where the two meet, the head ends at the tail.
    tail = plan.hidden[-1] if plan.hidden[-1][1] == stop else (stop, stop)
    head = (0, min(plan.hidden[0][1], tail[0])) if plan.hidden[0][0] == 0 else (0, 0)
    # The tail is filled first and does not see the head; the head may see the filled tail.
    begin = max(plan.first_frame, head[1])
    after = [SamplerCall(max(begin, b - context), b, (a, b)) for a, b in split_range(*tail, half)]
    before = [SamplerCall(a, min(stop, a + context), (a, b)) for a, b in reversed(split_range(*head, half))]
    return replace(plan, calls=(*after, *before))
