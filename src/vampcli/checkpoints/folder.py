"""What is known of a model without loading a weight."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from vampcli.checkpoints.weights import PARTS, Provenance, codec_without_weights, from_table, read_config
from vampcli.codec.kinds import Codec
from vampcli.errors import ModelError
from vampcli.model.transformer import VampNetConfig


@dataclass(frozen=True)
class Outline:
    """What is known of a model without loading a weight.

    Attributes:
        codec: without weights; its grid and reach hold.
        coarse: sizes of that model.
        fine: sizes of that one.
        provenance: licence and source.
    """

    codec: Codec
    coarse: VampNetConfig
    fine: VampNetConfig
    provenance: Provenance

    @property
    def context_frames(self) -> int:
        """Of the coarse model."""
        return self.coarse.context_frames


def read(folder: Path) -> Outline:
    """Read what is known of a model without loading a weight.

    Raises:
        ModelError: `config.json` is missing or damaged, or a file is missing.
    """
    config = read_config(folder)
    for part in PARTS:
        if part not in config:
            raise ModelError(f"{folder} has no {part} model", "it needs codec, coarse and fine")
        if not (folder / f"{part}.safetensors").is_file():
            raise ModelError(f"{folder / part}.safetensors is missing", "import or pull the model again")
    coarse, fine = (from_table(folder, VampNetConfig, config[part]) for part in ("coarse", "fine"))
    provenance = from_table(folder, Provenance, config["provenance"])
    return Outline(codec_without_weights(config), coarse, fine, provenance)  # type: ignore[arg-type]
