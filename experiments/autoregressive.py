"""An autoregressive coarse model of the same sizes as the masked one, with a key-value cache.

Each codebook comes a frame later than the one before ("MusicGen", Copet et al., arXiv 2306.05284), so that one pass
gives a token of each. It attends to the past alone. `experiments/equal_time.py` trains it, `going_on.py` compares.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from vampcli.evaluate.metrics import guess_sums
from vampcli.model.transformer import VampNet
from vampcli.train.schedule import autocast_dtype
from vampcli.train.token_task import TokenTask


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
        dtype = autocast_dtype(self.run.loop.dtype, clips.device)
        with torch.autocast(clips.device.type, dtype, enabled=dtype is not None):
            features = self.model.features(seen, bias=causal(self.model, seen.shape[-1]))
            logits = self.model.classifier(features)
        logits = logits.view(*features.shape[:2], config.n_codebooks, config.codebook_size)
        for k in range(config.n_codebooks):
            there = late[:, k] < config.codebook_size
            yield late[:, k][there], logits[:, :, k][there].float()

    def validate(self) -> dict[str, float]:
        """Cross entropy of all tokens of the validation clips, each after those before it."""
        sums, n = Counter[str](), 0
        for clips in torch.split(self.validation_clips, 4):
            for target, guess in self._targets_and_logits(clips, clips):
                sums.update(guess_sums(guess, target))
                n += len(target)
        return {f"{name}_of_the_next": value / n for name, value in sums.items()}


class Cached:
    """A network that is given one frame after another, and keeps keys and values of those before."""

    def __init__(self, network: VampNet, n_frames: int) -> None:
        dtype = network.embed.weight.dtype
        self.network, self.bias, self.n = network, network.attention_bias(n_frames).to(dtype), 0
        shape = (network.config.n_heads, n_frames, network.config.width // network.config.n_heads)
        self.keys, self.values = (torch.zeros(len(network.layers), *shape, dtype=dtype) for _ in range(2))

    def __call__(self, frames: Tensor) -> Tensor:
        """Tokens (n_codebooks, n_new) -> logits after the last of them, (n_codebooks, codebook_size)."""
        network, n_new = self.network, frames.shape[1]
        x = network.embed(network.look_up(frames[None]).to(self.bias.dtype))
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
        return logits.float().view(network.config.n_codebooks, -1)


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
