"""Long clips, encoded and decoded range by range, so that memory does not grow with their length."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from vampcli.codec.base import Codec

_FRAMES_AT_ONCE = 1024

Read = Callable[[int, int], Tensor]
"""Gives the clip's samples [start, stop): float32 (n_channels, stop - start)."""


def encode_long(codec: Codec, samples: Tensor) -> Tensor:
    """Encode in ranges, each with its context: the codes are those of the whole, but for rounding.

    Args:
        codec: what to encode with.
        samples: float32 (n_samples,) at the codec's rate.

    Returns:
        int64 (n_codebooks, n_frames).
    """
    return encode_ranges(codec, len(samples), lambda start, stop: samples[None, start:stop])[0]


def encode_ranges(codec: Codec, n_samples: int, read: Read, frames: range | None = None) -> Tensor:
    """Encode what `read` gives, range by range.

    Args:
        codec: what to encode with.
        n_samples: length of the clip at the codec's rate.
        read: gives float32 (n_channels, stop - start) of the clip.
        frames: which to encode; all by default.

    Returns:
        int64 (n_channels, n_codebooks, n_frames).
    """
    hop, around = codec.grid.hop_length, codec.halo_frames
    frames = frames or range(codec.grid.n_frames(n_samples))
    parts = []
    for start in frames[::_FRAMES_AT_ONCE]:
        stop, first = min(start + _FRAMES_AT_ONCE, frames.stop), max(0, start - around)
        heard = read(first * hop, min((stop + around) * hop, n_samples))
        codes = torch.stack([codec.encode(channel) for channel in heard])
        parts.append(codes[:, :, start - first :][:, :, : stop - start])
    return torch.cat(parts, dim=2)


def decode_long(codec: Codec, codes: Tensor) -> Tensor:
    """Decode in ranges, each with its context: the samples are those of the whole, within 1e-4.

    Args:
        codec: what to decode with.
        codes: int64 (n_codebooks, n_frames).

    Returns:
        float32 (n_frames * hop_length,).
    """
    hop, around = codec.grid.hop_length, codec.halo_frames
    parts = []
    for start in range(0, codes.shape[1], _FRAMES_AT_ONCE):
        first = max(0, start - around)
        samples = codec.decode(codes[:, first : start + _FRAMES_AT_ONCE + around])
        parts.append(samples[(start - first) * hop :][: _FRAMES_AT_ONCE * hop])
    return torch.cat(parts)
