"""An autoregressive model beside the masked one: the same tokens, data, layers and training time.

python experiments/autoregressive.py train --kind autoregressive --minutes 60 --tokens data -o runs/ar
python experiments/autoregressive.py train --kind masked --minutes 60 --tokens data -o runs/masked
python experiments/autoregressive.py compare --autoregressive runs/ar --masked runs/masked -o runs/ar.jsonl
python experiments/autoregressive.py table -o runs/ar.jsonl

Both have the coarse model's sizes and start from the same informed weights. The autoregressive one sees each codebook a
frame later than the one before ("MusicGen", Copet et al., arXiv 2306.05284), so that one pass gives a token of each; it
attends to the past alone, and keeps keys and values. Both go on after two seconds of held-out music for three more; the
fine model and the codec are those of `mini` on both sides. No results yet: it has not been run for an hour.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor

import vampcli
from vampcli.config import SamplingConfig
from vampcli.evaluate import metrics, musicnn
from vampcli.evaluate.excerpts import cut, spread_over
from vampcli.evaluate.figures import embedded
from vampcli.model import VampNet, VampNetConfig
from vampcli.recordings import pieces_of_table
from vampcli.remake import generate
from vampcli.train.config import DataConfig, LoopConfig, TokenRun
from vampcli.train.loop import Trainer
from vampcli.train.transformer import TokenTask

KEPT_S, MADE_S = 2.0, 3.0
STEPS = (1, 4, 12, 36)
CODEC = "checkpoints/mini"


def delayed(tokens: Tensor, hidden_id: int) -> Tensor:
    """Codebook k comes k frames later: (batch, n_codebooks, n_frames) -> (batch, n_codebooks, n_frames + n - 1)."""
    n = tokens.shape[1]
    return torch.stack([F.pad(tokens[:, k], (k, n - 1 - k), value=hidden_id) for k in range(n)], 1)


def undelayed(tokens: Tensor) -> Tensor:
    """The inverse: (batch, n_codebooks, n_frames + n - 1) -> (batch, n_codebooks, n_frames)."""
    n, length = tokens.shape[1], tokens.shape[2]
    return torch.stack([tokens[:, k, k : length - (n - 1 - k)] for k in range(n)], 1)


def causal(network: VampNet, n_frames: int) -> Tensor:
    """The learned bias of pairs of frames, of which the later is out of sight: (n_heads, n_frames, n_frames)."""
    bias = network.attention_bias(n_frames)
    return bias.masked_fill(torch.ones(n_frames, n_frames, dtype=torch.bool).triu(1), -torch.inf)


class AutoregressiveTask(TokenTask):
    """Each delayed frame from those before it."""

    def _targets_and_logits(self, clips: Tensor, hidden: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        config = self.run.model
        late = delayed(clips, config.codebook_size)
        seen = F.pad(late[..., :-1], (1, 0), value=config.codebook_size)
        features = self.model.features(seen, bias=causal(self.model, seen.shape[-1]))
        logits = self.model.classifier(features).view(*features.shape[:2], config.n_codebooks, config.codebook_size)
        for k in range(config.n_codebooks):
            there = late[:, k] < config.codebook_size
            yield late[:, k][there], logits[:, :, k][there].float()


class Cached:
    """A network that is given one frame after another, and keeps keys and values of those before."""

    def __init__(self, network: VampNet, n_frames: int) -> None:
        self.network, self.bias, self.n = network, network.attention_bias(n_frames), 0
        shape = (network.config.n_heads, n_frames, network.config.width // network.config.n_heads)
        self.keys, self.values = (torch.zeros(len(network.layers), *shape) for _ in range(2))

    def __call__(self, frames: Tensor) -> Tensor:
        """Tokens (n_codebooks, n_new) -> logits after the last of them, (n_codebooks, codebook_size)."""
        network, n_new = self.network, frames.shape[1]
        x = network.embed(network.look_up(frames[None]))
        here, past = slice(self.n, self.n + n_new), slice(0, self.n + n_new)
        bias = self.bias[:, here, past]
        if n_new > 1:
            ahead = torch.arange(self.n + n_new)[None] > torch.arange(self.n, self.n + n_new)[:, None]
            bias = bias.masked_fill(ahead, -torch.inf)
        for i, layer in enumerate(network.layers):
            y = layer.norm_1(x)
            q, k, v = (
                part(y).view(n_new, layer.n_heads, -1).transpose(0, 1) for part in (layer.query, layer.key, layer.value)
            )
            self.keys[i, :, here], self.values[i, :, here] = k, v
            mixed = F.scaled_dot_product_attention(q, self.keys[i, :, past], self.values[i, :, past], attn_mask=bias)
            x = x + layer.output(mixed.transpose(0, 1).reshape(1, n_new, -1))
            a, b = layer.widen(layer.norm_2(x)).chunk(2, dim=-1)
            x = x + layer.narrow(a * F.gelu(b, approximate="tanh"))
        self.n += n_new
        logits: Tensor = network.classifier(network.norm(x[:, -1:]))
        return logits.view(network.config.n_codebooks, -1)


@torch.inference_mode()
def continued(network: VampNet, kept: Tensor, n_frames: int, temperature: float, generator: torch.Generator) -> Tensor:
    """Go on after kept tokens, a frame a pass: (n_codebooks, n_kept) -> (n_codebooks, n_frames)."""
    n, hidden_id = network.config.n_codebooks, network.config.codebook_size
    late = torch.full((n, n_frames + n - 1), hidden_id)
    for k in range(n):
        late[k, k : k + kept.shape[1]] = kept[k]
    cached, first = Cached(network, late.shape[1]), kept.shape[1]
    logits = cached(F.pad(late[:, :first], (1, 0), value=hidden_id))
    for t in range(first, late.shape[1]):
        drawn = torch.multinomial((logits / temperature).softmax(-1), 1, generator=generator)[:, 0]
        for k in range(n):
            if kept.shape[1] <= t - k < n_frames:
                late[k, t] = drawn[k]
        if t + 1 < late.shape[1]:
            logits = cached(late[:, t : t + 1])
    return undelayed(late[None])[0]


def train(arguments: argparse.Namespace) -> None:
    """Learn for so many minutes."""
    torch.set_num_threads(1)
    config = vampcli.load("mini", "cpu", "fp32").coarse.config
    data = DataConfig(str(arguments.tokens / "train"), str(arguments.tokens / "val"), codec=CODEC)
    loop = LoopConfig(batch_size=4, learning_rate=4e-4, warmup_steps=100, n_steps=10**6, validate_every=300)
    run = TokenRun(data, replace(config, dropout=0.0), n_frames=288, loop=loop)
    task = (AutoregressiveTask if arguments.kind == "autoregressive" else TokenTask)(run)
    trainer = Trainer(task, loop, arguments.out)
    arguments.out.mkdir(parents=True, exist_ok=True)
    trainer.run(arguments.minutes, lambda figures: sys.stderr.write(json.dumps(figures) + "\n"))
    with trainer.averaged():
        save_file(task.model.state_dict(), arguments.out / "model.safetensors")
    (arguments.out / "about.json").write_text(json.dumps({"steps": trainer.step, "seconds": trainer.seconds}))


def learned(folder: Path, config: VampNetConfig) -> VampNet:
    """The network of a run."""
    network = VampNet(config)
    network.load_state_dict(load_file(folder / "model.safetensors"))
    return network.eval().requires_grad_(False)


def compare(arguments: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """A record of each way of going on, for each excerpt."""
    torch.set_num_threads(1)
    model = vampcli.load("mini", "cpu", "fp32")
    ours = replace(model, coarse=learned(arguments.masked, model.coarse.config))
    other = learned(arguments.autoregressive, model.coarse.config)
    rate, n_coarse = model.grid.sample_rate, model.coarse.config.n_codebooks
    files = [piece.path for piece in pieces_of_table(arguments.table, arguments.root, "test")]
    places = spread_over(files, KEPT_S + MADE_S, arguments.excerpts)
    for place, audio in cut(places, rate, range(len(places))):
        tokens = model.encode(audio)
        n_kept = model.grid.frames_touched(0, round(KEPT_S * rate), rate)[1]
        mask = torch.ones_like(tokens, dtype=torch.bool)
        mask[:, :n_kept] = False
        span = ((n_kept * model.grid.hop_length, audio.n_samples),)
        level = at_level_of(audio, model.decode(tokens))
        yield {"way": "original", "steps": 0, "seconds": 0, **heard(audio, span)}
        for way in ("autoregressive", *STEPS):
            config = SamplingConfig(n_steps=way if isinstance(way, int) else 1)
            began, given, left = time.process_time(), tokens.clone(), mask.clone()
            if way == "autoregressive":
                generator = torch.Generator().manual_seed(place.index)
                given[:n_coarse] = continued(other, tokens[:n_coarse, :n_kept], tokens.shape[1], 1.0, generator)
                left[:n_coarse] = False
            with torch.inference_mode():
                made = generate(ours, given[None], left[None], [place.index], config)[0]
            seconds = time.process_time() - began
            sound = level(model.decode(made))
            figures = heard(sound, span)
            a, b = (torch.from_numpy(x.samples[0, span[0][0] : span[0][1]]) for x in (sound, audio))
            error = metrics.piece_mel_error(a[: len(b)], b, rate)
            name = "masked" if isinstance(way, int) else way
            steps = way if isinstance(way, int) else tokens.shape[1] - n_kept
            yield {"way": name, "steps": steps, "seconds": seconds, "mel_error": error, **figures}


def at_level_of(audio: vampcli.Waveform, decoded: vampcli.Waveform) -> Callable[[vampcli.Waveform], vampcli.Waveform]:
    """Undo what models hear louder: by as much as all of the excerpt has been, through the codec."""
    gain = np.sqrt(np.square(audio.samples).mean() / max(1e-12, np.square(decoded.samples).mean()))
    return lambda sound: replace(sound, samples=sound.samples * np.float32(gain))


def heard(audio: vampcli.Waveform, span: tuple[tuple[int, int], ...]) -> dict[str, Any]:
    """What the tagging network hears of what was made."""
    return {"embeddings": embedded(audio, span)}


def table(records: list[dict[str, Any]]) -> str:
    """What was measured, as Markdown."""
    groups = defaultdict(list)
    for record in records:
        groups[record["way"], record["steps"]].append(record)
    real = [e for record in groups["original", 0] for e in record["embeddings"]]
    lines = ["| model | passes | seconds | mel error | distance |", "|---|--:|--:|--:|--:|"]
    for (way, steps), rows in groups.items():
        if way != "original":
            made = [e for record in rows for e in record["embeddings"]]
            seconds, error = (np.mean([row[name] for row in rows]) for name in ("seconds", "mel_error"))
            distance = musicnn.frechet_distance(made, real)
            lines.append(f"| {way} | {steps} | {seconds:.2f} | {error:.3f} | {distance:.1f} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Train, compare, or print what there is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", choices=["train", "compare", "table"])
    parser.add_argument("--kind", choices=["autoregressive", "masked"])
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--tokens", type=Path, help="folder of `train` and `val`, made by `vamp train tokens`")
    parser.add_argument("--autoregressive", type=Path)
    parser.add_argument("--masked", type=Path)
    parser.add_argument("--table", type=Path, default="configs/free-music.tsv")
    parser.add_argument("--root", type=Path, default="data/root", help="where the paths of the table begin")
    parser.add_argument("--excerpts", type=int, default=64)
    parser.add_argument("-o", "--out", type=Path, required=True)
    arguments = parser.parse_args()
    if arguments.task == "train":
        train(arguments)
    elif arguments.task == "compare":
        with arguments.out.open("w") as file:
            for record in compare(arguments):
                file.write(json.dumps(record) + "\n")
    else:
        sys.stdout.write(table([json.loads(line) for line in arguments.out.read_text().splitlines()]))


if __name__ == "__main__":
    main()
