"""Random numbers that belong to a place: a pure function of seed, stage, step, frame, codebook and class.

A counter-based hash instead of a stream: the noise of a token is the same in whatever batch, window
or order it is drawn, so a take depends on its seed alone.
"""

from __future__ import annotations

from enum import IntEnum

import torch
from torch import Tensor

_WORD = 0xFFFFFFFF


class Stage(IntEnum):
    """Which model the noise is for."""

    COARSE = 0
    FINE = 1


class _Stream(IntEnum):
    DRAW = 0
    HIDE = 1


def draw_noise(seed: int, stage: Stage, step: int, frames: Tensor, codebooks: Tensor, n_classes: int) -> Tensor:
    """Gumbel noise for drawing tokens.

    Args:
        seed: any integer; its lowest 64 bits count.
        stage: coarse or fine.
        step: of the sampler, from 0.
        frames: int64 (n_tokens,), counted from the start of the clip.
        codebooks: int64 (n_tokens,).
        n_classes: how many classes a token has.

    Returns:
        float32 (n_tokens, n_classes), standard Gumbel.
    """
    classes = torch.arange(n_classes, device=frames.device)
    tokens = _token_words(seed, stage, _Stream.DRAW, step, frames, codebooks)
    return _gumbel(_mix(tokens[:, None] ^ _mix(classes + 1)[None, :]))


def hide_noise(seed: int, stage: Stage, step: int, frames: Tensor, codebooks: Tensor) -> Tensor:
    """Gumbel noise for choosing what to hide again: float32 (n_tokens,); arguments as in `draw_noise`."""
    return _gumbel(_mix(_token_words(seed, stage, _Stream.HIDE, step, frames, codebooks)))


def white_noise(keys: Tensor, n: int) -> Tensor:
    """White noise that depends on keys alone.

    Args:
        keys: int64 (..., n_keys, n_frames), non-negative.
        n: samples in a frame.

    Returns:
        float32 (..., n_frames * n), uniform, of mean 0 and variance 1; a frame is the same for the same keys.
    """
    words = torch.zeros_like(keys[..., 0, :])
    for i in range(keys.shape[-2]):
        words = _mix((words + keys[..., i, :] + 0x9E3779B9) & _WORD)
    samples = _unit(_mix(words[..., None] ^ _mix(torch.arange(1, n + 1, device=keys.device))))
    return ((samples - 0.5) * 12**0.5).flatten(-2)


def _fold(seed: int, *counters: int) -> int:
    word = 0
    for part in (seed & _WORD, (seed >> 32) & _WORD, *counters):
        word = int(_mix(torch.tensor((word + part + 0x9E3779B9) & _WORD)))
    return word


def _token_words(seed: int, stage: Stage, stream: _Stream, step: int, frames: Tensor, codebooks: Tensor) -> Tensor:
    word = _fold(seed, stage, stream, step)
    return _mix(_mix((frames + word) & _WORD) ^ ((codebooks + 1) * 0x9E3779B1 & _WORD))


def _mix(x: Tensor) -> Tensor:
    """Scramble 32-bit words held in int64 (Wellons' lowbias32); products wrap, only low words are kept."""
    x = x ^ (x >> 16)
    x = (x * 0x7FEB352D).bitwise_and_(_WORD)
    x ^= x >> 15
    x = x.mul_(0x846CA68B).bitwise_and_(_WORD)
    x ^= x >> 16
    return x


def _unit(words: Tensor) -> Tensor:
    """The upper 24 bits h as (h + 0.5) / 2^24; the topmost rounds to 1 in float32 and is held below."""
    return ((words >> 8).float() + 0.5).mul_(2.0**-24).clamp_(max=1 - 2.0**-24)


def _gumbel(words: Tensor) -> Tensor:
    return _unit(words).log_().neg_().log_().neg_()
