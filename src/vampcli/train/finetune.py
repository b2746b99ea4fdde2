"""Fine-tuning: LoRA pairs for a trained model from a few recordings, in minutes, with held-out losses."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vampcli.checkpoints.folder import model_config, read_metadata
from vampcli.checkpoints.headers import stored_hash
from vampcli.errors import InputError, UsageError, VampError
from vampcli.model import lora
from vampcli.model.config import VampNetConfig
from vampcli.tensor_reading import load_tensors
from vampcli.tokens.grid import TokenGrid
from vampcli.train.config import DataConfig, LoopConfig, TokenRun
from vampcli.train.data import read_manifest, save_tensors, write_manifest
from vampcli.train.encode import pack
from vampcli.train.loop import Trainer
from vampcli.train.pieces import Piece
from vampcli.train.prepare import prepare
from vampcli.train.token_task import TokenTask

EXCERPT_FRAMES = 128
"""Longest training excerpt: many short steps learn more in a minute than few long ones."""
HELD_OUT = 0.2
_N_VALIDATION_CLIPS = 16
_BATCH_SIZE = 2
_WARMUP_STEPS = 10
_FILE = "codes.safetensors"

Report = Callable[[int, int], None]


@dataclass(frozen=True)
class FineTuneConfig:
    """Options of fine-tuning.

    Attributes:
        minutes: of training, two thirds of them for the coarse model.
        steps: of each model, regardless of time; None = as many as the minutes allow.
        rank: of the pairs.
        learning_rate: of AdamW.
        seed: of the pairs and the excerpts.
    """

    minutes: float = 5.0
    steps: int | None = None
    rank: int = lora.RANK
    learning_rate: float = 1e-2
    seed: int = 0

    def __post_init__(self) -> None:
        for name, value in (("minutes", self.minutes), ("rank", self.rank), ("learning rate", self.learning_rate)):
            if not value > 0:
                raise UsageError(f"{name} is {value}", "give a number above 0")
        if self.steps is not None and self.steps < 1:
            raise UsageError(f"{self.steps} steps are asked for", "ask for one or more")


@dataclass(frozen=True)
class Material:
    """Tokens of recordings, the end of each held out.

    Attributes:
        train: folder of training tokens.
        held_out: folder of held-out tokens.
        n_frames: of both.
        n_held_out: frames held out.
        sources: title, author, licence and seconds of each recording.
        failed: errors of recordings that cannot be read.
    """

    train: Path
    held_out: Path
    n_frames: int
    n_held_out: int
    sources: tuple[dict[str, Any], ...]
    failed: tuple[VampError, ...]


@dataclass(frozen=True)
class Learned:
    """Result of fine-tuning one model.

    Attributes:
        pairs: trained.
        before: held-out loss without the pairs, in nats a token.
        after: held-out loss with the pairs.
        n_steps: of training.
        seconds: of training.
        is_interrupted: whether SIGINT ended it.
    """

    pairs: lora.Pairs
    before: float
    after: float
    n_steps: int
    seconds: float
    is_interrupted: bool


def gather(
    pieces: Sequence[Piece],
    model: Path,
    work: Path,
    device: torch.device,
    reading: Report | None = None,
    encoding: Report | None = None,
) -> Material:
    """Encode recordings at -24 LUFS, without long silence.

    Args:
        pieces: the recordings.
        model: folder of the model whose codec to use.
        work: an empty folder, for large files.
        device: to encode on.
        reading: called after each piece read.
        encoding: called after each segment encoded.

    Raises:
        InputError: nothing can be read, or all of it is too short; the message states the seconds needed.
    """
    outcomes = list(prepare(pieces, work / "audio", progress=reading))
    failed = [outcome.error for outcome in outcomes if outcome.error is not None]
    if len(failed) == len(outcomes):
        raise failed[0]
    known = read_metadata(model)
    grid, n_needed = known.codec.grid, max(10, known.context_frames // 2)
    seconds = sum(entry["seconds"] for outcome in outcomes for entry in outcome.entries)
    if seconds * grid.frame_rate < n_needed:
        raise InputError(
            f"there are {seconds:.1f} s of sound, fine-tuning needs {n_needed / grid.frame_rate:.1f} s",
            "add recordings: minutes are better than seconds",
        )
    pack(work / "audio", model, work / "tokens", encoding, device)
    codes = [load_tensors(work / "tokens" / e["file"])["codes"] for e in read_manifest(work / "tokens")]
    share = min(HELD_OUT, _N_VALIDATION_CLIPS * EXCERPT_FRAMES / sum(c.shape[1] for c in codes))
    cuts = [round(c.shape[1] * (1 - share)) for c in codes]
    parts = {
        "train": torch.cat([c[:, :cut] for c, cut in zip(codes, cuts, strict=True)], dim=1),
        "held-out": torch.cat([c[:, cut:] for c, cut in zip(codes, cuts, strict=True)], dim=1),
    }
    codec_hash = stored_hash(model / "codec.safetensors")
    for name, part in parts.items():
        _write(work / name, part, grid, codec_hash)
    n_held_out = parts["held-out"].shape[1]
    n_frames = sum(part.shape[1] for part in parts.values())
    sources = tuple(_source(outcome.piece, outcome.entries) for outcome in outcomes if outcome.entries)
    return Material(work / "train", work / "held-out", n_frames, n_held_out, sources, tuple(failed))


def _source(piece: Piece, entries: list[dict[str, Any]]) -> dict[str, Any]:
    seconds = round(sum(entry["seconds"] for entry in entries), 1)
    return {"title": piece.title, "author": piece.author, "licence": piece.licence, "seconds": seconds}


def _write(folder: Path, codes: Tensor, grid: TokenGrid, codec_hash: str) -> None:
    """Write tokens as one piece, as `vampcli.train.data` reads it."""
    folder.mkdir()
    save_tensors({"codes": codes.contiguous()}, folder / _FILE)
    n_samples = codes.shape[1] * grid.hop_length
    write_manifest(folder, [{"file": _FILE, "author": "", "n_samples": n_samples, "codec_hash": codec_hash}])


class _Unsaved(Trainer):
    """Trainer without saved states, which would hold the whole model: the pairs are read from memory."""

    def save(self) -> None:
        return


def learn(
    model: Path,
    part: str,
    material: Material,
    config: FineTuneConfig,
    minutes: float,
    device: torch.device,
    progress: Report | None = None,
) -> Learned:
    """Train pairs for the coarse or the fine model, with the objective of its training.

    Args:
        model: folder of the model.
        part: coarse or fine.
        material: tokens.
        config: options.
        minutes: to stop after, unless steps are counted; SIGINT stops it, too, and the pairs so far are kept.
        device: to train on.
        progress: called after each step with seconds (or steps, if these are counted) done and in all.

    Raises:
        ModelError: the loss is not a number.
    """
    task, loop = _task(model, part, material, config)
    with torch.no_grad():
        before = task.to(device).eval().validate()["loss"]
    lora.add_pairs(task.model, config.rank, torch.Generator().manual_seed(config.seed))
    limit = float("inf") if config.steps else minutes
    trainer = _Unsaved(task, loop, material.train, device)

    def report(_: dict[str, float]) -> None:
        if progress is not None and config.steps:
            progress(trainer.step, config.steps)
        elif progress is not None:
            progress(round(trainer.seconds), round(60 * minutes))

    trainer.run(limit, lambda _: None, report)
    with trainer.averaged(), torch.no_grad():
        after = task.eval().validate()["loss"]
        pairs = lora.remove_pairs(task.model)
    is_interrupted = trainer.step < loop.steps and trainer.seconds <= 60 * limit
    return Learned(pairs, before, after, trainer.step, trainer.seconds, is_interrupted)


def _task(model: Path, part: str, material: Material, config: FineTuneConfig) -> tuple[TokenTask, LoopConfig]:
    sizes = getattr(model_config(model), part)
    assert isinstance(sizes, VampNetConfig)
    loop = LoopConfig(
        steps=config.steps or 1_000_000_000,
        batch_size=_BATCH_SIZE,
        learning_rate=config.learning_rate,
        warmup_steps=_WARMUP_STEPS,
        weight_decay=0.0,
        ema_decay=0.98,
        seed=config.seed,
        log_every=0,
        validate_every=0,
    )
    n_frames = min(sizes.context_frames, EXCERPT_FRAMES, material.n_held_out)
    data = DataConfig(str(material.train), str(material.held_out), codec=str(model))
    task = TokenTask(TokenRun(data, sizes, n_frames, loop, start=str(model)))
    held_out = load_tensors(material.held_out / _FILE)["codes"][: sizes.n_codebooks].long()
    task.validation_clips = torch.stack(list(_windows(held_out, n_frames)))
    return task, loop


def _windows(codes: Tensor, n_frames: int) -> Iterator[Tensor]:
    """Yield evenly spaced windows (n_codebooks, n_frames) of all codes (n_codebooks, n_frames in all)."""
    n = min(_N_VALIDATION_CLIPS, codes.shape[1] // n_frames)
    for i in range(n):
        start = round(i * (codes.shape[1] - n_frames) / max(1, n - 1))
        yield codes[:, start : start + n_frames]
