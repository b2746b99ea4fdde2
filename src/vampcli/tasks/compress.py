"""The task `compress`: keep few tokens of a recording, in a `.vamp` file or not, and generate the others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from vampcli.audio.matching import level_factor, mean_weighted_power
from vampcli.audio.waveform import Waveform
from vampcli.codec.config import CodecShape
from vampcli.errors import ModelError, UsageError
from vampcli.model.config import VampNetConfig
from vampcli.recipe.recipe import Recipe
from vampcli.tasks.base import Task
from vampcli.tasks.level import Level
from vampcli.tasks.plan import Pass, Plan, check_channels, plan_ranges
from vampcli.tasks.recording import Recording, silence_like
from vampcli.tasks.take import Take, TakeOptions
from vampcli.tokens import bitrate, masks
from vampcli.tokens.grid import TokenGrid
from vampcli.tokens.masks import Mask

if TYPE_CHECKING:
    from vampcli.recipe.token_file import TokenFile
    from vampcli.tasks.networks import EncodedContext, Networks


@dataclass(frozen=True)
class Compress(Task):
    """Keep few tokens of a recording and generate all others.

    Attributes:
        keep_codebooks: of the frames kept, the first codebooks alone; more than there are = all.
        period: keep one frame in so many: 1 every frame, 0 none.
    """

    keep_codebooks: int = 4
    period: int = 1
    command: ClassVar[str] = "compress"

    def __post_init__(self) -> None:
        if self.keep_codebooks < 1:
            raise UsageError(
                f"{self.keep_codebooks} codebooks are to be kept", "keep one or more; --period 0 keeps nothing"
            )
        if self.period < 0:
            raise UsageError(f"the period is {self.period}", "1 keeps every frame, 0 none")

    def plan(self, recording: Recording, codec: CodecShape, context: int) -> Plan:
        """See `Task.plan`."""
        check_channels(recording.clip)
        return plan_ranges(recording.clip, [(0, recording.clip.n_samples)], codec, context, margin=0)

    def passes(
        self, recording: Recording, plan: Plan, codec: CodecShape, coarse: VampNetConfig, seed: int
    ) -> list[Pass]:
        """See `Task.passes`."""
        return [Pass(plan, self.mask(codec.grid.n_codebooks, plan.n_frames))]

    def takes(self, networks: Networks, recording: Recording, plan: Plan, options: TakeOptions) -> Iterator[Take]:
        """See `Task.takes`."""
        mask = self.mask(networks.grid.n_codebooks, plan.n_frames)
        context = _encode(networks, recording.clip, plan, options)
        return map(lambda take: replace(take, base=recording.clip), _complete(networks, context, mask, options))

    def mask(self, n_codebooks: int, n_frames: int) -> Mask:
        """Mask of the tokens that are not kept: bool (n_codebooks, n_frames), True = generate."""
        return masks.keep_sparse(n_codebooks, n_frames, self.keep_codebooks, self.period)

    def n_bits(self, grid: TokenGrid, n_frames: int) -> int:
        """Bits of the kept tokens of a channel."""
        n_kept_frames = -(-n_frames // self.period) if self.period else 0
        n_kept = min(self.keep_codebooks, grid.n_codebooks)
        return n_kept_frames * n_kept * bitrate.bits_per_token(grid.codebook_size)


def _encode(networks: Networks, clip: Waveform, plan: Plan, options: TakeOptions) -> EncodedContext:
    """Encode a clip; the gain makes up for the level that the codec alone loses. The offset is not kept."""
    from vampcli.codec.chunked import decode_long
    from vampcli.tasks.regenerate import encode_context

    context = encode_context(networks, clip, plan, options)
    level, rate = context.level, networks.grid.sample_rate
    if level.is_matched:
        decoded = np.stack([decode_long(networks.codec, channel).cpu().numpy() for channel in context.tokens])
        made = mean_weighted_power(lambda start, stop: decoded[:, start:stop], decoded.shape[1], rate)
        wanted = mean_weighted_power(context.read, clip.n_samples, clip.sample_rate)
        level = Level(level.gain / level_factor(wanted * level.gain**2, made), level.mid, rendering=level.rendering)
    return replace(context, level=level)


def squeeze(networks: Networks, clip: Waveform, task: Compress, plan: Plan, recipe: Recipe) -> TokenFile:
    """Encode a clip into a token file; nothing is generated.

    Args:
        networks: the codec.
        clip: the input.
        task: the tokens to keep.
        plan: the result of `task.plan`.
        recipe: of the take that `expand` makes.
    """
    from vampcli.recipe.token_file import TokenFile

    options = TakeOptions([recipe.seed], recipe.sampling, recipe.stereo, rendering=recipe.rendering)
    context = _encode(networks, clip, plan, options)
    return TokenFile(
        tokens=context.tokens.cpu(),
        n_kept_codebooks=min(task.keep_codebooks, networks.grid.n_codebooks),
        period=task.period,
        codebook_size=networks.grid.codebook_size,
        gain=context.level.gain,
        sample_rate=clip.sample_rate,
        n_channels=clip.n_channels,
        n_samples=clip.n_samples,
        subtype=clip.subtype,
        recipe=recipe,
    )


def expand(networks: Networks, file: TokenFile, options: TakeOptions) -> Iterator[Take]:
    """Yield the takes of a token file.

    Raises:
        ModelError: the tokens are of another model.
    """
    from vampcli.tasks.networks import EncodedContext

    canvas, grid = silence_of(file), networks.grid
    plan = Compress().plan(Recording(canvas), networks.codec, networks.context_frames)
    _, n_codebooks, n_frames = file.tokens.shape
    if (n_codebooks, file.codebook_size, n_frames) != (grid.n_codebooks, grid.codebook_size, plan.n_frames):
        raise ModelError(f"the tokens are of {file.recipe.made_by.model}, not of this model", "load that model")
    level = Level(file.gain, rendering=file.recipe.rendering)
    context = EncodedContext(canvas, plan, file.tokens.to(networks.device), level)
    return _complete(networks, context, file.mask.numpy(), options)


def silence_of(file: TokenFile) -> Waveform:
    """Return silence of the length and format of the recording in a token file."""
    empty = Waveform(np.zeros((file.n_channels, 1), np.float32), file.sample_rate, file.subtype)
    return silence_like(empty, file.n_samples)


def _complete(networks: Networks, context: EncodedContext, mask: Mask, options: TakeOptions) -> Iterator[Take]:
    """Generate a whole clip from its kept tokens alone; one model channel makes all channels alike.

    Args:
        networks: codec and transformers.
        context: the kept tokens; the samples of its canvas do not matter.
        mask: bool (n_codebooks, n_frames), True = generate; tokens hidden by it may be anything.
        options: seeds and sampling options.
    """
    from vampcli.tasks.regenerate import regenerate
    from vampcli.tasks.render import NO_TARGET

    canvas = silence_like(context.canvas, context.canvas.n_samples)
    return regenerate(networks, replace(context, canvas=canvas), mask, NO_TARGET, options)
