"""The kinds of codec that a model folder may name."""

from __future__ import annotations

from typing import Any

from vampcli.codec.base import Codec
from vampcli.codec.config import DacConfig, LacConfig, MagnitudeConfig
from vampcli.codec.dac import DacCodec
from vampcli.codec.lac import LacCodec
from vampcli.codec.magnitude import MagnitudeCodec

_CODECS: dict[type[Any], type[Any]] = {MagnitudeConfig: MagnitudeCodec, DacConfig: DacCodec, LacConfig: LacCodec}


def build_codec(config: Any) -> Codec:
    """Make a codec of a configuration from `codec_config`, with random weights."""
    codec: Codec = _CODECS[type(config)](config)
    return codec
