"""The best of eight takes of a span, by the scores of `--keep` and by the agreement of attacks with similar places.

python -m experiments.keep --table configs/free-music.tsv --root data/root --split test -o runs/keep/test

Spans are chosen and measured as in `experiments/memory.py`: one of each piece. `docs/explanation/experiments.md` has
the results.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
from experiments.memory import AROUND_S, LONGEST_S, Case, choose, parser_of

import vampcli
from vampcli.cli.eval_inputs import files_of
from vampcli.config import MemoryConfig
from vampcli.evaluate.excerpts import load_clip
from vampcli.evaluate.measures import FIGURES, Original
from vampcli.evaluate.run import append_records, read_records
from vampcli.scoring.attacks import ExpectedAttacks, correlation, strength
from vampcli.scoring.scores import Reference
from vampcli.tasks.recording import Recording
from vampcli.tasks.take import Take

SETS = {
    "memory, edit 0.5": MemoryConfig(edit=0.5),
    "memory, edit 1": MemoryConfig(edit=1.0),
    "model alone": MemoryConfig(memory=0.0),
}
FIGURE_NAMES = ("onset_f1", "attacks_true", "mel_error", "chroma_correlation")
UNITS = (0.1, 0.2, 0.3, 0.5, 1.0, 2.0)  # of the fault of attacks
LEAST_S = 40.0  # of a piece
N_TAKES = 8
GROUPS = ("sound", "harmony", "rhythm")

Record = dict[str, Any]
Pick = Callable[[list[Record]], int]


def measure(case: Case, take: Take, expected: ExpectedAttacks, original: Original, first: int) -> Record:
    """Scores of a take, and its figures against the truth, an excerpt that begins at sample `first`."""
    excerpt = original.audio
    start, end = case.start - first, case.end - first
    part = replace(take.audio, samples=take.audio.samples[:, first : first + excerpt.n_samples])
    short = replace(take, audio=part, spans=((start, end),), base=excerpt)
    scores = Reference.of(take.base, take.spans).score(take)
    figures = {name: value for group in GROUPS for name, value in FIGURES[group](short, original).items()}
    return figures | {
        "attacks_true": correlation(strength(part, start, end), strength(excerpt, start, end)),
        "total": scores.total,
        "hopeless": bool(scores.hopeless),
        "attacks": expected.agreement(take.audio),
        "seed": take.seed,
    }


def records(
    model: vampcli.Model, chosen: Sequence[tuple[Path, float]], seconds: float, found: Sequence[Record]
) -> Iterator[Record]:
    """One record of each span and set that is not done yet."""
    rate, known = model.grid.sample_rate, {(one["set"], one["span"]) for one in found}
    for index, (path, start_s) in enumerate(chosen):
        if {(name, index) for name in SETS} <= known:
            continue
        clip = load_clip(path, rate, LONGEST_S)
        recording = Recording(vampcli.Waveform(clip.samples[None].numpy(), rate))
        start = round(start_s * rate)
        case = Case(model, recording, start, start + round(seconds * rate), False, index)
        first, last = max(0, start - round(AROUND_S * rate)), case.end + round(AROUND_S * rate)
        excerpt = replace(recording.clip, samples=recording.clip.samples[:, first:last])
        original = Original(excerpt, torch.empty(0), model.grid.codebook_size)
        _, plan = case.plan(MemoryConfig())
        expected = ExpectedAttacks.of(recording.clip, plan.stretches)
        for name, memory in ((a, b) for a, b in SETS.items() if (a, index) not in known):
            takes = [measure(case, take, expected, original, first) for take in case.takes(memory, range(N_TAKES))]
            yield {"set": name, "span": index, "piece": path.name, "takes": takes}


def by_total(unit: float | None) -> Pick:
    """Return a function that picks the best take by all scores, with the fault of attacks in this unit."""

    def value(take: Record) -> tuple[bool, float]:
        fault = 0.0 if unit is None or take["attacks"] is None else (1 - take["attacks"]) / unit
        return not take["hopeless"], take["total"] - fault**2

    return lambda takes: max(range(len(takes)), key=lambda i: value(takes[i]))


def tables(found: Sequence[Record]) -> str:
    """Return a table of each set: mean figures of all takes, of the best by each rule, and the best figures."""
    picks: dict[str, Pick] = {"first take": lambda takes: 0, "best by the other scores": by_total(None)}
    picks |= {f"best with attacks, unit {unit:g}": by_total(unit) for unit in UNITS}
    picks["best by attacks alone"] = by_total(1e-6)
    lines = ["| takes | rule | onsets F1 | attacks | mel error | pitch classes |", "|---|---|--:|--:|--:|--:|"]
    for name in SETS:
        groups = [one["takes"] for one in found if one["set"] == name]
        rows = {"mean": [[_mean([take[f] for take in takes]) for takes in groups] for f in FIGURE_NAMES]}
        for rule, pick in picks.items():
            rows[rule] = [[takes[pick(takes)][f] for takes in groups] for f in FIGURE_NAMES]
        rows["best possible"] = [[_best([take[f] for take in takes], f) for takes in groups] for f in FIGURE_NAMES]
        for rule, columns in rows.items():
            cells = " | ".join(f"{_mean(column):.3f}" for column in columns)
            lines.append(f"| {name} | {rule} | {cells} |")
    return "\n".join(lines)


def _known(values: Sequence[float | None]) -> list[float]:
    return [value for value in values if value is not None]


def _mean(values: Sequence[float | None]) -> float | None:
    known = _known(values)
    return float(np.mean(known)) if known else None


def _best(values: Sequence[float | None], name: str) -> float | None:
    known = _known(values)
    return (min if name == "mel_error" else max)(known, default=None)


def main(arguments: Sequence[str] | None = None) -> None:
    """Make and measure the takes, and write the table."""
    parser = parser_of(__doc__)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--pieces", type=int, default=8)
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    model = vampcli.load(given.model, "cpu")
    files = files_of([], given.table, given.root, given.split)
    long = [path for path in files if soundfile.info(path).duration > LEAST_S]
    chosen = choose(long[:: max(1, len(long) // given.pieces)], given.seconds, given.pieces, False, given.seed)
    given.out.mkdir(parents=True, exist_ok=True)
    path = given.out / "records.jsonl"
    found = read_records(path)
    with torch.inference_mode():
        for one in append_records(path, records(model, chosen, given.seconds, found)):
            found.append(one)
            sys.stderr.write(f"{len(found)} of {len(chosen) * len(SETS)}\n")
    sys.stdout.write(tables(found) + "\n")


if __name__ == "__main__":
    main()
