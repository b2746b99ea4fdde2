"""Load and save the weights of a model folder.

A folder holds `config.json` and up to three files, `codec.safetensors`, `coarse.safetensors` and
`fine.safetensors`. Coarse and fine carry the hash of the encoder and quantiser that made their training tokens.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from vampcli.checkpoints import adapter_file, tensorfile
from vampcli.checkpoints.folder import (
    CONFIG,
    CURE,
    FORMAT,
    TEMPERATURE,
    Provenance,
    model_config,
)
from vampcli.checkpoints.headers import CODEC_HASH, open_weights
from vampcli.codec.base import Codec
from vampcli.codec.kinds import build_codec
from vampcli.config import SamplingConfig
from vampcli.errors import ModelError
from vampcli.files import replacing
from vampcli.model import lora
from vampcli.model.transformer import VampNet

_ALWAYS_FLOAT32 = ("codebooks", "mask_rows", "quantizer.", "decoder.head.")


@dataclass(frozen=True)
class Parts:
    """A loaded model: codec, transformers (None if the folder has none yet), their best temperature and sampling."""

    codec: Codec
    coarse: VampNet | None
    fine: VampNet | None
    provenance: Provenance
    temperature: float = 1.0
    sampling: SamplingConfig = SamplingConfig()  # noqa: RUF009 (it is frozen)


def load_parts(folder: Path, device: torch.device, dtype: torch.dtype, adapter: Path | None = None) -> Parts:
    """Load a model folder.

    Args:
        folder: holds `config.json`.
        device: of the loaded weights.
        dtype: of the transformers' matrices; codec, codebooks and rows of hidden tokens stay float32.
        adapter: folder of an adapter, merged in float32 before any cast.

    Raises:
        ModelError: a file is missing or damaged, a tensor is missing or of the wrong shape, or the parts
            do not belong together. The message names it.
    """
    config = model_config(folder)
    pairs: dict[str, lora.Pairs] = adapter_file.load(adapter) if adapter else {}
    with torch.device("meta"):
        codec = build_codec(config.codec)
        coarse, fine = (None if sizes is None else VampNet(sizes) for sizes in (config.coarse, config.fine))
    codec_hash = _load_into(codec, folder / "codec.safetensors", device, torch.float32)
    for name, model in (("coarse", coarse), ("fine", fine)):
        if model is None:
            continue
        added = pairs.get(name, {})
        lora.check_pairs(added, {n: tensor.shape for n, tensor in model.state_dict().items()}, adapter)
        if _load_into(model, folder / f"{name}.safetensors", device, dtype, added) != codec_hash:
            raise ModelError(
                f"{name}.safetensors in {folder} was trained on another codec",
                "keep the three files of a model together; import or pull it again",
            )
    for module in (codec, coarse, fine):
        if module is not None:
            module.eval().requires_grad_(False)
    provenance = config.provenance
    if adapter:
        provenance = replace(provenance, name=f"{provenance.name}+{adapter_file.read(adapter).name}")
    return Parts(codec, coarse, fine, provenance, config.temperature, config.sampling)


def _load_into(
    module: nn.Module, path: Path, device: torch.device, dtype: torch.dtype, pairs: lora.Pairs | None = None
) -> str:
    """Load all tensors of a file, with the pairs of an adapter added; returns the codec hash of the file."""
    added = {f"{name}.weight": pair for name, pair in (pairs or {}).items()}
    wanted = {name: tensor.shape for name, tensor in module.state_dict().items()}
    with open_weights(path, "pt") as file:
        found = set(file.keys())
        _require(path, "has no tensor", sorted(wanted.keys() - found))
        _require(path, "has an unknown tensor", sorted(found - wanted.keys()))
        shapes = {name: tuple(file.get_slice(name).get_shape()) for name in wanted}
        _require(path, "has a wrong shape for", [n for n, shape in shapes.items() if shape != tuple(wanted[n])])
        tensors = {  # to the device before the cast: stored tensors are half as long, and casts are faster there
            n: lora.add_pair(file.get_tensor(n), added.get(n)).to(device).to(_precision(n, dtype)) for n in wanted
        }
        metadata = file.metadata() or {}
    if CODEC_HASH not in metadata:
        raise ModelError(f"{path} does not say which codec it belongs to", CURE)
    module.load_state_dict(tensors, assign=True)
    return str(metadata[CODEC_HASH])


def _require(path: Path, fact: str, names: list[str]) -> None:
    if names:
        more = f" (and {len(names) - 1} more)" if len(names) > 1 else ""
        raise ModelError(f"{path} {fact} {names[0]}{more}", CURE)


def _precision(name: str, dtype: torch.dtype) -> torch.dtype:
    return torch.float32 if any(part in name for part in _ALWAYS_FLOAT32) else dtype


class Rounded(Mapping[str, Tensor]):
    """Tensors as stored: on the CPU, in `dtype`, or in float32 where rounding would change codes or audio."""

    def __init__(self, tensors: Mapping[str, Tensor], dtype: torch.dtype) -> None:
        self._tensors, self._dtype = tensors, dtype

    def __getitem__(self, name: str) -> Tensor:
        return self._tensors[name].detach().to("cpu", _precision(name, self._dtype))

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)


def rounded(module: nn.Module, dtype: torch.dtype) -> Rounded:
    """A module's tensors as stored; see `Rounded`."""
    return Rounded(module.state_dict(), dtype)


