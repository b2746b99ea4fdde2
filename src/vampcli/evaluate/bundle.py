"""TensorFlow V2 checkpoints ("tensor bundles") without TensorFlow.

Source: tensorflow/core/util/tensor_bundle and tensorflow/core/lib/io/table (the format of LevelDB tables).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

_MAGIC = 0xDB4775248B80FB57
_FOOTER = 48
_FLOAT32 = 1  # DataType.DT_FLOAT
_DTYPE, _SHAPE, _OFFSET, _SIZE = 1, 2, 4, 5  # fields of BundleEntryProto


def read_bundle(prefix: str) -> dict[str, npt.NDArray[np.float32]]:
    """Read all float32 tensors of a checkpoint of one shard.

    Args:
        prefix: path without its end, `.index` or `.data-00000-of-00001`.

    Returns:
        Name -> float32 array.

    Raises:
        ValueError: the index is no table, or compressed.
        OSError: a file is missing.
    """
    index = Path(f"{prefix}.index").read_bytes()
    data = Path(f"{prefix}.data-00000-of-00001").read_bytes()
    footer = index[-_FOOTER:]
    if len(footer) < _FOOTER or struct.unpack("<Q", footer[-8:])[0] != _MAGIC:
        raise ValueError(f"{prefix}.index is no table")
    at = _varint(footer, _varint(footer, 0)[1])[1]  # after the handle of the meta index
    tensors = {}
    for _, handle in _entries(_block(index, footer, at)):
        for key, value in _entries(_block(index, handle, 0)):
            tensor = _tensor(value, data) if key else None  # the entry without a name is a header
            if tensor is not None:
                tensors[key.decode()] = tensor
    return tensors


def _varint(raw: bytes, at: int) -> tuple[int, int]:
    """A number of seven bits a byte, the last without the eighth; and where it ends."""
    value = shift = 0
    while True:
        byte = raw[at]
        value, shift, at = value | (byte & 0x7F) << shift, shift + 7, at + 1
        if byte < 0x80:
            return value, at


def _block(index: bytes, handle: bytes, at: int) -> bytes:
    """The block that a handle (offset and size) names."""
    offset, at = _varint(handle, at)
    size, _ = _varint(handle, at)
    if index[offset + size] != 0:
        raise ValueError("the index is compressed")
    return index[offset : offset + size]


def _entries(block: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Keys, each of which may share its start with the one before, and values."""
    n_restarts = struct.unpack("<I", block[-4:])[0]
    end, at, key = len(block) - 4 - 4 * n_restarts, 0, b""
    while at < end:
        n_shared, at = _varint(block, at)
        n_own, at = _varint(block, at)
        n_value, at = _varint(block, at)
        key = key[:n_shared] + block[at : at + n_own]
        yield key, block[at + n_own : at + n_own + n_value]
        at += n_own + n_value


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Numbers and values of the fields of a protocol buffer."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        kind = tag & 7
        value: int | bytes
        if kind == 0:
            value, at = _varint(message, at)
        else:
            size, at = _varint(message, at) if kind == 2 else ({1: 8, 5: 4}[kind], at)
            value, at = message[at : at + size], at + size
        yield tag >> 3, value


def _tensor(entry: bytes, data: bytes) -> npt.NDArray[np.float32] | None:
    fields = dict(_fields(entry))
    if fields.get(_DTYPE) != _FLOAT32:
        return None
    dims = [value for number, value in _fields(_bytes(fields.get(_SHAPE, b""))) if number == 2]
    shape = [_int(dict(_fields(_bytes(dim))).get(1, 0)) for dim in dims]
    offset, size = _int(fields.get(_OFFSET, 0)), _int(fields[_SIZE])
    return np.frombuffer(data[offset : offset + size], "<f4").reshape(shape)


def _bytes(value: int | bytes) -> bytes:
    assert isinstance(value, bytes)
    return value


def _int(value: int | bytes) -> int:
    assert isinstance(value, int)
    return value
