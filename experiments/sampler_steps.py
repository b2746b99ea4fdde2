"""Comparison of numbers of steps and orders of the sampler.

python experiments/sampler_steps.py order --audio data/val -o runs/steps.jsonl
python experiments/sampler_steps.py vamp --audio data/val -o runs/steps.jsonl
python experiments/sampler_steps.py inpaint --audio data/val -o runs/steps.jsonl
python experiments/sampler_steps.py table -o runs/steps.jsonl

Every result is a JSON line; what is in the file already is not made again. `docs/explanation/experiments.md` has the
results, and says what the figures mean.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import vampcli
from vampcli.audio.resample import resample_range
from vampcli.evaluate import metrics, musicnn
from vampcli.evaluate.frechet import Normal
from vampcli.sampling import order as unmasking
from vampcli.sampling import sampler as sampling
from vampcli.sampling.windows import window_predictor
from vampcli.train.data import Pool

EXCERPT_S, SPAN_S = 10.0, (4.0, 6.0)
STEPS = (1, 4, 8, 12, 24, 36)
SETTINGS = {  # sampler, temperature and numbers of steps of takes
    "vamp": [
        ("confidence", 1.0, (1, 4, 8, 12, 36)),
        ("confidence", 0.7, (4, 12)),
        ("halton", 0.7, (1, 4, 8, 12, 36)),
        ("halton", 1.0, (12,)),
    ],
    "inpaint": [("confidence", 1.0, (1, 4, 12, 36)), ("halton", 0.7, (1, 4, 12, 36))],
}
MANY_STEPS = 72  # of variations with the first sampler and seed alone
VAMP_S, PERIOD = 5.0, 16
PATCHES_S = {"vamp": (0.0, 2.0), "inpaint": (3.5,)}  # where patches of 3 s begin
ORDERS = {
    **unmasking.ORDERS,
    "levels": lambda frames, levels: levels,
    "random": lambda frames, _: torch.randperm(len(frames), generator=torch.Generator().manual_seed(0)),
}

Record = dict[str, Any]
KEY = ("task", "sampler", "temperature", "steps", "excerpt", "seed")


def excerpts(folder: Path, n: int, later_s: float = 0.0) -> Iterator[vampcli.Waveform]:
    """Excerpts of 10 s from the middles of n pieces, or from later in these."""
    pool = Pool(folder, "samples")
    for i in np.linspace(0, len(pool.pieces) - 1, n).round().astype(int):
        rate, length = 44100, round(EXCERPT_S * 44100)
        start = (int(pool.lengths[i]) - length) // 2 + round(later_s * rate)
        start = min(max(0, start), int(pool.lengths[i]) - length)
        samples = pool.pieces[i][..., start : start + length].float() / 32768
        yield vampcli.Waveform(samples.reshape(1, -1).numpy(), rate)


def part(clip: vampcli.Waveform, start_s: float, end_s: float) -> vampcli.Waveform:
    """A part of a clip."""
    return replace(clip, samples=clip.samples[:, round(start_s * clip.sample_rate) : round(end_s * clip.sample_rate)])


@torch.inference_mode()
def surprise(model: vampcli.Model, tokens: Tensor, mask: Tensor, order: str, n_steps: int) -> float:
    """Nats a token by which real music surprises the coarse model, if revealed to it in an order, in so many steps.

    For an order that is fixed beforehand it is how unlikely the sampler is to make this music: cross entropy, exactly.
    That of `confidence` chooses places by what is drawn there, as in the sampler, but reveals what stands there.
    """
    generator = torch.Generator().manual_seed(0)
    network, context = model.coarse, model.coarse.config.context_frames
    forward = partial(network, bias=network.attention_bias(min(context, tokens.shape[1])))
    predict = window_predictor(forward, context, mask.any(0)[None])
    hidden, sizes = unmasking.list_hidden(mask[None], context, ORDERS[order])
    shown, total, counts = tokens[None].masked_fill(mask, model.grid.mask_id), 0.0, unmasking.schedule(sizes, n_steps)
    for step in range(n_steps):
        drawn = unmasking.select_candidates(hidden, sizes, counts[step], counts[step + 1])
        real, sure = torch.zeros(len(hidden)), torch.zeros(len(hidden))
        chance = vampcli.SamplingConfig().mask_temperature * (1 - (step + 1) / n_steps)
        for piece, logits in sampling._candidate_logits(predict, shown, hidden, drawn, 0):
            log_p, own = logits.log_softmax(-1), hidden[piece]
            ids = torch.multinomial(log_p.exp(), 1, generator=generator)
            real[piece] = log_p.gather(1, tokens[own.codebooks, own.frames][:, None])[:, 0]
            sure[piece] = log_p.gather(1, ids)[:, 0]
            sure[piece] += chance * -torch.empty(len(piece)).exponential_(generator=generator).log()
        stay = unmasking.select_remasked(hidden, sure, counts[step], counts[step + 1])
        made = torch.ones(len(hidden), dtype=torch.bool).index_fill(0, stay, False).nonzero()[:, 0]
        total -= float(real[made].sum())
        own = hidden[made]
        shown[0, own.codebooks, own.frames] = tokens[own.codebooks, own.frames]
        hidden = hidden[stay]
    return total / sum(sizes)


def orders(model: vampcli.Model, clips: list[vampcli.Waveform]) -> Iterator[tuple[Record, Callable]]:
    """Yield keys of records of orders, with functions that measure them."""
    for i, clip in enumerate(clips):
        tokens = model.encode(part(clip, 2.5, 2.5 + VAMP_S))[: model.coarse.config.n_codebooks]
        mask = torch.ones_like(tokens, dtype=torch.bool)
        mask[:, i % PERIOD :: PERIOD] = False
        for n_steps in STEPS:
            for order in ORDERS if n_steps in (4, 12) else unmasking.ORDERS:
                key = {"task": "order", "sampler": order, "temperature": 1.0, "steps": n_steps, "excerpt": i, "seed": 0}
                yield key, lambda t=tokens, m=mask, o=order, n=n_steps: {"nats": surprise(model, t, m, o, n)}


def originals(task: str, model: vampcli.Model, folder: Path, n: int) -> Iterator[tuple[Record, Callable]]:
    """Yield the same for baselines: the excerpts, decoded tokens of them, and later excerpts."""
    weights = musicnn.load_weights()
    kinds = {
        "original": (0.0, lambda x: x),
        "codec": (0.0, lambda x: model.decode(model.encode(x))),
        "later": (8.0, lambda x: x),
    }
    for kind, (later_s, change) in kinds.items():
        for i, clip in enumerate(excerpts(folder, n, later_s)):
            source = part(clip, 2.5, 2.5 + VAMP_S) if task == "vamp" else clip
            key = {"task": task, "sampler": kind, "temperature": 0.0, "steps": 0, "excerpt": i, "seed": 0}
            yield (
                key,
                lambda x=source, c=change: {
                    "repeats": repeats(model.encode(x)[0]),
                    "embeddings": embeddings(task, c(x), weights),
                },
            )


def repeats(first: Tensor, hidden: Tensor | None = None) -> float:
    """Return the share of tokens equal to the one before: int64 (n_frames,)."""
    same = first[1:] == first[:-1]
    return float((same if hidden is None else same[hidden[1:]]).double().mean())


def made(task: str, model: vampcli.Model, clips: list[vampcli.Waveform], seeds: range) -> Iterator:
    """Yield keys of records of takes, with functions that measure them."""
    weights = musicnn.load_weights()
    if task == "vamp":
        clips = [part(clip, 2.5, 2.5 + VAMP_S) for clip in clips]
    for seed in seeds:
        for i, clip in enumerate(clips):
            for sampler, heat, all_steps in SETTINGS[task]:
                more = [MANY_STEPS] if (task, sampler, heat, seed) == ("vamp", "confidence", 1.0, 0) else []
                for n_steps in [*all_steps, *more]:
                    config = vampcli.SamplingConfig(steps=n_steps, sampler=sampler, temperature=heat)
                    key = {"sampler": sampler, "temperature": heat, "steps": n_steps, "excerpt": i, "seed": seed}
                    yield {"task": task, **key}, partial(figures, task, model, clip, 100 * i + seed, config, weights)


def figures(
    task: str,
    model: vampcli.Model,
    clip: vampcli.Waveform,
    seed: int,
    config: vampcli.SamplingConfig,
    weights: dict[str, Tensor],
) -> Record:
    """Make a take, and measure it."""
    if task == "vamp":
        take, span = model.vamp(clip, vampcli.PromptConfig(period=PERIOD), seed=seed, sampling=config)[0], (0.0, VAMP_S)
    else:
        take, span = model.inpaint(clip, [SPAN_S], seed=seed, sampling=config)[0], SPAN_S
    a, b = (torch.from_numpy(part(x, *span).samples[0].copy()) for x in (take.audio, clip))
    return {
        "mel_error": metrics.piece_mel_error(a, b, clip.sample_rate),
        "level_db": metrics.level_difference_db(a, b),
        "repeats": repeats(take.tokens[0, 0], take.mask[0]),
        "embeddings": embeddings(task, take.audio, weights),
    }


def embeddings(task: str, clip: vampcli.Waveform, weights: dict[str, Tensor]) -> list[list[float]]:
    """Embed each patch."""
    starts = [round(start * musicnn.RATE) for start in PATCHES_S[task]]
    patches = [resample_range(clip.samples, clip.sample_rate, musicnn.RATE, a, a + musicnn.PATCH)[0] for a in starts]
    found = musicnn.embed(weights, torch.stack([torch.from_numpy(patch.copy()) for patch in patches]))
    return [[round(x, 4) for x in row] for row in found.tolist()]


def table(records: list[Record]) -> str:
    """Format means over excerpts, their standard errors, and those of paired differences, as Markdown.

    Differences are to the paper's sampler at 36 steps, on the same excerpts with the same seeds. The error of a
    distance is the jackknife's over excerpts.
    """
    lines = []
    for task in dict.fromkeys(record["task"] for record in records):
        groups = defaultdict(list)
        for record in records:
            if record["task"] == task:
                groups[record["sampler"], record["temperature"], record["steps"]].append(record)
        names = ["nats"] if task == "order" else ["mel_error", "level_db", "repeats"]
        heads = names if task == "order" else [*names, "distance"]
        lines.append(f"\n| {task} | T | steps | takes | {' | '.join(f'{n} | difference' for n in heads)} |")
        lines.append("|---|--:|--:|--:|" + "--:|" * (2 * len(heads)))
        usual, real = groups["confidence", 1.0, 36], groups["original", 0.0, 0]
        for (sampler, heat, n_steps), rows in sorted(groups.items()):
            cells = [cell for name in names for cell in (mean(rows, name), difference(rows, usual, name))]
            if rows and task != "order":
                cells += [distance(rows, real), distance(rows, real, usual)]
            if rows:
                lines.append(" | ".join([f"| {sampler}", f"{heat:g}", str(n_steps), str(len(rows)), *cells]) + " |")
    return "\n".join(lines) + "\n"


def by_excerpt(rows: list[Record], name: str, seeds: set[int] | None = None) -> dict[int, float]:
    """Means over seeds."""
    found = defaultdict(list)
    for row in rows:
        if name in row and (seeds is None or row["seed"] in seeds):
            found[row["excerpt"]].append(row[name])
    return {excerpt: float(np.mean(values)) for excerpt, values in found.items()}


def mean(rows: list[Record], name: str) -> str:
    """Mean and standard error over excerpts."""
    return with_error(list(by_excerpt(rows, name).values()))


def difference(rows: list[Record], usual: list[Record], name: str) -> str:
    """Format paired differences over excerpts."""
    seeds = {row["seed"] for row in rows} & {row["seed"] for row in usual}
    a, b = (by_excerpt(x, name, seeds) for x in (rows, usual))
    return with_error([a[i] - b[i] for i in a if i in b]) if rows is not usual else ""


def with_error(values: list[float]) -> str:
    """Mean and standard error."""
    if len(values) < 2:
        return ""
    return f"{np.mean(values):.3f} ± {np.std(values, ddof=1) / len(values) ** 0.5:.3f}"


def distance(rows: list[Record], originals: list[Record], usual: list[Record] | None = None) -> str:
    """Fréchet distance to the originals, mean over seeds, less that of `usual`; its jackknife error over excerpts."""
    sets = [rows] if usual is None else [rows, usual]
    seeds = set.intersection(*({row["seed"] for row in part} for part in sets))
    common = sorted(set.intersection(*({r["excerpt"] for r in part if r["seed"] in seeds} for part in sets)))

    def of(part: list[Record], kept: set[int]) -> float:
        real = [e for row in originals if row["excerpt"] in kept for e in row["embeddings"]]
        made = [[e for r in part if r["seed"] == s and r["excerpt"] in kept for e in r["embeddings"]] for s in seeds]
        return float(np.mean([Normal.of(embedded).distance(Normal.of(real)) for embedded in made]))

    def figure(kept: set[int]) -> float:
        return of(rows, kept) - (0.0 if usual is None else of(usual, kept))

    if len(common) < 3 or rows is usual:
        return ""
    parts = [figure(set(common) - {excerpt}) for excerpt in common]
    return f"{figure(set(common)):.1f} ± {((len(parts) - 1) * np.var(parts)) ** 0.5:.1f}"


def jobs(arguments: argparse.Namespace, model: vampcli.Model) -> Iterator[tuple[Record, Callable]]:
    """All that belongs to a task: keys of records, and what makes the rest of them."""
    clips = list(excerpts(arguments.audio, arguments.excerpts))
    if arguments.task == "order":
        yield from orders(model, clips)
    else:
        yield from originals(arguments.task, model, arguments.audio, arguments.excerpts)
        yield from made(arguments.task, model, clips, range(arguments.seeds))


def main() -> None:
    """Measure one task, or print what there is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", choices=["order", "vamp", "inpaint", "table"])
    parser.add_argument("--audio", type=Path, help="folder of prepared pieces, not learned from")
    parser.add_argument("--model", default="mini")
    parser.add_argument("--excerpts", type=int, default=16)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("-o", "--out", type=Path, required=True)
    arguments = parser.parse_args()
    lines = arguments.out.read_text().splitlines() if arguments.out.exists() else []
    records = [json.loads(line) for line in lines]
    if arguments.task == "table":
        sys.stdout.write(table(records))
        return
    torch.set_num_threads(1)
    model = vampcli.load(arguments.model, device="cpu", dtype="fp32")
    done = {tuple(record[k] for k in KEY) for record in records}
    with arguments.out.open("a") as file:
        for key, make in jobs(arguments, model):
            if tuple(key.values()) not in done:
                file.write(json.dumps(key | make()) + "\n")
                file.flush()


if __name__ == "__main__":
    main()
