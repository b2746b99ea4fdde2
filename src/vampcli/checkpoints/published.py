"""The published models that can be fetched: VampNet, its fine-tunes, and DAC codecs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

HUB = "https://huggingface.co"
NAME = r"\w[\w.]*(-[\w.]+)*"
"""Either side of the slash in a model's name; a folder's name has two dashes for the slash."""
FINE_TUNES = ("birds", "choir", "machines", "n64", "nesquik", "opera", "orchestral", "percussion")
"""Fine-tunes that are listed; `find_published` accepts any other name, too."""
_TERMS = {
    "CC-BY-NC-SA-4.0": "not for commercial use; credit it, share alike",
    "MIT": "free to use; keep the notice",
}


@dataclass(frozen=True)
class PublishedModel:
    """A published model and the location of its files.

    Attributes:
        name: the value for `-m`.
        files: by part (`codec`, `coarse`, `c2f`): the path in `repo`, or a URL if there is no `repo`.
        repo: repository on Hugging Face; empty where `files` holds URLs.
        licence: SPDX name, of the weights.
        credit: authors and paper.
        n_bytes: approximate size of the download.
        sample_rate: in Hz.
        n_codebooks: of the codec.
        n_parameters: approximate number, of all parts.
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
        """Web page of the repository, or URL of the file."""
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


def published_models() -> list[PublishedModel]:
    """Every published model that is listed."""
    return [VAMPNET, *(_fine_tune(name) for name in FINE_TUNES), *CODECS]


def _fine_tune(name: str) -> PublishedModel:
    return _vampnet(f"{VAMPNET.name}/{name}", f"loras/{name}/", f"{VAMPNET.credit}, fine-tuned: {name}")


def find_published(name: str) -> PublishedModel | None:
    """The published model of that name; None if no such model can exist. Any `vampnet/NAME` can."""
    base, _, fine_tune = name.partition("/")
    if base == VAMPNET.name and re.fullmatch(NAME, fine_tune):
        return _fine_tune(fine_tune)
    return next((source for source in published_models() if source.name == name), None)
