"""Fill stretches from similar places of the recording, which the models' tokens edit."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property, lru_cache, partial

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vampcli.audio.resample import resample_range
from vampcli.audio.seam import match_edges
from vampcli.audio.splice import FADE_S, Patch, Render, paste
from vampcli.audio.waveform import Samples, Waveform
from vampcli.codec.chunked import encode_ranges
from vampcli.config import Place, Source
from vampcli.memory.render import edit_audio
from vampcli.memory.search import cut
from vampcli.tasks.level import Level
from vampcli.tasks.networks import EncodedContext, Networks
from vampcli.tasks.plan import Plan
from vampcli.tasks.recording import Recording
from vampcli.tasks.regenerate import encode_context, model_audio, refill
from vampcli.tasks.render import match_nearby, nearby_target, original_target, render_spans
from vampcli.tasks.sources import cut_span
from vampcli.tasks.take import Take, TakeOptions
from vampcli.tokens.masks import Mask

_CROSSFADE_S = 0.040  # half the length, between stretches
_LONGEST_EDITED_S = 10.0  # of the recording, whose spectrum is in memory at once
_HERE = Place(0, 1.0)

MaskOf = Callable[[int], Mask]
"""Returns the mask of the take with a seed: bool (n_codebooks, n_frames), True = generate."""


def recall_spans(
    networks: Networks,
    canvas: Waveform,
    plan: Plan,
    recording: Recording,
    options: TakeOptions,
    mask_of: MaskOf | None = None,
) -> Iterator[Take]:
    """Yield takes whose stretches are places of a recording, edited by the models.

    Args:
        networks: codec and transformers.
        canvas: the clip that takes are spliced into.
        plan: with stretches.
        recording: has the places, or names the files that have them.
        options: seeds and sampling options.
        mask_of: the tokens to generate; by default all of a span, but for the frames kept of trusted places.
    """
    unlike, unmeasured = mask_of is None, plan.spans if mask_of is None else ()
    mask_of = mask_of or partial(plan.recall_mask, networks.grid.n_codebooks)
    context = encode_context(networks, canvas, plan, options, unmeasured)
    is_limited = context.level.is_matched and unlike

    def match_near(render: Render, span: tuple[int, int]) -> Render:
        return match_nearby(render, context, span)

    memory = _Memory(networks, context, recording, match_near if is_limited else _unmatched)
    for batch in options.batches(networks.batches.n_takes):
        chosen = [tuple(stretch.source(seed) for stretch in plan.stretches) for seed in batch.seeds]
        tokens = torch.stack([memory.prompt(sources) for sources in chosen])
        masks = np.stack([mask_of(seed) for seed in batch.seeds])
        filled = refill(networks, plan, tokens, masks, batch)
        for seed, sources, made, mask in zip(batch.seeds, chosen, filled, masks, strict=True):
            audio = memory.render(made, sources)
            yield Take(audio, made.cpu(), torch.from_numpy(mask), seed, plan.spans, canvas, sources=sources)
            del audio  # before the next is made: it may be long


def edit_spans(networks: Networks, context: EncodedContext, made: Tensor, edit: float) -> Waveform:
    """Render the spans of a recording from its own sound, which the made tokens change.

    Where tokens are kept, so is the sound; the level follows the recording.

    Args:
        networks: the codec.
        context: the recording as the canvas, and the plan.
        made: int64 (n_model_channels, n_codebooks, n_frames) of the plan.
        edit: share of the change: 0 = the recording itself, 1 = all of it.
    """
    clip = context.canvas
    n_longest = round(_LONGEST_EDITED_S * clip.sample_rate)
    stretches = [
        stretch
        for span in context.plan.spans
        for stretch in cut_span(context.plan, span, span, -(-(span[1] - span[0]) // n_longest), (_HERE,))
    ]
    context = replace(context, plan=replace(context.plan, stretches=tuple(stretches), edit=edit))
    memory = _Memory(networks, context, Recording(clip), original_target(context, clip, 1).match)
    return memory.render(made, [stretch.source(0) for stretch in stretches])


def _unmatched(render: Render, _span: tuple[int, int]) -> Render:
    return render


@dataclass(frozen=True)
class _Memory:
    """Tokens and audio of places, for the stretches of a plan.

    Attributes:
        networks: the codec.
        context: the canvas and the plan.
        recording: holds the places.
        match: returns the renderer of a span at the right level.
    """

    networks: Networks
    context: EncodedContext
    recording: Recording
    match: Callable[[Render, tuple[int, int]], Render]

    @property
    def fade(self) -> int:
        """Samples by which the audio of a stretch exceeds it on both sides, for cross-fades."""
        return round(max(_CROSSFADE_S, FADE_S) * self.context.canvas.sample_rate)

    def prompt(self, sources: Sequence[Source]) -> Tensor:
        """Write tokens of places into the hidden frames of their stretches.

        Returns:
            int64 (n_model_channels, n_codebooks, n_frames).
        """
        plan, tokens = self.context.plan, self.context.tokens.clone()
        for source in sources:
            first, _ = self.frames(source)
            a, b = self._hidden[source.start]
            tokens[..., a - plan.first_frame : b - plan.first_frame] = self.tokens(source)[..., a - first : b - first]
        return tokens

    def frames(self, source: Source) -> tuple[int, int]:
        """Frames that the audio of a stretch depends on, and its hidden ones, as far as the models see them."""
        grid, rate, plan = self.networks.grid, self.context.canvas.sample_rate, self.context.plan
        first, last = grid.frames_touched(max(0, source.start - self.fade), source.end + self.fade, rate)
        halo, hidden = self.networks.codec.halo_frames, self._hidden[source.start]
        first, last = min(first - halo, hidden[0]), max(last + halo, hidden[1])
        return max(plan.first_frame, first), min(plan.first_frame + plan.n_frames, last)

    @cached_property
    def _hidden(self) -> dict[int, tuple[int, int]]:
        """Hidden frames of each stretch by its first sample."""
        return {stretch.start: stretch.hidden for stretch in self.context.plan.stretches}

    @cached_property
    def tokens(self) -> Callable[[Source], Tensor]:
        """Encode a place at its exact lag: int64 (n_model_channels, n_codebooks, n_frames) of `frames`."""

        @lru_cache(maxsize=64)
        def encode(source: Source) -> Tensor:
            codec, (first, last) = self.networks.codec, self.frames(source)
            if source.place == _HERE:
                return self.context.tokens[
                    ..., first - self.context.plan.first_frame : last - self.context.plan.first_frame
                ]
            level = self._level(source.place.file)
            level = replace(level, gain=level.gain * float(np.sqrt(np.prod(source.place.gains))))
            audio, offset = _shift(self._clip(source), source.place.lag)
            read = model_audio(self.networks, audio, level, offset)
            n_samples = (last + codec.halo_frames) * codec.grid.hop_length
            return encode_ranges(codec, n_samples, read, range(first, last))

        return encode

    def _clip(self, source: Source) -> Waveform:
        return self.recording.other(source.place.file).clip

    @cached_property
    def _level(self) -> Callable[[str], Level]:
        """The level of a recording by its file: that of the canvas, with its own offset."""
        level = self.context.level

        @cache
        def of(file: str) -> Level:
            return level.of_recording(self.recording.other(file).clip.samples) if file else level

        return of

    def render(self, made: Tensor, sources: Sequence[Source]) -> Waveform:
        """Render all spans of a take: stretches from their places, other spans from tokens alone.

        Args:
            made: int64 (n_model_channels, n_codebooks, n_frames) of the plan.
            sources: of the stretches.
        """
        canvas, plan = self.context.canvas, self.context.plan
        recalled = [span for span in plan.spans if any(span[0] <= source.start < span[1] for source in sources)]
        if others := tuple(span for span in plan.spans if span not in recalled):
            rest = replace(self.context, plan=replace(plan, spans=others))
            canvas = render_spans(self.networks, rest, made, nearby_target(self.networks, self.context))

        def render(span: tuple[int, int]) -> Render:
            matched = cache(lambda: self.match(self._render_span(made, sources, span), span))  # when it is rendered
            return lambda start, stop: self.context.level.restored(matched()(start, stop))

        renders = {span: match_edges(render(span), canvas, span, plan.spans) for span in recalled}
        return paste(canvas, [Patch(*span, render) for span, render in renders.items()])

    def _render_span(self, made: Tensor, sources: Sequence[Source], span: tuple[int, int]) -> Render:
        """Return a function that renders a span from its stretches, cross-faded where they meet."""
        inside = [source for source in sources if span[0] <= source.start < span[1]]
        audio = lru_cache(maxsize=2)(lambda source: self._audio(source, made))

        def render(start: int, stop: int) -> Samples:
            total = np.zeros((self.context.canvas.n_channels, stop - start))
            for source in inside:
                begin, end = source.start - self.fade, source.end + self.fade
                a, b = max(start, begin), min(stop, end)
                if a < b:
                    weights = _fade(source, span, a, b, self.fade)
                    total[:, a - start : b - start] += audio(source)[:, a - begin : b - begin] * weights
            return total

        return render

    def _audio(self, source: Source, made: Tensor) -> Samples:
        """Render a stretch and `fade` samples around it, without offset: float (n_channels, n), the canvas's rate."""
        codec, file_rate, place = self.networks.codec, self.context.canvas.sample_rate, source.place
        begin, stop = source.start - self.fade, source.end + self.fade
        level, clip = self._level(place.file), self._clip(source)
        copied = level.centred(cut(clip.samples, begin + place.lag, stop + place.lag))
        copied = copied * _gain_curve(source, begin, stop)
        first, last = self.frames(source)
        tokens = self.tokens(source)
        made = made[..., first - self.context.plan.first_frame : last - self.context.plan.first_frame]
        if self.context.plan.edit == 0 or torch.equal(made, tokens):
            return copied
        # The same place at the codec's rate, before and after the edit: their difference is added to the copy.
        hop, rate = codec.grid.hop_length, codec.grid.sample_rate
        there, offset = _shift(clip, place.lag)
        wave = resample_range(there.samples, file_rate, rate, first * hop, last * hop, offset, level.centred)
        curve = _gain_curve(source, first * hop * file_rate / rate, last * hop * file_rate / rate, wave.shape[1])
        before = torch.from_numpy(wave * curve).to(made.device)
        change = (edit_audio(codec, before, made, tokens, self.context.plan.edit) - before).cpu().numpy()
        start = max(0, begin)  # times before the canvas cannot be resampled, and are not used
        change = resample_range(change, rate, file_rate, start, stop, first * hop)
        copied[:, start - begin :] += change
        return copied


def _shift(audio: Waveform, lag: int) -> tuple[Waveform, int]:
    """Move audio by -lag samples: return it and the time of its first sample."""
    return replace(audio, samples=audio.samples[:, max(0, lag) :]), max(0, -lag)


def _gain_curve(source: Source, start: float, stop: float, n: int | None = None) -> npt.NDArray[np.float32]:
    """Gain of a place from its first value at the start of the stretch to its last at the end, linear in decibels."""
    times = np.linspace(start, stop, n or round(stop - start), endpoint=False)
    return np.exp(np.interp(times, (source.start, source.end), np.log(source.place.gains))).astype(np.float32)


def _fade(source: Source, span: tuple[int, int], start: int, stop: int, fade: int) -> npt.NDArray[np.float64]:
    """Weights of a stretch at samples [start, stop): it fades over 2 * `fade` samples where another one meets it."""
    times, weights = np.arange(start, stop), np.ones(stop - start)
    if source.start > span[0]:
        weights *= np.clip((times - source.start) / (2 * fade) + 0.5, 0, 1)
    if source.end < span[1]:
        weights *= np.clip((source.end - times) / (2 * fade) + 0.5, 0, 1)
    return weights
