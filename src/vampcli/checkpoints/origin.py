"""Where models come from: the published ones that can be fetched, and the record a fetched or imported one carries."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from pathlib import Path

from vampcli.errors import ModelError

ORIGIN = "origin.json"
FORMAT = 1
HUB = "https://huggingface.co"
FINE_TUNES = ("birds", "choir", "machines", "n64", "nesquik", "opera", "orchestral", "percussion")
"""Names seen; any other is tried, too."""
NAME = r"\w[\w.]*(-[\w.]+)*"
"""What a model's name may look like, on either side of its slash; two dashes stand for that in a folder's name."""

_CURE = "pull the model with --update, or import it with --overwrite"
_TERMS = {
    "CC-BY-NC-SA-4.0": "not for commercial use; credit it, share alike",
    "MIT": "free to use; keep the notice",
}


@dataclass(frozen=True)
class PublishedModel:
    """A published model.

    Attributes:
        name: what `-m` calls it.
        files: by part (`codec`, `coarse`, `c2f`): the path in `repo`, or else an address.
        repo: of Hugging Face; empty where the files have addresses.
        licence: SPDX name, of the weights.
        credit: who made it.
        n_bytes: to download, about.
        sample_rate: in Hz.
        n_codebooks: of the codec.
        n_parameters: of all parts, about.
    """

    name: str
    files: Mapping[str, str]
    repo: str
    licence: str
    credit: str
    n_bytes: int
    sample_rate: int
    n_codebooks: int
    n_parameters: int

    @property
    def address(self) -> str:
        """Where people can look at it."""
        return f"{HUB}/{self.repo}" if self.repo else next(iter(self.files.values()))

    @property
    def terms(self) -> str:
        """The licence in a few words."""
        return f"{self.licence}: {_TERMS[self.licence]}"


def _vampnet(name: str, folder: str, credit: str) -> PublishedModel:
    files = {"codec": "codec.pth", "coarse": f"{folder}coarse.pth", "c2f": f"{folder}c2f.pth"}
    sizes = {"n_bytes": 3_030_000_000, "sample_rate": 44100, "n_codebooks": 14, "n_parameters": 758_670_000}
    return PublishedModel(name, files, "hugggof/vampnet", "CC-BY-NC-SA-4.0", credit, **sizes)


def _dac(name: str, file: str, *sizes: int) -> PublishedModel:
    address = f"https://github.com/descriptinc/descript-audio-codec/releases/download/{file}"
    return PublishedModel(
        name, {"codec": address}, "", "MIT", "Kumar et al., Improved RVQGAN (arXiv 2306.06546)", *sizes
    )


VAMPNET = _vampnet("vampnet", "", "Garcia et al., VampNet (arXiv 2307.04686)")
CODECS = (
    _dac("dac-44khz-8kbps", "0.0.1/weights.pth", 307_000_000, 44100, 9, 76_650_000),
    _dac("dac-44khz-16kbps", "1.0.0/weights_44khz_16kbps.pth", 257_000_000, 44100, 18, 64_210_000),
    _dac("dac-24khz-8kbps", "0.0.4/weights_24khz.pth", 299_000_000, 24000, 32, 74_710_000),
    _dac("dac-16khz-8kbps", "0.0.5/weights_16khz.pth", 297_000_000, 16000, 12, 74_180_000),
)


def known() -> list[PublishedModel]:
    """Every published model that has a known name."""
    return [VAMPNET, *(_fine_tune(name) for name in FINE_TUNES), *CODECS]


def _fine_tune(name: str) -> PublishedModel:
    return _vampnet(f"{VAMPNET.name}/{name}", f"loras/{name}/", f"{VAMPNET.credit}, fine-tuned: {name}")


def named(name: str) -> PublishedModel | None:
    """The published model of that name, if there can be one: any `vampnet/NAME` may be."""
    base, _, fine_tune = name.partition("/")
    if base == VAMPNET.name and re.fullmatch(NAME, fine_tune):
        return _fine_tune(fine_tune)
    return next((source for source in known() if source.name == name), None)


@dataclass(frozen=True)
class Origin:
    """What a model folder says about where it came from.

    Attributes:
        name: of the source; of the model itself if it was imported.
        address: of the source; empty if it was imported.
        licence: of the weights.
        dtype: they are stored in.
        date: of the download or import, UTC.
        downloads: by the published file's path, its `url`, `revision`, `etag`, `n_bytes` and `sha256`.
        files: by the name of each file of the folder, its SHA-256.
    """

    name: str
    address: str
    licence: str
    dtype: str
    downloads: Mapping[str, Mapping[str, str | int]]
    files: Mapping[str, str] = field(default_factory=dict)
    date: str = field(default_factory=lambda: datetime.now(timezone.utc).isoformat(timespec="seconds"))
    format: int = FORMAT

    def write(self, folder: Path) -> None:
        """Write the record into a model folder."""
        (folder / ORIGIN).write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")


def origin(folder: Path) -> Origin | None:
    """Read a model folder's record, if it has one.

    Raises:
        ModelError: it is damaged, or of a newer format.
    """
    path = folder / ORIGIN
    try:
        found = Origin(**json.loads(path.read_text(encoding="utf-8")))
        tables = [found.files, found.downloads, *found.downloads.values()]
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise ModelError(f"{path} is damaged: {error}", _CURE) from error
    if found.format != FORMAT:
        raise ModelError(f"{path} has format {found.format}, not {FORMAT}", "update vamp")
    if not all(isinstance(table, dict) for table in tables):
        raise ModelError(f"{path} is damaged: it lacks a table", _CURE)
    return found
