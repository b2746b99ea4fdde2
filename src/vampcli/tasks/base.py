"""What can be asked of a recording: each verb is a request that makes its plan and its takes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Protocol

from vampcli.audio.waveform import Waveform
from vampcli.codec.base import Codec
from vampcli.model.transformer import VampNetConfig
from vampcli.recipe.recipe import Ranges
from vampcli.tasks.plan import Pass, Plan
from vampcli.tasks.regenerate import Networks
from vampcli.tasks.take import Take, TakeOptions


class Task(Protocol):
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

    def map_ranges(self, ranges: Ranges, clip: Waveform, codec: Codec) -> Ranges:
        """Where sample ranges of the clip lie in a take, as far as they are in it; beside what is made."""

    def passes(self, clip: Waveform, plan: Plan, codec: Codec, coarse: VampNetConfig, seed: int) -> list[Pass]:
        """Say which tokens `takes` makes, in one pass after another; needs no weights.

        Args:
            clip: the input.
            plan: what `plan` gave.
            codec: as for `plan`.
            coarse: sizes of the coarse model.
            seed: of the take.

        Returns:
            At least one. The mask of the last is that of the take.
        """

    def takes(
        self,
        networks: Networks,
        clip: Waveform,
        plan: Plan,
        order: TakeOptions,
    ) -> Iterator[Take]:
        """Make the takes one by one, each as soon as it can be.

        Args:
            networks: to make them with.
            clip: the input.
            plan: what `plan` gave.
            order: how many, and how.
        """
