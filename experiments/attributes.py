"""Agreement of re-made spans with their piece in tags, instruments, pitch classes and tempo.

python scripts/convert_musicnn.py build/musicnn runs/mtt.safetensors --network MTT_musicnn
python experiments/attributes.py make --table configs/free-music.tsv --root data/root -o runs/attributes.jsonl
python experiments/attributes.py table -o runs/attributes.jsonl

Six seconds of excerpts of held-out pieces are re-made, and described by tags (musicnn, learned from MagnaTagATune),
mean pitch classes and tempo, which are compared with those of six seconds after it, in its piece and in others.
Baselines: the original, a copy of the six seconds before, the untrained model, and a patch of another piece.
`docs/explanation/experiments.md` has the results.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import librosa
import numpy as np
import torch
from safetensors import safe_open

import vampcli
from vampcli.audio import beats
from vampcli.audio.find import SOUNDS
from vampcli.audio.resample import resample
from vampcli.config import TempoConfig
from vampcli.errors import InputError
from vampcli.evaluate import musicnn
from vampcli.evaluate.excerpts import choose_excerpts, cut_excerpts
from vampcli.evaluate.run import randomize_transformers
from vampcli.train.pieces import pieces_of_table

EXCERPT_S, SPAN_S = 18.5, (6.0, 12.0)
AFTER_S = (12.5, 18.5)
INSTRUMENTS = ("guitar", "strings", "drums", "piano", "violin", "synth", "harpsichord", "flute", "sitar", "choir")
INSTRUMENTS += ("harp", "cello", "vocals", "male vocal", "female vocal")
N_RESAMPLED = 1000

Record = dict[str, Any]


def describe(audio: vampcli.Waveform, span_s: tuple[float, float], weights: dict[str, torch.Tensor]) -> dict[str, Any]:
    """Tags of two patches in the mean, mean pitch classes, and tempo in beats a minute, None where there is none."""
    part = audio.samples[:, round(span_s[0] * audio.sample_rate) : round(span_s[1] * audio.sample_rate)]
    samples = torch.from_numpy(resample(part, audio.sample_rate, musicnn.RATE))[0]
    patches = torch.stack([samples[: musicnn.PATCH], samples[-musicnn.PATCH :]])
    found = musicnn.embed(weights, patches) @ weights["dense_1/kernel"] + weights["dense_1/bias"]
    chroma = librosa.feature.chroma_stft(
        y=resample(part, audio.sample_rate, 22050)[0], sr=22050, n_fft=4096, tuning=0.0
    )
    try:
        tempo = beats.track(part, audio.sample_rate, TempoConfig()).bpm
    except InputError:
        tempo = None
    classes = [round(float(x), 4) for x in chroma.mean(1)]
    return {"tags": [round(x, 4) for x in found.sigmoid().mean(0).tolist()], "chroma": classes, "tempo": tempo}


def make(arguments: argparse.Namespace) -> Iterator[Record]:
    """A record of each way of filling each span, and of what comes after it."""
    torch.set_num_threads(1)
    model, weights = vampcli.load(arguments.model, "cpu"), musicnn.load_weights(arguments.tagger)
    rate, config = model.grid.sample_rate, vampcli.SamplingConfig(steps=arguments.steps)
    models = {"model": model, "untrained": randomize_transformers(model)}
    pieces = pieces_of_table(arguments.table, arguments.root, "test")
    files = [piece.path for piece in pieces if piece.path.suffix in SOUNDS]
    places = [place for path in files for place in choose_excerpts([path], EXCERPT_S, arguments.excerpts)]
    places = [replace(place, index=i) for i, place in enumerate(places)]
    for place, audio in cut_excerpts(places, rate, range(len(places))):
        head = {"excerpt": place.index, "piece": str(place.path)}
        yield {**head, "way": "after", **describe(audio, AFTER_S, weights)}
        start, end = (round(s * rate) for s in SPAN_S)
        copied = replace(audio, samples=audio.samples.copy())
        copied.samples[:, start:end] = audio.samples[:, 2 * start - end : start]
        made = {
            "original": audio,
            "copy": copied,
            **{
                name: one.inpaint(audio, [SPAN_S], seed=place.index, sampling=config)[0].audio
                for name, one in models.items()
            },
        }
        for way, sound in made.items():
            yield {**head, "way": way, **describe(sound, SPAN_S, weights)}


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    """Return the cosine of two vectors: -1 to 1."""
    return float(a @ b / max(1e-12, np.linalg.norm(a) * np.linalg.norm(b)))


def spaces(records: Sequence[Record], names: Sequence[str]) -> dict[str, np.ndarray]:
    """Vectors of all records by attribute: what all of this music has in common is taken away from tags."""
    tags = np.array([record["tags"] for record in records]).clip(1e-6, 1 - 1e-6)
    logits = np.log(tags / (1 - tags))
    logits -= logits.mean(0)
    chroma = np.array([record["chroma"] for record in records])
    octaves = np.array([np.nan if record["tempo"] is None else np.log2(record["tempo"]) for record in records])
    turns = np.stack([np.cos(2 * np.pi * octaves), np.sin(2 * np.pi * octaves)], 1)  # twice as fast is as fast
    instruments = [i for i, name in enumerate(names) if name in INSTRUMENTS]
    return {
        "tags": logits,
        "instruments": logits[:, instruments],
        "pitch classes": chroma - chroma.mean(1, keepdims=True),
        "tempo": np.nan_to_num(turns),
    }


def agreements(records: Sequence[Record], space: np.ndarray) -> dict[str, dict[str, list[float]]]:
    """Return by way and piece the share of other pieces less similar to the span than its piece is after the span.

    1 is best, 1/2 chance; ties count half.
    """
    by_way: dict[str, dict[int, np.ndarray]] = defaultdict(dict)
    after: dict[int, np.ndarray] = {}
    pieces = {record["excerpt"]: record["piece"] for record in records}
    for record, vector in zip(records, space, strict=True):
        if record["way"] == "after":
            after[record["excerpt"]] = vector
        else:
            by_way[record["way"]][record["excerpt"]] = vector
    order = sorted(pieces)
    others = {e: next(o for o in [*order[i:], *order] if pieces[o] != pieces[e]) for i, e in enumerate(order)}
    by_way["another piece"] = {e: by_way["original"][other] for e, other in others.items()}
    found: dict[str, dict[str, list[float]]] = {}
    for way, vectors in by_way.items():
        found[way] = defaultdict(list)
        for excerpt, vector in vectors.items():
            own = cosine(vector, after[excerpt])
            rivals = [cosine(vector, x) for e, x in after.items() if pieces[e] != pieces[excerpt]]
            share = float(np.mean([(own > x) + 0.5 * (own == x) for x in rivals]))
            found[way][pieces[excerpt]].append(share)
    return found


def with_interval(by_piece: dict[str, list[float]]) -> str:
    """The mean over excerpts and its 95 % interval, over pieces drawn again with replacement."""
    groups = list(by_piece.values())
    rng = np.random.default_rng(0)
    draws = rng.integers(len(groups), size=(N_RESAMPLED, len(groups)))
    means = [np.mean(np.concatenate([groups[i] for i in draw])) for draw in draws]
    low, high = np.quantile(means, [0.025, 0.975])
    return f"{np.mean(np.concatenate(groups)):.2f} ({low:.2f} to {high:.2f})"


def table(records: Sequence[Record], names: Sequence[str]) -> str:
    """Format the results as Markdown."""
    by_attribute = {attribute: agreements(records, space) for attribute, space in spaces(records, names).items()}
    lines = [f"| the span is | {' | '.join(by_attribute)} |", "|---|" + "--:|" * len(by_attribute)]
    for way in ("original", "copy", "model", "untrained", "another piece"):
        cells = [with_interval(found[way]) for found in by_attribute.values()]
        lines.append(f"| {way} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Make, or print what there is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", choices=["make", "table"])
    parser.add_argument("--table", type=Path, default=Path("configs/free-music.tsv"))
    parser.add_argument("--root", type=Path, default=Path("data/root"), help="where the paths of the table begin")
    parser.add_argument("--model", default="mini")
    parser.add_argument("--tagger", type=Path, default=Path("runs/mtt.safetensors"), help="weights converted")
    parser.add_argument("--excerpts", type=int, default=4, help="of each piece")
    parser.add_argument("--steps", type=int, default=36)
    parser.add_argument("-o", "--out", type=Path, required=True)
    arguments = parser.parse_args()
    if arguments.task == "make":
        with arguments.out.open("w") as file:
            for record in make(arguments):
                file.write(json.dumps(record) + "\n")
                file.flush()
    else:
        records = [json.loads(line) for line in arguments.out.read_text().splitlines()]
        with safe_open(arguments.tagger, "pt") as file:
            names = json.loads(file.metadata()["tags"])
        sys.stdout.write(table(records, names))


if __name__ == "__main__":
    main()
