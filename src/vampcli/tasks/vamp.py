"""Vary a recording: parts of its tokens are kept as a prompt, the others are made anew."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from vampcli.audio import beats
from vampcli.audio.stereo import Image, image_in
from vampcli.audio.waveform import Waveform
from vampcli.codec.base import Codec
from vampcli.config import PromptConfig
from vampcli.errors import InputError, UsageError
from vampcli.model.transformer import VampNetConfig
from vampcli.recipe.recipe import Ranges
from vampcli.tasks.plan import Pass, Plan, check_channels, merge_ranges, narrowed, plan_ranges, sample_range
from vampcli.tasks.regenerate import EncodedContext, Networks, encode_context, refill, to_take
from vampcli.tasks.spans import SpanRequest
from vampcli.tasks.take import Stereo, Take, TakeOptions
from vampcli.tokens import presets
from vampcli.tokens.grid import TokenGrid
from vampcli.tokens.mask_file import OwnMask
from vampcli.tokens.prompt import draw, event_ranges, stretched

_PITCH_FFT = 2048
_PASS_BITS = 40  # passes have noise of their own: seeds this far apart

Events = list[tuple[Sequence[float], float]]
"""When things begin, in seconds, and how long they last."""

MaskOf = Callable[[int, int], Tensor]
"""What a pass makes, by the take's seed and the number of passes before: bool (n_codebooks, n_frames)."""


