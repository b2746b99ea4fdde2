"""The transformer as the official program runs it: nothing merged, nothing fused, every frame gets logits."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from vampcli.model.config import VampNetConfig

State = Mapping[str, Tensor]
"""Tensors by the published names."""

_LORA_SCALE = 1 / 8
_N_BUCKETS, _MAX_DISTANCE = 32, 128


def apply_norm(state: State, name: str) -> Tensor:
    """A weight under weight norm, computed anew: (n_outputs, n_inputs, kernel)."""
    direction = state[f"{name}.weight_v"]
    length: Tensor = direction.norm(dim=(1, 2), keepdim=True)
    return state[f"{name}.weight_g"] / length * direction


def merge_pairs(state: State) -> State:
    """Add the LoRA pairs to their weights, as the official program does once, when it leaves training."""
    weights = dict(state)
    for name in [name.removesuffix(".lora_A") for name in state if name.endswith(".lora_A")]:
        pair = weights.pop(f"{name}.lora_B") @ weights.pop(f"{name}.lora_A")
        weights[f"{name}.weight"] = weights[f"{name}.weight"] + _LORA_SCALE * pair
    return weights


@dataclass(frozen=True)
class PlainTransformer:
    """A coarse or fine model.

    Attributes:
        state: its tensors, float32, without LoRA pairs.
        config: its sizes.
        codebooks: float32 (n_codebooks, codebook_size, codebook_dim), the codec's.
    """

    state: State
    config: VampNetConfig
    codebooks: Tensor

    def logits(self, tokens: Tensor) -> Tensor:
        """Predict all tokens of all frames.

        Args:
            tokens: int64 (n_codebooks, n_frames); the id `codebook_size` hides a token.

        Returns:
            float32 (n_predicted, n_frames, codebook_size).
        """
        c, state = self.config, self.state
        x = F.linear(
            self._looked_up(tokens), state["embedding.out_proj.weight"][..., 0], state["embedding.out_proj.bias"]
        )
        bias = self._bias(len(x))
        for layer in range(c.n_layers):
            name = f"transformer.layers.{layer}"
            x = x + self._attention(f"{name}.self_attn", self._norm(f"{name}.norm_1", x), bias)
            x = x + self._feed_forward(f"{name}.feed_forward", self._norm(f"{name}.norm_3", x))
        x = self._norm("transformer.norm", x)
        classifier = "classifier.layers.0"
        channels = F.conv1d(x.T[None], apply_norm(state, classifier), state[f"{classifier}.bias"])[0]
        return channels.view(c.codebook_size, c.n_predicted, len(x)).permute(1, 2, 0)

    def _looked_up(self, tokens: Tensor) -> Tensor:
        """Rows of all codebooks side by side: (n_frames, n_codebooks * codebook_dim)."""
        tables = torch.cat([self.codebooks, self.state["embedding.special.MASK"][:, None]], dim=1)
        return torch.cat([F.embedding(codes, rows) for codes, rows in zip(tokens, tables, strict=True)], dim=1)

    def _norm(self, name: str, x: Tensor) -> Tensor:
        return self.state[f"{name}.weight"] * (x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-6))

    def _linear(self, name: str, x: Tensor) -> Tensor:
        return F.linear(x, self.state[f"{name}.weight"])

    def _attention(self, name: str, x: Tensor, bias: Tensor) -> Tensor:
        """(n_frames, width) -> the same, with a bias of (n_heads, n_frames, n_frames)."""
        q, k, v = (
            self._linear(f"{name}.{part}", x).view(len(x), self.config.n_heads, -1).transpose(0, 1)
            for part in ("w_qs", "w_ks", "w_vs")
        )
        scores = q @ k.transpose(1, 2) / math.sqrt(q.shape[-1]) + bias
        mixed = scores.softmax(-1) @ v
        return self._linear(f"{name}.fc", mixed.transpose(0, 1).reshape(len(x), -1))

    def _feed_forward(self, name: str, x: Tensor) -> Tensor:
        a, b = self._linear(f"{name}.w_1", x).chunk(2, dim=-1)
        return self._linear(f"{name}.w_2", a * F.gelu(b, approximate="tanh"))

    def _bias(self, n_frames: int) -> Tensor:
        """Return the position bias: (n_heads, n_frames queries, n_frames keys)."""
        table = self.state["transformer.layers.0.self_attn.relative_attention_bias.weight"]
        frame = torch.arange(n_frames, device=table.device)
        distance = frame[None] - frame[:, None]
        n_side, n_exact, size = _N_BUCKETS // 2, _N_BUCKETS // 4, distance.abs()
        share = torch.log(size.clamp(min=1).float() / n_exact) / math.log(_MAX_DISTANCE / n_exact)
        far = (n_exact + (share * (n_side - n_exact)).long()).clamp(max=n_side - 1)
        bucket = torch.where(size < n_exact, size, far) + n_side * (distance > 0)
        return F.embedding(bucket, table).permute(2, 0, 1)
