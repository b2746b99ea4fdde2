"""Weights in the published form, for the plain networks: read from published files, or made of one of our models."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.plain_codec import PlainLac
from benchmarks.plain_transformer import PlainTransformer, State, merge_pairs
from vampcli.checkpoints.convert import keys
from vampcli.checkpoints.convert.vampnet import COARSE_CONTEXT, FINE_CONTEXT, config_of
from vampcli.codec.config import LacConfig
from vampcli.model.transformer import VampNet

CODEC = "codec.pth"
_CONTEXTS = {"coarse.pth": COARSE_CONTEXT, "c2f.pth": FINE_CONTEXT}


def are_published(where: str | Path) -> bool:
    """Return whether a folder holds published files."""
    return (Path(where) / CODEC).is_file()


def load_published(folder: Path, device: str) -> tuple[PlainLac, PlainTransformer, PlainTransformer]:
    """Codec, coarse and fine model of published files."""
    state, kwargs = _read(folder / CODEC, device)
    known = {field.name: kwargs[field.name] for field in fields(LacConfig) if field.name in kwargs}
    sizes: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in known.items()}
    codec = PlainLac(state, LacConfig(**sizes))
    n_rows = range(codec.config.n_codebooks)
    rows = torch.stack([state[f"quantizer.quantizers.{i}.codebook.weight"] for i in n_rows])
    coarse, fine = (_transformer(folder / file, device, rows, context) for file, context in _CONTEXTS.items())
    return codec, coarse, fine


def _transformer(path: Path, device: str, codebooks: Tensor, context: int) -> PlainTransformer:
    state, kwargs = _read(path, device)
    config = config_of(kwargs, context)
    return PlainTransformer(merge_pairs(state), config, codebooks[: config.n_codebooks])


def _read(path: Path, device: str) -> tuple[State, dict[str, Any]]:
    content = torch.load(path, map_location=device, weights_only=True)
    return content["state_dict"], content["metadata"]["kwargs"]


def take_apart(model: VampNet) -> PlainTransformer:
    """A model of ours in the published form; its classifier's channels are reordered."""
    sizes, weights = model.config, model.state_dict()
    state = {theirs: weights[ours] for ours, theirs in keys.transformer(sizes.n_layers)}
    state["embedding.out_proj.weight"] = state["embedding.out_proj.weight"][..., None]
    shape, name = (sizes.n_predicted, sizes.codebook_size), "classifier.layers.0"
    direction = weights["classifier.weight"].unflatten(0, shape).transpose(0, 1).flatten(0, 1)[..., None]
    state[f"{name}.weight_v"] = direction
    state[f"{name}.weight_g"] = direction.norm(dim=(1, 2), keepdim=True)
    state[f"{name}.bias"] = weights["classifier.bias"].view(shape).T.flatten()
    return PlainTransformer(state, sizes, model.codebooks)
