"""The task `inpaint`: regenerate spans of a recording from their surroundings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from vampcli.codec.base import Codec
from vampcli.tasks.base import Task
from vampcli.tasks.plan import Margin, Plan, plan_spans
from vampcli.tasks.recording import Recording
from vampcli.tasks.spans import SpanRequest, context_frames


@dataclass(frozen=True)
class Inpaint(Task):
    """Regenerate spans; every other sample stays bit-identical.

    Attributes:
        places: the spans.
        margin: frames hidden on each side of a span, because their tokens depend on its samples.
        context_s: the most that the models see on each side; by default as much as their windows hold.
    """

    places: SpanRequest
    margin: Margin = 1
    context_s: float | None = None
    command: ClassVar[str] = "inpaint"

    def plan(self, recording: Recording, codec: Codec, context: int) -> Plan:
        """See `Task.plan`."""
        seen = context_frames(self.context_s, codec.grid, context)
        return plan_spans(recording.clip, self.places.seconds(recording), codec, seen, self.margin)
