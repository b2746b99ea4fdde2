"""A codec with the transformers of its tokens, and a context as tokens."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from vampcli.audio.waveform import Samples, Waveform
from vampcli.codec.base import Codec
from vampcli.model.batching import Batches
from vampcli.model.transformer import VampNet
from vampcli.tasks.level import Level
from vampcli.tasks.plan import Plan
from vampcli.tokens.grid import TokenGrid


@dataclass(frozen=True)
class Networks:
    """A codec and the two transformers of its tokens: the parts of a `Model` that tasks need.

    Attributes:
        codec: `encode`: float32 (n_samples,) -> int64 (n_codebooks, n_frames); `decode`: the inverse.
        coarse: int64 (batch, n_coarse, n_frames) -> float32 logits (batch, n_coarse, n_frames, classes).
        fine: int64 (batch, n_codebooks, n_frames) -> logits of the codebooks after the coarse ones.
        device: of all three.
        batches: number of windows in a forward pass.
    """

    codec: Codec
    coarse: VampNet
    fine: VampNet
    device: torch.device
    batches: Batches = field(default_factory=Batches, kw_only=True)

    @property
    def grid(self) -> TokenGrid:
        """The codec's token grid."""
        return self.codec.grid

    @property
    def context_frames(self) -> int:
        """Context of the coarse model, in frames."""
        return self.coarse.config.context_frames


@dataclass(frozen=True)
class EncodedContext:
    """The part of a canvas that the models see, as tokens.

    Attributes:
        canvas: the clip that generated audio is spliced into.
        plan: the parts of the canvas.
        tokens: int64 (n_model_channels, n_codebooks, n_frames), from the plan's first frame on; 0 where no window
            shows a frame and none is decoded.
        level: the change of the samples before they were encoded.
    """

    canvas: Waveform
    plan: Plan
    tokens: Tensor
    level: Level

    def read(self, start: int, stop: int) -> Samples:
        """Return samples [start, stop) of the canvas without offset: float (n_channels, stop - start)."""
        return self.level.centred(self.canvas.samples[:, start:stop])
