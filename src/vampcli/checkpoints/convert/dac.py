"""Convert weights of descript-audio-codec into a folder with a codec only, for training models on its tokens."""

from __future__ import annotations

from pathlib import Path

import torch

from vampcli.checkpoints.convert.atomic_folder import whole
from vampcli.checkpoints.convert.codecs import open_dac
from vampcli.checkpoints.folder import Provenance
from vampcli.checkpoints.weights import Parts, save_parts

DAC_PROVENANCE = Provenance(
    name="dac",
    licence="MIT",
    source="Kumar et al., High-Fidelity Audio Compression with Improved RVQGAN (arXiv 2306.06546)",
)


def import_dac(
    weights: Path,
    out: Path,
    dtype: torch.dtype = torch.float32,
    overwrite: bool = False,
    provenance: Provenance = DAC_PROVENANCE,
) -> None:
    """Convert a weights file of descript-audio-codec, of any sizes, into a model folder, whole or not at all.

    Args:
        weights: the file.
        out: the folder to write; see `whole`.
        dtype: to store.
        overwrite: replace an existing model.
        provenance: source and licence to store.

    Raises:
        ModelError: the file is missing, damaged, of another kind, or would run code.
        InputError: `out` holds something else or cannot be written.
    """
    with whole(out, overwrite) as folder:
        codec = open_dac(weights)[0]  # without its tensors, which would stay in memory
        save_parts(folder, "dac", Parts(codec, None, None, provenance), dtype, lambda _: open_dac(weights)[1])
