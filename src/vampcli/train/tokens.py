"""Prepared audio -> tokens of a frozen codec, to train transformers on."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import save_file

from vampcli import checkpoint
from vampcli.codec.ranges import encode_long
from vampcli.train.data import MANIFEST, Pool, read_manifest

_HASH = "codec_hash"


def pack(audio: Path, model: Path, out: Path, progress: Callable[[int, int], None] | None = None) -> int:
    """Encode every prepared piece with the codec of a model folder; finished pieces are kept.

    Args:
        audio: folder made by `vampcli.train.prepare`.
        model: model folder; its codec is used as stored, in float32.
        out: folder for `<name>.safetensors` (tensor `codes`, int16 (n_codebooks, n_frames)) and `manifest.json`.
        progress: told after each piece.

    Returns:
        How many frames there are in all.
    """
    codec = checkpoint.load_parts(model, torch.device("cpu"), torch.float32).codec
    pool = Pool(audio, "samples")
    out.mkdir(parents=True, exist_ok=True)
    n_frames = 0
    for i, (entry, piece) in enumerate(zip(pool.entries, pool.pieces, strict=True)):
        n_frames += codec.grid.n_frames(entry["n_samples"])
        if not (out / entry["file"]).exists():
            with torch.inference_mode():
                codes = encode_long(codec, piece[:].float() / 32768)
            save_file({"codes": codes.to(torch.int16)}, out / (entry["file"] + ".partial"))
            (out / (entry["file"] + ".partial")).replace(out / entry["file"])
        if progress is not None:
            progress(i + 1, len(pool.pieces))
    own_hash = checkpoint.stored_hash(model / "codec.safetensors")
    text = json.dumps([{**entry, _HASH: own_hash} for entry in pool.entries], indent=1)
    (out / MANIFEST).write_text(text, encoding="utf-8")
    return n_frames


def token_codec_hash(folder: str | Path) -> str:
    """The hash of the codec that made a folder's tokens."""
    return str(next(iter(read_manifest(folder)), {}).get(_HASH, ""))
