"""Counter-based random numbers keyed by (seed, stage, step, frame, codebook, class).

The noise of a token is a hash of its key, independent of batch, window and order of drawing, so a take
depends on its seed alone.
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
    """The model that the noise is for."""

    COARSE = 0
    FINE = 1


class Stream(IntEnum):
    """The use of the noise: drawing tokens, or choosing tokens to hide again."""

    DRAW = 0
    HIDE = 1


def take_words(seeds: Sequence[int], stage: Stage, stream: Stream, step: int, device: torch.device) -> Tensor:
    """Hash the key parts that all tokens of a take share.

    Args:
        seeds: one for each take, any integers; their lowest 64 bits count.
        stage: coarse or fine.
        stream: the use.
        step: of the sampler, from 0.
        device: of the result.

    Returns:
        int32 (n_takes,).
    """
    words = torch.tensor([_signed(_fold(seed, stage, stream, step)) for seed in seeds], dtype=torch.int32)
    return words.to(device, non_blocking=True)


def token_words(takes: Tensor, frames: Tensor, codebooks: Tensor) -> Tensor:
    """Hash the positions of tokens.

    Args:
        takes: int32 (n_tokens,), the word from `take_words` of each token's take.
        frames: int64 (n_tokens,), counted from the start of the recording.
        codebooks: int64 (n_tokens,).

    Returns:
        int32 (n_tokens,).
    """
    words = (codebooks.int() + 1).mul_(_signed(_FACTOR))
    return _mix(_mix(frames.int() + takes) ^ words)


def draw_noise(words: Tensor, n_classes: int) -> Tensor:
    """Return Gumbel noise for drawing tokens.

    Args:
        words: int32 (n_tokens,), from `token_words` of the stream `DRAW`.
        n_classes: of a token.

    Returns:
        float32 (n_tokens, n_classes), standard Gumbel.
    """
    return _gumbel(_class_words(words, n_classes))


def hide_noise(words: Tensor) -> Tensor:
    """Return Gumbel noise for hiding again: int32 (n_tokens,), words of stream `HIDE` -> float32 (n_tokens,)."""
    return _gumbel(_mix(words.clone()))


def white_noise(keys: Tensor, n: int) -> Tensor:
    """Return white noise that is a function of keys.

    Args:
        keys: int64 (..., n_keys, n_frames), non-negative.
        n: samples in a frame.

    Returns:
        float32 (..., n_frames * n), uniform, with mean 0 and variance 1; equal keys give equal frames.
    """
    # Fold the keys of a frame into one word, (..., n_frames), then hash it with each sample: (..., n_frames, n).
    words = torch.zeros_like(keys[..., 0, :], dtype=torch.int32)
    for i in range(keys.shape[-2]):
        words = _mix(words + keys[..., i, :].int() + _signed(_STEP))
    samples = _unit(_class_words(words, n))
    return samples.sub_(0.5).mul_(12**0.5).flatten(-2)


def _class_words(words: Tensor, n: int) -> Tensor:
    """Hash words with each of n classes, or samples: int32 (...) -> (..., n).

    Equals `_mix(words[..., None] ^ classes)`: the first shift of `_mix` is linear over xor, so it is applied to words
    and classes apart, before the larger product.
    """
    return _multiply(_shift(words.clone(), 16)[..., None] ^ _counting_words(n, words.device))


@lru_cache(maxsize=8)
def _counting_words(n: int, device: torch.device) -> Tensor:
    """A word for each of n classes or samples, shifted for `_class_words`: int32 (n,)."""
    with torch.inference_mode(False):
        return _shift(_mix(torch.arange(1, n + 1, dtype=torch.int32, device=device)), 16)


def _fold(seed: int, *counters: int) -> int:
    """Hash integers into one word of 32 bits."""
    word = 0
    for part in (seed & _WORD, (seed >> 32) & _WORD, *counters):
        word = _mix_int((word + part + _STEP) & _WORD)
    return word


def _signed(word: int) -> int:
    """Reinterpret 32 bits as a signed number."""
    return word - 2**32 if word >= 2**31 else word


def _mix_int(x: int) -> int:
    """`_mix` for one word, in Python's integers."""
    x ^= x >> 16
    x = x * _MIX_1 & _WORD
    x ^= x >> 15
    x = x * _MIX_2 & _WORD
    return x ^ x >> 16


def _mix(x: Tensor) -> Tensor:
    """Hash 32-bit words in place (Wellons' lowbias32): int32, products wrap."""
    return _multiply(_shift(x, 16))


def _multiply(x: Tensor) -> Tensor:
    """`_mix` after its first shift."""
    return _shift(_shift(x.mul_(_MIX_1), 15).mul_(_signed(_MIX_2)), 16)


def _shift(x: Tensor, n: int) -> Tensor:
    """Compute x ^ x >> n in place, with a logical shift."""
    x ^= (x >> n).bitwise_and_(_WORD >> n)
    return x


def _unit(words: Tensor) -> Tensor:
    """Convert the upper 24 bits h to (h + 0.5) / 2^24; the highest would round to 1 in float32 and is clamped."""
    upper = (words >> 8).bitwise_and_(0xFFFFFF)
    return upper.float().add_(0.5).mul_(2.0**-24).clamp_(max=1 - 2.0**-24)


def _gumbel(words: Tensor) -> Tensor:
    return _unit(words).log_().neg_().log_().neg_()
