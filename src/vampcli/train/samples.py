"""Audio samples of a transformer in training, and their figures."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from vampcli.audio.waveform import Waveform
from vampcli.audio.write import write
from vampcli.codec.base import Codec
from vampcli.codec.chunked import decode_long
from vampcli.config import SamplingConfig
from vampcli.evaluate.metrics import level_difference_db, mel_error
from vampcli.model.transformer import VampNet
from vampcli.sampling.sampler import fill
from vampcli.sampling.windows import window_predictor

_CONFIG = SamplingConfig(steps=12, fine_steps=2)  # a third of the usual steps: samples are made often, on a CPU
_SPAN = (0.3, 0.7)  # of a clip, as shares of its length


def sample_spans(model: VampNet, codec: Codec, clips: Tensor, folder: Path, name: str) -> dict[str, float]:
    """Fill the middle of clips, write the sounds, and compare the made spans with the original's.

    Both sides are decoded from the model's codebooks: coarse ones only for a coarse model, all for a fine model,
    with the original's coarse tokens. The figures so measure the transformer, not the codec.

    Args:
        model: on any device, in evaluation mode.
        codec: on the CPU.
        clips: int64 (n_clips, n_codebooks or more, n_frames).
        folder: for `<name>-<i>.flac` and `original-<i>.flac`.
        name: of the training step.

    Returns:
        `mel_error` (units of 20 dB) and `level_db` (made above original), means over clips.
    """
    folder.mkdir(parents=True, exist_ok=True)
    config, grid = model.config, codec.grid
    start, end = (round(share * clips.shape[-1]) for share in _SPAN)
    inside = slice(start * grid.hop_length, end * grid.hop_length)
    spans: list[tuple[Tensor, Tensor]] = []
    for i, clip in enumerate(clips[:, : config.n_codebooks]):
        mask = torch.zeros_like(clip, dtype=torch.bool)
        mask[config.n_conditioning :, start:end] = True
        sounds = [decode_long(codec, codes) for codes in (_fill_span(model, clip, mask, i), clip)]
        for file, sound in zip((f"{name}-{i}.flac", f"original-{i}.flac"), sounds, strict=True):
            samples = sound.clamp(-1, 1).numpy()[None]
            write(folder / file, Waveform(samples, grid.sample_rate, "PCM_16"), overwrite=True)
        spans.append((sounds[0][inside], sounds[1][inside]))
    made, original = (torch.stack(sounds) for sounds in zip(*spans, strict=True))
    levels = [level_difference_db(*pair) for pair in spans]
    error = mel_error(made, original, grid.sample_rate)
    return {"mel_error": float(error), "level_db": sum(levels) / len(levels)}


def _fill_span(model: VampNet, clip: Tensor, mask: Tensor, seed: int) -> Tensor:
    """Fill a clip where the mask is True: (n_codebooks, n_frames) each -> int64 codes on the CPU."""
    config, device = model.config, model.codebooks.device
    made = fill(
        window_predictor(model, config.context_frames, mask.any(0)[None]),
        clip.to(device),
        mask.to(device),
        [seed],
        _CONFIG,
        config,
    )
    return made[0].cpu()
