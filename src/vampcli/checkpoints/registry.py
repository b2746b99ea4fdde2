"""Which models and adapters there are, and what a name given by somebody means."""

from __future__ import annotations

import hashlib
import logging
import os
from dataclasses import dataclass
from pathlib import Path

from vampcli.checkpoints import adapter_file
from vampcli.checkpoints.folder import CONFIG, PARTS, read_metadata
from vampcli.checkpoints.published import find_published
from vampcli.checkpoints.weights import stored_hash, weights_hash
from vampcli.errors import ModelError

log = logging.getLogger(__name__)

_SLASH = "--"


@dataclass(frozen=True)
class ModelPaths:
    """A model folder, and the folder of the adapter to use with it."""

    folder: Path
    adapter: Path | None = None


def homes() -> list[Path]:
    """Folders that hold model folders by name: the user's own, then the embedded ones."""
    data = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share")
    user = Path(os.environ["VAMP_HOME"]) if os.environ.get("VAMP_HOME") else data / "vamp"
    package = Path(__file__).parents[1]
    return [user / "models", package / "models", package.parents[1] / "checkpoints"]


def adapters_home() -> Path:
    """The folder that holds the user's adapters by name."""
    return homes()[0].with_name("adapters")


def downloads_home() -> Path:
    """The folder for files on their way to become models."""
    return homes()[0].with_name("downloads")


def folder_of(name: str) -> Path:
    """Where a model of that name belongs among the user's own; `vampnet/opera` is beside `vampnet`, not in it."""
    return homes()[0] / name.replace("/", _SLASH)


def installed() -> dict[str, Path]:
    """Every model that can be named, and its folder; what begins with a dot is still in the making."""
    found: dict[str, Path] = {}
    for home in homes():
        for config in sorted(home.glob(f"[!.]*/{CONFIG}")):
            found.setdefault(config.parent.name.replace(_SLASH, "/"), config.parent)
    return found


def is_own(folder: Path) -> bool:
    """Whether a model's or adapter's folder is among the user's, by a name."""
    return folder.parent in (homes()[0], adapters_home())


def adapters() -> dict[str, Path]:
    """Every adapter that can be named, and its folder."""
    return {file.parent.name: file.parent for file in sorted(adapters_home().glob(f"*/{adapter_file.FILE}"))}


def find(name_or_folder: str | Path) -> Path:
    """Turn a model's name or folder into its folder; see `locate`, for what is asked of the model without its adapter.

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
        ModelError: there is none, and the hint lists those there are; or the adapter belongs to another model.
    """
    text, folder = str(name_or_folder), Path(name_or_folder)
    if (folder / CONFIG).is_file():
        return ModelPaths(folder)
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
    bent = f"; with {', '.join('+' + name for name in adapters())}" if adapters() else ""
    raise ModelError(f"no model named {text!r}", f"there are: {known}{bent}; or name a model folder")


def _adapter(name: str) -> Path:
    if (Path(name) / adapter_file.FILE).is_file():
        return Path(name)
    known = adapters()
    if name in known:
        return known[name]
    hint = f"there are: {', '.join(known) or 'none'}; or name an adapter's folder; `vamp finetune` makes one"
    raise ModelError(f"no adapter named {name!r}", hint)


def _fitting(base: str, adapter: Path) -> ModelPaths:
    """The base and its adapter, if both know the same tokens."""
    found, facts = locate(base), adapter_file.read(adapter)
    if found.adapter is not None:
        raise ModelError(f"{base} has an adapter already", "adapters do not stack: name one alone")
    folder = found.folder
    read_metadata(folder)
    if stored_hash(folder / "codec.safetensors") != facts.codec_hash:
        raise ModelError(
            f"the adapter {adapter.name} knows the tokens of another codec than {base}",
            f"it was learned on {facts.base}: fine-tune again, or use it with that",
        )
    if weights_hash(folder) != facts.base_hash:
        log.warning("the adapter %s was learned on another version of %s: it may fit badly", adapter.name, base)
    return ModelPaths(folder, adapter)


def model_hash(found: ModelPaths) -> str:
    """SHA-256 over the files of a model and of its adapter, names and contents: the same only for the same model.

    Raises:
        ModelError: a file cannot be read.
    """
    folder, adapter = found.folder, found.adapter
    files = [folder / CONFIG, *(folder / f"{part}.safetensors" for part in PARTS)]
    files += [adapter / adapter_file.FILE] if adapter else []
    digest = hashlib.sha256()
    for path in files:
        try:
            with path.open("rb") as file:
                digest.update(f"{path.name} {os.fstat(file.fileno()).st_size}\n".encode())
                while block := file.read(2**20):
                    digest.update(block)
        except OSError as error:
            raise ModelError(f"cannot read {path}: {error}", "import or pull the model again") from error
    return digest.hexdigest()
