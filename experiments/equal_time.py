"""Coarse models that learn for so many minutes of one core, from the same informed start, in different ways.

python -m experiments.equal_time cosine --minutes 18 --tokens data -o runs/equal/cosine

Each becomes a model folder, with the codec and the fine model of `mini`. A way is one of the distributions of hidden
shares that `vampcli.train.masking` knows, or `autoregressive`, of the same sizes (see `experiments/autoregressive.py`).
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict, replace
from pathlib import Path

import torch
from experiments.autoregressive import AutoregressiveTask

from vampcli import checkpoint
from vampcli.train.config import DataConfig, LoopConfig, TokenRun
from vampcli.train.loop import Trainer
from vampcli.train.masking import HIDDEN_SHARES
from vampcli.train.transformer import TokenTask

AUTOREGRESSIVE = "autoregressive"
LOOP = LoopConfig(batch_size=4, learning_rate=4e-4, warmup_steps=100, n_steps=10**6, validate_every=1000)


def learn(way: str, base: Path, tokens: Path, out: Path, minutes: float, loop: LoopConfig, n_frames: int) -> None:
    """Train, write a model folder, and print what came of it as JSON.

    Args:
        way: of learning.
        base: model folder that gives the sizes, the codec and the fine model.
        tokens: folder of `train` and `val`, made by `vamp train tokens` with that codec.
        out: folder of the run and of the model.
        minutes: how long.
        loop: how.
        n_frames: length of the excerpts.
    """
    parts = checkpoint.load_parts(base, torch.device("cpu"), torch.float32)
    data = DataConfig(str(tokens / "train"), str(tokens / "val"), codec=str(base))
    masking = "cosine" if way == AUTOREGRESSIVE else way
    run = TokenRun(data, replace(parts.coarse.config, dropout=0.0), n_frames, loop, masking=masking)
    task = (AutoregressiveTask if way == AUTOREGRESSIVE else TokenTask)(run)
    out.mkdir(parents=True, exist_ok=True)
    trainer = Trainer(task, loop, out)
    trainer.run(minutes, lambda figures: None)
    with trainer.averaged(), torch.no_grad():
        figures = task.eval().validate()
        training = f"{way}, {trainer.step} steps in {trainer.seconds / 60:.0f} minutes of one core"
        provenance = replace(parts.provenance, name=way, training=training)
        kind = checkpoint.read_config(base)["codec"]["kind"]
        checkpoint.save(out, kind, replace(parts, coarse=task.model, provenance=provenance))
    about = {"way": way, "steps": trainer.step, "seconds": trainer.seconds, "loop": asdict(loop), **figures}
    sys.stdout.write(json.dumps(about) + "\n")


def main() -> None:
    """Learn."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("way", choices=[AUTOREGRESSIVE, *HIDDEN_SHARES])
    parser.add_argument("--minutes", type=float, default=18.0)
    parser.add_argument("--model", type=Path, default=Path("checkpoints/mini"), help="gives sizes, codec, fine model")
    parser.add_argument("--tokens", type=Path, required=True, help="train and val, made by `vamp train tokens`")
    parser.add_argument("-o", "--out", type=Path, required=True)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    learn(arguments.way, arguments.model, arguments.tokens, arguments.out, arguments.minutes, LOOP, n_frames=288)


if __name__ == "__main__":
    main()
