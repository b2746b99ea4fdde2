"""A safetensors file, written tensor by tensor: the library's own writer wants them all at once."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

_CODES = {torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16"}

Layout = Mapping[str, tuple[torch.Size, torch.dtype]]
"""Shape and precision of every tensor, by name."""


def write(path: Path, layout: Layout, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write a safetensors file; one tensor is in memory at a time if `tensors` makes them as they are asked for.

    Args:
        path: the file; what it held is lost.
        layout: what to write; float32, float16 or bfloat16.
        tensors: on the CPU, as `layout` says.
        metadata: free text, by name.

    Raises:
        OSError: the file cannot be written.

    Source: https://github.com/huggingface/safetensors#format.
    """
    names = sorted(
        layout, key=lambda name: (-layout[name][1].itemsize, name)
    )  # so each starts on a multiple of its size
    header: dict[str, object] = {"__metadata__": dict(metadata)}
    end = 0
    for name in names:
        shape, dtype = layout[name]
        start, end = end, end + shape.numel() * dtype.itemsize
        header[name] = {"dtype": _CODES[dtype], "shape": list(shape), "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for name in names:
            file.write(tensors[name].contiguous().flatten().view(torch.uint8).numpy().data)
