"""Going on after two seconds of held-out music for three more: an autoregressive coarse model beside a masked one.

python -m experiments.equal_time autoregressive --tokens data -o runs/equal/autoregressive
python -m experiments.equal_time cosine --tokens data -o runs/equal/cosine
python -m experiments.going_on --autoregressive runs/equal/autoregressive --masked runs/equal/cosine \\
  --table configs/free-music.tsv --root data/root --split test --reference-split ood -o runs/going-on

Codec and fine model are the same. `seconds` are those of one core for the tokens of an excerpt, coarse and fine.
`docs/experiments.md` has the results.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from experiments.autoregressive import continued

import vampcli
from vampcli.cli.recordings import files_of
from vampcli.engine import Model
from vampcli.evaluate.excerpts import Place, cut, spread_over
from vampcli.evaluate.experiment import Condition
from vampcli.evaluate.figures import Original, embedded, sound
from vampcli.evaluate.figures import tokens as of_tokens
from vampcli.evaluate.summary import summarised
from vampcli.evaluate.trial import ORIGINAL, Record, reference_records
from vampcli.evaluate.written import markdown, write_tables
from vampcli.remake import generate

KEPT_S, EXCERPT_S = 2.0, 5.0
AUTOREGRESSIVE, MASKED = "autoregressive", "masked"
CONDITIONS = (
    *(Condition(AUTOREGRESSIVE, AUTOREGRESSIVE, {}, s, swept=s) for s in ({"temperature": 0.8}, {"temperature": 1})),
    *(Condition(MASKED, MASKED, {}, s, swept=s) for s in ({"n_steps": n} for n in (1, 4, 12, 36))),
)


@dataclass(frozen=True)
class Pair:
    """Two models that differ in how their coarse networks have learned."""

    autoregressive: Model
    masked: Model

    def go_on(self, tokens: torch.Tensor, n_kept: int, seed: int, condition: Condition) -> torch.Tensor:
        """Make all frames but the first anew: int64 (n_codebooks, n_frames) -> the same shape."""
        tokens, mask = tokens.clone(), torch.ones_like(tokens, dtype=torch.bool)
        mask[:, :n_kept] = False
        if condition.command == AUTOREGRESSIVE:
            network, generator = self.autoregressive.coarse, torch.Generator().manual_seed(seed)
            n, temperature = network.config.n_codebooks, condition.config.temperature
            tokens[:n] = continued(network, tokens[:n, :n_kept], tokens.shape[1], temperature, generator)
            mask[:n] = False
        return generate(self.masked, tokens[None], mask[None], [seed], condition.config)[0]


@torch.inference_mode()
def records(pair: Pair, places: Sequence[Place], conditions: Sequence[Condition]) -> Iterator[Record]:
    """One of each condition, for each excerpt."""
    model, rate = pair.masked, pair.masked.grid.sample_rate
    for place, audio in cut(places, rate, range(len(places))):
        original = Original(audio, model.encode(audio), model.grid.codebook_size)
        n_kept = model.grid.frames_touched(0, round(KEPT_S * rate), rate)[1]
        span = ((n_kept * model.grid.hop_length, audio.n_samples),)
        mask = torch.ones_like(original.tokens, dtype=torch.bool)
        mask[:, :n_kept] = False
        gain = level(audio) / level(model.decode(original.tokens))  # models hear music louder
        for condition in conditions:
            began = time.process_time()
            made = pair.go_on(original.tokens, n_kept, place.index, condition)
            seconds = time.process_time() - began
            samples = model.decode(made).samples[:, : audio.n_samples] * np.float32(gain)
            take = vampcli.Take(replace(audio, samples=samples), made[None], mask, place.index, span, audio)
            figures = {**sound(take, original), **of_tokens(take, original), "seconds": seconds}
            figures["embedding"] = embedded(take.audio, span)
            head = {"condition": condition.key, "excerpt": place.index, "piece": str(place.path)}
            yield {**head, "takes": [figures], ORIGINAL: embedded(audio, span)}


def level(audio: vampcli.Waveform) -> float:
    """RMS, above 0."""
    return max(1e-6, float(np.sqrt(np.square(audio.samples).mean())))


def main(arguments: Sequence[str] | None = None) -> None:
    """Make, measure, and write tables."""
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
    places, others = (spread_over(paths, EXCERPT_S, given.excerpts) for paths in files)
    given.out.mkdir(parents=True, exist_ok=True)
    found = []
    with (given.out / "records.jsonl").open("w") as file:
        rate = pair.masked.grid.sample_rate
        for made in (records(pair, places, CONDITIONS), reference_records(others, rate, set())):
            for record in made:
                file.write(json.dumps(record) + "\n")
                found.append(record)
    rows = summarised(found, CONDITIONS)
    write_tables(rows, given.out, {name: str(value) for name, value in vars(given).items()})
    sys.stdout.write(markdown(rows))


if __name__ == "__main__":
    main()
