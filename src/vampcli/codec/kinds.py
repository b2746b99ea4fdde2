"""The kinds of codec that a model folder may name."""

from __future__ import annotations

from typing import Any

from vampcli.codec.base import Codec
from vampcli.codec.dac import DacCodec, DacConfig
from vampcli.codec.lac import LacCodec, LacConfig
from vampcli.codec.magnitude import MagnitudeCodec, MagnitudeConfig
from vampcli.errors import ModelError

KINDS: dict[str, tuple[type[Any], type[Any]]] = {
    "magnitude": (MagnitudeConfig, MagnitudeCodec),
    "dac": (DacConfig, DacCodec),
    "lac": (LacConfig, LacCodec),
}
"""Configuration and codec class of every kind."""


def kind_of(config_type: type[Any]) -> str:
    """The kind of codec that a type of configuration belongs to."""
    return next(kind for kind, (known, _) in KINDS.items() if known is config_type)


def build_codec(kind: str, sizes: dict[str, Any]) -> Codec:
    """Make a codec with random weights.

    Args:
        kind: a key of `KINDS`.
        sizes: fields of its configuration.

    Raises:
        ModelError: unknown kind or size.
    """
    if kind not in KINDS:
        raise ModelError(f"unknown kind of codec: {kind!r}", f"known: {', '.join(KINDS)}")
    config_type, codec_type = KINDS[kind]
    frozen = {key: tuple(value) if isinstance(value, list) else value for key, value in sizes.items()}
    try:
        return codec_type(config_type(**frozen))  # type: ignore[no-any-return]
    except (TypeError, ValueError, RuntimeError, ZeroDivisionError) as error:
        raise ModelError(f"bad sizes of a {kind} codec: {error}", "import or pull the model again") from error
