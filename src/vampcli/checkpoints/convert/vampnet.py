"""Convert the published VampNet models and their fine-tunes into model folders."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vampcli.checkpoints.convert import keys
from vampcli.checkpoints.convert.atomic_folder import whole
from vampcli.checkpoints.convert.codecs import open_lac
from vampcli.checkpoints.convert.read import blaming, read, read_pairs
from vampcli.checkpoints.convert.tensors import Make, Making, TensorSource
from vampcli.checkpoints.folder import Provenance
from vampcli.checkpoints.weights import Parts, save_parts
from vampcli.errors import ModelError
from vampcli.model.config import VampNetConfig
from vampcli.model.transformer import VampNet
from vampcli.schema import from_table, raising

COARSE_CONTEXT = 575
FINE_CONTEXT = 173
PARTS = ("codec", "coarse", "c2f")
PAIRS = ("coarse_lora", "c2f_lora")
PROVENANCE = Provenance(
    name="vampnet",
    licence="CC-BY-NC-SA-4.0",
    source="Garcia et al., VampNet (arXiv 2307.04686)",
)


def import_published(
    files: Path | Mapping[str, Path],
    out: Path,
    dtype: torch.dtype = torch.float32,
    overwrite: bool = False,
    provenance: Provenance = PROVENANCE,
) -> None:
    """Convert published VampNet files into a model folder, whole or not at all.

    LoRA pairs and weight norm are merged in float32, before any cast. Tensors are read, merged and written one by one.

    Args:
        files: a folder with `codec.pth`, `coarse.pth` and `c2f.pth`; or the file of each of `PARTS`, and, for a
            fine-tune that holds only LoRA pairs, of any of `PAIRS`, which replace those of the base.
        out: the folder to write; see `whole`.
        dtype: to store.
        overwrite: replace an existing model.
        provenance: source and licence to store.

    Raises:
        ModelError: a file is missing, damaged, of another kind, lacks a tensor, has one too many, or would run code.
        InputError: `out` holds something else or cannot be written.
    """
    paths = _paths(files)
    with whole(out, overwrite) as folder:
        codec, tensors = open_lac(paths["codec"])
        rows = tensors["quantizer.codebooks"]
        del tensors  # else its file would stay mapped
        coarse = partial(open_transformer, paths["coarse"], paths.get("coarse_lora"), rows, COARSE_CONTEXT)
        fine = partial(open_transformer, paths["c2f"], paths.get("c2f_lora"), rows, FINE_CONTEXT)
        openers: dict[str, Any] = {"codec": partial(open_lac, paths["codec"]), "coarse": coarse, "fine": fine}
        parts = Parts(codec, coarse()[0], fine()[0], provenance)
        _must_be_a_pair(parts, paths)
        save_parts(folder, "lac", parts, dtype, lambda part: openers[part]()[1])


def _paths(files: Path | Mapping[str, Path]) -> dict[str, Path]:
    """The file of every part; all exist."""
    paths = {part: files / f"{part}.pth" for part in PARTS} if isinstance(files, Path) else dict(files)
    for part in (*PARTS, *(part for part in PAIRS if part in paths)):
        if part not in paths or not paths[part].is_file():
            hint = f"a model is made of {', '.join(f'{name}.pth' for name in PARTS)}; a fine-tune has its base's codec"
            raise ModelError(f"there is no {paths.get(part, f'{part}.pth')}", hint)
    return paths


def _must_be_a_pair(parts: Parts, paths: Mapping[str, Path]) -> None:
    assert parts.coarse is not None
    assert parts.fine is not None
    coarse, fine = parts.coarse.config, parts.fine.config
    if coarse.n_conditioning or fine.n_conditioning != coarse.n_codebooks:
        raise ModelError(
            f"{paths['coarse']} is given {coarse.n_conditioning} of {coarse.n_codebooks} codebooks, "
            f"{paths['c2f']} {fine.n_conditioning} of {fine.n_codebooks}",
            "coarse is given none, and c2f those of coarse: are the two swapped?",
        )


def open_transformer(path: Path, pairs: Path | None, codebooks: Tensor, context: int) -> tuple[VampNet, Making]:
    """Open a published coarse or fine model: a module on the meta device, and its tensors with LoRA pairs merged.

    Args:
        path: the file.
        pairs: file of LoRA pairs that replace those in `path`.
        codebooks: float32 (n_codebooks of the codec, codebook_size, codebook_dim).
        context: in frames; not in the file.

    Raises:
        ModelError: a file is unreadable, lacks a tensor, or has one too many.
    """
    content = read(path)
    if pairs:
        content = replace(content, state=ChainMap(read_pairs(pairs), content.state))  # type: ignore[arg-type]
    with blaming(path):
        with raising(ModelError):
            config = config_of(content.kwargs, context, str(path))
        source = TensorSource(content)
        makers = {ours: source.take_merged(theirs) for ours, theirs in keys.transformer(config.n_layers)}
        makers |= _classifier(source, config)
        embed = makers["embed.weight"]
        makers["embed.weight"] = lambda: embed().flatten(1)
        makers["codebooks"] = lambda: codebooks[: config.n_codebooks]
        source.must_be_empty()
        with torch.device("meta"):  # after the tensors have confirmed the number of layers
            model = VampNet(config)
    return model, Making(path, model, makers)


def config_of(kwargs: Mapping[str, Any], context: int, where: str = "the constructor") -> VampNetConfig:
    """Sizes of a published transformer: its constructor's arguments, and a context, which the file does not hold.

    Raises:
        UsageError: a size is out of range; the message names `where`.
    """
    sizes = {
        "n_codebooks": kwargs["n_codebooks"],
        "n_conditioning": kwargs["n_conditioning_codebooks"],
        "n_layers": kwargs["n_layers"],
        "width": kwargs["embedding_dim"],
        "n_heads": kwargs["n_heads"],
        "context_frames": context,
        "codebook_size": kwargs["vocab_size"],
        "codebook_dim": kwargs["latent_dim"],
        "dropout": kwargs.get("dropout", 0.1),
    }
    return from_table(VampNetConfig, sizes, where)


def _classifier(source: TensorSource, config: VampNetConfig) -> dict[str, Make]:
    """Channels reordered from class-major to codebook-major."""
    weight, bias = (source.take(f"classifier.layers.0.{name}") for name in ("weight", "bias"))
    shape = (config.codebook_size, config.n_predicted)
    return {
        "classifier.weight": lambda: weight().view(*shape, -1).transpose(0, 1).flatten(0, 1),
        "classifier.bias": lambda: bias().view(shape).T.flatten(),
    }
