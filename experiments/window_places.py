"""Where the windows of a long clip should lie: how well real music is foretold, and in how many passes.

python experiments/window_places.py --tokens data/val-tokens --model mini

`docs/experiments.md` has the results.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor

import vampcli
from vampcli.model.transformer import VampNet
from vampcli.sampling import windows
from vampcli.train.data import Pool

CLIP_S, HOLE_S, PERIOD = 30.0, 2.0, 16
SHARES = (1.0, 0.5)  # of the tokens that are hidden at first, as in the first steps and in later ones


def hard(hidden: Tensor, context: int) -> list[int]:
    """One after another; the last ends with the clip."""
    return [*range(0, max(0, len(hidden) - context), context), max(0, len(hidden) - context)]


def grid(hidden: Tensor, context: int) -> list[int]:
    """Each half a context after the one before."""
    return [*range(0, max(0, len(hidden) - context), context // 2), max(0, len(hidden) - context)]


PLACES: dict[str, Callable[[Tensor, int], list[int]]] = {"hard": hard, "grid": grid, "around": windows.window_starts}


@torch.inference_mode()
def surprise(network: VampNet, clip: Tensor, mask: Tensor, place: str) -> tuple[float, int]:
    """Nats a hidden token, and windows that were run: int64 and bool (n_codebooks, n_frames)."""
    context, n_passes = network.config.context_frames, 0
    forward = partial(network, bias=network.attention_bias(min(context, clip.shape[1])))

    def counted(tokens: Tensor, wanted: slice = slice(None)) -> Tensor:
        nonlocal n_passes
        n_passes += len(tokens)
        return forward(tokens, wanted)

    with patch.object(windows, "window_starts", PLACES[place]):
        predict = windows.windowed(counted, context, mask.any(0)[None])
    hidden_at = mask[network.config.n_conditioning :]
    real, nats = clip[network.config.n_conditioning :], []
    for _, first, logits in predict(clip[None].masked_fill(mask, network.config.codebook_size), mask.any(0)[None]):
        frames = slice(first, first + logits.shape[2])
        log_p = logits[0].log_softmax(-1).gather(-1, real[:, frames, None])[..., 0]
        nats.append(-log_p[hidden_at[:, frames]])
    return float(torch.cat(nats).mean()), n_passes


def masks(network: VampNet, clip: Tensor, generator: torch.Generator) -> Iterator[tuple[str, Tensor]]:
    """What is hidden, and its name: bool (n_codebooks, n_frames)."""
    n_frames, frame_s = clip.shape[1], CLIP_S / clip.shape[1]
    hole = torch.zeros_like(clip, dtype=torch.bool)
    length = round(HOLE_S / frame_s)
    start = (n_frames - length) // 2
    hole[network.config.n_conditioning :, start : start + length] = True
    everything = torch.zeros_like(hole)
    everything[network.config.n_conditioning :] = True
    if not network.config.n_conditioning:
        everything[:, ::PERIOD] = False
    for name, mask in {f"{HOLE_S:g} s": hole, "all": everything}.items():
        for share in SHARES:
            yield f"{name}, {share:.0%}", mask & (torch.rand(clip.shape, generator=generator) < share)


def main() -> None:
    """Measure, and print a table in Markdown: means, and the paired difference to the grid with its standard error."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", type=Path, required=True, help="folder of `vamp train tokens`, not learned from")
    parser.add_argument("--model", default="mini")
    parser.add_argument("--clips", type=int, default=24)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    model, pool = vampcli.load(arguments.model, device="cpu", dtype="fp32"), Pool(arguments.tokens, "codes")
    n_frames = round(CLIP_S * model.grid.sample_rate / model.grid.hop_length)
    long = [i for i, length in enumerate(pool.lengths) if length >= n_frames]
    found: dict[tuple[str, str, str], list[tuple[float, int]]] = defaultdict(list)
    for nth, i in enumerate(np.linspace(0, len(long) - 1, arguments.clips).round().astype(int)):
        start = (int(pool.lengths[long[i]]) - n_frames) // 2
        tokens = pool.pieces[long[i]][:, start : start + n_frames].long()
        for name, network in {"coarse": model.coarse, "fine": model.fine}.items():
            clip = tokens[: network.config.n_codebooks]
            for task, mask in masks(network, clip, torch.Generator().manual_seed(nth)):
                for place in PLACES:
                    found[name, task, place].append(surprise(network, clip, mask, place))
        sys.stderr.write(f"clip {nth + 1} of {arguments.clips}\n")
    sys.stdout.write("| model | hidden | windows | passes | nats | against the grid |\n|---|---|---|--:|--:|--:|\n")
    for (name, task, place), rows in found.items():
        nats, passes = np.array(rows).T
        less = nats - np.array(found[name, task, "grid"]).T[0]
        error = less.std(ddof=1) / len(less) ** 0.5
        sys.stdout.write(
            f"| {name} | {task} | {place} | {passes.mean():.1f} | {nats.mean():.3f} "
            f"| {'' if place == 'grid' else f'{less.mean():+.4f} ± {error:.4f}'} |\n"
        )


if __name__ == "__main__":
    main()
