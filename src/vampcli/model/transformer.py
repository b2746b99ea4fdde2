"""The transformer: tokens, some of them hidden, to logits. Independent of codec and sampler."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vampcli.model.config import VampNetConfig

_N_BUCKETS = 32
_MAX_DISTANCE = 128

Frames = slice | Tensor
"""Frames of a window: a slice, or their indices, int64 (n,), ascending."""


@dataclass
class KeyValueCache:
    """Keys and values of the frames of a window, from the last pass over each frame.

    Attributes:
        tokens: that they were computed from, int64 (batch, n_codebooks, n_frames); empty before the first pass.
        layers: of each layer, float (2, batch, n_heads, n_frames, width of a head).

    Source: Wu et al., "Fast-dLLM" (arXiv 2505.22618); Liu et al., "dLLM-Cache" (arXiv 2506.06295).
    """

    tokens: Tensor
    layers: list[Tensor]

    @classmethod
    def empty(cls) -> KeyValueCache:
        """Return a cache for a window that no pass has seen."""
        return cls(torch.empty(0), [])

    def copy(self) -> KeyValueCache:
        """Return a cache of equal content."""
        return KeyValueCache(self.tokens.clone(), [layer.clone() for layer in self.layers])

    def store(self, layer: int, frames: Frames, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Store keys and values of some frames in a layer, and return those of all frames.

        Args:
            layer: its number.
            frames: of the window.
            keys: float (batch, n_heads, n, width of a head).
            values: shaped like `keys`.
        """
        if layer == len(self.layers):
            self.layers.append(torch.stack((keys, values)))
        else:
            self.layers[layer][0][:, :, frames] = keys
            self.layers[layer][1][:, :, frames] = values
        return self.layers[layer][0], self.layers[layer][1]


