"""Files in the published VampNet formats, as they are and edited."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import vampcli
from vampcli.api import Model
from vampcli.checkpoints.convert import vampnet

OFFICIAL = Path(__file__).parent / "data/official"
FILES = {part: OFFICIAL / f"{part}.pth" for part in vampnet.PARTS}
MASK_ID = 128

Edit = Callable[[dict[str, Any]], object]


def imported(files: Any, out: Path, dtype: str = "fp32") -> Model:
    vampnet.import_published(files, out)
    return vampcli.load(out, device="cpu", dtype=dtype)


def edited(path: Path, edit: Edit) -> None:
    """Rewrite a published file with its content changed."""
    content = torch.load(path, weights_only=True)
    edit(content)
    torch.save(content, path)


def coarse_tokens(expected: dict[str, Tensor]) -> Tensor:
    return expected["codes"][:, :4].long().masked_fill(expected["coarse_mask"].bool(), MASK_ID)


def fine_tokens(expected: dict[str, Tensor]) -> Tensor:
    tokens = expected["codes"].long().clone()
    tokens[:, 4:] = MASK_ID
    return tokens


def ours(logits: Tensor, n_predicted: int) -> Tensor:
    """Official (1, classes, n_frames * n_predicted), codebook fast -> (1, n_predicted, n_frames, classes)."""
    return logits.unflatten(2, (-1, n_predicted)).permute(0, 3, 2, 1)
