"""Install, verify and remove the user's models; each installed model carries a record of its source."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import torch

from vampcli.checkpoints import adapter_file, download, registry
from vampcli.checkpoints.convert import dac, vampnet
from vampcli.checkpoints.convert.atomic_folder import whole
from vampcli.checkpoints.convert.dac import DAC_PROVENANCE
from vampcli.checkpoints.convert.read import read as read_foreign
from vampcli.checkpoints.convert.vampnet import PAIRS, PARTS, PROVENANCE
from vampcli.checkpoints.download import Download, sha256
from vampcli.checkpoints.folder import Provenance, refuse_existing
from vampcli.checkpoints.origin import Origin, read_origin
from vampcli.checkpoints.published import PublishedModel
from vampcli.checkpoints.weights import load_parts
from vampcli.errors import InputError, ModelError
from vampcli.model.devices import DTYPES

RANDOM = "none, the weights are random"
"""Licence of weights that say that they are random."""
_NAMES = "a VampNet is codec.pth, coarse.pth and c2f.pth, or their folder; a DAC codec is one file"


def pull(source: PublishedModel, dtype: str, offline: bool = False, update: bool = False, bars: bool = False) -> Path:
    """Fetch a published model, convert it, and install it among the user's models.

    Args:
        source: the model.
        dtype: to store, a key of `DTYPES`.
        offline: use the files on this disk and open no socket.
        update: accept files that differ from those of the first pull.
        bars: draw progress bars on stderr.

    Returns:
        Its folder.

    Raises:
        ModelError: a file cannot be fetched, is damaged, or differs from that of the first pull.
        InputError: the disk is full or not writable.
    """
    folder = registry.folder_of(source.name)
    before = None if update else read_origin(folder)
    downloads = download.fetch(source, registry.downloads_home(), offline, bars)
    fetched = {source.files[part]: _entry(download) for part, download in downloads.items()}
    if before:
        _refuse_changed(source, before, fetched)
    origin = Origin(source.name, source.address, source.licence, dtype, fetched)
    files = {part: download.path for part, download in downloads.items()}
    revision = next(iter(downloads.values())).revision
    credit = f"{source.credit}; {source.address}" + (f" at {revision}" if revision else "")
    provenance = Provenance(source.name, source.licence, credit)
    try:
        _convert(files, folder, dtype, origin, provenance)
    except ModelError:
        download.discard(source, downloads)  # so that the next pull fetches it afresh
        raise
    download.discard(source, downloads)
    return folder


def parts_of(paths: Sequence[Path]) -> dict[str, Path]:
    """Map published files to the parts of a model, by file name.

    Args:
        paths: one folder with the three files of a VampNet; or these files, and any of `PAIRS`; or one file of
            another name, which is a codec.

    Raises:
        InputError: a file is not there.
        ModelError: a part is missing, or a file belongs to no part.
    """
    if len(paths) == 1 and paths[0].is_dir():
        paths = [path for part in PARTS if (path := paths[0] / f"{part}.pth").exists()]
    for path in paths:
        if not path.is_file():
            raise InputError(f"no file {path}", _NAMES)
    if len(paths) == 1 and paths[0].stem not in PARTS:
        return {"codec": paths[0]}
    parts = {path.stem: path for path in paths}
    missing = [f"{part}.pth" for part in PARTS if part not in parts]
    unknown = [path.name for path in paths if path.stem not in (*PARTS, *PAIRS)]
    if missing or unknown or len(parts) < len(paths):
        fact = f"no {missing[0]}" if missing else f"{unknown[0]} is no part" if unknown else "two files of one name"
        raise ModelError(f"{fact} among the files", _NAMES)
    return parts


def import_files(files: Mapping[str, Path], folder: Path, dtype: str, overwrite: bool = False) -> None:
    """Convert published files on this disk into a model folder.

    Args:
        files: by part.
        folder: to write.
        dtype: to store, a key of `DTYPES`.
        overwrite: replace an existing model.

    Raises:
        ModelError: a file is damaged or of another kind.
        InputError: the folder holds a model, or cannot be written.
    """
    refuse_existing(folder, overwrite)
    provenance = DAC_PROVENANCE if len(files) == 1 else PROVENANCE
    if any(read_foreign(path).is_random for part, path in files.items() if part not in PAIRS):
        provenance = Provenance(f"random-{provenance.name}", RANDOM, "random weights, which nobody trained")
    read = {path.name: _on_disk(path) for path in files.values()}
    _convert(files, folder, dtype, Origin(folder.name, "", provenance.licence, dtype, read), provenance)


def verify(name: str) -> None:
    """Read every weight of a model and its adapter, and compare the files with the record of their source.

    Raises:
        ModelError: a file is missing, damaged, or differs from the pulled or imported one.
    """
    found = registry.locate(name)
    check_hashes(found.folder)
    parts = load_parts(found.folder, torch.device("cpu"), torch.float32, found.adapter)
    for module in (parts.codec, parts.coarse, parts.fine):
        for tensor, values in (module.state_dict() if module else {}).items():
            if values.is_floating_point() and not values.isfinite().all():
                raise ModelError(f"{name} has values in {tensor} that are no numbers", "get it from its source again")


def check_hashes(folder: Path) -> None:
    """Compare the SHA-256 of a model's files with its record, if it has one.

    Raises:
        ModelError: a file is missing, or differs from the pulled or imported one.
    """
    origin = read_origin(folder)
    if origin is None:
        return
    cure = f"`vamp models pull {origin.name}` makes it again" if origin.address else "import it with --overwrite"
    for file, recorded in origin.files.items():
        path = folder / file
        try:
            changed = sha256(path) != recorded
        except OSError as error:
            raise ModelError(f"cannot read {path}: {error.strerror}", cure) from error
        if changed:
            raise ModelError(f"{path} is not the file that was written: its SHA-256 is another", cure)


def removable_folder(name: str) -> Path:
    """Folder of the user's model of that name, or of the adapter if the name has one.

    Raises:
        ModelError: no model of that name.
        InputError: the model is not among the user's.
    """
    base, plus, adapter = name.rpartition("+")
    folder = registry.adapters().get(adapter) if plus else registry.installed().get(name)
    if folder is None and not Path(name).exists():
        registry.locate(name)  # raises, and lists the known names
    if folder is None:
        raise InputError(f"{name} is not among the models of {registry.homes()[0]}", "remove that folder by hand")
    if plus and _base_of(folder, base) != base:
        raise ModelError(f"the adapter {adapter} is not for {base}", f"it is {_base_of(folder, base)}+{adapter}")
    if not registry.is_own(folder):
        raise InputError(f"{name} comes with vamp and stays", "only models you pulled, imported or trained go")
    return folder


def _base_of(adapter: Path, otherwise: str) -> str:
    try:
        return adapter_file.read(adapter).base
    except ModelError:
        return otherwise  # a damaged adapter can be removed, too


def remove(folder: Path) -> None:
    """Remove a folder from `removable_folder`; its model disappears at once.

    Raises:
        InputError: it cannot be removed.
    """
    try:
        if folder.is_symlink():
            folder.unlink()
            return
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as going:
            folder.rename(Path(going) / folder.name)
    except OSError as error:
        raise InputError(f"cannot remove {folder}: {error}", "is it writable?") from error


def _convert(files: Mapping[str, Path], folder: Path, dtype: str, origin: Origin, provenance: Provenance) -> None:
    """Convert published files into a model folder with a record, whole or not at all."""
    with whole(folder, overwrite=True) as new:
        made = new.with_name("made")  # removed with the temporary folder
        if len(files) == 1:
            dac.import_dac(files["codec"], made, DTYPES[dtype], provenance=provenance)
        else:
            vampnet.import_published(files, made, DTYPES[dtype], provenance=provenance)
        hashes = {path.name: sha256(path) for path in sorted(made.iterdir())}
        for name in hashes:
            (made / name).replace(new / name)
        replace(origin, files=hashes).write(new)


def _entry(download: Download) -> dict[str, str | int]:
    return {name: value for name, value in asdict(download).items() if name != "path"}


def _on_disk(path: Path) -> dict[str, str | int]:
    try:
        return {"n_bytes": path.stat().st_size, "sha256": sha256(path)}
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}", "is it readable?") from error


def _refuse_changed(source: PublishedModel, before: Origin, fetched: Mapping[str, Mapping[str, str | int]]) -> None:
    for path, now in fetched.items():
        first = before.downloads.get(path, now)
        if first.get("sha256") != now["sha256"]:
            raise ModelError(
                f"{path} is not the file pulled on {before.date[:10]}: its SHA-256 is {str(now['sha256'])[:12]}…, "
                f"not {str(first.get('sha256'))[:12]}…",
                f"`vamp models pull {source.name} --update` takes it",
            )
