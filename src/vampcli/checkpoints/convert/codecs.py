"""Read published codecs: DAC, and that of VampNet, which has the same encoder and quantiser."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

import torch
import torch.nn.functional as F

from vampcli.checkpoints.convert import keys
from vampcli.checkpoints.convert.read import Content, blaming, read
from vampcli.checkpoints.convert.tensors import Make, Making, TensorSource
from vampcli.codec.config import DacConfig, LacConfig
from vampcli.codec.dac import DacCodec
from vampcli.codec.lac import LacCodec
from vampcli.errors import ModelError
from vampcli.schema import from_table, raising

Config = TypeVar("Config", bound=LacConfig)


def open_lac(path: Path) -> tuple[LacCodec, Making]:
    """Open the codec of the published VampNet models: a module on the meta device, and its tensors.

    Raises:
        ModelError: the file is unreadable, lacks a tensor, or has one too many.
    """
    content = read(path)
    with blaming(path):
        config = _config(LacConfig, path, content.kwargs)
        makers = _makers(content, config, keys.lac_decoder(config))
        with torch.device("meta"):
            codec = LacCodec(config)
    return codec, Making(path, codec, makers)


def open_dac(path: Path) -> tuple[DacCodec, Making]:
    """Open weights of descript-audio-codec: a module on the meta device, and its tensors.

    Codebook rows of unequal width are padded with zeros, which changes no code and no sample.

    Raises:
        ModelError: as `open_lac`.
    """
    content = read(path)
    with blaming(path):
        widths = content.kwargs.get("codebook_dim", DacConfig.codebook_dim)
        if isinstance(widths, Sequence) and len(widths) != content.kwargs.get("n_codebooks", DacConfig.n_codebooks):
            raise ValueError(f"codebook_dim has {len(widths)} widths")
        widest = max(widths) if isinstance(widths, Sequence) else widths
        config = _config(DacConfig, path, {**content.kwargs, "codebook_dim": widest})
        makers = _makers(content, config, keys.dac_decoder(config), widths if isinstance(widths, Sequence) else ())
        with torch.device("meta"):
            codec = DacCodec(config)
    return codec, Making(path, codec, makers)


def _config(kind: type[Config], path: Path, kwargs: dict[str, Any]) -> Config:
    named = {field.name: kwargs[field.name] for field in fields(kind) if kwargs.get(field.name) is not None}
    sizes: dict[str, Any] = {k: list(v) if isinstance(v, tuple) else v for k, v in named.items()}
    with raising(ModelError):
        return from_table(kind, sizes, str(path))


def _makers(content: Content, config: LacConfig, decoder: keys.Names, widths: Sequence[int] = ()) -> dict[str, Make]:
    """Take all tensors of a codec; `widths` are those of the codebook rows, if unequal."""
    source = TensorSource(content)
    pairs = chain(keys.encoder(config), keys.quantizer(config), decoder)  # lazy: a damaged file may state any number
    makers = {ours: source.take(theirs) for ours, theirs in pairs}
    rows = [source.take(f"quantizer.quantizers.{i}.codebook.weight") for i in range(config.n_codebooks)]
    source.must_be_empty()
    for i, width in enumerate(widths):
        more = (0, config.codebook_dim - width)
        for name, pads in (("in_proj.{}.weight", (0, 0, 0, 0, *more)), ("in_proj.{}.bias", more)):
            makers[f"quantizer.{name.format(i)}"] = _padded(makers[f"quantizer.{name.format(i)}"], pads)
        makers[f"quantizer.out_proj.{i}.weight"] = _padded(makers[f"quantizer.out_proj.{i}.weight"], (0, 0, *more))
        rows[i] = _padded(rows[i], more)
    makers["quantizer.codebooks"] = lambda: torch.stack([row() for row in rows])
    return makers


def _padded(make: Make, pads: tuple[int, ...]) -> Make:
    return lambda: F.pad(make(), pads)
