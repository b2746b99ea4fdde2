"""Random numbers that belong to a place: a pure function of seed, stage, step, frame, codebook and class.

A counter-based hash instead of a stream: the noise of a token is the same in whatever batch, window
or order it is drawn, so a take depends on its seed alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from functools import lru_cache

import torch
from torch import Tensor

_WORD = 0xFFFFFFFF
_MIX_1, _MIX_2 = 0x7FEB352D, 0x846CA68B
_STEP, _FACTOR = 0x9E3779B9, 0x9E3779B1


class Stage(IntEnum):
    """Which model the noise is for."""

    COARSE = 0
    FINE = 1


class Stream(IntEnum):
    """What the noise is for: drawing tokens, or choosing what to hide again."""

    DRAW = 0
    HIDE = 1


def take_words(seeds: Sequence[int], stage: Stage, stream: Stream, step: int, device: torch.device) -> Tensor:
    """Hash what all tokens of a take have in common.

    Args:
        seeds: one for each take, any integers; their lowest 64 bits count.
        stage: coarse or fine.
        stream: what for.
        step: of the sampler, from 0.
        device: where the words are needed.

    Returns:
        int32 (n_takes,).
    """
    words = torch.tensor([_signed(_fold(seed, stage, stream, step)) for seed in seeds], dtype=torch.int32)
    return words.to(device, non_blocking=True)


def token_words(takes: Tensor, frames: Tensor, codebooks: Tensor) -> Tensor:
    """Hash the places of tokens.

    Args:
        takes: int32 (n_tokens,), the word of each token's take, see `take_words`.
        frames: int64 (n_tokens,), counted from the start of the recording.
        codebooks: int64 (n_tokens,).

    Returns:
        int32 (n_tokens,).
    """
    levels = (codebooks.int() + 1).mul_(_signed(_FACTOR))
    return _mix(_mix(frames.int() + takes) ^ levels)


def draw_noise(words: Tensor, n_classes: int) -> Tensor:
    """Gumbel noise for drawing tokens.

    Args:
        words: int32 (n_tokens,), from `token_words` of the stream `DRAW`.
        n_classes: how many classes a token has.

    Returns:
        float32 (n_tokens, n_classes), standard Gumbel.
    """
    return _gumbel(_class_words(words, n_classes))


def hide_noise(words: Tensor) -> Tensor:
    """Gumbel noise for choosing what to hide again: int32 (n_tokens,), of the stream `HIDE` -> float32 (n_tokens,)."""
    return _gumbel(_mix(words.clone()))


def white_noise(keys: Tensor, n: int) -> Tensor:
    """White noise that depends on keys alone.

    Args:
        keys: int64 (..., n_keys, n_frames), non-negative.
        n: samples in a frame.

    Returns:
        float32 (..., n_frames * n), uniform, of mean 0 and variance 1; a frame is the same for the same keys.
    """
    words = torch.zeros_like(keys[..., 0, :], dtype=torch.int32)
    for i in range(keys.shape[-2]):
        words = _mix(words + keys[..., i, :].int() + _signed(_STEP))
    samples = _unit(_class_words(words, n))
    return samples.sub_(0.5).mul_(12**0.5).flatten(-2)


def _class_words(words: Tensor, n: int) -> Tensor:
    """Hash words with each of n classes, or samples: int32 (...) -> (..., n).

    The first shift of `_mix` comes before the classes, of which there are more: it knows no carry.
    """
    return _multiply(_shift(words.clone(), 16)[..., None] ^ _counting_words(n, words.device))


@lru_cache(maxsize=8)
def _counting_words(n: int, device: torch.device) -> Tensor:
    """A word for each of n classes or samples, shifted for `_class_words`: int32 (n,)."""
    with torch.inference_mode(False):
        return _shift(_mix(torch.arange(1, n + 1, dtype=torch.int32, device=device)), 16)


def _fold(seed: int, *counters: int) -> int:
    word = 0
    for part in (seed & _WORD, (seed >> 32) & _WORD, *counters):
        word = _mix_int((word + part + _STEP) & _WORD)
    return word


def _signed(word: int) -> int:
    """The same 32 bits as a number that int32 can hold."""
    return word - 2**32 if word >= 2**31 else word


def _mix_int(x: int) -> int:
    """`_mix` of one word."""
    x ^= x >> 16
    x = x * _MIX_1 & _WORD
    x ^= x >> 15
    x = x * _MIX_2 & _WORD
    return x ^ x >> 16


def _mix(x: Tensor) -> Tensor:
    """Scramble 32-bit words in place (Wellons' lowbias32): int32, whose products wrap."""
    return _multiply(_shift(x, 16))


def _multiply(x: Tensor) -> Tensor:
    """`_mix` after its first shift."""
    return _shift(_shift(x.mul_(_MIX_1), 15).mul_(_signed(_MIX_2)), 16)


def _shift(x: Tensor, n: int) -> Tensor:
    """Do x ^ x >> n in place, of words without a sign."""
    x ^= (x >> n).bitwise_and_(_WORD >> n)
    return x


def _unit(words: Tensor) -> Tensor:
    """The upper 24 bits h as (h + 0.5) / 2^24; the topmost rounds to 1 in float32 and is held below."""
    upper = (words >> 8).bitwise_and_(0xFFFFFF)
    return upper.float().add_(0.5).mul_(2.0**-24).clamp_(max=1 - 2.0**-24)


def _gumbel(words: Tensor) -> Tensor:
    return _unit(words).log_().neg_().log_().neg_()
