"""Long clips, encoded and decoded range by range, so that memory does not grow with their length."""

from __future__ import annotations

import torch
from torch import Tensor

from vampcli.codec import Codec

_FRAMES_AT_ONCE = 1024


def encode_long(codec: Codec, samples: Tensor) -> Tensor:
    """Encode in ranges, each with its context: the codes are those of the whole, but for rounding.

    Args:
        codec: what to encode with.
        samples: float32 (n_samples,) at the codec's rate.

    Returns:
        int64 (n_codebooks, n_frames).
    """
    hop, around = codec.grid.hop_length, codec.context_frames
    parts = []
    for start in range(0, codec.grid.n_frames(len(samples)), _FRAMES_AT_ONCE):
        first = max(0, start - around)
        codes = codec.encode(samples[first * hop : (start + _FRAMES_AT_ONCE + around) * hop])
        parts.append(codes[:, start - first :][:, :_FRAMES_AT_ONCE])
    return torch.cat(parts, dim=1)


def decode_long(codec: Codec, codes: Tensor) -> Tensor:
    """Decode in ranges, each with its context: the samples are those of the whole, within 1e-4.

    Args:
        codec: what to decode with.
        codes: int64 (n_codebooks, n_frames).

    Returns:
        float32 (n_frames * hop_length,).
    """
    hop, around = codec.grid.hop_length, codec.context_frames
    parts = []
    for start in range(0, codes.shape[1], _FRAMES_AT_ONCE):
        first = max(0, start - around)
        samples = codec.decode(codes[:, first : start + _FRAMES_AT_ONCE + around])
        parts.append(samples[(start - first) * hop :][: _FRAMES_AT_ONCE * hop])
    return torch.cat(parts)
