"""Find models and adapters by name or folder."""

from __future__ import annotations

import hashlib
import logging
import os
from dataclasses import dataclass
from pathlib import Path

from vampcli.checkpoints import adapter_file
from vampcli.checkpoints.folder import CONFIG, PARTS, config_without_sampling, read_metadata
from vampcli.checkpoints.headers import stored_hash
from vampcli.checkpoints.published import find_published
from vampcli.errors import InputError, ModelError

log = logging.getLogger(__name__)

_SLASH = "--"


@dataclass(frozen=True)
class ModelPaths:
    """A model folder and the folder of its adapter."""

    folder: Path
    adapter: Path | None = None


def homes() -> list[Path]:
    """Return the folders of model folders: the user's, then those of the embedded models.

    Raises:
        InputError: the user has no home directory.
    """
    try:
        data = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share")
    except RuntimeError as error:
        raise InputError("this user has no home directory", "let HOME or XDG_DATA_HOME name a folder") from error
    user = Path(os.environ["VAMP_HOME"]) if os.environ.get("VAMP_HOME") else data / "vamp"
    package = Path(__file__).parents[1]
    return [user / "models", package / "models", package.parents[1] / "checkpoints"]


def adapters_home() -> Path:
    """Folder of the user's adapters."""
    return homes()[0].with_name("adapters")


def downloads_home() -> Path:
    """Folder of downloads that are not yet converted."""
    return homes()[0].with_name("downloads")


def folder_of(name: str) -> Path:
    """Folder of the user's model of that name; `vampnet/opera` is a sibling of `vampnet`."""
    return homes()[0] / name.replace("/", _SLASH)


def installed() -> dict[str, Path]:
    """Folders of all models, by name; hidden folders are incomplete and left out."""
    found: dict[str, Path] = {}
    for home in homes():
        for config in sorted(home.glob(f"[!.]*/{CONFIG}")):
            found.setdefault(config.parent.name.replace(_SLASH, "/"), config.parent)
    return found


def is_own(folder: Path) -> bool:
    """True if a folder belongs to the user's models or adapters."""
    return folder.parent in (homes()[0], adapters_home())


def adapters() -> dict[str, Path]:
    """Folders of all adapters, by name."""
    return {file.parent.name: file.parent for file in sorted(adapters_home().glob(f"*/{adapter_file.FILE}"))}


def find(name_or_folder: str | Path) -> Path:
    """The model folder of a name or folder, without its adapter; see `locate`.

    Raises:
        ModelError: see `locate`.
    """
    return locate(name_or_folder).folder


def locate(name_or_folder: str | Path) -> ModelPaths:
    """Find a model, with or without an adapter.

    Args:
        name_or_folder: a model's name or folder (`mini`), the same with an adapter's name or folder
            (`mini+jazz`), or an adapter's folder alone.

    Raises:
        ModelError: no such model (the hint lists the known ones), or the adapter belongs to another model.
    """
    text, folder = str(name_or_folder), Path(name_or_folder)
    try:
        if (folder / CONFIG).is_file():
            return ModelPaths(folder)
    except OSError as error:  # too long for a name, or in a folder that cannot be read
        fact = f"the model {text:.40}{'...' * (len(text) > 40)} ({len(text)} characters) cannot be looked up"
        raise ModelError(f"{fact}: {error.strerror}", "name one of `vamp models list`, or a model folder") from error
    models = installed()
    if text in models:
        return ModelPaths(models[text])
    if (folder / adapter_file.FILE).is_file():
        return _fitting(adapter_file.read(folder).base, folder)
    base, plus, adapter = text.rpartition("+")
    if plus and not folder.is_dir():
        return _fitting(base, _adapter(adapter))
    if folder.is_dir():
        raise ModelError(f"{folder} is no model folder: it has no {CONFIG}", "see `vamp models import --help`")
    if find_published(text):
        raise ModelError(f"the model {text} is not here", f"`vamp models pull {text}` fetches it")
    known = ", ".join(models) or "none"
    adapted = f"; with {', '.join('+' + name for name in adapters())}" if adapters() else ""
    raise ModelError(f"no model named {text!r}", f"there are: {known}{adapted}; or name a model folder")


def _adapter(name: str) -> Path:
    if (Path(name) / adapter_file.FILE).is_file():
        return Path(name)
    known = adapters()
    if name in known:
        return known[name]
    hint = f"there are: {', '.join(known) or 'none'}; or name an adapter's folder; `vamp finetune` makes one"
    raise ModelError(f"no adapter named {name!r}", hint)


def _fitting(base: str, adapter: Path) -> ModelPaths:
    """The base and its adapter, if both were trained on the same tokens."""
    found, facts = locate(base), adapter_file.read(adapter)
    if found.adapter is not None:
        raise ModelError(f"{base} has an adapter already", "adapters do not stack: name one alone")
    folder = found.folder
    from vampcli.checkpoints.weights import weights_hash  # imports torch

    read_metadata(folder)
    if stored_hash(folder / "codec.safetensors") != facts.codec_hash:
        raise ModelError(
            f"the adapter {adapter.name} belongs to another codec than that of {base}",
            f"it was trained on {facts.base}: fine-tune again, or use it with that",
        )
    if weights_hash(folder) != facts.base_hash:
        log.warning("the adapter %s was trained on another version of %s: it may fit badly", adapter.name, base)
    return ModelPaths(folder, adapter)


def model_hash(found: ModelPaths) -> str:
    """SHA-256 of names and contents of the files of a model and its adapter.

    What the model recommends for sampling does not count: recipes hold what was used.

    Raises:
        ModelError: a file cannot be read.
    """
    folder, adapter = found.folder, found.adapter
    files = [folder / f"{part}.safetensors" for part in PARTS] + ([adapter / adapter_file.FILE] if adapter else [])
    config = config_without_sampling(folder)
    digest = hashlib.sha256(f"{CONFIG} {len(config)}\n".encode() + config)
    for path in files:
        try:
            with path.open("rb") as file:
                digest.update(f"{path.name} {os.fstat(file.fileno()).st_size}\n".encode())
                while block := file.read(2**20):
                    digest.update(block)
        except OSError as error:
            raise ModelError(f"cannot read {path}: {error}", "import or pull the model again") from error
    return digest.hexdigest()
