"""Fidelity of a codec by number of codebooks kept, beside Opus and the same codec untrained."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vampcli.audio.clicks import LIMIT, click_figure
from vampcli.checkpoints.folder import model_config
from vampcli.checkpoints.weights import load_parts
from vampcli.codec.base import Codec
from vampcli.codec.chunked import decode_long, encode_long
from vampcli.codec.kinds import build_codec
from vampcli.evaluate import metrics
from vampcli.evaluate.excerpts import Clip
from vampcli.evaluate.opus import is_installed, opus

_N_BORDERS = 40  # frame borders of each piece at which clicks are measured


def evaluate_codec(
    codec: Codec,
    random: Codec,
    clips: Iterable[Clip],
    opus_kbits: Sequence[float] = (),
    n_kept: Sequence[int] | None = None,
) -> dict[str, Any]:
    """Measure a codec on recordings.

    Args:
        codec: on the CPU, in float32.
        random: the same codec untrained, from `untrained_codec`.
        clips: at the codec's rate.
        opus_kbits: bit rates of Opus to compare with, in kbit/s; ignored if its programs are missing.
        n_kept: numbers of codebooks to keep; by default every number.

    Returns:
        Means over the recordings, ready for JSON; mel errors as in `vampcli.evaluate.metrics`.
    """
    kept = range(1, codec.grid.n_codebooks + 1) if n_kept is None else n_kept
    rates = opus_kbits if is_installed() else ()
    pieces, all_codes = [], []
    with torch.inference_mode(), one_thread():
        decode_long(codec, encode_long(codec, torch.zeros(codec.grid.sample_rate)))  # warm up, for the times
        for clip in clips:
            codes, figures = _piece(codec, clip, kept)
            all_codes.append(codes)
            figures["untrained"] = fidelity(decode_long(random, encode_long(random, clip.samples)), clip)
            figures["opus"] = [_opus(clip, rate) for rate in rates]
            pieces.append(figures)
    return _summary(codec, pieces, torch.cat(all_codes, dim=1), kept, rates)


def load_codec(folder: Path) -> Codec:
    """Load the codec of a model folder, on the CPU in float32; the folder need not hold transformers.

    Raises:
        ModelError: it is missing or damaged.
    """
    return load_parts(folder, torch.device("cpu"), torch.float32).codec


def untrained_codec(folder: Path, seed: int = 0) -> Codec:
    """Return a codec of the sizes of a model folder's, with random weights and codebooks of normal noise."""
    config = model_config(folder).codec
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = build_codec(config)
        with torch.no_grad():
            for name, tensor in module.state_dict().items():
                if "codebook" in name:
                    tensor.normal_()
    module.eval().requires_grad_(False)
    return module


def fidelity(made: Tensor, clip: Clip) -> dict[str, float]:
    """Return mel error, SI-SDR in dB and spectral convergence of float32 (n_samples or more,) against a clip."""
    target = clip.samples
    made = made[: len(target)]
    return {
        "mel_error": metrics.piece_mel_error(made, target, clip.sample_rate),
        "si_sdr_db": float(metrics.si_sdr(made[None], target[None])),
        "spectral_convergence": metrics.piece_spectral_convergence(made, target),
    }


@contextmanager
def one_thread() -> Iterator[None]:
    """Limit torch to one thread, so that times are comparable."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _piece(codec: Codec, clip: Clip, kept: Sequence[int]) -> tuple[Tensor, dict[str, Any]]:
    start = time.process_time()  # unlike the wall clock, independent of other programs
    codes = encode_long(codec, clip.samples)
    encoded = time.process_time()
    made = decode_long(codec, codes)
    decoded = time.process_time()
    sounds = {k: made if k == len(codes) else decode_long(codec, codes[:k]) for k in kept}
    return codes, {
        "name": clip.name,
        "seconds": clip.seconds,
        "encode_s": encoded - start,
        "decode_s": decoded - encoded,
        "by_codebooks": [fidelity(sound, clip) for sound in sounds.values()],
        "clicks": _clicks(made, clip.sample_rate, codec.grid.hop_length),
        "clicks_before": _clicks(clip.samples, clip.sample_rate, codec.grid.hop_length),
    }


def _clicks(samples: Tensor, sample_rate: int, hop: int) -> list[float]:
    """Return the click figures of frame borders spread evenly over a piece."""
    n_frames = len(samples) // hop
    borders = np.unique(np.linspace(0, n_frames, _N_BORDERS + 2).astype(int)[1:-1])
    x = samples.numpy()
    return [click_figure(x, sample_rate, int(border) * hop) for border in borders]


def _opus(clip: Clip, kbits: float) -> dict[str, float]:
    result = opus(clip.samples, clip.sample_rate, kbits)
    return {"kbit_s": result.n_bytes * 8 / clip.seconds / 1000, **fidelity(result.samples, clip)}


def _summary(
    codec: Codec, pieces: list[dict[str, Any]], codes: Tensor, kept: Sequence[int], rates: Sequence[float]
) -> dict[str, Any]:
    grid, seconds = codec.grid, sum(piece["seconds"] for piece in pieces)
    kbits = math.log2(grid.codebook_size) * grid.sample_rate / grid.hop_length / 1000
    perplexity = metrics.perplexity(codes, grid.codebook_size)
    by_codebooks = [mean_of([piece["by_codebooks"][i] for piece in pieces]) for i in range(len(kept))]
    return {
        "pieces": [{"name": piece["name"], "seconds": piece["seconds"]} for piece in pieces],
        "seconds": seconds,
        "codec": [{"codebooks": k, "kbit_s": k * kbits, **row} for k, row in zip(kept, by_codebooks, strict=True)],
        "opus": [
            {"kbit_s_asked": rate, **mean_of([piece["opus"][i] for piece in pieces])} for i, rate in enumerate(rates)
        ],
        "untrained": mean_of([piece["untrained"] for piece in pieces]),
        "perplexity": perplexity.tolist(),
        "code_use": (perplexity / grid.codebook_size).tolist(),
        "encode_times_real_time": seconds / sum(piece["encode_s"] for piece in pieces),
        "decode_times_real_time": seconds / sum(piece["decode_s"] for piece in pieces),
        "click_share": _share_of_clicks([x for piece in pieces for x in piece["clicks"]]),
        "click_share_before": _share_of_clicks([x for piece in pieces for x in piece["clicks_before"]]),
    }


def _share_of_clicks(figures: list[float]) -> float:
    return sum(figure > LIMIT for figure in figures) / max(1, len(figures))


def mean_of(rows: Sequence[dict[str, float]]) -> dict[str, float]:
    """Return the mean of every figure over rows with the same names."""
    return {name: sum(row[name] for row in rows) / len(rows) for name in rows[0]}
