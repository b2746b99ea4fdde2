"""Train a whole model within some minutes, from what `scripts/pack.py` packed: made for a borrowed GPU.

    python scripts/train_packed.py packs --work work --out home --minutes 25

Packed audio trains a codec, then coarse and fine models on its tokens; packed tokens train coarse and fine. Every
stage gets its share of the time and as many steps as fit in it, by the speed measured first, so that learning rates
fall in time. The model folder is written into `--work`, and to `--out` in pieces of at most 16 MB that
`scripts/pieces.py join` puts together. The same command goes on where it was stopped: with `--call-minutes 9`, three
calls make one training of 25 minutes.
"""

from __future__ import annotations

import argparse
import json
import logging
import re
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import torch
from pack import TOKENS, archives, unpack
from pieces import split

from vampcli.checkpoints.folder import Provenance
from vampcli.cli.console import guarded
from vampcli.model.devices import pick_device
from vampcli.train import encode
from vampcli.train.codec_task import CodecTask
from vampcli.train.config import CodecRun, TokenRun, load_run
from vampcli.train.credits import CREDITED, write_credits
from vampcli.train.data import read_manifest
from vampcli.train.export import RUN, export
from vampcli.train.loop import STATE, Task, Trainer
from vampcli.train.token_task import TokenTask

CONFIGS = Path(__file__).parents[1] / "configs"
CLOCK = "clock.json"
SHARES = {"codec": 0.4, "coarse": 0.6, "fine": 1.0}  # of the time that is left when a stage begins
_END_SHARE = 0.06  # kept for exporting
_SPEED_STEPS = 5
_DECAY_FROM = 0.6  # of the steps
_OVERRUN = 1.15  # a stage is cut off if it takes that much longer than planned

Run = CodecRun | TokenRun


