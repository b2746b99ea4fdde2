"""Write safetensors files tensor by tensor: the library's writer needs all tensors in memory at once."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from vampcli.files import replacing

_CODES = {
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.int16: "I16",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}

Layout = Mapping[str, tuple[torch.Size, torch.dtype]]
"""Shape and precision of every tensor, by name."""


def save(
    path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None, layout: Layout | None = None
) -> None:
    """Write a safetensors file, whole or not at all.

    Args:
        path: the file; its folder is made, and a file of that name is replaced.
        tensors: by name; each is read once, in the order of the file.
        metadata: free text, by name.
        layout: of `tensors`; with it, a mapping that makes its tensors on access has one in memory at a time.

    Raises:
        InputError: the file cannot be written.

    Source: https://github.com/huggingface/safetensors#format.
    """
    layout = layout or {name: (tensor.shape, tensor.dtype) for name, tensor in tensors.items()}
    names = sorted(layout, key=lambda name: (-layout[name][1].itemsize, name))  # so that tensors are aligned
    header: dict[str, object] = {"__metadata__": dict(metadata)} if metadata else {}
    end = 0
    for name in names:
        shape, dtype = layout[name]
        start, end = end, end + shape.numel() * dtype.itemsize
        header[name] = {"dtype": _CODES[dtype], "shape": list(shape), "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with replacing(path, overwrite=True, parents=True) as temp, temp.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for name in names:
            file.write(tensors[name].detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
