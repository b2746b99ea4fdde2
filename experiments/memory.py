"""Spans and continuations of held-out music, from memory, by the models alone, and as copies.

python -m experiments.memory spans --seconds 2 --table configs/free-music.tsv --root data/root -o runs/memory/2
python -m experiments.memory continuations --seconds 8 --excerpts 32 --table configs/free-music.tsv --root data/root \
  -o runs/memory/continuations

Spans lie at random, 14 s or more from the ends of the first three minutes of a piece; continuations see all before
them. Both are chosen by a seed. Figures are those of `vamp eval run`, measured with six seconds on either side.
`docs/explanation/experiments.md` has the results.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

import vampcli
from vampcli.cli.eval_inputs import files_of
from vampcli.config import MemoryConfig, SamplingConfig
from vampcli.evaluate.excerpts import load_clip
from vampcli.evaluate.measures import EMBEDDING, FIGURES, Original, diversity, embed_patches
from vampcli.evaluate.run import ORIGINAL, REFERENCE, Record, append_records, done, read_records, repeat_before
from vampcli.evaluate.spec import Condition
from vampcli.evaluate.summary import markdown, summarize, write_tables
from vampcli.tasks.inpaint import Inpaint
from vampcli.tasks.outpaint import Outpaint
from vampcli.tasks.plan import Plan
from vampcli.tasks.recording import Recording
from vampcli.tasks.spans import SpanRequest
from vampcli.tasks.take import Take, TakeOptions

EDGE_S, AROUND_S, LONGEST_S = 14.0, 6.0, 180.0
GROUPS = ("sound", "harmony", "rhythm", "seams", "embedding")
SAMPLING = SamplingConfig(steps=8, sampler="halton", temperature=0.875)
GOOD_SCORE = 0.4  # of the best place: the music repeats

Make = Callable[["Case"], list[Take]]


@dataclass(frozen=True)
class Case:
    """A span of a piece, samples [start, end), or its continuation from `start` on."""

    model: vampcli.Model
    recording: Recording
    start: int
    end: int
    continues: bool
    seed: int

    def plan(self, memory: MemoryConfig) -> tuple[Inpaint | Outpaint, Plan]:
        """The task and its plan."""
        rate = self.recording.clip.sample_rate
        task = (
            Outpaint(after=(self.end - self.start) / rate, memory=memory)
            if self.continues
            else Inpaint(SpanRequest([(self.start / rate, self.end / rate)]), memory=memory)
        )
        return task, task.plan(self.recording, self.model.codec, self.model.context_frames)

    def takes(self, memory: MemoryConfig, seeds: Sequence[int], config: SamplingConfig = SAMPLING) -> list[Take]:
        """Make takes; seed 0 gets the best place, seed 1 the second."""
        task, plan = self.plan(memory)
        return list(self.model.takes(self.recording, task, TakeOptions(seeds, config), plan))

    def as_take(self, samples: Any) -> list[Take]:
        """Samples that were not generated, as a take."""
        clip = replace(self.recording.clip, samples=samples)
        return [Take(clip, torch.empty(0), torch.empty(0), 0, ((self.start, self.end),), clip)]


def copy_of(variant: int) -> Make:
    """Return a function that copies the best place, or the next ones."""
    return lambda case: case.takes(MemoryConfig(edit=0.0), [variant], SamplingConfig(steps=1, fine_steps=1))


def recall(edit: float) -> Make:
    """Return a function that makes two takes from memory."""
    return lambda case: case.takes(MemoryConfig(edit=edit), [0, 1])


def before(case: Case) -> list[Take]:
    """The sound before the span."""
    clip = case.recording.clip
    longer = np.pad(clip.samples, ((0, 0), (0, max(0, case.end - clip.n_samples))))
    return case.as_take(repeat_before(replace(clip, samples=longer), ((case.start, case.end),)).samples)


def codec(case: Case) -> list[Take]:
    """The codec's version of the truth, at its level."""
    clip = case.recording.clip
    first = max(0, case.start - round(AROUND_S * clip.sample_rate))
    own = clip.samples[:, first : case.end + round(AROUND_S * clip.sample_rate)]
    decoded = case.model.decode(case.model.encode(replace(clip, samples=own))).samples[:, : own.shape[1]]
    samples = clip.samples.copy()
    samples[:, first : first + own.shape[1]] = decoded * np.sqrt(np.square(own).mean() / np.square(decoded).mean())
    return case.as_take(samples)


CONDITIONS: dict[str, Make] = {
    "the music itself": lambda case: case.as_take(case.recording.clip.samples),
    "codec of the true tokens": codec,
    "the sound before": before,
    "model alone": lambda case: case.takes(MemoryConfig(memory=0.0), [0, 1]),
    "best place, copied": copy_of(0),
    "second place, copied": copy_of(1),
    "memory, edit 0.5": recall(0.5),
    "memory, edit 1": recall(1.0),
}
TRUTH = ("the music itself", "codec of the true tokens")  # they see what a continuation is compared with


def choose(files: Sequence[Path], seconds: float, n: int, continues: bool, seed: int) -> list[tuple[Path, float]]:
    """Choose n spans at random: pieces in turn, and starts in seconds."""
    rng = np.random.default_rng(seed)
    chosen = []
    for i in range(n):
        path = files[i % len(files)]
        duration_s = min(LONGEST_S, vampcli.read(path).duration_s)
        first = max(EDGE_S, min(30.0, duration_s / 2)) if continues else EDGE_S
        chosen.append((path, float(rng.uniform(first, duration_s - seconds - (0 if continues else EDGE_S)))))
    return chosen


