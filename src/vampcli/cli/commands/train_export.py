"""`vamp train export`: a model folder from training runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from vampcli.cli import options as o
from vampcli.cli.console import Console


def export(
    out: Annotated[Path, o.value("Folder of the model.", "-o", "--out", metavar="FOLDER")],
    codec: Annotated[Path, o.value("Folder of a codec run, or of a model with the codec.", metavar="FOLDER")],
    name: Annotated[str, o.value("Name of the model.", "--as", metavar="NAME")],
    licence: Annotated[str, o.value("Licence of the weights.", metavar="NAME")],
    source: Annotated[str, o.value("Author and training data.", metavar="TEXT")] = "",
    training: Annotated[str, o.value("Length and method of the training.", metavar="TEXT")] = "",
    coarse: Annotated[Path | None, o.value("Folder of a coarse run.", metavar="FOLDER")] = None,
    fine: Annotated[Path | None, o.value("Folder of a fine run.", metavar="FOLDER")] = None,
    audio: Annotated[
        Path | None, o.value("Prepared audio whose authors and licences are credited.", metavar="FOLDER")
    ] = None,
    temperature: Annotated[float, o.value("Temperature that suits the model.", min=0.01, max=100)] = 1.0,
    overwrite: o.Overwrite = False,
) -> None:
    """Write the averaged weights of training runs as a model folder."""
    from vampcli.checkpoints.folder import Provenance, refuse_existing
    from vampcli.train import export as exporting
    from vampcli.train.credits import CREDITED, write_credits
    from vampcli.train.data import read_manifest, refuse_held_out

    refuse_existing(out, overwrite)
    entries = [] if audio is None else read_manifest(audio, *CREDITED)
    refuse_held_out(entries, audio)
    exporting.export(out, Provenance(name, licence, source, training), codec, coarse, fine, temperature=temperature)
    if entries:
        write_credits(out, entries, name, licence)
    Console().result(str(out))
