"""Training task of coarse and fine transformers: predict the hidden tokens of random excerpts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from vampcli.checkpoints.headers import stored_hash
from vampcli.checkpoints.weights import load_parts
from vampcli.errors import InputError, ModelError
from vampcli.evaluate.metrics import guess_sums
from vampcli.model.transformer import VampNet
from vampcli.train.config import TokenRun
from vampcli.train.data import Pool, training_pool
from vampcli.train.encode import token_codec_hash
from vampcli.train.loop import Task
from vampcli.train.masking import HIDDEN_SHARES, draw_masks, even_points
from vampcli.train.samples import sample_spans
from vampcli.train.schedule import autocast_dtype
from vampcli.train.token_init import init_from_counts

_N_VALIDATION_CLIPS = 32
_N_SAMPLE_CLIPS = 3
_N_UNIGRAM_CLIPS = 256
_VALIDATION_RATIOS = (0.1, 0.3, 0.5, 0.7, 0.9)


class TokenTask(Task):
    """The masked language model of the paper, with a random share of hidden tokens for each excerpt.

    Source: Garcia et al., "VampNet" (arXiv 2307.04686), section 3.1.
    """

    compiled: Callable[[Tensor], Tensor] | None = None  # the model's `features`, for training alone

    def __init__(self, run: TokenRun) -> None:
        super().__init__()
        self.run = run
        config = run.model
        trained_hash = stored_hash(Path(run.data.codec) / "codec.safetensors")
        for folder in (run.data.train, run.data.validation):
            if token_codec_hash(folder) != trained_hash:
                raise ModelError(
                    f"the tokens in {folder} are of another codec than {run.data.codec}", "pack them again"
                )
        # In a tuple: a module's modules are its state, and the codec is not.
        self.frozen = (load_parts(Path(run.data.codec), torch.device("cpu"), torch.float32).codec,)
        # In the state, so that an export can tell whether a codec belongs to what was learned.
        self.register_buffer("codec_hash", torch.tensor(list(bytes.fromhex(trained_hash)), dtype=torch.uint8))
        self.model = VampNet(config)
        self.model.codebooks.copy_(self.frozen[0].codebooks[: config.n_codebooks])
        self.model.mask_rows.data.copy_(self.model.codebooks.mean(1))
        self.pool = training_pool(run.data.train, "codes", run.data.author_cap)
        self.held_out = Pool(run.data.validation, "codes").draw(
            np.random.default_rng(0), _N_VALIDATION_CLIPS, run.n_validation_frames or run.n_frames, config.codebook_size
        )
        if self.held_out.shape[1] < config.n_codebooks:
            raise InputError(
                f"{run.data.validation} holds {self.held_out.shape[1]} codebooks, the model {config.n_codebooks}",
                "make the tokens again",
            )
        self.validation_clips = self.held_out[:, : config.n_codebooks].long()
        counts = self._counts()
        self.unigram = self._unigram(counts)
        if run.start:
            start_from(self.model, Path(run.start), trained_hash)
        else:
            init_from_counts(self.model, counts, run.loop.seed)
        if run.loop.compile:
            self.compiled = torch.compile(self.model.features, dynamic=False)
            self.smoothed = torch.compile(_smoothed, dynamic=True)
        self.audio_s = run.loop.batch_size * run.n_frames / self.frozen[0].grid.frame_rate

    @property
    def device(self) -> torch.device:
        """Device of the model."""
        return self.model.codebooks.device

    def loss(self, step: int, rng: np.random.Generator) -> tuple[Tensor, dict[str, float]]:
        """Return the smoothed cross entropy of hidden tokens."""
        n, loop = self.run.loop.batch_size, self.run.loop
        clips = self.pool.draw(rng, n, self.run.n_frames, self.run.model.codebook_size)[
            :, : self.run.model.n_codebooks
        ].long()
        shares = HIDDEN_SHARES[self.run.masking](even_points(loop.seed, (step * self.n_processes + self.rank) * n, n))
        hidden = draw_masks(clips.shape, self.run.model.n_conditioning, shares, rng)
        smoothed = self.smoothed if self.compiled else _smoothed
        total, hits, n_hidden = torch.zeros((), device=self.device), torch.zeros((), device=self.device), 0
        for target, guess in self._targets_and_logits(clips.to(self.device), hidden.to(self.device)):
            total = total + smoothed(guess, target, self.run.label_smoothing)
            hits += (guess.detach().argmax(-1) == target).sum()
            n_hidden += len(target)
        return total / n_hidden, {"top_1": float(hits) / n_hidden}

    def _targets_and_logits(self, clips: Tensor, hidden: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the hidden tokens (n_hidden,) of each codebook and their logits (n_hidden, classes).

        Only hidden tokens pass the classifier, which is a seventh of the work.
        """
        config = self.run.model
        shape = (config.n_predicted, config.codebook_size)
        weights = self.model.classifier.weight.view(*shape, -1)
        biases = self.model.classifier.bias.view(shape)
        dtype = autocast_dtype(self.run.loop.dtype, clips.device)
        with torch.autocast(clips.device.type, dtype, enabled=dtype is not None):
            read = self.compiled if self.compiled and self.training else self.model.features
            features = read(clips.masked_fill(hidden, config.codebook_size)).flatten(0, 1)
            for level, (weight, bias) in enumerate(zip(weights, biases, strict=True), config.n_conditioning):
                at = torch.nonzero(hidden[:, level].flatten())[:, 0]
                guess = F.linear(features.index_select(0, at), weight, bias)
                yield clips[:, level].flatten()[at], guess.float()

    def validate(self) -> dict[str, float]:
        """Return cross entropy, top-1 and top-25 accuracy for several shares of hidden tokens.

        `unigram_*` are the figures of a model of code frequencies in the training pieces.
        """
        figures: dict[str, float] = {}
        for ratio in _VALIDATION_RATIOS:
            rng = np.random.default_rng(1)
            sums, n_hidden = Counter[str](), 0
            for clip in torch.split(self.validation_clips, 4):
                hidden = torch.from_numpy(rng.random(clip.shape) < ratio)
                hidden[:, : self.run.model.n_conditioning] = False
                for target, guess in self._targets_and_logits(clip.to(self.device), hidden.to(self.device)):
                    sums.update(guess_sums(guess, target))
                    n_hidden += len(target)
            figures |= {f"{name}_{ratio:.0%}": value / n_hidden for name, value in sums.items()}
        losses = [value for name, value in figures.items() if name.startswith("loss")]
        return {"loss": sum(losses) / len(losses), **figures, **self.unigram}

    def _counts(self) -> Tensor:
        """Count each code in training excerpts, plus one: float32 (n_predicted, codebook_size)."""
        config = self.run.model
        n_classes = config.codebook_size
        seen = self.pool.draw(np.random.default_rng(2), _N_UNIGRAM_CLIPS, self.run.n_frames, n_classes).long()
        predicted = seen[:, config.n_conditioning : config.n_codebooks].transpose(0, 1).flatten(1)
        return torch.stack([torch.bincount(level, minlength=config.codebook_size) for level in predicted]) + 1.0

    def _unigram(self, counts: Tensor) -> dict[str, float]:
        sums = Counter[str]()
        targets = self.validation_clips.transpose(0, 1).flatten(1)[self.run.model.n_conditioning :]
        for target, seen in zip(targets, counts, strict=True):
            sums.update(guess_sums((seen / seen.sum()).log().expand(len(target), -1), target))
        return {f"unigram_{name}": value / targets.numel() for name, value in sums.items()}

    def sample(self, folder: Path, name: str) -> dict[str, float]:
        """Generate the middle of held-out clips; see `vampcli.train.samples.sample_spans`."""
        clips = self.held_out[:_N_SAMPLE_CLIPS].long()
        return sample_spans(self.model, self.frozen[0], clips, folder, name)


def _smoothed(guess: Tensor, target: Tensor, smoothing: float) -> Tensor:
    return F.cross_entropy(guess, target, label_smoothing=smoothing, reduction="sum")


def start_from(model: VampNet, folder: Path, codec_hash: str) -> None:
    """Load the weights of the same part of a model folder into a model.

    Args:
        model: changed in place.
        folder: a model folder.
        codec_hash: of the codec whose tokens are learned.

    Raises:
        ModelError: the folder is of another codec or of other sizes, or lacks the part.
    """
    parts = load_parts(folder, torch.device("cpu"), torch.float32)
    if stored_hash(folder / "codec.safetensors") != codec_hash:
        raise ModelError(
            f"{folder} was trained on the tokens of another codec", "start from nothing, or from a model of this one"
        )
    source = parts.fine if model.config.n_conditioning else parts.coarse
    if source is None:
        raise ModelError(f"{folder} lacks the model to start from", "name a folder that has it")
    try:
        model.load_state_dict(source.state_dict())
    except RuntimeError as error:
        raise ModelError(
            f"{folder} has other sizes than the run", "give the run the sizes of its config.json"
        ) from error
