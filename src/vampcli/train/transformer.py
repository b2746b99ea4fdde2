"""How coarse and fine transformers learn: guess the hidden tokens of random excerpts."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from vampcli import checkpoint
from vampcli.errors import ModelError
from vampcli.model import VampNet
from vampcli.train.config import TokenRun
from vampcli.train.data import Pool, training_pool
from vampcli.train.loop import Task, autocast_dtype
from vampcli.train.tokens import token_codec_hash

_N_VALIDATION_CLIPS = 32
_VALIDATION_RATIOS = (0.1, 0.3, 0.5, 0.7, 0.9)


class TokenTask(Task):
    """The masked language model of the paper, with a random share of hidden tokens for each excerpt.

    Source: Garcia et al., "VampNet" (arXiv 2307.04686), section 3.1.
    """

    def __init__(self, run: TokenRun) -> None:
        super().__init__()
        self.run = run
        config = run.model
        codec = checkpoint.load_parts(Path(run.data.codec), torch.device("cpu"), torch.float32).codec
        own_hash = checkpoint.stored_hash(Path(run.data.codec) / "codec.safetensors")
        for folder in (run.data.train, run.data.validation):
            if token_codec_hash(folder) != own_hash:
                raise ModelError(
                    f"the tokens in {folder} are of another codec than {run.data.codec}", "pack them again"
                )
        # In the state, so that an export can tell whether a codec belongs to what was learned.
        self.register_buffer("codec_hash", torch.tensor(list(bytes.fromhex(own_hash)), dtype=torch.uint8))
        self.model = VampNet(config)
        self.model.codebooks.copy_(codec.codebooks[: config.n_codebooks])
        self.model.mask_rows.data.copy_(self.model.codebooks.mean(1))
        self.pool = training_pool(run.data.train, "codes", run.data.author_cap)
        held_out = Pool(run.data.validation, "codes")
        rng = np.random.default_rng(0)
        self.validation_clips = held_out.draw(rng, _N_VALIDATION_CLIPS, run.n_frames)[:, : config.n_codebooks].long()
        self.dtype = autocast_dtype(run.loop.dtype, torch.device("cpu"))

    def loss(self, step: int, rng: np.random.Generator) -> tuple[Tensor, dict[str, float]]:
        """Smoothed cross entropy of hidden, predicted tokens."""
        clips = self.pool.draw(rng, self.run.loop.batch_size, self.run.n_frames)
        clips = clips[:, : self.run.model.n_codebooks].long()
        hidden = draw_masks(clips.shape, self.run.model.n_conditioning, rng)
        total, n_hits, n_hidden = torch.zeros(()), 0.0, 0
        for target, guess in self._targets_and_logits(clips, hidden):
            total = total + F.cross_entropy(guess, target, label_smoothing=self.run.label_smoothing, reduction="sum")
            n_hits += float((guess.detach().argmax(-1) == target).sum())
            n_hidden += len(target)
        return total / n_hidden, {"top_1": n_hits / n_hidden}

    def _targets_and_logits(self, clips: Tensor, hidden: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Codebook by codebook, hidden tokens (n_hidden,) and their logits (n_hidden, classes).

        Only what is hidden goes through the classifier, which is a seventh of all work.
        """
        config = self.run.model
        shape = (config.n_predicted, config.codebook_size)
        weights = self.model.classifier.weight.view(*shape, -1)
        biases = self.model.classifier.bias.view(shape)
        with torch.autocast(clips.device.type, self.dtype, enabled=self.dtype is not None):
            features = self.model.features(clips.masked_fill(hidden, config.codebook_size)).flatten(0, 1)
            for level, (weight, bias) in enumerate(zip(weights, biases, strict=True), config.n_conditioning):
                places = torch.nonzero(hidden[:, level].flatten())[:, 0]
                guess = F.linear(features.index_select(0, places), weight, bias)
                yield clips[:, level].flatten()[places], guess.float()

    def validate(self) -> dict[str, float]:
        """Cross entropy, top-1 and top-25 accuracy for several shares of hidden tokens."""
        figures: dict[str, float] = {}
        for ratio in _VALIDATION_RATIOS:
            rng = np.random.default_rng(1)
            sums = np.zeros(4)
            for clip in torch.split(self.validation_clips, 4):
                hidden = torch.from_numpy(rng.random(clip.shape) < ratio)
                hidden[:, : self.run.model.n_conditioning] = False
                for target, guess in self._targets_and_logits(clip, hidden):
                    best = guess.topk(25, dim=-1).indices == target[:, None]
                    sums += [float(F.cross_entropy(guess, target, reduction="sum")), *_hits(best), len(target)]
            for name, value in zip(("loss", "top_1", "top_25"), sums / sums[3], strict=False):
                figures[f"{name}_{ratio:.0%}"] = float(value)
        losses = [value for name, value in figures.items() if name.startswith("loss")]
        return {"loss": sum(losses) / len(losses), **figures}


def _hits(best: Tensor) -> tuple[float, float]:
    return float(best[:, 0].sum()), float(best.any(1).sum())


def draw_masks(shape: tuple[int, ...], n_conditioning: int, rng: np.random.Generator) -> Tensor:
    """Hide each token of clip i with probability cos(pi r_i / 2), r_i spread evenly over (0, 1).

    Args:
        shape: (batch, n_codebooks, n_frames).
        n_conditioning: the first codebooks, never hidden.
        rng: draws.

    Returns:
        bool of that shape, at least one token of a clip hidden.

    Departs from the official code: r is stratified over the batch instead of a Sobol sequence over steps,
    so a step depends on its own seed alone.
    """
    r = (rng.permutation(shape[0]) + rng.random(shape[0])) / shape[0]
    hidden = rng.random(shape) < np.cos(math.pi * r / 2)[:, None, None]
    hidden[:, :n_conditioning] = False
    for i in np.flatnonzero(~hidden.any((1, 2))):
        hidden[i, rng.integers(n_conditioning, shape[1]), rng.integers(shape[2])] = True
    return torch.from_numpy(hidden)
