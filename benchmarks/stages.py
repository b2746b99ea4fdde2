"""The stages of a take, on one thread: load, encode, a coarse step, a fine step, decode, write.

    python -m benchmarks.stages --model mini

`vamp` and the plain version take turns; beside their times stands the least that this machine could take.
"""

from __future__ import annotations

from functools import partial
from itertools import product

import numpy as np
import torch
from torch import nn

from benchmarks import bench
from benchmarks.bench import PUBLISHED, Bench
from benchmarks.limits import Need, count_flops, measure_rates
from benchmarks.measuring import FAST, PLAIN, Measurement, interleave
from benchmarks.once import STAGES, STEPS, Stage, do, peak_mb
from benchmarks.ways import VERBS, FastWay, PlainWay, Task, Verb
from vampcli.codec.base import Codec
from vampcli.sampling.placement import window_starts
from vampcli.tasks.inpaint import Inpaint
from vampcli.tasks.recording import Recording
from vampcli.tasks.spans import SpanRequest
from vampcli.tasks.vamp import Vamp

_BYTES_PER_SAMPLE, _BYTES_IN_FILE = 4, 2


def measure(own: Bench, model: str) -> list[Measurement]:
    """All stages of a model, done both ways."""
    task = task_of(own, model)
    wanted = [(stage, verb) for stage, verb in product(STAGES, VERBS) if stage in STEPS or verb == VERBS[0]]
    # first, while this process holds no model itself
    peaks = {(*one, side): peak_mb(task, side, *one) for one in wanted for side in (FAST, PLAIN)}
    fast, plain = FastWay(task), PlainWay(task)
    rates = measure_rates(own.device, fast.model.dtype)
    found = []
    for stage, verb in wanted:
        ways = {FAST: partial(do, fast, stage, verb), PLAIN: partial(do, plain, stage, verb)}
        interleave(ways, 1)  # the first time takes longer
        runs = interleave(ways, task.n_runs)
        limit_s = need(fast, plain, stage, verb).limit_s(rates)
        for side, seconds in runs.items():
            what, audio_s = _title(task, stage, verb)
            peak = peaks[stage, verb, side]
            found.append(Measurement(task.subject.name, what, side, tuple(seconds), audio_s, (), peak, limit_s))
    return found


def task_of(own: Bench, model: str) -> Task:
    """Return the task of a model; a small one where a second of sound takes ten."""
    subject = bench.subject(model, own.cache)
    if own.quick:
        return Task(subject, own, clip_s=2, codec_s=1, n_runs=own.n_runs)
    if model == PUBLISHED and own.device == "cpu":
        return Task(subject, own, clip_s=10, codec_s=3, n_runs=min(3, own.n_runs))
    return Task(subject, own, clip_s=10, codec_s=10, n_steps=3, n_runs=own.n_runs)


def _title(task: Task, stage: Stage, verb: Verb) -> tuple[str, float]:
    """Return the label of a stage and its seconds of sound."""
    if stage in STEPS:
        return f"{stage} step, {task.title(verb)}", 0.0
    return (stage, 0.0) if stage == "load" else (f"{stage} {task.codec_s:g} s", task.codec_s)


def need(fast: FastWay, plain: PlainWay, stage: Stage, verb: Verb) -> Need:
    """Return the smallest amount of work of a stage on either side."""
    model, clip = fast.model, fast.task.codec_clip
    n_sound = clip.n_samples * _BYTES_PER_SAMPLE
    match stage:
        case "load":
            return Need(
                0,
                _n_bytes(model.codec, model.coarse, model.fine)
                + sum(f.stat().st_size for f in model.paths.folder.glob("*.safetensors")),
            )
        case "write":
            return Need(0, clip.n_channels * clip.n_samples * (_BYTES_PER_SAMPLE + _BYTES_IN_FILE))
        case "encode":
            return Need(count_flops(plain.encode), n_sound + _n_bytes(model.codec))
        case "decode":
            return Need(count_flops(plain.decode), n_sound + _n_bytes(model.codec))
    network = model.coarse if stage == "coarse" else model.fine
    request = Vamp() if verb == "vamp" else Inpaint(SpanRequest((fast.task.span_s,)))
    recording, config = Recording(fast.task.clip), network.config
    plan = request.plan(recording, model.codec, model.context_frames)
    flops, n_tokens = 0.0, 0
    for one in request.passes(recording, plan, model.codec, model.coarse.config, seed=0):
        for _, mask in one.plan.split_mask(one.mask):
            hidden = mask[config.n_conditioning : config.n_codebooks]
            n_tokens += int(hidden.sum())
            for start in window_starts(np.logical_or.reduce(hidden), config.context_frames):
                window = np.logical_or.reduce(hidden)[start : start + config.context_frames]
                frames = window.nonzero()[0].tolist()
                tokens = torch.zeros(1, config.n_codebooks, len(window), dtype=torch.int64, device=model.device)
                flops += count_flops(partial(network, tokens, slice(frames[0], frames[-1] + 1)))
    return Need(flops, _n_bytes(network) + n_tokens * config.codebook_size * _BYTES_PER_SAMPLE)


def _n_bytes(*parts: Codec | nn.Module) -> int:
    """Return the bytes of all weights."""
    return sum(tensor.nbytes for part in parts for tensor in part.state_dict().values())


if __name__ == "__main__":
    torch.set_num_threads(1)
    bench.measure_part("stages", "The stages of a take, on one thread.", measure)
