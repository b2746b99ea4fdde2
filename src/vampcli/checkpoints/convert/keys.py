"""Our tensors' names and the published ones: ours number a flat list, theirs a tree."""

from __future__ import annotations

from collections.abc import Iterator

from vampcli.codec.dac import DacConfig
from vampcli.codec.lac import LacConfig

Names = Iterator[tuple[str, str]]
"""Ours and theirs."""


def transformer(n_layers: int) -> Names:
    """All but the classifier, whose channels have another order."""
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
    """Of a codec."""
    yield from conv("encoder.0", "encoder.block.0")
    place = 1
    for block in range(1, len(config.encoder_rates) + 1):
        theirs = f"encoder.block.{block}.block"
        for unit in range(3):
            yield from _residual(f"encoder.{place + unit}.layer", f"{theirs}.{unit}.block")
        yield f"encoder.{place + 3}.alpha", f"{theirs}.3.alpha"
        yield from conv(f"encoder.{place + 4}", f"{theirs}.4")
        place += 5
    last = len(config.encoder_rates) + 1
    yield f"encoder.{place}.alpha", f"encoder.block.{last}.alpha"
    yield from conv(f"encoder.{place + 1}", f"encoder.block.{last + 1}")


def quantizer(config: LacConfig) -> Names:
    """Of a codec, without codebooks."""
    for i in range(config.n_codebooks):
        for projection in ("in_proj", "out_proj"):
            yield from conv(f"quantizer.{projection}.{i}", f"quantizer.quantizers.{i}.{projection}")


def lac_decoder(config: LacConfig) -> Names:
    """Three residual stacks after each rate."""
    yield from conv("decoder.0", "decoder.model.0")
    place = 1
    for block in range(1, len(config.decoder_rates) + 1):
        theirs = f"decoder.model.{block}.block"
        yield from _upsampling(place, theirs)
        for stack in range(3):
            for unit in range(3):
                yield from _residual(
                    f"decoder.{place + 2}.stacks.{stack}.{unit}.layer",
                    f"{theirs}.2.mrf_blocks.{stack}.block.{unit}.layer",
                )
        place += 3
    yield from _decoder_end(place, config)


def dac_decoder(config: DacConfig) -> Names:
    """Three residual layers after each rate."""
    yield from conv("decoder.0", "decoder.model.0")
    place = 1
    for block in range(1, len(config.decoder_rates) + 1):
        theirs = f"decoder.model.{block}.block"
        yield from _upsampling(place, theirs)
        for unit in range(3):
            yield from _residual(f"decoder.{place + 2 + unit}.layer", f"{theirs}.{2 + unit}.block")
        place += 5
    yield from _decoder_end(place, config)


def _upsampling(place: int, theirs: str) -> Names:
    yield f"decoder.{place}.alpha", f"{theirs}.0.alpha"
    yield from conv(f"decoder.{place + 1}", f"{theirs}.1")


def _decoder_end(place: int, config: LacConfig) -> Names:
    last = len(config.decoder_rates) + 1
    yield f"decoder.{place}.alpha", f"decoder.model.{last}.alpha"
    yield from conv(f"decoder.{place + 1}", f"decoder.model.{last + 1}")


def _residual(ours: str, theirs: str) -> Names:
    for snake, convolution in ((0, 1), (2, 3)):
        yield f"{ours}.{snake}.alpha", f"{theirs}.{snake}.alpha"
        yield from conv(f"{ours}.{convolution}", f"{theirs}.{convolution}")


def conv(ours: str, theirs: str) -> Names:
    """Weight and bias of a convolution."""
    yield f"{ours}.weight", f"{theirs}.weight"
    yield f"{ours}.bias", f"{theirs}.bias"
