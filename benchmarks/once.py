"""Run one stage once in a separate process, to measure its memory."""

from __future__ import annotations

import os
import sys
from typing import Literal, get_args

from benchmarks import bench
from benchmarks.measuring import FAST, PLAIN, run
from benchmarks.ways import VERBS, Task, Verb, Way, way

Stage = Literal["load", "encode", "coarse", "fine", "decode", "write"]
STAGES: tuple[Stage, ...] = get_args(Stage)
STEPS = ("coarse", "fine")


def do(way: Way, stage: Stage, verb: Verb) -> float:
    """Seconds of a stage; the verb matters to steps alone."""
    if stage in STEPS:
        return way.step(stage, verb)
    seconds: float = getattr(way, stage)()
    return seconds


def peak_mb(task: Task, side: str, stage: Stage, verb: Verb) -> float:
    """The most memory that one way of a stage takes, with torch and all it has to load: on a GPU, there alone."""
    own = task.bench
    arguments = [
        *("--cache", str(own.cache), "--device", own.device, f"--fast={' '.join(own.extra)}"),
        *("--model", task.subject.name, "--plain-model", task.subject.plain, "--fast-model", task.subject.fast),
        *("--side", side, "--stage", stage, "--verb", verb),
        *("--clip", str(task.clip_s), "--codec-clip", str(task.codec_s)),
    ]
    ran = run([sys.executable, "-m", "benchmarks.once", *arguments], {"PYTHONPATH": str(bench.ROOT)})
    return float(ran.said.split()[-1]) if own.device == "cuda" else ran.peak_mb


def main() -> None:
    """Run one stage."""
    parser = bench.options("One stage, once.")
    for name in ("--model", "--plain-model", "--fast-model"):
        parser.add_argument(name, required=True)
    parser.add_argument("--side", choices=[FAST, PLAIN], required=True)
    parser.add_argument("--stage", choices=STAGES, required=True)
    parser.add_argument("--verb", choices=VERBS, required=True)
    for name in ("--clip", "--codec-clip"):
        parser.add_argument(name, type=float, required=True)
    asked = parser.parse_args()
    subject = bench.Subject(asked.model, asked.fast_model, asked.plain_model)
    task = Task(subject, bench.from_options(asked), asked.clip, asked.codec_clip)
    do(way(asked.side, task), asked.stage, asked.verb)
    if asked.device == "cuda":
        import torch

        sys.stdout.write(f"{torch.cuda.max_memory_allocated() / 1e6}{os.linesep}")


if __name__ == "__main__":
    main()
