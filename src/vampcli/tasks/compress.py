"""Squeeze a recording into a few tokens, and bring it back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from torch import Tensor

from vampcli.audio.waveform import Waveform
from vampcli.codec.base import Codec
from vampcli.errors import UsageError
from vampcli.model.transformer import VampNetConfig
from vampcli.recipe.recipe import Ranges, Recipe
from vampcli.recipe.token_file import TokenFile
from vampcli.tasks.plan import Pass, Plan, check_channels, plan_ranges
from vampcli.tasks.regenerate import EncodedContext, Networks, encode_context, remade
from vampcli.tasks.take import Take, TakeOptions
from vampcli.tokens import bitrate, masks
from vampcli.tokens.grid import TokenGrid


@dataclass(frozen=True)
class Compress:
    """Keep few tokens of a recording and make all others anew.

    Attributes:
        n_kept_codebooks: of the frames kept, the first codebooks alone; more than there are = all.
        period: keep one frame in so many: 1 every frame, 0 none.
    """

    n_kept_codebooks: int = 4
    period: int = 1
    command: ClassVar[str] = "compress"

    def __post_init__(self) -> None:
        if self.n_kept_codebooks < 1:
            raise UsageError(
                f"{self.n_kept_codebooks} codebooks are to be kept", "keep one or more; --period 0 keeps nothing"
            )
        if self.period < 0:
            raise UsageError(f"the period is {self.period}", "1 keeps every frame, 0 none")

    def plan(self, clip: Waveform, codec: Codec, context: int) -> Plan:
        """See `Verb.plan`."""
        check_channels(clip)
        return plan_ranges(clip, [(0, clip.n_samples)], codec, context, margin=0)

    def map_ranges(self, ranges: Ranges, clip: Waveform, codec: Codec) -> Ranges:
        """See `Verb.map_ranges`."""
        return ranges

    def passes(self, clip: Waveform, plan: Plan, codec: Codec, coarse: VampNetConfig, seed: int) -> list[Pass]:
        """See `Verb.passes`."""
        return [Pass(plan, self.mask(codec.grid.n_codebooks, plan.n_frames))]

    def takes(
        self,
        networks: Networks,
        clip: Waveform,
        plan: Plan,
        order: TakeOptions,
    ) -> Iterator[Take]:
        """See `Verb.takes`."""
        mask = self.mask(networks.grid.n_codebooks, plan.n_frames)
        scene = encode_context(networks, clip, plan, order.stereo)
        return map(lambda take: replace(take, base=clip), expanded(networks, scene, mask, order))

    def mask(self, n_codebooks: int, n_frames: int) -> Tensor:
        """What is not kept: bool (n_codebooks, n_frames), True = generate."""
        return masks.keep_sparse(n_codebooks, n_frames, self.n_kept_codebooks, self.period)

    def token_file(self, scene: EncodedContext, grid: TokenGrid, recipe: Recipe) -> TokenFile:
        """What is kept of a scene, with all it takes to make the rest."""
        canvas = scene.canvas
        return TokenFile(
            tokens=scene.tokens.cpu(),
            n_kept_codebooks=min(self.n_kept_codebooks, grid.n_codebooks),
            period=self.period,
            codebook_size=grid.codebook_size,
            gain=scene.gain,
            sample_rate=canvas.sample_rate,
            n_channels=canvas.n_channels,
            n_samples=canvas.n_samples,
            subtype=canvas.subtype,
            recipe=recipe,
        )

    def n_bits(self, grid: TokenGrid, n_frames: int) -> int:
        """What the kept tokens of a channel cost."""
        n_kept_frames = -(-n_frames // self.period) if self.period else 0
        n_kept = min(self.n_kept_codebooks, grid.n_codebooks)
        return n_kept_frames * n_kept * bitrate.bits_per_token(grid.codebook_size)


def silent(n_channels: int, n_samples: int, sample_rate: int, subtype: str) -> Waveform:
    """A canvas without anything on it, which takes no memory."""
    return Waveform(np.broadcast_to(np.zeros((), np.float32), (n_channels, n_samples)), sample_rate, subtype)


def expanded(networks: Networks, scene: EncodedContext, mask: Tensor, order: TakeOptions) -> Iterator[Take]:
    """Make what is missing of a whole recording; one model channel makes all channels alike.

    Args:
        networks: to make it with.
        scene: the tokens kept; of its canvas only length, rate, channels and format matter.
        mask: bool (n_codebooks, n_frames), True = generate; tokens hidden by it may be anything.
        order: how many, and how.
    """
    like = scene.canvas
    scene = replace(scene, canvas=silent(like.n_channels, like.n_samples, like.sample_rate, like.subtype))
    return remade(networks, scene, mask, lambda _span: lambda _start, _stop: None, order)
