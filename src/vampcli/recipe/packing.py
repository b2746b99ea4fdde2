"""Pack tokens into bits, and facts as compressed JSON, for token files."""

from __future__ import annotations

import zlib

import numpy as np
import numpy.typing as npt

MOST_BITS = 16  # of a token

_RAW = -15  # deflate without header and checksum: the token file has its own
_DICTIONARY = (
    b'"prompt":{"width":1,"dropout":0.0,"intensity":1.0,"feedback":1,"n_passes":1,"stretch":1,"pitch":0},"amount":'
    b'"span":[],"spans":[],"tempo":{"bpm":null,"downbeat_s":null,"beats_per_bar":4},"snap":null,"margin":1,'
    b'"memory":{"trust":null,"edit":0.5,"place_s":null,"files":[],"sources":null},"context_s":null,'
    b'"FLOAT","PCM_24","channels","MIT","CC0-1.0","CC-BY-NC-SA-4.0","vampnet/","bf16","cuda","DOUBLE",'
    b'"keep_codebooks":1,"fine_steps":2,"steps":12,"sampler":"confidence","temperature":1.0,"refresh":0},'
    b'"exact":false,"compiled":true},"recipe":null},"made_by":{"model":'
    b'{"n_kept_codebooks":1,"period":1,"codebook_size":1024,"gain":0.,"sample_rate":44100,"n_channels":2,"n_samples":'
    b',"subtype":"PCM_16","recipe":{"command":"compress","request":{"n_kept_codebooks":1,"period":1},"sampling":'
    b'{"n_steps":12,"n_fine_steps":2,"temperature":0.7,"mask_temperature":10.5,"top_p":1.0,"typical_mass":1.0,'
    b'"typical_min_tokens":64,"sample_cutoff":1.0,"sampler":"halton","refresh":12},"stereo":"mid","seed":0,"source":'
    b'{"name":"","sha256":"","recipe":null},"made_by":{"model":"mini","model_sha256":"","licence":"CC-BY-SA-4.0",'
    b'"version":"0.1.0","torch":"2.14.1+cu130","device":"cpu","dtype":"fp32","exact":true,"compiled":false},'
    b'"n_samples":441000,"synthetic":[[0,441000]],"part":"all","subtype":"","format":1,"clip_mode":"clamp",'
    b'"rendering":2},"format":3,"shape":[1,9,'
)
"""Text that facts have in common. It is a part of format 3: any change makes old files unreadable."""


def pack(tokens: npt.NDArray[np.int64], n_bits: int) -> npt.NDArray[np.uint8]:
    """Pack tokens into the bits that they need.

    Args:
        tokens: int64 (n,), each from 0 to 2^n_bits - 1.
        n_bits: of a token, 1 to 16, the most significant first.

    Returns:
        uint8 (ceil(n * n_bits / 8),); the last byte is padded with zeros.
    """
    wide = np.unpackbits(tokens.astype(">u2").view(np.uint8)).reshape(-1, MOST_BITS)
    return np.packbits(wide[:, MOST_BITS - n_bits :])


def unpack(packed: npt.NDArray[np.uint8], n: int, n_bits: int) -> npt.NDArray[np.int64]:
    """Invert `pack`: uint8 (n_bytes,) -> int64 (n,)."""
    wide = np.zeros((n, MOST_BITS), np.uint8)
    wide[:, MOST_BITS - n_bits :] = np.unpackbits(packed, count=n * n_bits).reshape(n, n_bits)
    return np.packbits(wide).view(">u2").astype(np.int64)


def deflate(text: str) -> bytes:
    """Compress the JSON of facts."""
    packer = zlib.compressobj(9, zlib.DEFLATED, _RAW, 9, zlib.Z_DEFAULT_STRATEGY, _DICTIONARY)
    return packer.compress(text.encode()) + packer.flush()


def inflate(packed: bytes, limit: int) -> str:
    """Invert `deflate`, without taking more memory than the limit.

    Args:
        packed: of a file that may be damaged or forged.
        limit: bytes of the text, at most.

    Raises:
        ValueError: it is damaged, or the text is longer.
    """
    unpacker = zlib.decompressobj(_RAW, _DICTIONARY)
    try:
        text = unpacker.decompress(packed, limit + 1)
    except zlib.error as error:
        raise ValueError(f"its facts cannot be unpacked: {error}") from error
    if len(text) > limit:
        raise ValueError(f"its facts have more than {limit} bytes")
    if not unpacker.eof or unpacker.unused_data:
        raise ValueError(f"its facts end after {len(text)} bytes")
    return text.decode()
