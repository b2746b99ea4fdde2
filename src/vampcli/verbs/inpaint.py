"""Re-make spans of a recording from what is around them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from vampcli.audio import Waveform
from vampcli.codec import Codec
from vampcli.config import SamplingConfig
from vampcli.places import Places, context_frames
from vampcli.plan import Margin, Plan, plan_spans
from vampcli.remake import Networks, Stereo, around, listen, remade
from vampcli.sampling import Progress
from vampcli.verbs import Take


@dataclass(frozen=True)
class Inpaint:
    """Re-make spans; every other sample stays as it is, to the bit.

    Attributes:
        places: the spans.
        margin: frames hidden around a span, since their tokens have heard it.
        context_s: how much the models see on each side, at most their context, which is the default.
    """

    places: Places
    margin: Margin = 1
    context_s: float | None = None
    command: ClassVar[str] = "inpaint"

    def plan(self, clip: Waveform, codec: Codec, context: int) -> Plan:
        """See `Verb.plan`."""
        seen = context_frames(self.context_s, codec.grid, context)
        return plan_spans(clip, self.places.seconds(clip), codec, seen, self.margin)

    def takes(
        self,
        networks: Networks,
        clip: Waveform,
        plan: Plan,
        seeds: Sequence[int],
        config: SamplingConfig,
        stereo: Stereo,
        progress: Progress | None,
    ) -> Iterator[Take]:
        """See `Verb.takes`."""
        return pasted(networks, clip, plan, seeds, config, stereo, progress)


def pasted(
    networks: Networks,
    canvas: Waveform,
    plan: Plan,
    seeds: Sequence[int],
    config: SamplingConfig,
    stereo: Stereo,
    progress: Progress | None,
) -> Iterator[Take]:
    """Takes in which the spans of a plan are made anew, from what is around them alone."""
    scene = listen(networks, canvas, plan, stereo, unheard=plan.spans)
    mask = plan.mask(networks.grid.n_codebooks)
    return remade(networks, scene, mask, around(scene), seeds, config, progress)
