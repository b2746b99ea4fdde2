"""Run an experiment: re-make every excerpt under every condition, and measure the takes.

Each result is a record, one line of JSON, so that an interrupted run can be resumed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vampcli.api import Model
from vampcli.audio.waveform import Waveform
from vampcli.errors import InputError
from vampcli.evaluate.excerpts import Excerpt, cut_excerpts
from vampcli.evaluate.measures import EMBEDDING, FIGURES, Figures, Original, Spans, diversity, embed_patches
from vampcli.evaluate.spec import Condition, Decoded, Experiment
from vampcli.files import read_bounded
from vampcli.model.threads import ordered_map
from vampcli.model.transformer import VampNet
from vampcli.reading import parse_json
from vampcli.tasks.recording import Recording
from vampcli.tasks.take import Take, TakeOptions
from vampcli.tokens import masks

Record = dict[str, Any]
"""`condition` (its key, or REFERENCE), `excerpt`, `piece`, and `takes`: the figures of each; `diversity` of several;
`original`: embeddings of the excerpt, cut as those of the takes; `failed`: the error, if there are no takes."""

ORIGINAL = "original"
_MOST_RECORDS = 2**30  # bytes

REFERENCE = "reference"
"""Condition of records of other recordings, the reference of distances: embeddings alone."""


@dataclass(frozen=True)
class Trial:
    """An experiment on one model.

    Attributes:
        model: makes the takes.
        experiment: conditions to compare.
        excerpts: to re-make.
    """

    model: Model
    experiment: Experiment
    excerpts: Sequence[Excerpt]

    def records(self, done: set[tuple[str, int]]) -> Iterator[Record]:
        """Make and measure the takes of all (condition key, excerpt index) not in `done`; excerpts come in order.

        On a CPU, excerpts are made in parallel, one per core.
        """
        missing = {e.index: [c for c in self._distinct() if (c.key, e.index) not in done] for e in self.excerpts}
        wanted = {index for index, conditions in missing.items() if conditions}
        any_untrained = any(c.untrained for c in self.experiment.conditions)
        random = randomize_transformers(self.model) if any_untrained else self.model

        def work() -> Iterator[Callable[[], Record]]:
            for excerpt, audio in cut_excerpts(self.excerpts, self.model.grid.sample_rate, wanted):
                original = Original(audio, self.model.encode(audio).cpu(), self.model.grid.codebook_size)
                for condition in missing[excerpt.index]:
                    model = random if condition.untrained else self.model
                    yield partial(self._record, model, condition, excerpt, original)

        return ordered_map(lambda make: make(), work(), self.model.batches.n_lanes)

    @property
    def n_records(self) -> int:
        """Number of records of a complete run."""
        return len(self.excerpts) * len(self._distinct())

    def _distinct(self) -> list[Condition]:
        """Conditions without those that differ in name only."""
        return list({condition.key: condition for condition in self.experiment.conditions}.values())

    @torch.inference_mode()
    def _record(self, model: Model, condition: Condition, excerpt: Excerpt, original: Original) -> Record:
        head: Record = {"condition": condition.key, "excerpt": excerpt.index, "piece": str(excerpt.path)}
        try:
            takes = make_takes(model, condition, original, self.experiment.seeds(excerpt.index))
        except InputError as error:  # such as no beat in the excerpt
            return {**head, "takes": [], "failed": error.message}
        record = {**head, "takes": [self._measure(take, original) for take in takes], "diversity": diversity(takes)}
        if EMBEDDING in self.experiment.figures:
            same = takes[0].audio.n_samples == original.audio.n_samples
            record[ORIGINAL] = original.measure_once(embed_patches, takes[0].spans if same else original.whole)
        return record

    def _measure(self, take: Take, original: Original) -> Figures:
        found: Figures = {}
        for name in self.experiment.figures:
            found |= FIGURES[name](take, original)
        return {name: float(f"{x:.5g}") if isinstance(x, float) else x for name, x in found.items()}


def make_takes(model: Model, condition: Condition, original: Original, seeds: Sequence[int]) -> list[Take]:
    """Re-make an excerpt under a condition, once for each seed; once in all where a seed makes no difference."""
    audio, request = original.audio, condition.task
    if isinstance(request, Decoded):
        chosen = seeds if request.noise else seeds[:1]
        return [_through_codec(model, original, request.noise, seed) for seed in chosen]
    plan = request.plan(Recording(audio), model.codec, model.context_frames)
    if condition.fill != "model":
        filled = silence(audio, plan.spans) if condition.fill == "silence" else repeat_before(audio, plan.spans)
        n_codebooks, n_frames = original.tokens.shape
        mask = torch.from_numpy(masks.spans(n_codebooks, n_frames, plan.hidden))
        return [Take(filled, model.encode(filled).cpu()[None], mask, seeds[0], plan.spans, audio)]
    source = silence(audio, plan.spans) if condition.silenced else audio
    takes = model.takes(source, request, TakeOptions(seeds, condition.config), plan)
    return [replace(take, base=audio) if condition.silenced else take for take in takes]


def reference_records(excerpts: Sequence[Excerpt], sample_rate: int, done: set[tuple[str, int]]) -> Iterator[Record]:
    """Embed the excerpts of other recordings that are not in `done`."""
    wanted = {excerpt.index for excerpt in excerpts if (REFERENCE, excerpt.index) not in done}
    for excerpt, audio in cut_excerpts(excerpts, sample_rate, wanted):
        patches = embed_patches(audio, ((0, audio.n_samples),))
        piece = {"excerpt": excerpt.index, "piece": str(excerpt.path)}
        yield {"condition": REFERENCE, **piece, "takes": [{EMBEDDING: patches}]}


def randomize_transformers(model: Model, seed: int = 0) -> Model:
    """Return the model with transformers of random weights and the same codec."""

    def randomize(trained: VampNet) -> VampNet:
        module = VampNet(trained.config)
        module.codebooks.copy_(trained.codebooks)
        module.mask_rows.data.normal_()
        return module.to(model.device).eval().requires_grad_(False)

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return replace(model, coarse=randomize(model.coarse), fine=randomize(model.fine))


def silence(audio: Waveform, spans: Spans) -> Waveform:
    """Set spans to 0."""
    samples = audio.samples.copy()
    for start, end in spans:
        samples[:, start:end] = 0
    return replace(audio, samples=samples)


def repeat_before(audio: Waveform, spans: Spans) -> Waveform:
    """Fill each span with the sound before it, repeated from its start if that is shorter; silence if there is none."""
    samples = audio.samples.copy()
    for start, end in spans:
        n = min(start, end - start)
        before = audio.samples[:, start - n : start] if n else np.zeros_like(samples[:, :1])
        samples[:, start:end] = np.resize(before.T, (end - start, len(samples))).T
    return replace(audio, samples=samples)


def _through_codec(model: Model, original: Original, noise: float, seed: int) -> Take:
    """Encode and decode an excerpt, at the excerpt's RMS; the take's mask marks tokens that noise replaced."""
    audio, n = original.audio, original.audio.n_samples
    rng = np.random.default_rng(seed % 2**64)
    mask = torch.from_numpy(rng.random(original.tokens.shape) < noise)
    others = torch.from_numpy(rng.integers(original.codebook_size, size=original.tokens.shape))
    tokens = torch.where(mask, others, original.tokens)
    decoded = model.decode(tokens).samples[:, :n]
    gain = np.sqrt(np.mean(np.square(audio.samples)) / max(1e-12, float(np.mean(np.square(decoded)))))
    made = replace(audio, samples=(decoded * np.float32(gain)).astype(np.float32))
    return Take(made, tokens[None], mask, seed, original.whole, audio)


def read_records(path: Path) -> list[Record]:
    """Read the records of earlier runs, without incomplete lines.

    Raises:
        InputError: the file cannot be read, or a line is no record.
    """
    found = []
    lines = read_bounded(path, _MOST_RECORDS).splitlines() if path.exists() else []
    for number, line in enumerate(lines, 1):
        try:
            record = parse_json(line.decode("utf-8", "replace"), f"{path}, line {number}", finite=False)
        except InputError:
            continue  # an interrupted run left half a line
        types = {"condition": str, "excerpt": int, "takes": list}
        if not isinstance(record, dict) or any(type(record.get(key)) is not kind for key, kind in types.items()):
            raise InputError(f"{path}, line {number} is no record", "remove the line, or name another folder with -o")
        found.append(record)
    return found


def done(records: Iterable[Record]) -> set[tuple[str, int]]:
    """Return the condition keys and excerpt indices of records."""
    return {(record["condition"], record["excerpt"]) for record in records}


def append_records(path: Path, records: Iterable[Record]) -> Iterator[Record]:
    """Write each record as soon as it exists, and yield it."""
    before = read_bounded(path, _MOST_RECORDS) if path.exists() else b""
    with path.open("a", encoding="utf-8") as file:
        if before and not before.endswith(b"\n"):
            file.write("\n")  # an earlier run was interrupted
        for record in records:
            file.write(json.dumps(record) + "\n")
            file.flush()
            yield record