def codec_hash(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 of the tensors that determine codes: encoder and quantiser, by name, as stored."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        if name.startswith(("encoder.", "quantizer.")):
            digest.update(name.encode())
            digest.update(tensors[name].float().numpy().tobytes())
    return digest.hexdigest()


def weights_hash(folder: Path) -> str:
    """SHA-256 of one matrix of the coarse model in half precision, which differs between versions of a model.

    Raises:
        ModelError: the file is missing or damaged.
    """
    with open_weights(folder / "coarse.safetensors", "pt") as file:
        return hashlib.sha256(file.get_tensor("layers.0.query.weight").half().numpy().tobytes()).hexdigest()


def save_parts(
    folder: Path,
    kind: str,
    parts: Parts,
    dtype: torch.dtype = torch.float16,
    weights: Callable[[str], Mapping[str, Tensor]] | None = None,
) -> None:
    """Write a model folder, tensor by tensor; each file is replaced whole, `config.json` last.

    Args:
        folder: made if it does not exist.
        kind: of the codec.
        parts: the model; a transformer that is None is left out.
        dtype: of the stored tensors, except codebooks, quantiser and the codec's head (float32).
        weights: part -> tensors, for modules on the meta device.

    Raises:
        InputError: the folder cannot be written.
    """
    named = {"codec": parts.codec, "coarse": parts.coarse, "fine": parts.fine}
    modules = {name: module for name, module in named.items() if isinstance(module, nn.Module)}
    weights = weights or (lambda part: modules[part].state_dict())
    metadata = {CODEC_HASH: codec_hash(Rounded(weights("codec"), dtype))}
    config: dict[str, Any] = {"format": FORMAT, "codec": {"kind": kind, **asdict(parts.codec.config)}}
    config |= {name: asdict(m.config) for name, m in modules.items() if isinstance(m, VampNet)}
    config |= {"provenance": asdict(parts.provenance), TEMPERATURE: parts.temperature}
    usual = SamplingConfig()
    changed = {name: value for name, value in asdict(parts.sampling).items() if value != getattr(usual, name)}
    config |= {"sampling": changed} if changed else {}
    with replacing(folder / CONFIG, overwrite=True, parents=True) as new_config:
        new_config.write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")
        for part, module in modules.items():
            layout = {name: (t.shape, _precision(name, dtype)) for name, t in module.state_dict().items()}
            tensorfile.save(folder / f"{part}.safetensors", Rounded(weights(part), dtype), metadata, layout)
