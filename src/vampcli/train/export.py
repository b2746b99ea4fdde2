"""Training runs -> a model folder."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import safe_open
from torch import nn

from vampcli import checkpoint
from vampcli.checkpoint import Parts, Provenance
from vampcli.codec.spectral import SpectralCodec
from vampcli.errors import InputError, ModelError
from vampcli.model import VampNet
from vampcli.train.config import CodecRun, TokenRun, load_run
from vampcli.train.loop import STATE

RUN = "run.toml"


def export(
    out: Path,
    provenance: Provenance,
    codec: Path,
    coarse: Path | None = None,
    fine: Path | None = None,
    base: Path | None = None,
    dtype: torch.dtype = torch.float16,
) -> None:
    """Write the averaged weights of runs as a model folder.

    Args:
        out: the model folder.
        provenance: what to say about it.
        codec: folder of a codec run; `base` must be given if it trained the decoder alone.
        coarse: folder of a coarse run, or none.
        fine: folder of a fine run, or none.
        base: model folder on whose tokens coarse and fine were trained.
        dtype: to store.

    Raises:
        InputError: a run folder holds no state.
        ModelError: the codec no longer gives the tokens of `base`.
    """
    codec_module = SpectralCodec(load_run(codec / RUN, CodecRun).codec)
    _load_average(codec_module, codec, "codec.")
    models = []
    for folder in (coarse, fine):
        model = None if folder is None else VampNet(load_run(folder / RUN, TokenRun).model)
        if model is not None and folder is not None:
            _load_average(model, folder, "model.")
        models.append(model)
    if base is not None:
        stored = checkpoint.rounded(codec_module, dtype)
        if checkpoint.codec_hash(stored) != checkpoint.stored_hash(base / "codec.safetensors"):
            raise ModelError(f"the codec of {codec} does not give the tokens of {base}", "train the decoder alone")
    checkpoint.save(out, "spectral", Parts(codec_module, models[0], models[1], provenance), dtype)


def _load_average(module: nn.Module, run: Path, prefix: str) -> None:
    path = run / STATE
    if not path.is_file():
        raise InputError(f"{run} holds no training state", "name the folder of a run")
    with safe_open(str(path), framework="pt") as file:
        names = set(file.keys())
        tensors = {}
        for name in module.state_dict():
            averaged = f"average.{prefix}{name}"
            tensors[name] = file.get_tensor(averaged if averaged in names else f"task.{prefix}{name}")
    module.load_state_dict(tensors)
