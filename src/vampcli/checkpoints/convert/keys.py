"""Names of our tensors and of the published ones: ours number a flat list of layers, theirs a tree."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from vampcli.codec.config import DacConfig, LacConfig

Names = Iterator[tuple[str, str]]
"""Pairs of our name and the published name."""


def transformer(n_layers: int) -> Names:
    """Transformer, without the classifier, whose channels have another order."""
    yield "mask_rows", "embedding.special.MASK"
    yield "embed.weight", "embedding.out_proj.weight"
    yield "embed.bias", "embedding.out_proj.bias"
    yield "position_bias", "transformer.layers.0.self_attn.relative_attention_bias.weight"
    yield "norm.weight", "transformer.norm.weight"
    inner = {
        "norm_1": "norm_1",
        "norm_2": "norm_3",
        "query": "self_attn.w_qs",
        "key": "self_attn.w_ks",
        "value": "self_attn.w_vs",
        "output": "self_attn.fc",
        "widen": "feed_forward.w_1",
        "narrow": "feed_forward.w_2",
    }
    for i in range(n_layers):
        for ours, theirs in inner.items():
            yield f"layers.{i}.{ours}.weight", f"transformer.layers.{i}.{theirs}.weight"


def encoder(config: LacConfig) -> Names:
    """Encoder of a codec."""
    yield from conv("encoder.0", "encoder.block.0")
    index = 1
    for block in range(1, len(config.encoder_rates) + 1):
        theirs = f"encoder.block.{block}.block"
        for unit in range(3):
            yield from _residual(f"encoder.{index + unit}.layer", f"{theirs}.{unit}.block")
        yield f"encoder.{index + 3}.alpha", f"{theirs}.3.alpha"
        yield from conv(f"encoder.{index + 4}", f"{theirs}.4")
        index += 5
    last = len(config.encoder_rates) + 1
    yield f"encoder.{index}.alpha", f"encoder.block.{last}.alpha"
    yield from conv(f"encoder.{index + 1}", f"encoder.block.{last + 1}")


def quantizer(config: LacConfig) -> Names:
    """Projections of the quantiser."""
    for i in range(config.n_codebooks):
        for projection in ("in_proj", "out_proj"):
            yield from conv(f"quantizer.{projection}.{i}", f"quantizer.quantizers.{i}.{projection}")


def lac_decoder(config: LacConfig) -> Names:
    """Decoder of a LAC: a mean of three residual stacks after each rate."""

    def residual(index: int, theirs: str) -> Names:
        for stack in range(3):
            for unit in range(3):
                ours = f"decoder.{index}.stacks.{stack}.{unit}.layer"
                yield from _residual(ours, f"{theirs}.2.mrf_blocks.{stack}.block.{unit}.layer")

    return _decoder(len(config.decoder_rates), 1, residual)


def dac_decoder(config: DacConfig) -> Names:
    """Decoder of a DAC: three residual layers after each rate."""

    def residual(index: int, theirs: str) -> Names:
        for unit in range(3):
            yield from _residual(f"decoder.{index + unit}.layer", f"{theirs}.{2 + unit}.block")

    return _decoder(len(config.decoder_rates), 3, residual)


def _decoder(n_rates: int, n_residual: int, residual: Callable[[int, str], Names]) -> Names:
    """A decoder with `n_residual` layers, named by `residual`, after each transposed convolution."""
    yield from conv("decoder.0", "decoder.model.0")
    for block in range(n_rates):
        index, theirs = 1 + block * (2 + n_residual), f"decoder.model.{block + 1}.block"
        yield f"decoder.{index}.alpha", f"{theirs}.0.alpha"
        yield from conv(f"decoder.{index + 1}", f"{theirs}.1")
        yield from residual(index + 2, theirs)
    last = 1 + n_rates * (2 + n_residual)
    yield f"decoder.{last}.alpha", f"decoder.model.{n_rates + 1}.alpha"
    yield from conv(f"decoder.{last + 1}", f"decoder.model.{n_rates + 2}")


def _residual(ours: str, theirs: str) -> Names:
    for snake, convolution in ((0, 1), (2, 3)):
        yield f"{ours}.{snake}.alpha", f"{theirs}.{snake}.alpha"
        yield from conv(f"{ours}.{convolution}", f"{theirs}.{convolution}")


def conv(ours: str, theirs: str) -> Names:
    """Weight and bias of a convolution."""
    yield f"{ours}.weight", f"{theirs}.weight"
    yield f"{ours}.bias", f"{theirs}.bias"