class Clock:
    """Time spent in all calls so far, and what was planned for each stage, kept in a file."""

    def __init__(self, work: Path, minutes: float, call_minutes: float) -> None:
        self.path, self.began, self.total_s, self.call_s = (
            work / CLOCK,
            time.monotonic(),
            60 * minutes,
            60 * call_minutes,
        )
        known = json.loads(self.path.read_text(encoding="utf-8")) if self.path.exists() else {}
        self.before_s: float = known.get("spent_s", 0.0)
        self.planned_s: dict[str, float] = known.get("planned_s", {})

    @property
    def spent_s(self) -> float:
        """In all calls."""
        return self.before_s + time.monotonic() - self.began

    @property
    def call_left_s(self) -> float:
        """Until this call is to end."""
        return self.call_s - (time.monotonic() - self.began)

    def plan(self, stage: str) -> float:
        """Seconds for a stage that begins now."""
        left = self.total_s * (1 - _END_SHARE) - self.spent_s
        self.planned_s[stage] = max(1.0, left * SHARES[stage])
        self.save()
        return self.planned_s[stage]

    def save(self) -> None:
        """Write it down for the next call."""
        self.path.write_text(json.dumps({"spent_s": self.spent_s, "planned_s": self.planned_s}), encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> int:
    """Train; returns the exit code: 0 = done, 75 = call again."""
    options = parse(arguments)
    options.work.mkdir(parents=True, exist_ok=True)
    device, clock = pick_device(options.device), Clock(options.work, options.minutes, options.call_minutes)
    say(f"{device}, {clock.spent_s / 60:.1f} of {options.minutes:g} minutes spent")
    try:
        done = all(
            stage(options, device, clock)
            for stage in (unpack_archives, train_codec, encode_audio, train_coarse, train_fine)
        )
    finally:
        clock.save()
    if not done:
        say("to be continued: call again")
        return 75
    model = options.work / "model"
    export_model(options, model, clock)
    split(model, options.out, round(options.max_mb * 1e6))
    say(f"{model}, and in pieces: {options.out}; {clock.spent_s / 60:.1f} minutes")
    clock.save()
    return 0


def unpack_archives(options: argparse.Namespace, device: torch.device, clock: Clock) -> bool:
    """Make folders of audio or tokens again."""
    unpack(archives(options.packs), options.work)
    return True


def has_audio(work: Path) -> bool:
    """Return whether to train a codec, too."""
    return (work / "train").is_dir()


def train_codec(options: argparse.Namespace, device: torch.device, clock: Clock) -> bool:
    """Train a codec, and write it as a separate model folder."""
    work = options.work
    if not has_audio(work):
        return True
    run = load_run(options.configs / "mini-codec.toml", CodecRun)
    data = replace(run.data, train=str(work / "train"), validation=str(work / "validation"))
    done = learn("codec", replace(run, data=data), CodecTask, options, device, clock)
    if done and not (work / "frozen").exists():
        export(work / "frozen", Provenance("frozen", options.licence, ""), work / "codec")
    return done


def encode_audio(options: argparse.Namespace, device: torch.device, clock: Clock) -> bool:
    """Make tokens, unless it was tokens that were packed."""
    for name in ("train", "validation"):
        audio = options.work / name
        if audio.is_dir():
            encode.pack(audio, options.work / "frozen", options.work / f"{TOKENS}{name}", device=device)
    return True


def train_coarse(options: argparse.Namespace, device: torch.device, clock: Clock) -> bool:
    """Learn the coarse model."""
    return train_tokens("coarse", options, device, clock)


def train_fine(options: argparse.Namespace, device: torch.device, clock: Clock) -> bool:
    """Learn the fine model."""
    return train_tokens("fine", options, device, clock)


def train_tokens(stage: str, options: argparse.Namespace, device: torch.device, clock: Clock) -> bool:
    """Learn a model of tokens."""
    work = options.work
    run = load_run(options.configs / f"mini-{stage}.toml", TokenRun)
    train, validation = (str(work / f"{TOKENS}{name}") for name in ("train", "validation"))
    data = replace(run.data, train=train, validation=validation, codec=str(work / "frozen"))
    return learn(stage, replace(run, data=data), TokenTask, options, device, clock)


def learn(
    stage: str,
    run: Run,
    task_of: Callable[[Any], Task],
    options: argparse.Namespace,
    device: torch.device,
    clock: Clock,
) -> bool:
    """Train a stage until its steps or its time are used up; whether they are."""
    folder = options.work / stage
    if not (folder / RUN).exists():
        batch = max(1, round(run.loop.batch_size * options.batch_factor))
        run = replace(run, loop=replace(run.loop, batch_size=batch, decay_from=0, sample_every=0, dtype="auto"))
        planned_s = clock.plan(stage)
        n_steps = max(2, int(planned_s / seconds_a_step(run, task_of, folder, device)))
        loop = replace(run.loop, steps=n_steps, decay_from=max(1, int(_DECAY_FROM * n_steps)))
        run = replace(run, loop=replace(loop, warmup_steps=min(loop.warmup_steps, n_steps // 10)))
        folder.mkdir(parents=True, exist_ok=True)
        (folder / RUN).write_text(as_toml(run), encoding="utf-8")
        say(f"{stage}: {n_steps} steps of {batch} excerpts in {planned_s / 60:.1f} minutes")
    run = load_run(folder / RUN, type(run))
    torch.manual_seed(run.loop.seed)
    trainer = Trainer(task_of(run), run.loop, folder, device)
    if (folder / STATE).exists():
        trainer.resume()
    left_s = _OVERRUN * clock.planned_s[stage] - trainer.seconds
    if left_s > 0 and trainer.step < run.loop.steps:
        trainer.run(min(left_s, clock.call_left_s) / 60, lambda figures: say(f"{stage} {shown(figures)}"))
    return trainer.step >= run.loop.steps or trainer.seconds >= _OVERRUN * clock.planned_s[stage] - 1


def seconds_a_step(run: Run, task_of: Callable[[Any], Task], folder: Path, device: torch.device) -> float:
    """Measure the speed, its share of validation included, with a task that is thrown away."""
    trainer = Trainer(task_of(run), run.loop, folder, device)
    trainer.step = 1  # a codec is fitted in the step before
    trainer.advance()
    began = time.monotonic()
    for _ in range(_SPEED_STEPS):
        trainer.advance()
    step_s = (time.monotonic() - began) / _SPEED_STEPS
    if not run.loop.validate_every:
        return step_s
    began = time.monotonic()
    with torch.no_grad():
        trainer.task.eval().validate()
    return step_s + (time.monotonic() - began) / run.loop.validate_every


def export_model(options: argparse.Namespace, model: Path, clock: Clock) -> None:
    """Write the model folder, with a card and credits."""
    work = options.work
    codec = work / "codec" if has_audio(work) else work / "frozen"
    training = f"{clock.spent_s / 60:.0f} minutes by scripts/train_packed.py"
    provenance = Provenance(options.name, options.licence, options.source, training)
    export(model, provenance, codec, work / "coarse", work / "fine")
    write_credits(model, read_manifest(work / f"{TOKENS}train", *CREDITED), options.name, options.licence)


def as_toml(run: Any) -> str:
    """A run as the TOML that `load_run` makes it from."""
    lines, tables = [], []
    for field in fields(run):
        value = getattr(run, field.name)
        if not is_dataclass(value):
            lines.append(f"{field.name} = {json.dumps(value)}")
            continue
        tables.append(f"\n[{field.name}]\n{as_toml(value)}")
    return "".join(f"{line}\n" for line in lines) + "".join(tables)


def shown(figures: dict[str, float]) -> str:
    """Figures in a line."""
    return "  ".join(f"{re.sub('^validation_', 'v_', name)} {value:g}" for name, value in figures.items())


def say(text: str) -> None:
    """Tell people."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("packs", type=Path, help="folder of archives made by scripts/pack.py")
    parser.add_argument("--work", type=Path, required=True, help="everything that is made lies here")
    parser.add_argument("--out", type=Path, required=True, help="the model in pieces")
    parser.add_argument("--minutes", type=float, default=25.0, help="for everything, all calls together")
    parser.add_argument("--call-minutes", type=float, default=float("inf"), help="training of one call ends after that")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--configs", type=Path, default=CONFIGS, help="folder of mini-{codec,coarse,fine}.toml")
    parser.add_argument("--batch-factor", type=float, default=8.0, help="times the excerpts of a step in the TOML")
    parser.add_argument("--max-mb", type=float, default=16.0, help="of a piece of the model")
    parser.add_argument("--name", default="packed", help="of the model")
    parser.add_argument("--licence", default="CC-BY-SA-4.0", help="of the weights")
    parser.add_argument("--source", default="", help="author of the model and its data")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    sys.exit(guarded(main)())
