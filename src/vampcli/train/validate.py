"""Validation figures of a model folder, as its card states them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from vampcli.checkpoints.headers import stored_hash
from vampcli.checkpoints.weights import load_parts
from vampcli.codec.magnitude import MagnitudeCodec
from vampcli.errors import ModelError
from vampcli.train.codec_task import CodecTask
from vampcli.train.config import CodecRun, TokenRun
from vampcli.train.encode import token_codec_hash
from vampcli.train.loop import Task
from vampcli.train.token_task import TokenTask


def validate(run: CodecRun | TokenRun, folder: Path, device: torch.device | None = None) -> dict[str, float]:
    """Measure a model folder as a training run would, on the run's validation pieces.

    Args:
        run: determines pieces and part: a codec run measures the codec, a token run with conditioning codebooks the
            fine model, without them the coarse one. Sizes are those of the folder.
        folder: the model folder, measured as stored.
        device: to compute on; the CPU by default.

    Raises:
        ModelError: the folder lacks the part, or was trained on other tokens than the run's.
    """
    task = _codec_task(run, folder) if isinstance(run, CodecRun) else _token_task(run, folder)
    task.to(device or torch.device("cpu"))
    with torch.no_grad():
        task.eval()
        return task.validate()


def _codec_task(run: CodecRun, folder: Path) -> Task:
    codec = load_parts(folder, torch.device("cpu"), torch.float32).codec
    if not isinstance(codec, MagnitudeCodec):
        raise ModelError(f"{folder} has a kind of codec that no run trains", "vamp eval codec measures any kind")
    task = CodecTask(replace(run, codec=codec.config, start=""))
    task.get_submodule("codec").load_state_dict(codec.state_dict())
    return task


def _token_task(run: TokenRun, folder: Path) -> Task:
    parts = load_parts(folder, torch.device("cpu"), torch.float32)
    model = parts.fine if run.model.n_conditioning else parts.coarse
    if model is None:
        raise ModelError(f"{folder} lacks the model to validate", "export it with --coarse and --fine")
    if stored_hash(folder / "codec.safetensors") != token_codec_hash(run.data.validation):
        raise ModelError(f"{folder} knows other tokens than those in {run.data.validation}", "pack them again")
    task = TokenTask(replace(run, model=model.config, start=""))
    task.get_submodule("model").load_state_dict(model.state_dict())
    return task