class VampNet(nn.Module):
    """Bidirectional transformer over frames of codec tokens.

    The codec's codebook rows are a buffer; the row of a hidden token is a parameter, one for each codebook.

    Source: Garcia et al., "VampNet" (arXiv 2307.04686), section 3.
    Departs from the official code: weight norm and LoRA pairs are merged when weights are loaded.
    """

    def __init__(self, config: VampNetConfig) -> None:
        super().__init__()
        self.config = config
        rows = torch.zeros(config.n_codebooks, config.codebook_size, config.codebook_dim)
        self.register_buffer("codebooks", rows)
        self.codebooks: Tensor
        self.mask_rows = nn.Parameter(torch.zeros(config.n_codebooks, config.codebook_dim))
        self.embed = nn.Linear(config.n_codebooks * config.codebook_dim, config.width)
        self.position_bias = nn.Parameter(torch.zeros(_N_BUCKETS, config.n_heads))
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.n_layers))
        self.norm = RMSNorm(config.width)
        self.classifier = nn.Linear(config.width, config.n_predicted * config.codebook_size)
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self,
        tokens: Tensor,
        wanted: slice = slice(None),
        cache: KeyValueCache | None = None,
        frames: Frames | None = None,
        bias: Tensor | None = None,
    ) -> Tensor:
        """Predict all tokens of the last codebooks.

        Args:
            tokens: int64 (batch, n_codebooks, n_frames); the id `codebook_size` hides a token.
            wanted: the frames that get logits; all by default.
            cache: keys and values of this window, which the pass brings up to date.
            frames: compute these alone, with keys and values of the others from the cache; a slice has all of `wanted`.
                Logits of other frames are undefined.
            bias: `attention_bias(n_frames)`, if computed before.

        Returns:
            float32 logits (batch, n_predicted, n_frames wanted, codebook_size).
        """
        if isinstance(frames, Tensor):
            inside = frames[(frames >= wanted.start) & (frames < wanted.stop)]
            few = self._logits(self.features(tokens, slice(None), cache, frames, bias)[:, torch.isin(frames, inside)])
            logits = few.new_empty(*few.shape[:2], wanted.stop - wanted.start, few.shape[-1])
            logits[:, :, inside - wanted.start] = few
            return logits
        return self._logits(self.features(tokens, wanted, cache, frames, bias))

    def _logits(self, features: Tensor) -> Tensor:
        """(batch, n, width) -> float32 (batch, n_predicted, n, codebook_size)."""
        logits: Tensor = self.classifier(features)
        shape = (len(features), -1, self.config.n_predicted, self.config.codebook_size)
        return logits.float().view(shape).transpose(1, 2)

    def features(
        self,
        tokens: Tensor,
        wanted: slice = slice(None),
        cache: KeyValueCache | None = None,
        frames: Frames | None = None,
        bias: Tensor | None = None,
    ) -> Tensor:
        """Return the classifier's input; arguments as in `forward`.

        Returns:
            float (batch, n_frames wanted, width); of all `frames` if these are indices.
        """
        bias = self.attention_bias(tokens.shape[-1]) if bias is None else bias
        # Look up and project the codebook rows of each frame: (batch, n_frames, width).
        seen = tokens if frames is None else tokens[..., frames]
        x: Tensor = self.dropout(self.embed(self.look_up(seen).to(self.embed.weight.dtype)))
        bias = (bias if frames is None else bias[:, frames]).to(x.dtype)
        if isinstance(frames, slice):
            wanted = slice(wanted.start - frames.start, wanted.stop - frames.start)
        # All layers mix all frames; the last one computes the wanted frames only.
        for i, layer in enumerate(self.layers):
            kept = None if cache is None else partial(cache.store, i, slice(None) if frames is None else frames)
            x = layer(x, bias, wanted if i == len(self.layers) - 1 else slice(None), kept)
        if cache is not None and frames is None:
            cache.tokens = tokens.clone()
        elif cache is not None:
            cache.tokens[..., frames] = seen
        x = self.norm(x)
        return x

    def look_up(self, tokens: Tensor) -> Tensor:
        """Concatenate the codebook rows of each frame.

        Args:
            tokens: int64 (batch, n_codebooks, n_frames).

        Returns:
            (batch, n_frames, n_codebooks * codebook_dim), in the codebooks' precision.
        """
        # One table for each codebook, with the row for hidden tokens last: (n_codebooks, codebook_size + 1, dim).
        table = torch.cat([self.codebooks, self.mask_rows[:, None].to(self.codebooks.dtype)], dim=1)
        codebooks = torch.arange(self.config.n_codebooks, device=tokens.device)[:, None]
        return table[codebooks, tokens].transpose(1, 2).flatten(2)

    def attention_bias(self, n_frames: int) -> Tensor:
        """Return the learned bias of every pair of frames: (n_heads, n_frames queries, n_frames keys).

        Contiguous, which makes attention up to twice as fast.
        """
        return self.position_bias.t()[:, _pair_buckets(n_frames, self.position_bias.device)]


@lru_cache(maxsize=8)
def _pair_buckets(n_frames: int, device: torch.device) -> Tensor:
    """Bucket of every pair: int64 (n_frames queries, n_frames keys)."""
    with torch.inference_mode(False):  # cached, so training may use it too
        frame = torch.arange(n_frames, device=device)
        return position_buckets(frame[None, :] - frame[:, None])


def position_buckets(distance: Tensor) -> Tensor:
    """Map distances (key minus query, in frames) to 32 buckets: exact when near, logarithmic when far.

    Source: Raffel et al., T5 (arXiv 1910.10683), bidirectional relative attention.
    """
    n_side = _N_BUCKETS // 2
    n_exact = n_side // 2
    size = distance.abs()
    ratio = torch.log(size.clamp(min=1).float() / n_exact) / math.log(_MAX_DISTANCE / n_exact)
    far = (n_exact + (ratio * (n_side - n_exact)).long()).clamp(max=n_side - 1)
    return torch.where(size < n_exact, size, far) + n_side * (distance > 0)


