"""Coarse models that learn for as long as each other, from the same informed start, in different ways.

python -m experiments.equal_time cosine --steps 2077 --tokens data -o runs/equal/cosine

Each becomes a model folder, with the codec and the fine model of `mini`. A way is one of the distributions of hidden
shares that `vampcli.train.masking` knows, or `autoregressive`, of the same sizes (see `experiments/autoregressive.py`;
its coarse network is no use to `vamp`). Time is given in steps, since that of a clock depends on what else runs: where
one of `cosine` and `beta` takes 0.52 s, it is 0.46 of `half` and `uniform`, which hide less, and 0.56 of
`autoregressive`. A run that was cut off goes on; more steps continue it.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path

import torch
from experiments.autoregressive import AutoregressiveTask

from vampcli.checkpoints.folder import read_config
from vampcli.checkpoints.weights import load_parts, save_parts
from vampcli.train.config import DataConfig, LoopConfig, TokenRun
from vampcli.train.loop import STATE, Trainer
from vampcli.train.masking import HIDDEN_SHARES
from vampcli.train.token_task import TokenTask

AUTOREGRESSIVE = "autoregressive"
LOOP = LoopConfig(batch_size=4, learning_rate=4e-4, warmup_steps=100, validate_every=1000)


def learn(way: str, base: Path, tokens: Path, out: Path, loop: LoopConfig, n_frames: int) -> None:
    """Train, write a model folder unless interrupted, and print the results as JSON.

    Args:
        way: of learning.
        base: model folder that gives the sizes, the codec and the fine model.
        tokens: folder of `train` and `val`, made by `vamp train tokens` with that codec.
        out: folder of the run and of the model.
        loop: how, and for how many steps.
        n_frames: length of the excerpts.
    """
    parts = load_parts(base, torch.device("cpu"), torch.float32)
    data = DataConfig(str(tokens / "train"), str(tokens / "val"), codec=str(base))
    masking = "cosine" if way == AUTOREGRESSIVE else way
    run = TokenRun(data, replace(parts.coarse.config, dropout=0.0), n_frames, loop, masking=masking)
    task = (AutoregressiveTask if way == AUTOREGRESSIVE else TokenTask)(run)
    out.mkdir(parents=True, exist_ok=True)
    trainer = Trainer(task, loop, out)
    if (out / STATE).exists():
        trainer.resume()
    trainer.run(float("inf"), lambda figures: None)
    if trainer.interrupted:
        return
    with trainer.averaged(), torch.no_grad():
        figures = task.eval().validate()
        training = f"{way}, {trainer.step} steps, {trainer.seconds / 60:.0f} minutes of one core"
        provenance = replace(parts.provenance, name=way, training=training)
        kind = read_config(base)["codec"]["kind"]
        save_parts(out, kind, replace(parts, coarse=task.model, provenance=provenance))
    about = {"way": way, "steps": trainer.step, "seconds": trainer.seconds, **figures}
    sys.stdout.write(json.dumps(about) + "\n")


def main() -> None:
    """Learn."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("way", choices=[AUTOREGRESSIVE, *HIDDEN_SHARES])
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--model", type=Path, default=Path("checkpoints/mini"), help="gives sizes, codec, fine model")
    parser.add_argument("--tokens", type=Path, required=True, help="train and val, made by `vamp train tokens`")
    parser.add_argument("-o", "--out", type=Path, required=True)
    given = parser.parse_args()
    torch.set_num_threads(1)
    learn(given.way, given.model, given.tokens, given.out, replace(LOOP, steps=given.steps), n_frames=288)


if __name__ == "__main__":
    main()
