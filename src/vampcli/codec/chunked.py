"""Encode and decode long clips range by range, in constant memory."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from vampcli.codec.base import Codec

_FRAMES_AT_ONCE = 1024

Read = Callable[[int, int], Tensor]
"""(start, stop) -> the clip's samples in [start, stop): float32 (n_channels, stop - start)."""


def encode_long(codec: Codec, samples: Tensor) -> Tensor:
    """Encode a clip in ranges with a halo; up to rounding, the codes equal those of one call of `encode`.

    Args:
        codec: with its halo.
        samples: float32 (n_samples,) at the codec's rate.

    Returns:
        int64 (n_codebooks, n_frames).
    """
    return encode_ranges(codec, len(samples), lambda start, stop: samples[None, start:stop])[0]


def encode_ranges(codec: Codec, n_samples: int, read: Read, frames: range | None = None) -> Tensor:
    """Encode the samples that `read` returns, range by range.

    Args:
        codec: with its halo.
        n_samples: length of the clip at the codec's rate.
        read: reads samples of the clip.
        frames: to encode; all by default.

    Returns:
        int64 (n_channels, n_codebooks, n_frames).
    """
    hop, halo = codec.grid.hop_length, codec.encoder_reach
    frames = frames or range(codec.grid.n_frames(n_samples))
    parts = []
    for start in frames[::_FRAMES_AT_ONCE]:
        stop, first = min(start + _FRAMES_AT_ONCE, frames.stop), max(0, start - halo)
        samples = read(first * hop, min((stop + halo) * hop, n_samples))
        codes = torch.stack([codec.encode(channel) for channel in samples])
        parts.append(codes[:, :, start - first :][:, :, : stop - start])
    return torch.cat(parts, dim=2)


def decode_long(codec: Codec, codes: Tensor) -> Tensor:
    """Decode codes in ranges with a halo; the samples equal those of one call of `decode` within 1e-4.

    Args:
        codec: with its halo.
        codes: int64 (n_codebooks, n_frames).

    Returns:
        float32 (n_frames * hop_length,).
    """
    hop, halo = codec.grid.hop_length, codec.halo_frames
    parts = []
    for start in range(0, codes.shape[1], _FRAMES_AT_ONCE):
        first = max(0, start - halo)
        samples = codec.decode(codes[:, first : start + _FRAMES_AT_ONCE + halo])
        parts.append(samples[(start - first) * hop :][: _FRAMES_AT_ONCE * hop])
    return torch.cat(parts)
