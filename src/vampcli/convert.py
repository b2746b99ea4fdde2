"""Published files -> our model folder: the only place that knows foreign names and calls `torch.load`."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vampcli import checkpoint, lora
from vampcli.checkpoint import Parts, Provenance
from vampcli.codec.lac import LacCodec, LacConfig
from vampcli.errors import ModelError
from vampcli.model import VampNet, VampNetConfig

COARSE_CONTEXT = 575
FINE_CONTEXT = 173
PROVENANCE = Provenance(
    name="vampnet",
    licence="CC-BY-NC-SA-4.0",
    source="Garcia et al., VampNet (arXiv 2307.04686)",
)
FILES = ("codec.pth", "coarse.pth", "c2f.pth")

State = dict[str, Tensor]


def import_published(folder: Path, out: Path, dtype: torch.dtype = torch.float32) -> None:
    """Convert `codec.pth`, `coarse.pth` and `c2f.pth` of a folder into a model folder.

    LoRA pairs and weight norm are merged in float32, before any cast.

    Args:
        folder: holds the three published files.
        out: the model folder to write.
        dtype: to store.

    Raises:
        ModelError: a file is missing, no plain tensor file, or lacks a tensor.
        InputError: `out` cannot be written.
    """
    for name in FILES:
        if not (folder / name).is_file():
            raise ModelError(f"no {name} in {folder}", f"the folder must hold {', '.join(FILES)}")
    codec = read_codec(folder / "codec.pth")
    rows = codec.codebooks.detach()
    coarse = read_transformer(folder / "coarse.pth", rows, COARSE_CONTEXT)
    fine = read_transformer(folder / "c2f.pth", rows, FINE_CONTEXT)
    checkpoint.save(out, "lac", Parts(codec, coarse, fine, PROVENANCE), dtype)


def read_file(path: Path) -> tuple[State, dict[str, Any]]:
    """Read tensors and constructor arguments of a published file; no code in it is run.

    Raises:
        ModelError: the file is unreadable or holds anything but plain data.
    """
    with _blaming(path):
        content = torch.load(path, map_location="cpu", weights_only=True)
        state, kwargs = content["state_dict"], content["metadata"]["kwargs"]
        return {name.removeprefix("_orig_mod."): tensor.float() for name, tensor in state.items()}, dict(kwargs)


@contextmanager
def _blaming(path: Path) -> Iterator[None]:
    """Name the file when its content is damaged or does not fit together."""
    try:
        yield
    except pickle.UnpicklingError as error:
        raise ModelError(
            f"{path} is damaged or holds more than tensors; not loaded", "get it from its source"
        ) from error
    except (OSError, EOFError, RuntimeError, TypeError, ValueError, LookupError, AttributeError) as error:
        fact = f"{type(error).__name__}: {error}".partition("\n")[0]
        raise ModelError(f"{path} is no published model file ({fact})", "get it from its source") from error


def read_codec(path: Path) -> LacCodec:
    """Read the published codec.

    Raises:
        ModelError: see `read_file`; or a tensor is missing or left over.
    """
    state, kwargs = read_file(path)
    known: dict[str, Any] = {
        k: tuple(v) if isinstance(v, list) else v for k, v in kwargs.items() if k in LacConfig.__annotations__
    }
    with _blaming(path):
        with torch.device("meta"):
            codec = LacCodec(LacConfig(**known))
        names = dict(_codec_names(codec.config))
        rows = [f"quantizer.quantizers.{i}.codebook.weight" for i in range(codec.config.n_codebooks)]
        ours = {ours: _take(state, theirs, path) for ours, theirs in names.items()}
        ours["quantizer.codebooks"] = torch.stack([_take(state, name, path) for name in rows])
        _load(codec, ours, state, path)
    return codec


def read_transformer(path: Path, codebooks: Tensor, context: int) -> VampNet:
    """Read a published coarse or fine model, LoRA pairs merged.

    Args:
        path: the file.
        codebooks: float32 (n_codebooks of the codec, codebook_size, codebook_dim).
        context: in frames; not in the file.

    Raises:
        ModelError: see `read_file`; or a tensor is missing or left over.
    """
    state, kwargs = read_file(path)
    with _blaming(path):
        config = VampNetConfig(
            n_codebooks=kwargs["n_codebooks"],
            n_conditioning=kwargs["n_conditioning_codebooks"],
            n_layers=kwargs["n_layers"],
            width=kwargs["embedding_dim"],
            n_heads=kwargs["n_heads"],
            context_frames=context,
            codebook_size=kwargs["vocab_size"],
            codebook_dim=kwargs["latent_dim"],
            dropout=kwargs.get("dropout", 0.1),
        )
        with torch.device("meta"):
            model = VampNet(config)
        ours = {ours: _take_merged(state, theirs, path) for ours, theirs in _transformer_names(config.n_layers)}
        ours["embed.weight"] = ours["embed.weight"].flatten(1)
        ours |= _classifier(state, config, path)
        ours["codebooks"] = codebooks[: config.n_codebooks].clone()
        _load(model, ours, state, path)
    return model


def _load(module: torch.nn.Module, ours: State, left: State, path: Path) -> None:
    """Load strictly: what is left over is an error, too."""
    if left:
        raise ModelError(f"{path} has an unknown tensor {sorted(left)[0]}", "is it a model of another kind?")
    wanted = {name: tuple(t.shape) for name, t in module.state_dict().items()}
    for name, shape in wanted.items():
        if tuple(ours[name].shape) != shape:
            found = tuple(ours[name].shape)
            raise ModelError(f"{path}: {name} has shape {found}, not {shape}", "get it from its source")
    module.load_state_dict(ours, assign=True)


def _take(state: State, name: str, path: Path) -> Tensor:
    """Remove a tensor from the state, weight norm folded: g v / |v|, the norm over all but the first axis."""
    if name in state:
        return state.pop(name)
    gain, direction = state.pop(name + "_g", None), state.pop(name + "_v", None)
    if gain is None or direction is None:
        raise ModelError(f"{path} has no tensor {name}", "get it from its source")
    norm = direction.flatten(1).square().sum(1).sqrt().view(-1, *[1] * (direction.dim() - 1))
    return gain * direction / norm


def _take_merged(state: State, name: str, path: Path) -> Tensor:
    """Remove a weight from the state and add its LoRA pair, if there is one."""
    weight = _take(state, name, path)
    stem = name.removesuffix(".weight")
    a, b = state.pop(f"{stem}.lora_A", None), state.pop(f"{stem}.lora_B", None)
    return weight if a is None or b is None else lora.merged(weight, (a, b))


def _classifier(state: State, config: VampNetConfig, path: Path) -> State:
    """Reorder channels from class-major to codebook-major."""
    weight = _take(state, "classifier.layers.0.weight", path)[:, :, 0]
    bias = _take(state, "classifier.layers.0.bias", path)
    shape = (config.codebook_size, config.n_predicted)
    return {
        "classifier.weight": weight.view(*shape, -1).transpose(0, 1).reshape(-1, weight.shape[1]),
        "classifier.bias": bias.view(shape).T.reshape(-1),
    }


def _transformer_names(n_layers: int) -> Iterator[tuple[str, str]]:
    """Our names and theirs."""
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


def _codec_names(config: LacConfig) -> Iterator[tuple[str, str]]:
    """Our names and theirs; ours number a flat list, theirs a tree."""
    yield from _encoder_names(config)
    for i in range(config.n_codebooks):
        for projection in ("in_proj", "out_proj"):
            yield from _conv(f"quantizer.{projection}.{i}", f"quantizer.quantizers.{i}.{projection}")
    yield from _decoder_names(config)


def _encoder_names(config: LacConfig) -> Iterator[tuple[str, str]]:
    yield from _conv("encoder.0", "encoder.block.0")
    place = 1
    for block in range(1, len(config.encoder_rates) + 1):
        theirs = f"encoder.block.{block}.block"
        for unit in range(3):
            yield from _residual(f"encoder.{place + unit}.layer", f"{theirs}.{unit}.block")
        yield f"encoder.{place + 3}.alpha", f"{theirs}.3.alpha"
        yield from _conv(f"encoder.{place + 4}", f"{theirs}.4")
        place += 5
    last = len(config.encoder_rates) + 1
    yield f"encoder.{place}.alpha", f"encoder.block.{last}.alpha"
    yield from _conv(f"encoder.{place + 1}", f"encoder.block.{last + 1}")


def _decoder_names(config: LacConfig) -> Iterator[tuple[str, str]]:
    yield from _conv("decoder.0", "decoder.model.0")
    place = 1
    for block in range(1, len(config.decoder_rates) + 1):
        theirs = f"decoder.model.{block}.block"
        yield f"decoder.{place}.alpha", f"{theirs}.0.alpha"
        yield from _conv(f"decoder.{place + 1}", f"{theirs}.1")
        for stack in range(3):
            for unit in range(3):
                yield from _residual(
                    f"decoder.{place + 2}.stacks.{stack}.{unit}.layer",
                    f"{theirs}.2.mrf_blocks.{stack}.block.{unit}.layer",
                )
        place += 3
    last = len(config.decoder_rates) + 1
    yield f"decoder.{place}.alpha", f"decoder.model.{last}.alpha"
    yield from _conv(f"decoder.{place + 1}", f"decoder.model.{last + 1}")


def _residual(ours: str, theirs: str) -> Iterator[tuple[str, str]]:
    for snake, conv in ((0, 1), (2, 3)):
        yield f"{ours}.{snake}.alpha", f"{theirs}.{snake}.alpha"
        yield from _conv(f"{ours}.{conv}", f"{theirs}.{conv}")


def _conv(ours: str, theirs: str) -> Iterator[tuple[str, str]]:
    yield f"{ours}.weight", f"{theirs}.weight"
    yield f"{ours}.bias", f"{theirs}.bias"
