"""The abstract base class of tasks. Plans and masks need no torch: what makes takes is imported by `takes`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from vampcli.audio.metadata.base import Timeline
from vampcli.audio.waveform import Waveform
from vampcli.codec.config import CodecShape
from vampcli.model.config import VampNetConfig
from vampcli.recipe.recipe import Ranges
from vampcli.tasks.plan import Pass, Plan
from vampcli.tasks.recording import Recording

if TYPE_CHECKING:
    from vampcli.tasks.networks import Networks
    from vampcli.tasks.take import Take, TakeOptions


class Task(ABC):
    """A request such as `Inpaint`: a frozen dataclass of options. By default it generates the spans of its plan."""

    command: ClassVar[str]

    @abstractmethod
    def plan(self, recording: Recording, codec: CodecShape, context: int) -> Plan:
        """Plan the result of a recording; needs no weights.

        Args:
            recording: the input.
            codec: gives the token grid and the encoder's reach; its weights do not matter.
            context: of the coarse model, in frames.

        Returns:
            A plan on the time line of the result.

        Raises:
            UsageError: the options contradict each other.
            InputError: they do not fit the recording.
        """

    def map_ranges(self, ranges: Ranges, recording: Recording, codec: CodecShape) -> Ranges:
        """Map sample ranges of the recording to those of a take that hold the same sound."""
        return ranges

    def timeline(self, recording: Recording, codec: CodecShape) -> Timeline | None:
        """Return where the recording's samples lie in a take; None if nowhere, or scattered."""
        n_samples = recording.clip.n_samples
        return Timeline(0, n_samples, 0, n_samples, recording.clip.sample_rate)

    def passes(
        self, recording: Recording, plan: Plan, codec: CodecShape, coarse: VampNetConfig, seed: int
    ) -> list[Pass]:
        """Return the masks of a take, pass by pass; needs no weights.

        Args:
            recording: the input.
            plan: the result of `plan`.
            codec: as for `plan`.
            coarse: sizes of the coarse model.
            seed: of the take.

        Returns:
            One pass or more; the mask of the last is that of the take.
        """
        return [Pass(plan, plan.recall_mask(codec.grid.n_codebooks, seed))]

    def takes(self, networks: Networks, recording: Recording, plan: Plan, options: TakeOptions) -> Iterator[Take]:
        """Yield the takes one by one, each as soon as it is made.

        Args:
            networks: codec and transformers.
            recording: the input.
            plan: the result of `plan`.
            options: seeds and sampling options.
        """
        from vampcli.tasks.recall import recall_spans
        from vampcli.tasks.regenerate import inpaint_spans

        canvas = self.canvas(recording.clip)
        if plan.stretches:
            return recall_spans(networks, canvas, plan, recording, options)
        return inpaint_spans(networks, canvas, plan, options)

    def canvas(self, clip: Waveform) -> Waveform:
        """Return the clip that takes are spliced into; it is as long as the result."""
        return clip
