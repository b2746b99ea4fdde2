"""Ways of learning at equal core time, each from the same weights.

    python -m experiments.per_core_hour --tokens data loop.optimizer=muon loop.batch_size=16

Each KEY=VALUE changes `configs/mini-coarse.toml` (with `masking` beta and a constant rate). The clock is processor
time of the process and starts after the first step, so compiling is not counted; validations are not, either. Prints
the validation loss of the averaged weights by the share that is hidden, as JSON, every `--every` minutes; all ways on
the same excerpts.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import torch

from vampcli.train.config import DataConfig, LoopConfig, TokenRun, load_run
from vampcli.train.loop import Trainer
from vampcli.train.token_task import TokenTask

CONFIG = Path(__file__).parents[1] / "configs/mini-coarse.toml"
LOOP = LoopConfig(steps=10**9, batch_size=4, learning_rate=4e-4, warmup_steps=50, schedule="constant", seed=7)


def changed(config: Any, key: str, value: str) -> Any:
    """A copy of a frozen dataclass in which `a.b` has another value, of the type it has."""
    first, _, rest = key.partition(".")
    old = getattr(config, first)
    if is_dataclass(old):
        return replace(config, **{first: changed(old, rest, value)})
    if rest or first not in {field.name for field in fields(config)}:
        raise SystemExit(f"there is no {key}")
    return replace(config, **{first: value == "true" if isinstance(old, bool) else type(old)(value)})


def learn(run: TokenRun, minutes: float, every: float) -> None:
    """Train for some minutes of processor time; print a line of figures every `every` minutes."""
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(TokenTask(run), run.loop, Path(folder))
        trainer.advance()
        spent, due = 0.0, every
        while spent < 60 * minutes:
            began = time.process_time()
            trainer.advance()
            spent += time.process_time() - began
            if spent >= 60 * due or spent >= 60 * minutes:
                due += every
                with trainer.averaged(), torch.no_grad():
                    figures = trainer.task.eval().validate()
                losses = {name: round(value, 4) for name, value in figures.items() if name.startswith("loss")}
                line = {"steps": trainer.step, "core_minutes": round(spent / 60, 2), **losses}
                sys.stdout.write(json.dumps(line) + "\n")
                sys.stdout.flush()


def main(arguments: Sequence[str] | None = None) -> None:
    """Learn."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("changes", nargs="*", metavar="KEY=VALUE")
    parser.add_argument("--tokens", type=Path, required=True, help="tokens-train and tokens-val")
    parser.add_argument("--model", default="checkpoints/mini", help="gives the codec, and the weights to start from")
    parser.add_argument("--minutes", type=float, default=6.0)
    parser.add_argument("--every", type=float, default=2.0)
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    data = DataConfig(str(given.tokens / "tokens-train"), str(given.tokens / "tokens-val"), codec=given.model)
    run = load_run(CONFIG, TokenRun)
    run = replace(run, data=data, loop=LOOP, masking="beta", start=given.model, n_validation_frames=run.n_frames)
    for change in given.changes:
        run = changed(run, *change.split("=", 1))
    learn(run, given.minutes, given.every)


if __name__ == "__main__":
    main()
