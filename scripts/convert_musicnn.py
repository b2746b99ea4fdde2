"""Convert the weights of the package musicnn to the file that `vampcli.evaluate.musicnn` reads, without TensorFlow.

pip install --no-deps --target build/musicnn musicnn==0.1.0
python scripts/convert_musicnn.py build/musicnn src/vampcli/evaluate/weights/musicnn.safetensors

Float32: in float16 the embeddings differ by up to 8e-3. The metadata hold source, licence and the names of the tags.

Source: tensorflow/core/util/tensor_bundle and tensorflow/core/lib/io/table (the format of LevelDB tables).
"""

from __future__ import annotations

import argparse
import ast
import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors.numpy import save_file

_MAGIC = struct.pack("<Q", 0xDB4775248B80FB57)
_FLOAT32 = 1  # DataType.DT_FLOAT
_DTYPE, _SHAPE, _OFFSET, _SIZE = 1, 2, 4, 5  # fields of BundleEntryProto
_VARINT, _FIXED64, _BYTES = 0, 1, 2  # wire types of protocol buffers


def read_bundle(prefix: str) -> dict[str, npt.NDArray[np.float32]]:
    """Return all float32 tensors, by name, of a TensorFlow V2 checkpoint of one shard.

    Args:
        prefix: path without its end, `.index` or `.data-00000-of-00001`.
    """
    index = Path(f"{prefix}.index").read_bytes()
    data = Path(f"{prefix}.data-00000-of-00001").read_bytes()
    footer = index[-48:]
    if footer[-8:] != _MAGIC:
        raise SystemExit(f"{prefix}.index is not a TensorFlow index")
    _, at = _varint(footer, 0)  # offset of the meta index
    _, at = _varint(footer, at)  # its size; the handle of the block of handles follows
    tensors = {}
    for _, handle in _entries(_block(index, footer, at)):
        for name, value in _entries(_block(index, handle, 0)):
            entry = dict(_fields(value))
            if name and entry.get(_DTYPE) == _FLOAT32:  # the entry without a name is a header
                dims = [dict(_fields(dim)).get(1, 0) for number, dim in _fields(entry.get(_SHAPE, b"")) if number == 2]
                start = entry.get(_OFFSET, 0)
                tensors[name.decode()] = np.frombuffer(data[start : start + entry[_SIZE]], "<f4").reshape(dims)
    return tensors


def _varint(raw: bytes, at: int) -> tuple[int, int]:
    """Decode seven bits a byte, the last byte without the eighth bit: the value, and the position after it."""
    value = shift = 0
    while True:
        byte = raw[at]
        value, shift, at = value | (byte & 0x7F) << shift, shift + 7, at + 1
        if byte < 0x80:
            return value, at


def _block(index: bytes, handle: bytes, at: int) -> bytes:
    """Return the block that a handle (offset and size) names."""
    offset, at = _varint(handle, at)
    size, _ = _varint(handle, at)
    if index[offset + size] != 0:
        raise SystemExit("the index is compressed")
    return index[offset : offset + size]


def _entries(block: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield keys and values; each key may share its first bytes with the one before."""
    n_restarts = struct.unpack("<I", block[-4:])[0]
    end, at, key = len(block) - 4 - 4 * n_restarts, 0, b""
    while at < end:
        n_shared, at = _varint(block, at)
        n_new, at = _varint(block, at)
        n_value, at = _varint(block, at)
        key = key[:n_shared] + block[at : at + n_new]
        yield key, block[at + n_new : at + n_new + n_value]
        at += n_new + n_value


def _fields(message: bytes) -> Iterator[tuple[int, Any]]:
    """Yield number and value (int or bytes) of each field of a protocol buffer."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        value: int | bytes
        if tag & 7 == _VARINT:
            value, at = _varint(message, at)
        else:
            size, at = _varint(message, at) if tag & 7 == _BYTES else (8 if tag & 7 == _FIXED64 else 4, at)
            value, at = message[at : at + size], at + size
        yield tag >> 3, value


def tag_names(package: Path, network: str) -> list[str]:
    """Return the names of a network's tags, from the package's `configuration.py`, which is parsed but not run."""
    variable = f"{network.partition('_')[0]}_LABELS"
    for node in ast.parse((package / "configuration.py").read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == variable:
            return list(ast.literal_eval(node.value))
    raise SystemExit(f"configuration.py has no {variable}")


def main() -> None:
    """Convert one network."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", type=Path, help="folder that pip installed musicnn into")
    parser.add_argument("out", type=Path, help="safetensors file to write")
    parser.add_argument("--network", default="MSD_musicnn", choices=["MSD_musicnn", "MTT_musicnn"])
    arguments = parser.parse_args()
    package = arguments.target / "musicnn"
    tensors = read_bundle(f"{package / arguments.network}/")
    weights = {name: tensor for name, tensor in tensors.items() if "Adam" not in name and tensor.ndim}
    about = {"source": f"musicnn 0.1.0, {arguments.network}", "licence": "ISC"}
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    save_file(weights, arguments.out, {**about, "tags": json.dumps(tag_names(package, arguments.network))})


if __name__ == "__main__":
    main()
