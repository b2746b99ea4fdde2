"""Export training runs as a model folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from vampcli.checkpoints.folder import CONFIG, Provenance
from vampcli.checkpoints.weights import Parts, codec_hash, load_parts, rounded, save_parts
from vampcli.codec.config import kind_of
from vampcli.codec.magnitude import MagnitudeCodec
from vampcli.errors import InputError, ModelError
from vampcli.model.transformer import VampNet
from vampcli.tensor_reading import open_tensors
from vampcli.train.config import CodecRun, TokenRun, load_run
from vampcli.train.loop import STATE

RUN = "run.toml"


def export(
    out: Path,
    provenance: Provenance,
    codec: Path,
    coarse: Path | None = None,
    fine: Path | None = None,
    dtype: torch.dtype = torch.float16,
    temperature: float = 1.0,
) -> None:
    """Write the averaged weights of runs as a model folder.

    Args:
        out: the model folder.
        provenance: name, licence, source and training of the model.
        codec: folder of a codec run, or a model folder whose codec to take.
        coarse: folder of a coarse run, or none.
        fine: folder of a fine run, or none.
        dtype: to store.
        temperature: recommended for the transformers.

    Raises:
        InputError: a run folder holds no state, a damaged one, or one of other sizes than its TOML says.
        ModelError: coarse or fine was trained on the tokens of another encoder or quantiser.
    """
    codec_module = _codec(codec)
    kind = kind_of(type(codec_module.config))
    learned_hash = codec_hash(rounded(codec_module, dtype))
    models = [None if folder is None else _transformer(folder, learned_hash) for folder in (coarse, fine)]
    save_parts(out, kind, Parts(codec_module, models[0], models[1], provenance, temperature), dtype)


def _codec(folder: Path) -> Any:
    if (folder / CONFIG).is_file():
        return load_parts(folder, torch.device("cpu"), torch.float32).codec
    config = load_run(folder / RUN, CodecRun).codec
    codec = MagnitudeCodec(config)
    _load_average(codec, folder, "codec.")
    return codec


def _transformer(run: Path, codec_hash: str) -> VampNet:
    model = VampNet(load_run(run / RUN, TokenRun).model)
    _load_average(model, run, "model.")
    with _open_state(run) as file:
        trained_on = bytes(file.get_tensor("task.codec_hash").tolist()).hex()
    if trained_on != codec_hash:
        raise ModelError(f"{run} learned the tokens of another codec", "only a codec's decoder may change since")
    return model


def _load_average(module: nn.Module, run: Path, prefix: str) -> None:
    with _open_state(run) as file:
        names = set(file.keys())
        tensors = {}
        for name in module.state_dict():
            averaged = f"average.{prefix}{name}"
            tensors[name] = file.get_tensor(averaged if averaged in names else f"task.{prefix}{name}")
        module.load_state_dict(tensors)


@contextmanager
def _open_state(run: Path) -> Iterator[Any]:
    """Open the state of a run; errors of reading it become `InputError`s."""
    path = run / STATE
    if not path.is_file():
        raise InputError(f"{run} holds no training state", "name the folder of a run")
    try:
        with open_tensors(path) as file:
            yield file
    except (RuntimeError, ValueError, TypeError) as error:
        why = str(error).splitlines()[0]
        raise InputError(f"{path} is damaged, or not what {RUN} says: {why}", "train it again") from error
