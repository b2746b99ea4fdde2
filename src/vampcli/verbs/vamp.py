"""Vary a recording: parts of its tokens are kept as a prompt, the others are made anew."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from vampcli import beats, presets, prompts
from vampcli.audio import Waveform
from vampcli.codec import Codec
from vampcli.config import PromptConfig, SamplingConfig
from vampcli.errors import InputError, UsageError
from vampcli.places import Places
from vampcli.plan import Plan, check_channels, merged, plan_ranges, sample_range
from vampcli.remake import Image, Networks, Scene, Stereo, listen, refill, taken
from vampcli.sampling import Progress, part_of
from vampcli.verbs import Take

_PASS_BITS = 40  # passes have noise of their own: seeds this far apart


@dataclass(frozen=True)
class Vamp:
    """Vary a recording, or spans of it; every other sample stays as it is, to the bit.

    Attributes:
        prompt: what is kept.
        places: where; everywhere by default.
        prefix_s: seconds at the beginning of the first span that stay as they are.
        suffix_s: the same at the end of the last one.
        amount: if given, the prompt keeps what `presets.dial` says instead; its effects stay.
    """

    prompt: PromptConfig = field(default_factory=PromptConfig)
    places: Places = field(default_factory=Places)
    prefix_s: float = 0.0
    suffix_s: float = 0.0
    amount: float | None = None
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

    def plan(self, clip: Waveform, codec: Codec, context: int) -> Plan:
        """See `Verb.plan`."""
        check_channels(clip)
        named = self.places.seconds(clip)
        ranges = merged([sample_range(clip, *span, codec.grid) for span in named]) or [(0, clip.n_samples)]
        prefix, suffix = (round(s * clip.sample_rate) for s in (self.prefix_s, self.suffix_s))
        ranges[0] = (ranges[0][0] + prefix, ranges[0][1])
        ranges[-1] = (ranges[-1][0], ranges[-1][1] - suffix)
        if (
            min(end - start for start, end in ranges)
            < codec.grid.hop_length * clip.sample_rate / codec.grid.sample_rate
        ):
            raise InputError("less than a frame is left to vary", "make prefix and suffix shorter, or the span longer")
        if self.prompt.stretch > 1:
            ranges = [(0, clip.n_samples * self.prompt.stretch)]
        return plan_ranges(self._canvas(clip), ranges, codec, context, margin=0)

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
        if self.amount is not None:
            yield from self._dialled(networks).takes(networks, clip, plan, seeds, config, stereo, progress)
            return
        scene, is_new = self._scene(networks, clip, plan, stereo)
        events = self._events(clip, plan, networks)
        groups = networks.groups(seeds)
        for i, group in enumerate(groups):
            told = progress and part_of(progress, i, len(groups))
            filled, masks = self._vary(networks, scene, is_new, events, group, config, told)
            for seed, tokens, mask in zip(group, filled, masks, strict=True):
                yield taken(networks, scene, tokens, mask, seed, lambda _span: self._image(clip))

    def _dialled(self, networks: Networks) -> Vamp:
        """The same request with the prompt that the amount means for this model."""
        dialled = presets.dial(self.amount or 0.0, networks.grid.n_codebooks, networks.coarse.config.n_codebooks)
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
        return lambda start, stop: [clip.samples[:, start // factor : max(stop // factor, start // factor + 1)]]

    def _scene(self, networks: Networks, clip: Waveform, plan: Plan, stereo: Stereo) -> tuple[Scene, Tensor]:
        """What the models hear, and which frames are new: bool (n_frames,)."""
        factor, pitch = self.prompt.stretch, self.prompt.pitch
        source = plan if factor == 1 else plan_ranges(clip, [(0, clip.n_samples)], networks.codec, 0, margin=0)
        scene = listen(networks, clip, source, stereo)
        if pitch:
            shifted = listen(networks, clip, source, stereo, effect=lambda x: shift_pitch(x, pitch, networks))
            inside = source.mask(1)[0].to(scene.tokens.device)
            scene = replace(scene, tokens=torch.where(inside, shifted.tokens, scene.tokens))
        if factor == 1:
            return scene, torch.zeros(plan.n_frames, dtype=torch.bool)
        channels, news = zip(*(prompts.stretched(channel, factor) for channel in scene.tokens), strict=True)
        tokens = torch.stack(channels)[:, :, : plan.n_frames]
        return Scene(self._canvas(clip), plan, tokens, scene.gain), news[0][: plan.n_frames]

    def _events(self, clip: Waveform, plan: Plan, networks: Networks) -> list[tuple[int, int]]:
        """Frames of beats and onsets that the prompt keeps, from the plan's first frame on."""
        prompt, found = self.prompt, []
        if prompt.beats:
            pulse = beats.track(clip.samples, clip.sample_rate, self.places.tempo)
            times = pulse.downbeats_s if prompt.downbeats_only else pulse.beats_s
            found.append((times, prompt.beat_width_ms / 1000))
        if prompt.onsets:
            found.append((beats.onsets_s(clip.samples, clip.sample_rate), prompt.onset_width_ms / 1000))
        return [
            frames
            for times, width in found
            for frames in prompts.event_ranges(
                [t * prompt.stretch for t in times], width, networks.grid, plan.first_frame, plan.n_frames
            )
        ]

    def _vary(
        self,
        networks: Networks,
        scene: Scene,
        is_new: Tensor,
        events: list[tuple[int, int]],
        seeds: list[int],
        config: SamplingConfig,
        progress: Progress | None,
    ) -> tuple[Tensor, Tensor]:
        """Tokens (n_takes, n_model_channels, n_codebooks, n_frames) and masks of the last pass."""
        n_passes, tokens, plan = self.prompt.n_passes, scene.tokens[None], scene.plan
        inside = plan.mask(networks.grid.n_codebooks)
        for i in range(n_passes):
            streams = [np.random.default_rng([seed % 2**64, i]) for seed in seeds]
            drawn = [prompts.draw(self.prompt, len(inside), plan.n_frames, events, rng) for rng in streams]
            masks = (torch.stack(drawn) | is_new) & inside
            is_new = torch.zeros_like(is_new)  # what a pass has made is prompt for the next
            told = progress and part_of(progress, i, n_passes)
            noise_seeds = [seed + (i << _PASS_BITS) for seed in seeds]
            tokens = refill(networks, plan, tokens, masks, noise_seeds, config, told)
        return tokens, masks


def shift_pitch(samples: Tensor, semitones: int, networks: Networks) -> Tensor:
    """Shift the pitch, not the length: float32 (n_channels, n_samples) at the codec's rate -> same."""
    from torchaudio.functional import pitch_shift

    shifted: Tensor = pitch_shift(samples, networks.grid.sample_rate, semitones, n_fft=2048)
    return shifted
