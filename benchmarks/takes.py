"""Whole takes by models that are loaded already, on all cores: encode, all steps, decode, paste.

python -m benchmarks.takes --model mini
"""

from __future__ import annotations

from functools import partial
from itertools import product

from benchmarks import bench
from benchmarks.bench import PUBLISHED, Bench
from benchmarks.measuring import FAST, PLAIN, Measurement, interleave
from benchmarks.ways import VERBS, FastWay, PlainWay, Task, Verb
from vampcli import SamplingConfig


def measure(own: Bench, model: str) -> list[Measurement]:
    """One take, and on a GPU, which makes many at once, several, too."""
    slow = model == PUBLISHED and own.device == "cpu"
    few = slow or own.quick
    config = SamplingConfig(steps=1, fine_steps=1) if few else SamplingConfig()
    clip_s = 2 if own.quick else 10
    task = Task(bench.subject(model, own.cache), own, clip_s, clip_s)
    fast, plain = FastWay(task), PlainWay(task)
    found = []
    verbs: tuple[Verb, ...] = ("inpaint",) if slow else VERBS
    for verb, n_takes in product(verbs, (1, 4, 16) if own.device == "cuda" else (1,)):
        ways = {side: partial(way.takes, verb, n_takes, config) for side, way in ((FAST, fast), (PLAIN, plain))}
        interleave(ways, 1)  # the first time takes longer
        what = f"{task.title(verb)}, {n_takes} take{'s' if n_takes > 1 else ''}"
        note = f"{config.steps} + {config.fine_steps} steps"
        for side, seconds in interleave(ways, 1 if few else own.n_runs).items():
            audio_s = float(n_takes * clip_s)
            found.append(Measurement(task.subject.name, what, side, tuple(seconds), audio_s, note=note))
    return found


if __name__ == "__main__":
    bench.measure_part("takes", "Whole takes by loaded models.", measure)
