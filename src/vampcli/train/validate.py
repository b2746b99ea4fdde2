"""The validation figures of a model folder, as its card states them."""

from __future__ import annotations

from pathlib import Path

import torch

from vampcli import checkpoint
from vampcli.errors import ModelError
from vampcli.train.codec import CodecTask
from vampcli.train.config import CodecRun, TokenRun
from vampcli.train.loop import Task
from vampcli.train.transformer import TokenTask


def validate(run: CodecRun | TokenRun, folder: Path) -> dict[str, float]:
    """Measure a model folder as a training run would, on the run's validation pieces.

    Args:
        run: says which pieces and which part: a codec run measures the codec, a token run with conditioning
            codebooks the fine model, without them the coarse one.
        folder: the model folder, measured as stored.

    Raises:
        ModelError: the folder lacks the part, or its sizes are others than the run's.
    """
    parts = checkpoint.load_parts(folder, torch.device("cpu"), torch.float32)
    try:
        if isinstance(run, CodecRun):
            task: Task = CodecTask(run)
            task.get_submodule("codec").load_state_dict(parts.codec.state_dict())
        else:
            task = TokenTask(run)
            model = parts.fine if run.model.n_conditioning else parts.coarse
            if model is None:
                raise ModelError(f"{folder} lacks the model to validate", "export it with --coarse and --fine")
            task.get_submodule("model").load_state_dict(model.state_dict())
    except RuntimeError as error:  # of load_state_dict, which has no other
        raise ModelError(f"{folder} has other sizes than the run", "name the run it came from") from error
    with torch.no_grad():
        task.eval()
        return task.validate()
