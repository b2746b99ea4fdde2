"""Write random weights of the published sizes and format, to test importing and speed.

    python scripts/random_published.py OUT

OUT gets codec.pth (0.60 GB), coarse.pth (1.34 GB) and c2f.pth (1.11 GB), with LoRA pairs. They are no model: what
comes out of them is noise. `vamp models import` reads from them that they are random.
"""

from __future__ import annotations

import sys
from collections import OrderedDict
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from vampcli.checkpoints.convert import keys
from vampcli.checkpoints.convert.vampnet import COARSE_CONTEXT, FINE_CONTEXT
from vampcli.codec.config import LacConfig
from vampcli.codec.lac import LacCodec
from vampcli.model import lora
from vampcli.model.config import VampNetConfig
from vampcli.model.transformer import VampNet

State = OrderedDict[str, Tensor]
COARSE = VampNetConfig(4, 0, 20, 1280, 20, COARSE_CONTEXT)
FINE = VampNetConfig(14, 4, 16, 1280, 20, FINE_CONTEXT)


def codec(config: LacConfig) -> State:
    """Return weights of the published codec, with weight norm."""
    with torch.device("meta"):
        shapes = shapes_of(LacCodec(config))
    state: State = OrderedDict()
    for ours, theirs in (*keys.encoder(config), *keys.quantizer(config), *keys.lac_decoder(config)):
        put(state, theirs, shapes[ours], normed=len(shapes[ours]) == 3 and theirs.endswith(".weight"))
    for i in range(config.n_codebooks):
        name = f"quantizer.quantizers.{i}.codebook.weight"
        state[name] = torch.randn(config.codebook_size, config.codebook_dim)
    return state


def transformer(config: VampNetConfig) -> State:
    """Return weights of a coarse or fine model, with LoRA pairs."""
    with torch.device("meta"):
        shapes = shapes_of(VampNet(config))
    state: State = OrderedDict()
    for ours, theirs in keys.transformer(config.n_layers):
        shape = shapes[ours]
        put(state, theirs, torch.Size([*shape, 1]) if ours == "embed.weight" else shape)
        stem = theirs.removesuffix(".weight")
        if ours.endswith(tuple(f".{target}.weight" for target in lora.TARGETS)):
            state[f"{stem}.lora_A"] = torch.randn(lora.RANK, shape[1]) / shape[1] ** 0.5
            state[f"{stem}.lora_B"] = 0.1 * torch.randn(shape[0], lora.RANK)
    n_classes, width = shapes["classifier.weight"]
    put(state, "classifier.layers.0.weight", torch.Size([n_classes, width, 1]), normed=True)
    put(state, "classifier.layers.0.bias", torch.Size([n_classes]))
    return state


def shapes_of(module: nn.Module) -> dict[str, torch.Size]:
    """Return tensors by name."""
    return {name: tensor.shape for name, tensor in module.state_dict().items()}


def put(state: State, name: str, shape: torch.Size, normed: bool = False) -> None:
    """Add a tensor that keeps the size of what passes through it."""
    if normed:
        state[f"{name}_g"] = torch.ones(shape[0], 1, 1)
        state[f"{name}_v"] = torch.randn(shape)
    elif name.endswith((".bias", ".alpha")) or len(shape) == 1:
        state[name] = torch.full(shape, 0.0 if name.endswith(".bias") else 1.0)
    else:
        state[name] = torch.randn(shape) / shape[1:].numel() ** 0.5


def arguments(config: VampNetConfig) -> dict[str, Any]:
    """Return the arguments of the published constructor."""
    return {
        "n_heads": config.n_heads,
        "n_layers": config.n_layers,
        "r_cond_dim": 0,
        "n_codebooks": config.n_codebooks,
        "n_conditioning_codebooks": config.n_conditioning,
        "latent_dim": config.codebook_dim,
        "embedding_dim": config.width,
        "vocab_size": config.codebook_size,
        "flash_attn": False,
        "noise_mode": "mask",
        "dropout": config.dropout,
    }


def main(out: Path) -> None:
    """Write the three files."""
    torch.manual_seed(0)
    out.mkdir(parents=True, exist_ok=True)
    for path, state, kwargs in (
        ("codec.pth", codec(LacConfig()), asdict(LacConfig())),
        ("coarse.pth", transformer(COARSE), arguments(COARSE)),
        ("c2f.pth", transformer(FINE), arguments(FINE)),
    ):
        torch.save({"state_dict": state, "metadata": {"kwargs": kwargs, "random": True}}, out / path)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