class RMSNorm(nn.Module):
    """Scale to unit root mean square, computed in float32."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        """Float (..., width) -> the same shape."""
        scale = torch.rsqrt(x.float().square().mean(-1, keepdim=True) + 1e-6)
        return self.weight.to(x.dtype) * (x.float() * scale).to(x.dtype)


Kept = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""Stores keys and values of some frames, float (batch, n_heads, n, width of a head), and returns those of all."""


class Layer(nn.Module):
    """Pre-norm transformer layer: self-attention, then a gated feed-forward network."""

    def __init__(self, config: VampNetConfig) -> None:
        super().__init__()
        d = config.width
        self.n_heads, self.p_dropout = config.n_heads, config.dropout
        self.norm_1, self.norm_2 = RMSNorm(d), RMSNorm(d)
        self.query, self.key, self.value, self.output = (nn.Linear(d, d, bias=False) for _ in range(4))
        self.widen = nn.Linear(d, 4 * d, bias=False)
        self.narrow = nn.Linear(2 * d, d, bias=False)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, bias: Tensor, wanted: slice = slice(None), kept: Kept | None = None) -> Tensor:
        """Apply attention over frames, then the feed-forward network to each frame.

        Args:
            x: float (batch, n_frames, width).
            bias: float (n_heads, n_frames, n_frames of which there are keys).
            wanted: the frames to return; they attend to all of `x`.
            kept: stores keys and values of the frames of `x`, and returns those of all frames of the window.

        Returns:
            float (batch, n_frames wanted, width).
        """
        x = x[:, wanted] + self.dropout(self.attend(self.norm_1(x), bias, wanted, kept))
        # Gated GELU: 4 * width values, half of them gates of the other half.
        a, b = self.widen(self.norm_2(x)).chunk(2, dim=-1)
        y: Tensor = self.dropout(self.narrow(self.dropout(a * F.gelu(b, approximate="tanh"))))
        return x + y

    def attend(self, x: Tensor, bias: Tensor, wanted: slice, kept: Kept | None = None) -> Tensor:
        """Self-attention over frames: (batch, n_frames, width) -> (batch, n_frames wanted, width)."""
        # (batch, n_frames, width) -> (batch, n_heads, n_frames, width of a head)
        n_batch, _, width = x.shape
        q, k, v = (
            project(y).view(n_batch, -1, self.n_heads, width // self.n_heads).transpose(1, 2)
            for project, y in ((self.query, x[:, wanted]), (self.key, x), (self.value, x))
        )
        if kept is not None:
            k, v = kept(k, v)
        bias = bias[:, wanted]
        p = self.p_dropout if self.training else 0.0
        if x.device.type == "cpu" and self.training:
            y = _attend_in_steps(q, k, v, bias, p)
        else:
            y = F.scaled_dot_product_attention(q, k, v, attn_mask=bias[None], dropout_p=p)
        mixed: Tensor = self.output(y.transpose(1, 2).reshape(n_batch, -1, width))
        return mixed


def _attend_in_steps(q: Tensor, k: Tensor, v: Tensor, bias: Tensor, p_dropout: float) -> Tensor:
    """Compute attention step by step: in training on CPUs faster than torch's fused function.

    Args:
        q: float (batch, n_heads, n_queries, width of a head).
        k: (batch, n_heads, n_keys, width of a head).
        v: (batch, n_heads, n_keys, width of a head).
        bias: (n_heads, n_queries, n_keys).
        p_dropout: share of weights dropped.

    Returns:
        float (batch, n_heads, n_queries, width of a head).
    """
    biases = bias.to(q.dtype).expand(len(q), -1, -1, -1).flatten(0, 1)
    scores = torch.baddbmm(biases, q.flatten(0, 1), k.flatten(0, 1).transpose(1, 2), alpha=q.shape[-1] ** -0.5)
    weights = F.dropout(scores.softmax(-1), p_dropout) if p_dropout else scores.softmax(-1)
    return (weights.to(q.dtype) @ v.flatten(0, 1)).view(q.shape)
