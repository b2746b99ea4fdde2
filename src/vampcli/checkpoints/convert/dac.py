"""Weights of descript-audio-codec -> a folder with a codec alone, to train models of one's own on."""

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
    """Convert weights as descript-audio-codec saves them, of any sizes, into a model folder, whole or not at all.

    Args:
        weights: the file.
        out: the folder to write; see `whole`.
        dtype: to store.
        overwrite: replace a model that is there.
        provenance: what to say about it.

    Raises:
        ModelError: the file is damaged, no such file, or wants to run code.
        InputError: `out` is in the way or cannot be written.
    """
    with whole(out, overwrite) as folder:
        codec = open_dac(weights)[0]  # not its tensors: they would stay in memory
        save_parts(folder, "dac", Parts(codec, None, None, provenance), dtype, lambda _: open_dac(weights)[1])
