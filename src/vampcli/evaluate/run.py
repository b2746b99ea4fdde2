"""An experiment carried out: every excerpt under every condition, a record each."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from typing import Any

import numpy as np
import torch

from vampcli.api import Model
from vampcli.audio.waveform import Waveform
from vampcli.errors import InputError
from vampcli.evaluate.excerpts import Place, cut
from vampcli.evaluate.inpaint import untrained
from vampcli.evaluate.measures import EMBEDDING, FIGURES, Figures, Original, diversity, embedded
from vampcli.evaluate.records import ORIGINAL, REFERENCE, Record
from vampcli.evaluate.spec import Condition, Decoded, Experiment
from vampcli.model.batching import one_core_threads
from vampcli.tasks.take import Take


@dataclass(frozen=True)
class Trial:
    """A model, and what is asked of it.

    Attributes:
        model: that makes takes.
        experiment: what is compared.
        places: of the excerpts.
    """

    model: Model
    experiment: Experiment
    places: Sequence[Place]

    def records(self, done: set[tuple[str, int]]) -> Iterator[Record]:
        """Make and measure what is not done yet, by condition and excerpt; recording by recording, in order.

        On a CPU excerpts are made side by side, a core each.
        """
        missing = {
            place.index: [c for c in self._distinct() if (c.key, place.index) not in done] for place in self.places
        }
        wanted = {index for index, left in missing.items() if left}
        untaught = untrained(self.model) if any(c.untrained for c in self.experiment.conditions) else self.model

        def work() -> Iterator[Callable[[], Record]]:
            for place, audio in cut(self.places, self.model.grid.sample_rate, wanted):
                original = self._original(audio)
                for condition in missing[place.index]:
                    model = untaught if condition.untrained else self.model
                    yield partial(self._record, model, condition, place, original)

        return _side_by_side(work(), self.model.batches.n_lanes)

    @property
    def n_records(self) -> int:
        """How many there are in the end."""
        return len(self.places) * len(self._distinct())

    def _distinct(self) -> list[Condition]:
        """Conditions, of which several names may have the same."""
        return list({condition.key: condition for condition in self.experiment.conditions}.values())

    def _original(self, audio: Waveform) -> Original:
        return Original(audio, self.model.encode(audio).cpu(), self.model.grid.codebook_size)

    @torch.inference_mode()
    def _record(self, model: Model, condition: Condition, place: Place, original: Original) -> Record:
        head: Record = {"condition": condition.key, "excerpt": place.index, "piece": str(place.path)}
        try:
            takes = self._takes(model, condition, original, self.experiment.seeds(place.index))
        except InputError as error:  # it has no beat, say
            return {**head, "takes": [], "failed": error.message}
        record = {**head, "takes": [self._measured(take, original) for take in takes], "diversity": diversity(takes)}
        if EMBEDDING in self.experiment.figures:
            same = takes[0].audio.n_samples == original.audio.n_samples
            record[ORIGINAL] = original.once(embedded, takes[0].spans if same else original.whole)
        return record

    def _measured(self, take: Take, original: Original) -> Figures:
        found: Figures = {}
        for name in self.experiment.figures:
            found |= FIGURES[name](take, original)
        return {name: _short(value) for name, value in found.items()}

    def _takes(self, model: Model, condition: Condition, original: Original, seeds: Sequence[int]) -> list[Take]:
        audio, request = original.audio, condition.verb
        if isinstance(request, Decoded):
            differ = seeds if request.noise else seeds[:1]
            return [_through_codec(model, original, request.noise, seed) for seed in differ]
        plan = request.plan(audio, model.codec, model.coarse.config.context_frames)
        heard = _silenced(audio, plan.spans) if condition.silenced else audio
        takes = model.takes(heard, request, seeds=seeds, plan=plan, config=condition.config)
        return [replace(take, base=audio) if condition.silenced else take for take in takes]


def reference_records(places: Sequence[Place], sample_rate: int, done: set[tuple[str, int]]) -> Iterator[Record]:
    """Embed excerpts of other recordings, those that are not done yet."""
    wanted = {place.index for place in places if (REFERENCE, place.index) not in done}
    for place, audio in cut(places, sample_rate, wanted):
        heard = embedded(audio, ((0, audio.n_samples),))
        piece = {"excerpt": place.index, "piece": str(place.path)}
        yield {"condition": REFERENCE, **piece, "takes": [{EMBEDDING: heard}]}


def _through_codec(model: Model, original: Original, noise: float, seed: int) -> Take:
    """What the codec alone makes of an excerpt, at the excerpt's level; `mask` has the tokens that noise replaced."""
    audio, n = original.audio, original.audio.n_samples
    rng = np.random.default_rng(seed % 2**64)
    mask = torch.from_numpy(rng.random(original.tokens.shape) < noise)
    others = torch.from_numpy(rng.integers(original.codebook_size, size=original.tokens.shape))
    tokens = torch.where(mask, others, original.tokens)
    sound = model.decode(tokens).samples[:, :n]
    gain = np.sqrt(np.mean(np.square(audio.samples)) / max(1e-12, float(np.mean(np.square(sound)))))
    made = replace(audio, samples=(sound * np.float32(gain)).astype(np.float32))
    return Take(made, tokens[None], mask, seed, original.whole, audio)


def _silenced(audio: Waveform, spans: Sequence[tuple[int, int]]) -> Waveform:
    samples = audio.samples.copy()
    for start, end in spans:
        samples[:, start:end] = 0
    return replace(audio, samples=samples)


def _short(value: Any) -> Any:
    return float(f"{value:.5g}") if isinstance(value, float) else value


def _side_by_side(work: Iterable[Callable[[], Record]], n: int) -> Iterator[Record]:
    """Do the work, n pieces at a time, and give what comes of it in order."""
    if n == 1:
        yield from (piece() for piece in work)
        return
    pieces, waiting = iter(work), deque[Future[Record]]()
    with one_core_threads(n, "excerpt") as pool:
        try:
            while True:
                waiting.extend(pool.submit(piece) for piece in islice(pieces, 2 * n - len(waiting)))
                if not waiting:
                    return
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)
