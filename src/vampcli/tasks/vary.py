"""Make the takes of `vamp`: encode, shift the pitch, stretch, and fill the hidden tokens in passes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from vampcli.audio.waveform import Waveform
from vampcli.config import PromptConfig
from vampcli.tasks.networks import EncodedContext, Networks
from vampcli.tasks.plan import Plan, plan_ranges
from vampcli.tasks.recall import edit_spans
from vampcli.tasks.regenerate import encode_context, refill, to_take
from vampcli.tasks.render import original_target
from vampcli.tasks.take import Take, TakeOptions
from vampcli.tokens.masks import Mask

_PITCH_FFT = 2048
_PASS_BITS = 40  # the seeds of two passes are this power of two apart, so that their noise differs

MaskOf = Callable[[int, int], Mask]
"""Returns the mask of a pass for (seed of the take, number of earlier passes): bool (n_codebooks, n_frames)."""


def vary(
    networks: Networks,
    clip: Waveform,
    canvas: Waveform,
    plan: Plan,
    options: TakeOptions,
    prompt: PromptConfig,
    mask_of: MaskOf,
    edit: float | Literal["off"],
) -> Iterator[Take]:
    """Yield takes in which the tokens that a prompt does not keep are generated.

    Args:
        networks: codec and transformers.
        clip: the recording.
        canvas: the recording, or silence of its stretched length.
        plan: on the canvas.
        options: seeds and sampling options.
        prompt: its passes, stretch and pitch.
        mask_of: the tokens to generate.
        edit: see `Vamp`.
    """
    context = _encode(networks, clip, canvas, plan, options, prompt)
    target = original_target(context, clip, prompt.stretch)
    has_effects = prompt.stretch > 1 or prompt.pitch != 0
    for batch in options.batches(networks.batches.n_takes):
        filled, masks = _fill(networks, context, prompt.feedback, mask_of, batch)
        for seed, tokens, mask in zip(batch.seeds, filled, masks, strict=True):
            if context.level.is_matched and not has_effects and torch.equal(tokens, context.tokens):
                unchanged = torch.from_numpy(mask)
                yield Take(clip, tokens.cpu(), unchanged, seed, plan.spans, clip)
            elif edit != "off" and options.rendering > 2 and not has_effects and _keeps_some(plan, mask):
                audio = edit_spans(networks, context, tokens, edit)
                yield Take(audio, tokens.cpu(), torch.from_numpy(mask), seed, plan.spans, clip)
                del audio  # before the next is made: it may be long
            else:
                yield to_take(networks, context, tokens, mask, seed, target)


def _keeps_some(plan: Plan, mask: Mask) -> bool:
    """Return whether a token inside the spans is kept."""
    return bool((plan.mask(len(mask)) & ~mask).any())


def _encode(
    networks: Networks, clip: Waveform, canvas: Waveform, plan: Plan, options: TakeOptions, prompt: PromptConfig
) -> EncodedContext:
    """Encode the clip, shift the pitch inside the spans, and repeat each frame `stretch` times."""
    factor, pitch = prompt.stretch, prompt.pitch
    source = plan if factor == 1 else plan_ranges(clip, [(0, clip.n_samples)], networks.codec, 0, margin=0)
    context = encode_context(networks, clip, source, options)
    tokens = context.tokens
    if pitch:
        shifted = encode_context(networks, clip, source, options, effect=lambda x: shift_pitch(x, pitch))
        inside = torch.from_numpy(source.mask(1)[0]).to(tokens.device)
        tokens = torch.where(inside, shifted.tokens, tokens)
    stretched = tokens.repeat_interleave(factor, dim=2)[:, :, : plan.n_frames]
    return EncodedContext(canvas, plan, stretched, context.level)


def _fill(
    networks: Networks, context: EncodedContext, n_passes: int, mask_of: MaskOf, options: TakeOptions
) -> tuple[Tensor, Mask]:
    """Run all passes: tokens (n_takes, n_model_channels, n_codebooks, n_frames), and the masks of the last."""
    tokens = context.tokens[None]
    for i in range(n_passes):
        masks = np.stack([mask_of(seed, i) for seed in options.seeds])
        one = options.part(i, n_passes, [seed + (i << _PASS_BITS) for seed in options.seeds])
        tokens = refill(networks, context.plan, tokens, masks, one)
    return tokens, masks


def shift_pitch(samples: Tensor, semitones: int) -> Tensor:
    """Shift the pitch and keep the length: float32 (n_channels, n_samples) -> same.

    torchaudio resamples from a whole number of hertz, of which only the ratio matters: the rate from 500 to 1000 Hz is
    chosen that errs by less than 0.1 cents. (With the true rate its filter can take 15 GB.)
    """
    from torchaudio.functional import pitch_shift

    n = samples.shape[1]
    padded = pad(samples, (0, max(0, _PITCH_FFT - n)))  # torchaudio mirrors the ends, which takes a whole window
    rate = min(range(500, 1001), key=lambda r: r * 2 ** (semitones / 12) % 1 / r)
    shifted: Tensor = pitch_shift(padded, rate, semitones, n_fft=_PITCH_FFT)
    return shifted[:, :n]
