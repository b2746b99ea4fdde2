"""What can be asked of a recording: each verb is a request that makes its plan and its takes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Protocol

from vampcli.audio import Waveform
from vampcli.codec import Codec
from vampcli.plan import Plan
from vampcli.remake import Networks
from vampcli.takes import Order, Take


class Verb(Protocol):
    """A request, such as `Inpaint`: a frozen dataclass of what is asked for."""

    command: ClassVar[str]

    def plan(self, clip: Waveform, codec: Codec, context: int) -> Plan:
        """Say what will be made of a clip; needs no weights.

        Args:
            clip: the input.
            codec: tells the grid and how far it hears; its weights do not matter.
            context: of the coarse model, in frames.

        Returns:
            A plan on the output's time line.

        Raises:
            UsageError: the request contradicts itself.
            InputError: it does not fit the clip.
        """

    def takes(
        self,
        networks: Networks,
        clip: Waveform,
        plan: Plan,
        order: Order,
    ) -> Iterator[Take]:
        """Make the takes one by one, each as soon as it can be.

        Args:
            networks: to make them with.
            clip: the input.
            plan: what `plan` gave.
            order: how many, and how.
        """
