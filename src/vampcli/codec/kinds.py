"""The kinds of codec that a model folder may name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vampcli.codec.base import Codec
from vampcli.codec.dac import DacCodec, DacConfig
from vampcli.codec.lac import LacCodec, LacConfig
from vampcli.codec.magnitude import MagnitudeCodec, MagnitudeConfig
from vampcli.errors import ModelError
from vampcli.schema import from_table, raising, shown

KINDS: dict[str, tuple[type[Any], type[Any]]] = {
    "magnitude": (MagnitudeConfig, MagnitudeCodec),
    "dac": (DacConfig, DacCodec),
    "lac": (LacConfig, LacCodec),
}
"""Configuration and codec class of every kind."""


def kind_of(config_type: type[Any]) -> str:
    """The kind of codec that a type of configuration belongs to."""
    return next(kind for kind, (known, _) in KINDS.items() if known is config_type)


def codec_config(table: Mapping[str, Any], where: str) -> Any:
    """Return the configuration of a codec from a table of its kind and its sizes.

    Raises:
        ModelError: unknown kind or size, or a size out of range.
    """
    sizes = {key: list(value) if isinstance(value, tuple) else value for key, value in table.items()}
    kind = sizes.pop("kind", None)
    if not isinstance(kind, str) or kind not in KINDS:
        raise ModelError(f"{where}: unknown kind of codec: {shown(kind)}", f"known: {', '.join(KINDS)}")
    with raising(ModelError):
        return from_table(KINDS[kind][0], sizes, f"{where}: sizes of a {kind} codec")


def build_codec(config: Any) -> Codec:
    """Make a codec of a configuration from `codec_config`, with random weights."""
    codec: Codec = KINDS[kind_of(type(config))][1](config)
    return codec
