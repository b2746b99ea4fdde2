"""Codecs behind one seam: mono audio to tokens and back."""

from __future__ import annotations

from typing import Any, Protocol

from torch import Tensor, nn

from vampcli.codec.dac import DacCodec, DacConfig
from vampcli.codec.lac import LacCodec, LacConfig
from vampcli.codec.magnitude import MagnitudeCodec, MagnitudeConfig
from vampcli.errors import ModelError
from vampcli.tokens.grid import TokenGrid


class Codec(Protocol):
    """Mono audio <-> tokens. No level, no resampling; nothing in it runs over all time."""

    grid: TokenGrid

    @property
    def codebooks(self) -> Tensor:
        """All rows: float32 (n_codebooks, codebook_size, codebook_dim)."""

    def state_dict(self) -> dict[str, Tensor]:
        """All weights, by name."""

    @property
    def encoder_reach(self) -> int:
        """How many frames away audio can still change a frame's codes."""

    @property
    def halo_frames(self) -> int:
        """With that many frames around a range, its codes or audio equal the whole clip's within 1e-4."""

    def encode(self, samples: Tensor) -> Tensor:
        """Float32 (n_samples,) at the grid's rate -> int64 (n_codebooks, n_frames)."""

    def decode(self, codes: Tensor) -> Tensor:
        """int64 (n_codebooks, n_frames) -> float32 (n_frames * hop_length,)."""


KINDS: dict[str, tuple[type[Any], type[Any]]] = {
    "magnitude": (MagnitudeConfig, MagnitudeCodec),
    "dac": (DacConfig, DacCodec),
    "lac": (LacConfig, LacCodec),
}
"""Configuration and module of every kind of codec a checkpoint may name."""


def kind_of(config_type: type[Any]) -> str:
    """The kind of codec that a type of configuration belongs to."""
    return next(kind for kind, (known, _) in KINDS.items() if known is config_type)


def build(kind: str, sizes: dict[str, Any]) -> nn.Module:
    """Make a codec with random weights.

    Args:
        kind: a key of `KINDS`.
        sizes: fields of its configuration.

    Raises:
        ModelError: unknown kind or size.
    """
    if kind not in KINDS:
        raise ModelError(f"unknown kind of codec: {kind!r}", f"known: {', '.join(KINDS)}")
    config_type, module_type = KINDS[kind]
    frozen = {key: tuple(value) if isinstance(value, list) else value for key, value in sizes.items()}
    try:
        return module_type(config_type(**frozen))  # type: ignore[no-any-return]
    except (TypeError, ValueError, RuntimeError, ZeroDivisionError) as error:
        raise ModelError(f"bad sizes of a {kind} codec: {error}", "import or pull the model again") from error
