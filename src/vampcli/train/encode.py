"""Encode prepared audio with a frozen codec, to train transformers on its tokens."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

from vampcli.checkpoints import registry
from vampcli.checkpoints.headers import stored_hash
from vampcli.checkpoints.weights import load_parts
from vampcli.codec.chunked import encode_long
from vampcli.errors import InputError
from vampcli.tensor_reading import open_tensors
from vampcli.train.data import MANIFEST, Pool, read_manifest, save_tensors, write_manifest

_HASH = "codec_hash"


def pack(
    audio: Path,
    model: str | Path,
    out: Path,
    progress: Callable[[int, int], None] | None = None,
    device: torch.device | None = None,
) -> int:
    """Encode every prepared piece with the codec of a model folder; finished pieces are kept.

    Args:
        audio: folder made by `vampcli.train.prepare`.
        model: name or folder of a model; its codec is used as stored, in float32.
        out: folder for `<name>.safetensors` (tensor `codes`, int16 (n_codebooks, n_frames)) and `manifest.json`.
        progress: called after each piece.
        device: where to encode; the CPU by default.

    Returns:
        The number of frames of all pieces.

    Raises:
        InputError: `out` holds audio or tokens of another codec, or the audio has another rate than the codec.
    """
    folder, device = registry.find(model), device or torch.device("cpu")
    codec = load_parts(folder, device, torch.float32).codec
    codec_hash = stored_hash(folder / "codec.safetensors")
    if (out / MANIFEST).exists() and token_codec_hash(out) != codec_hash:
        raise InputError(f"{out} holds tokens of another codec than {model}", "name another folder, or remove it")
    pool = Pool(audio, "samples", needed=("n_samples",))
    rates = {entry.get("sample_rate", codec.grid.sample_rate) for entry in pool.entries} - {codec.grid.sample_rate}
    if rates:
        raise InputError(f"{audio} has {rates.pop()} Hz, the codec {codec.grid.sample_rate} Hz", "name another model")
    out.mkdir(parents=True, exist_ok=True)
    n_frames = 0
    for i, (entry, piece) in enumerate(zip(pool.entries, pool.pieces, strict=True)):
        n_frames += codec.grid.n_frames(entry["n_samples"])
        source = {_HASH: codec_hash, "stamp": str(entry.get("stamp", ""))}
        if _metadata(out / entry["file"]) != source:
            with torch.inference_mode():
                codes = encode_long(codec, piece[:].to(device).float() / 32768)
            save_tensors({"codes": codes.to("cpu", torch.int16)}, out / entry["file"], source)
        if progress is not None:
            progress(i + 1, len(pool.pieces))
    write_manifest(out, [{**entry, _HASH: codec_hash} for entry in pool.entries])
    return n_frames


def _metadata(path: Path) -> dict[str, str]:
    """Read the metadata of a file of tokens; empty if the file is missing or damaged."""
    try:
        with open_tensors(path) as file:
            return dict(file.metadata() or {})
    except InputError:
        return {}


def token_codec_hash(folder: str | Path) -> str:
    """Return the hash of the codec that made a folder's tokens.

    Raises:
        InputError: the folder holds no tokens.
    """
    hashes = {str(entry.get(_HASH, "")) for entry in read_manifest(folder)}
    if len(hashes) != 1 or "" in hashes:
        raise InputError(f"{folder} holds no tokens of one codec", "make them with `vamp train tokens`")
    return hashes.pop()
