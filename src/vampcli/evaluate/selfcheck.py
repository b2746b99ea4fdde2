"""Quick model sanity checks: use of codes, levels, silence, clipping and losses, in under a minute."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from vampcli.api import Model
from vampcli.audio.waveform import Waveform
from vampcli.codec.chunked import encode_long
from vampcli.config import PromptConfig, SamplingConfig
from vampcli.evaluate import metrics
from vampcli.evaluate.excerpts import Clip
from vampcli.evaluate.token_accuracy import evaluate_tokens
from vampcli.reading import read_text

CARD = "README.md"
HIDDEN = 0.5
"""Share of hidden tokens at which losses are compared."""

_LEAST_USE = 0.01  # perplexity over number of codes, in a minute; a collapsed codebook uses one or two codes
_MOST_OFF_DB = 6.0  # level after the codec
_MOST_OFF_TAKE_DB = 12.0
_MOST_SILENCE_DB = -50.0
_MOST_CLIPPED = 1e-3
_WORSE_THAN_CARD = 0.5  # nats; recordings differ in difficulty from those of the card


@dataclass(frozen=True)
class Check:
    """Result of one check.

    Attributes:
        name: of the figure.
        value: measured.
        limit: on the value.
        is_well: whether the value is within the limit.
    """

    name: str
    value: float
    limit: float
    is_well: bool


def self_check(model: Model, clips: Sequence[Clip], card: Mapping[str, float], seed: int = 0) -> list[Check]:
    """Check for collapsed codebooks, wrong levels, clipping, silence, and losses above the unigram's or the card's.

    Args:
        model: to check.
        clips: music at the model's rate, a few seconds at least.
        card: losses that the model's card states for `HIDDEN`, by part; see `losses_of_card`.
        seed: of masks and takes.
    """
    with torch.inference_mode():
        codes = [encode_long(model.codec, clip.samples.to(model.device)) for clip in clips]
        return [*_codec(model, clips, codes), *_takes(model, clips, seed), *_losses(model, codes, card, seed)]


def losses_of_card(folder: Path) -> dict[str, float]:
    """Read the losses at `HIDDEN` from the card of a model folder, rows such as `| coarse | 50% | 4.42 |`, by part."""
    path = folder / CARD
    text = read_text(path) if path.is_file() else ""
    rows = re.findall(rf"^\| (coarse|fine) \| {HIDDEN:.0%} \| ([\d.]+) \|", text, re.MULTILINE)
    return {part: float(loss) for part, loss in rows}


def _codec(model: Model, clips: Sequence[Clip], codes: Sequence[Tensor]) -> list[Check]:
    use = metrics.perplexity(torch.cat(list(codes), dim=1).cpu(), model.grid.codebook_size) / model.grid.codebook_size

    def decode(tokens: Tensor) -> Tensor:
        return torch.from_numpy(model.decode(tokens).samples[0])

    off = [
        abs(metrics.level_difference_db(decode(tokens)[: len(clip.samples)], clip.samples))
        for tokens, clip in zip(codes, clips, strict=True)
    ]
    quiet = encode_long(model.codec, torch.zeros(model.grid.sample_rate, device=model.device))
    silence = metrics.level_difference_db(decode(quiet), torch.ones(1))
    return [
        _at_least("least used codebook, share of its codes", float(use.min()), _LEAST_USE),
        _at_most("codec off in level, dB", max(off), _MOST_OFF_DB),
        _at_most("silence after the codec, dBFS", silence, _MOST_SILENCE_DB),
    ]


def _takes(model: Model, clips: Sequence[Clip], seed: int) -> list[Check]:
    """Check variations that keep one frame in 16, made in 8 steps."""
    off, clipped = [], []
    for clip in clips:
        audio = Waveform(clip.samples.numpy()[None], clip.sample_rate)
        config = SamplingConfig(steps=8)
        (take,) = model.vamp(audio, PromptConfig(period=16), seed=seed, sampling=config)
        made = torch.from_numpy(take.audio.samples[0])
        off.append(abs(metrics.level_difference_db(made, clip.samples)))
        clipped.append(float((made.abs() >= 0.999).double().mean()))
    return [
        _at_most("take off in level, dB", max(off), _MOST_OFF_TAKE_DB),
        _at_most("samples of takes at full scale, share", max(clipped), _MOST_CLIPPED),
    ]


def _losses(model: Model, codes: Sequence[Tensor], card: Mapping[str, float], seed: int) -> list[Check]:
    found = []
    for name, part in {"coarse": model.coarse, "fine": model.fine}.items():
        n_frames = min(part.config.context_frames, *(tokens.shape[1] for tokens in codes))
        rows = evaluate_tokens(part, codes, 2, (HIDDEN,), seed, n_frames)["by_ratio"]
        for row in rows:
            found.append(_at_most(f"loss of {name}, nats, against counting", row["loss"], row["unigram_loss"]))
            if name in card:
                limit = card[name] + _WORSE_THAN_CARD
                found.append(_at_most(f"loss of {name}, nats, against its card", row["loss"], limit))
    return found


def _at_most(name: str, value: float, limit: float) -> Check:
    return Check(name, value, limit, value <= limit)


def _at_least(name: str, value: float, limit: float) -> Check:
    return Check(name, value, limit, value >= limit)
