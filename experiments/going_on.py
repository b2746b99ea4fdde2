"""Going on after two seconds of held-out music for three more: an autoregressive coarse model beside a masked one.

python -m experiments.equal_time autoregressive --steps 1905 --tokens data -o runs/equal/autoregressive
python -m experiments.equal_time cosine --steps 2077 --tokens data -o runs/equal/cosine
python -m experiments.going_on --autoregressive runs/equal/autoregressive --masked runs/equal/cosine \
  --table configs/free-music.tsv --root data/root -o runs/going-on

The two seconds are encoded alone, so that no token depends on what follows. Fine tokens are made in the same way
everywhere, also of the true coarse tokens, which says how much of a distance is the coarse model's. Temperatures are
those of the logits, without what `mini` is multiplied by (0.8). `coarse s` are seconds of one core.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

import numpy as np
import torch
from experiments.autoregressive import extend
from torch import Tensor

import vampcli
from vampcli.api import Model
from vampcli.cli.eval_inputs import files_of
from vampcli.config import SamplingConfig
from vampcli.evaluate.excerpts import Excerpt, choose_excerpts, cut_excerpts
from vampcli.evaluate.measures import Original, embed_patches, sound
from vampcli.evaluate.measures import tokens as of_tokens
from vampcli.evaluate.run import ORIGINAL, Record, append_records, done, read_records, reference_records
from vampcli.evaluate.spec import CODEC, Condition
from vampcli.evaluate.summary import markdown, summarize, write_tables
from vampcli.tasks.regenerate import generate

KEPT_S, EXCERPT_S = 2.0, 5.0
AUTOREGRESSIVE, MASKED, TRUE = "autoregressive", "masked", "true coarse tokens"
FINE = SamplingConfig(temperature=0.8)


def _condition(name: str, **sampling: float) -> Condition:
    return Condition(name, name, {}, sampling, swept=sampling)


CONDITIONS = (
    *(_condition(AUTOREGRESSIVE, temperature=t) for t in (0.8, 1.0)),
    *(_condition(MASKED, temperature=0.8, steps=n) for n in (1, 4, 12, 36)),
    _condition(MASKED, temperature=1.0, steps=36),
    _condition(TRUE),
    _condition(CODEC),
)
BASELINE = CONDITIONS[5].label


@dataclass(frozen=True)
class Pair:
    """Two models that differ in how their coarse networks have learned."""

    autoregressive: Model
    masked: Model

    def coarse(self, tokens: Tensor, n_kept: int, seed: int, condition: Condition) -> Tensor:
        """Make coarse tokens after the first frames: int64 (n_codebooks, n_frames) -> the same shape."""
        n, given = self.masked.coarse.config.n_codebooks, tokens.clone()
        if condition.command == AUTOREGRESSIVE:
            generator, heat = torch.Generator().manual_seed(seed), condition.config.temperature
            given[:n] = extend(self.autoregressive.coarse, tokens[:n, :n_kept], tokens.shape[1], heat, generator)
        elif condition.command == MASKED:
            mask = torch.zeros_like(tokens, dtype=torch.bool)
            mask[:n, n_kept:] = True
            given = generate(self.masked, tokens[None], mask[None], [seed], condition.config)[0]
        return given

    def fine(self, tokens: Tensor, n_kept: int, seed: int) -> Tensor:
        """Make the fine tokens to coarse ones, after the first frames."""
        mask = torch.zeros_like(tokens, dtype=torch.bool)
        mask[self.masked.coarse.config.n_codebooks :, n_kept:] = True
        return generate(self.masked, tokens[None], mask[None], [seed], FINE)[0]


@torch.inference_mode()
def records(
    pair: Pair, places: Sequence[Excerpt], conditions: Sequence[Condition], known: Collection[tuple[str, int]]
) -> Iterator[Record]:
    """One of each condition, for each excerpt, that is not done yet."""
    model, rate = pair.masked, pair.masked.grid.sample_rate
    missing = {place.index for place in places if any((c.key, place.index) not in known for c in conditions)}
    for place, audio in cut_excerpts(places, rate, missing):
        original = Original(audio, model.encode(audio), model.grid.codebook_size)
        n_kept = model.grid.frames_touched(0, round(KEPT_S * rate), rate)[1]
        start = n_kept * model.grid.hop_length
        before = model.encode(replace(audio, samples=audio.samples[:, :start]))
        given = torch.cat([before[:, :n_kept], original.tokens[:, n_kept:]], 1)
        mask = torch.ones_like(given, dtype=torch.bool)
        mask[:, :n_kept] = False
        gain = np.float32(level(audio) / level(model.decode(original.tokens)))  # the codec works at another level
        for condition in conditions:
            if (condition.key, place.index) in known:
                continue
            began = time.process_time()
            made = pair.coarse(given, n_kept, place.index, condition)
            seconds = time.process_time() - began
            if condition.command != CODEC:
                made = pair.fine(made, n_kept, place.index)
            samples = model.decode(made).samples[:, : audio.n_samples] * gain
            span = ((start, audio.n_samples),)
            take = vampcli.Take(replace(audio, samples=samples), made[None], mask, place.index, span, audio)
            figures = {"coarse_s": seconds, **sound(take, original), **of_tokens(take, original)}
            figures["embedding"] = embed_patches(take.audio, span)
            head = {"condition": condition.key, "excerpt": place.index, "piece": str(place.path)}
            yield {**head, "takes": [figures], ORIGINAL: original.measure_once(embed_patches, span)}


def level(audio: vampcli.Waveform) -> float:
    """RMS, above 0."""
    return max(1e-6, float(np.sqrt(np.square(audio.samples).mean())))


def main(arguments: Sequence[str] | None = None) -> None:
    """Make and measure what is not done yet, and write tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--autoregressive", type=Path, required=True)
    parser.add_argument("--masked", type=Path, required=True)
    parser.add_argument("--table", type=Path, default=Path("configs/free-music.tsv"))
    parser.add_argument("--root", type=Path, default=Path("data/root"), help="where the paths of the table begin")
    parser.add_argument("--split", default="test")
    parser.add_argument("--reference-split", default="ood")
    parser.add_argument("--excerpts", type=int, default=500)
    parser.add_argument("-o", "--out", type=Path, required=True)
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    pair = Pair(*(vampcli.load(folder, "cpu") for folder in (given.autoregressive, given.masked)))
    files = [files_of([], given.table, given.root, split) for split in (given.split, given.reference_split)]
    places, others = (choose_excerpts(paths, EXCERPT_S, given.excerpts) for paths in files)
    given.out.mkdir(parents=True, exist_ok=True)
    path = given.out / "records.jsonl"
    found = read_records(path)
    known, rate = done(found), pair.masked.grid.sample_rate
    found += append_records(
        path, chain(records(pair, places, CONDITIONS, known), reference_records(others, rate, known))
    )
    rows = summarize(found, CONDITIONS, BASELINE)
    write_tables(rows, given.out, {name: str(value) for name, value in vars(given).items()})
    sys.stdout.write(markdown(rows))


if __name__ == "__main__":
    main()
