"""Level of generated spans against what they replace and what surrounds them: `python experiments/level.py SOUND...`.

Of each recording, spans of a second are generated from the middle of every third second (`inpaint`, without memory),
and all of it is varied (`vamp`) by several amounts and presets. Recordings are also made quiet, inverted in one channel
or given an offset. `--rendering 1` measures the rule of older recipes.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

import vampcli
from vampcli.audio.loudness import weighted_powers
from vampcli.audio.waveform import Samples
from vampcli.config import MemoryConfig
from vampcli.tasks.base import Task
from vampcli.tasks.inpaint import Inpaint
from vampcli.tasks.spans import SpanRequest
from vampcli.tasks.take import TakeOptions
from vampcli.tasks.vamp import Vamp
from vampcli.tokens.presets import PRESETS

SPAN_S, SIDE_S = 1.0, 0.5
SEEDS = (7, 8)
CHANGES: dict[str, Callable[[Samples], Samples]] = {
    "as it is": lambda x: x,
    "one channel": lambda x: x[:1],
    "right silent": lambda x: x * np.float32([[1], [0]]),
    "right inverted": lambda x: x[:1] * np.float32([[1], [-1]]),
    "right inverted, -6 dB": lambda x: x[:1] * np.float32([[1], [-0.5]]),
    "60 dB quieter": lambda x: x * np.float32(1e-3),
    "offset 0.1": lambda x: x + np.float32(0.1),
}


def level_db(samples: Samples, rate: int) -> float:
    """K-weighted power of all channels in dB, without offset."""
    return float(10 * np.log10(weighted_powers(samples - samples.mean(axis=1, keepdims=True), rate).sum() + 1e-30))


def inpainted(model: vampcli.Model, clip: vampcli.Waveform, options: TakeOptions) -> Iterator[tuple[float, float]]:
    """Yield the level of spans against their originals and against their surroundings, in dB."""
    rate = clip.sample_rate
    for start in range(rate, clip.n_samples - 2 * rate, 3 * rate):
        end, side = start + round(SPAN_S * rate), round(SIDE_S * rate)
        task = Inpaint(SpanRequest([(start / rate, end / rate)]), memory=MemoryConfig(memory=0.0))
        around = np.concatenate([clip.samples[:, start - side : start], clip.samples[:, end : end + side]], axis=1)
        for take in model.takes(clip, task, options):
            made = level_db(take.audio.samples[:, start:end], rate)
            yield made - level_db(clip.samples[:, start:end], rate), made - level_db(around, rate)


def varied(
    model: vampcli.Model, clip: vampcli.Waveform, task: Task, options: TakeOptions
) -> Iterator[tuple[float, float]]:
    """Yield the level of takes against the original, twice."""
    for take in model.takes(clip, task, options):
        change = level_db(take.audio.samples, clip.sample_rate) - level_db(clip.samples, clip.sample_rate)
        yield change, change


def main() -> None:
    """Print a table of Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sounds", nargs="+", type=Path)
    parser.add_argument("--rendering", type=int, default=2)
    parser.add_argument("--steps", type=int, default=8)
    asked = parser.parse_args()
    model = vampcli.load("mini", device="cpu", dtype="fp32")
    options = TakeOptions(SEEDS, vampcli.SamplingConfig(steps=asked.steps), rendering=asked.rendering)
    clips = [vampcli.read(path) for path in asked.sounds]
    tasks: dict[str, Task] = {f"`vamp --amount {amount:g}`": Vamp(amount=amount) for amount in (0, 0.25, 0.5, 0.75, 1)}
    tasks |= {f"`vamp --preset {name}`": Vamp(prompt) for name, prompt in PRESETS.items()}
    sys.stdout.write(
        "| | against the original, dB | worst | against the surroundings, dB | worst |\n|---|--:|--:|--:|--:|\n"
    )

    def row(name: str, found: list[tuple[float, float]]) -> None:
        cells = [f"{np.mean(column):+.1f} | {max(column, key=abs):+.1f}" for column in zip(*found, strict=True)]
        sys.stdout.write(f"| {name} | {' | '.join(cells)} |\n")
        sys.stdout.flush()

    for name, change in CHANGES.items():
        changed = [replace(clip, samples=change(clip.samples), subtype="FLOAT") for clip in clips]
        row(f"`inpaint`, {name}", [pair for clip in changed for pair in inpainted(model, clip, options)])
    for name, task in tasks.items():
        row(name, [pair for clip in clips for pair in varied(model, clip, task, options)])


if __name__ == "__main__":
    main()
