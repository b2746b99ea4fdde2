"""Re-make spans of a recording from what is around them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from vampcli.audio.waveform import Waveform
from vampcli.codec.base import Codec
from vampcli.model.transformer import VampNetConfig
from vampcli.recipe.recipe import Ranges
from vampcli.tasks.plan import Margin, Pass, Plan, plan_spans
from vampcli.tasks.regenerate import Networks, around, encode_context, remade
from vampcli.tasks.spans import SpanRequest, context_frames
from vampcli.tasks.take import Take, TakeOptions


@dataclass(frozen=True)
class Inpaint:
    """Re-make spans; every other sample stays as it is, to the bit.

    Attributes:
        places: the spans.
        margin: frames hidden around a span, since their tokens have heard it.
        context_s: how much the models see on each side, at most; by default what their windows hold beside the span.
    """

    places: SpanRequest
    margin: Margin = 1
    context_s: float | None = None
    command: ClassVar[str] = "inpaint"

    def plan(self, clip: Waveform, codec: Codec, context: int) -> Plan:
        """See `Verb.plan`."""
        seen = context_frames(self.context_s, codec.grid, context)
        return plan_spans(clip, self.places.seconds(clip), codec, seen, self.margin)

    def map_ranges(self, ranges: Ranges, clip: Waveform, codec: Codec) -> Ranges:
        """See `Verb.map_ranges`."""
        return ranges

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
        return pasted(networks, clip, plan, order)


def pasted(
    networks: Networks,
    canvas: Waveform,
    plan: Plan,
    order: TakeOptions,
) -> Iterator[Take]:
    """Takes in which the spans of a plan are made anew, from what is around them alone."""
    scene = encode_context(networks, canvas, plan, order.stereo, unheard=plan.spans)
    mask = plan.mask(networks.grid.n_codebooks)
    return remade(networks, scene, mask, around(scene), order)
