"""The task `inpaint`: regenerate spans of a recording from their surroundings."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from vampcli.codec.config import CodecShape
from vampcli.config import MemoryConfig
from vampcli.tasks import sources
from vampcli.tasks.base import Task
from vampcli.tasks.plan import Margin, Plan, plan_spans
from vampcli.tasks.recording import Recording
from vampcli.tasks.spans import SpanRequest, context_frames


@dataclass(frozen=True)
class Inpaint(Task):
    """Regenerate spans; every other sample stays bit-identical.

    Attributes:
        at: the spans.
        margin: frames hidden on each side of a span, because their tokens depend on its samples.
        context: seconds that the models see on each side, at most; by default as much as their windows hold.
        memory: use of similar places of the recording.
    """

    at: SpanRequest
    margin: Margin = 1
    context: float | None = None
    memory: MemoryConfig = field(default_factory=MemoryConfig)
    command: ClassVar[str] = "inpaint"

    def plan(self, recording: Recording, codec: CodecShape, context: int) -> Plan:
        """See `Task.plan`."""
        seen = context_frames(self.context, codec.grid, context)
        plan = plan_spans(recording.clip, self.at.seconds(recording), codec, seen, self.margin)
        return sources.for_spans(plan, recording, self.memory)