@dataclass(frozen=True)
class Vamp:
    """Vary a recording, or spans of it; every other sample stays as it is, to the bit.

    Attributes:
        prompt: what is kept.
        places: where; everywhere by default.
        prefix_s: seconds at the beginning of the first span that stay as they are.
        suffix_s: the same at the end of the last one.
        amount: if given, the prompt keeps what `presets.dial` says instead; its effects stay.
        own: if given, says for each token whether it is made, within the places, instead of the prompt, of which the
            pitch alone stays. Frames that it keeps whole are not touched, but for a shifted pitch.
    """

    prompt: PromptConfig = field(default_factory=PromptConfig)
    places: SpanRequest = field(default_factory=SpanRequest)
    prefix_s: float = 0.0
    suffix_s: float = 0.0
    amount: float | None = None
    own: OwnMask | None = None
    command: ClassVar[str] = "vamp"

    def __post_init__(self) -> None:
        for name, seconds in (("prefix", self.prefix_s), ("suffix", self.suffix_s)):
            if not 0 <= seconds < math.inf:
                raise UsageError(f"the {name} is {seconds:g} s", "it must be 0 or more")
        if self.amount is not None and not 0 <= self.amount <= 1:
            raise UsageError(
                f"the amount is {self.amount:g}", "it must be from 0 (keep everything) to 1 (keep nothing)"
            )
        if self.prompt.stretch > 1 and (self.places.spans or self.prefix_s or self.suffix_s):
            raise UsageError("a stretch moves all of the clip", "leave spans, prefix and suffix out, or the stretch")
        if self.own and (self.amount is not None or self.prompt != PromptConfig(pitch=self.prompt.pitch)):
            raise UsageError("a mask of one's own says all of what is kept", "leave it out, or the rest of the prompt")

    def plan(self, clip: Waveform, codec: Codec, context: int) -> Plan:
        """See `Verb.plan`."""
        check_channels(clip)
        named = self.places.seconds(clip)
        ranges = merge_ranges([sample_range(clip, *span, codec.grid) for span in named]) or [(0, clip.n_samples)]
        prefix, suffix = (round(s * clip.sample_rate) for s in (self.prefix_s, self.suffix_s))
        ranges[0] = (ranges[0][0] + prefix, ranges[0][1])
        ranges[-1] = (ranges[-1][0], ranges[-1][1] - suffix)
        left_s = min(end - start for start, end in ranges) / clip.sample_rate
        if left_s < codec.grid.frame_s:
            raise InputError(
                f"{1000 * max(0.0, left_s):.1f} ms are left to vary, less than a frame",
                "make prefix and suffix shorter, or the span longer",
            )
        self._events(clip)  # fails now where there is no beat, not when a model has been loaded
        if self.prompt.stretch > 1:
            ranges = [(0, clip.n_samples * self.prompt.stretch)]
        plan = plan_ranges(self._canvas(clip), ranges, codec, context, margin=0)
        return plan if self.own is None else self._narrowed(plan, clip, codec.grid, self.own)

    def map_ranges(self, ranges: Ranges, clip: Waveform, codec: Codec) -> Ranges:
        """See `Verb.map_ranges`."""
        return ranges

    def passes(self, clip: Waveform, plan: Plan, codec: Codec, coarse: VampNetConfig, seed: int) -> list[Pass]:
        """See `Verb.passes`."""
        if self.amount is not None:
            dialled = self._dialled(codec.grid.n_codebooks, coarse.n_codebooks)
            return dialled.passes(clip, plan, codec, coarse, seed)
        mask = self._masks(clip, plan, codec.grid)
        n = self.prompt.n_passes
        return [Pass(plan, mask(seed, i), f"pass {i + 1} of {n}" if n > 1 else "") for i in range(n)]

    def takes(
        self,
        networks: Networks,
        clip: Waveform,
        plan: Plan,
        order: TakeOptions,
    ) -> Iterator[Take]:
        """See `Verb.takes`."""
        if self.amount is not None:
            dialled = self._dialled(networks.grid.n_codebooks, networks.coarse.config.n_codebooks)
            yield from dialled.takes(networks, clip, plan, order)
            return
        scene, mask_of = self._scene(networks, clip, plan, order.stereo), self._masks(clip, plan, networks.grid)
        image = self._image(clip)
        for batch in order.batches(networks.batches.n_takes):
            filled, masks = self._vary(networks, scene, mask_of, batch)
            for seed, tokens, mask in zip(batch.seeds, filled, masks, strict=True):
                yield to_take(networks, scene, tokens, mask, seed, lambda _span: image)

    def _narrowed(self, plan: Plan, clip: Waveform, grid: TokenGrid, own: OwnMask) -> Plan:
        """Leave alone what a mask of one's own keeps whole, unless the pitch of all is shifted."""
        made = self._masks(clip, plan, grid)(0, 0).any(0)
        if not made.any():
            place = " where something is to be made" if self.places.spans or self.prefix_s or self.suffix_s else ""
            raise InputError(f"{own.path} hides nothing{place}", "True or 1 means make, False or 0 keep")
        return plan if self.prompt.pitch else narrowed(plan, made, grid, clip.sample_rate)

    def _dialled(self, n_codebooks: int, n_coarse: int) -> Vamp:
        """The same request with the prompt that the amount means for a model of these sizes."""
        dialled = presets.dial(self.amount or 0.0, n_codebooks, n_coarse)
        own = self.prompt
        prompt = replace(dialled, n_passes=own.n_passes, stretch=own.stretch, pitch=own.pitch)
        return replace(self, prompt=prompt, amount=None)

    def _canvas(self, clip: Waveform) -> Waveform:
        """The recording, or as much silence as it will be long."""
        if self.prompt.stretch == 1:
            return clip
        shape = clip.n_channels, clip.n_samples * self.prompt.stretch
        return replace(clip, samples=np.broadcast_to(np.zeros((), clip.samples.dtype), shape))

    def _image(self, clip: Waveform) -> Image:
        """The stereo image of the same place in the original."""
        factor = self.prompt.stretch

        @cache
        def image(start: int, stop: int) -> Tensor | None:
            piece = clip.samples[:, start // factor : max(stop // factor, start // factor + 1)]
            return image_in([piece], clip.sample_rate)

        return image

    def _scene(self, networks: Networks, clip: Waveform, plan: Plan, stereo: Stereo) -> EncodedContext:
        """What the models hear; of a stretched clip each frame as often as it will be long."""
        factor, pitch = self.prompt.stretch, self.prompt.pitch
        source = plan if factor == 1 else plan_ranges(clip, [(0, clip.n_samples)], networks.codec, 0, margin=0)
        scene = encode_context(networks, clip, source, stereo)
        tokens = scene.tokens
        if pitch:
            shifted = encode_context(networks, clip, source, stereo, effect=lambda x: shift_pitch(x, pitch))
            tokens = torch.where(source.mask(1)[0].to(tokens.device), shifted.tokens, tokens)
        longer = tokens.repeat_interleave(factor, dim=2)[:, :, : plan.n_frames]
        return EncodedContext(self._canvas(clip), plan, longer, scene.gain)

    def _events(self, clip: Waveform) -> Events:
        """Beats and onsets that the prompt keeps."""
        prompt = self.prompt
        events: Events = []
        if prompt.beats:
            pulse = beats.track(clip.samples, clip.sample_rate, self.places.tempo)
            times = pulse.downbeats_s if prompt.downbeats_only else pulse.beats_s
            events.append((times, prompt.beat_width_ms / 1000))
        if prompt.onsets:
            events.append((beats.onsets_s(clip.samples, clip.sample_rate), prompt.onset_width_ms / 1000))
        return events

    def _vary(
        self,
        networks: Networks,
        scene: EncodedContext,
        mask_of: MaskOf,
        order: TakeOptions,
    ) -> tuple[Tensor, Tensor]:
        """Tokens (n_takes, n_model_channels, n_codebooks, n_frames) and masks of the last pass."""
        n_passes, tokens, plan = self.prompt.n_passes, scene.tokens[None], scene.plan
        for i in range(n_passes):
            masks = torch.stack([mask_of(seed, i) for seed in order.seeds])
            own = order.part(i, n_passes, [seed + (i << _PASS_BITS) for seed in order.seeds])
            tokens = refill(networks, plan, tokens, masks, own.seeds, own.config, own.progress)
        return tokens, masks

    def _masks(self, clip: Waveform, plan: Plan, grid: TokenGrid) -> MaskOf:
        """What the passes over a clip make."""
        if self.own is None:
            events = self._events(clip)
            return lambda seed, n_earlier: self._mask(grid, plan, events, seed, n_earlier)
        n_frames = grid.n_frames(grid.n_samples(clip.n_samples, clip.sample_rate))
        whole = torch.from_numpy(self.own.load(grid.n_codebooks, n_frames))
        part = whole[:, plan.first_frame : plan.first_frame + plan.n_frames] & plan.mask(grid.n_codebooks)
        return lambda _seed, _n_earlier: part

    def _mask(self, grid: TokenGrid, plan: Plan, events: Events, seed: int, n_earlier: int) -> Tensor:
        """What a pass makes: bool (n_codebooks, n_frames).

        The first prompt is drawn of the clip as it was, then stretched; later ones are drawn of what was made.
        """
        factor = 1 if n_earlier else self.prompt.stretch
        n_frames, map_ranges = -(-plan.n_frames // factor), self.prompt.stretch // factor
        ranges = [
            frames
            for times, width in events
            for frames in event_ranges([t * map_ranges for t in times], width, grid, plan.first_frame, n_frames)
        ]
        rng = np.random.default_rng(seed % 2**64)
        drawn = draw(self.prompt, grid.n_codebooks, n_frames, ranges, rng, n_earlier)
        return stretched(drawn, factor)[:, : plan.n_frames] & plan.mask(grid.n_codebooks)


def shift_pitch(samples: Tensor, semitones: int) -> Tensor:
    """Shift the pitch, not the length: float32 (n_channels, n_samples) -> same.

    Of the rate only ratios matter to torchaudio, and it resamples from a whole number of hertz: one is chosen for which
    that errs by less than 0.1 cents. (With a real rate the filter can take 15 GB.)
    """
    from torchaudio.functional import pitch_shift

    n = samples.shape[1]
    padded = pad(samples, (0, max(0, _PITCH_FFT - n)))  # it mirrors the ends
    rate = min(range(500, 1001), key=lambda r: r * 2 ** (semitones / 12) % 1 / r)
    shifted: Tensor = pitch_shift(padded, rate, semitones, n_fft=_PITCH_FFT)
    return shifted[:, :n]