def record(case: Case, whole: vampcli.Waveform, name: str) -> Record:
    """Make and measure the takes of one condition."""
    began = time.process_time()
    takes = CONDITIONS[name](replace(case, recording=Recording(whole)) if name in TRUTH else case)
    seconds = time.process_time() - began
    rate = whole.sample_rate
    first, last = max(0, case.start - round(AROUND_S * rate)), min(whole.n_samples, case.end + round(AROUND_S * rate))
    last = case.end if case.continues else last
    excerpt = replace(whole, samples=whole.samples[:, first:last])
    original = Original(excerpt, torch.empty(0), case.model.grid.codebook_size)
    span = ((case.start - first, case.end - first),)
    figures, cut = [], []
    for take in takes:
        part = replace(take.audio, samples=take.audio.samples[:, first:last])
        cut.append(replace(take, audio=part, spans=span, base=excerpt))
        found: dict[str, Any] = {"cpu_s": seconds / len(takes)}
        for group in GROUPS:
            found |= FIGURES[group](cut[-1], original)
        if take.sources:
            found["score"] = take.sources[0].place.score
        figures.append(found)
    return {"takes": figures, "diversity": diversity(cut), ORIGINAL: embed_patches(excerpt, span)}


def records(
    model: vampcli.Model,
    chosen: Sequence[tuple[Path, float]],
    seconds: float,
    continues: bool,
    names: Sequence[str],
    known: Collection[tuple[str, int]],
) -> Iterator[Record]:
    """One record of each span and condition that is not done yet."""
    rate = model.grid.sample_rate
    for path in dict.fromkeys(path for path, _ in chosen):
        clip = load_clip(path, rate, LONGEST_S)
        whole = vampcli.Waveform(clip.samples[None].numpy(), rate)
        known_part: dict[int, Recording] = {whole.n_samples: Recording(whole)}
        for index, (_, start_s) in ((i, one) for i, one in enumerate(chosen) if one[0] == path):
            start = round(start_s * rate)
            length = start if continues else whole.n_samples
            recording = known_part.setdefault(length, Recording(replace(whole, samples=whole.samples[:, :length])))
            case = Case(model, recording, start, start + round(seconds * rate), continues, index)
            for name in names:
                if (name, index) not in known:
                    head = {"condition": name, "excerpt": index, "piece": str(path)}
                    yield head | record(case, whole, name)


def tables(found: Sequence[Record], names: Sequence[str], out: Path, about: dict[str, Any]) -> None:
    """Write tables of all spans, and of those whose music repeats or does not."""
    conditions = [Condition(name, name) for name in names]
    keyed = {condition.name: condition.key for condition in conditions}
    found = [{**one, "condition": keyed[one["condition"]]} for one in found if one["condition"] in keyed]
    copies = [one for one in found if one["condition"] == keyed["best place, copied"]]
    scores = {one["excerpt"]: one["takes"][0].get("score", 0.0) for one in copies}
    groups = {
        "all": set(scores),
        "repeats": {excerpt for excerpt, score in scores.items() if score >= GOOD_SCORE},
        "no match": {excerpt for excerpt, score in scores.items() if score < GOOD_SCORE},
    }
    for title, excerpts in groups.items():
        here = [one for one in found if one["excerpt"] in excerpts]
        real = [one[ORIGINAL] for one in here if one["condition"] == keyed["best place, copied"]]
        target = {"condition": REFERENCE, "takes": [{EMBEDDING: patches} for patches in real]}
        rows = summarize([*here, target], conditions, "model alone")
        folder = out / title.replace(" ", "-")
        folder.mkdir(exist_ok=True)
        write_tables(rows, folder, about)
        sys.stdout.write(f"\n{title}: {len(excerpts)} spans\n\n{markdown(rows)}\n")


def parser_of(description: str | None) -> argparse.ArgumentParser:
    """Return a parser with the options of experiments on held-out pieces."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-m", "--model", default="mini")
    parser.add_argument("--table", type=Path, default=Path("configs/free-music.tsv"))
    parser.add_argument("--root", type=Path, default=Path("data/root"), help="where the paths of the table begin")
    parser.add_argument("--split", default="test")
    parser.add_argument("--seed", type=int, default=20)
    parser.add_argument("-o", "--out", type=Path, required=True)
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """Make and measure what is not done yet, and write tables."""
    parser = parser_of(__doc__)
    parser.add_argument("what", choices=["spans", "continuations"])
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--excerpts", type=int, default=64)
    parser.add_argument("--conditions", nargs="+", default=list(CONDITIONS), choices=list(CONDITIONS))
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    model, continues = vampcli.load(given.model, "cpu"), given.what == "continuations"
    files = files_of([], given.table, given.root, given.split)
    chosen = choose(files, given.seconds, given.excerpts, continues, given.seed)
    given.out.mkdir(parents=True, exist_ok=True)
    path = given.out / "records.jsonl"
    found = read_records(path)
    with torch.inference_mode():
        new = records(model, chosen, given.seconds, continues, given.conditions, done(found))
        for one in append_records(path, new):
            found.append(one)
            sys.stderr.write(f"\r{len(found)} of {len(chosen) * len(given.conditions)}")
    tables(found, given.conditions, given.out, {"model": given.model, "what": given.what, "seconds": given.seconds})


if __name__ == "__main__":
    main()
