"""Recipes: the record of how a take was made. `vamp info` shows it and `vamp replay` makes the take again."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from vampcli.audio.formats import ClipMode
from vampcli.audio.metadata.base import RECIPE
from vampcli.config import SamplingConfig, Stereo
from vampcli.errors import InputError, UsageError
from vampcli.old_names import with_new_names
from vampcli.reading import parse_json
from vampcli.schema import from_table, raising

if TYPE_CHECKING:
    from vampcli.audio.waveform import Waveform

FORMAT = 1
MOST_EARLIER = 16  # recipes of earlier edits; the samples of still earlier ones stay counted as synthetic
MOST_TEXT = 2**22  # characters of a recipe with its history; enough for ten thousand spans

_SEAL, _MARK = "sha256", RECIPE
_CURE = "make the file again, or strip its metadata: then a --sidecar beside it counts"
_BLOCK = 2**20  # samples hashed at once

Part = Literal["all", "generated", "difference", "preview"]
"""The part of a take that was written: all of it, its spans alone, the difference to the input, or a preview."""

Subtype = Literal["", "PCM_16", "PCM_24", "FLOAT"]
"""A sample format; empty = the input's."""

Rendering = Literal[1, 2, 3]
"""Version of the rules beside the models: since 2, of levels (`vampcli.tasks.level`); since 3, of amounts of change
(`vampcli.tokens.presets.dial`) and of the sound of variations (`vampcli.tasks.recall.edit_spans`)."""

RENDERING: Rendering = 3

Ranges = tuple[tuple[int, int], ...]
"""Sample ranges [start, end)."""


@dataclass(frozen=True)
class InputSource:
    """The input of a take.

    Attributes:
        name: path of the file, as it was typed; `-` for a pipe, empty for samples without a file.
        sha256: of the samples, see `audio_hash`; of a token file, of its bytes.
        recipe: of the input itself, if vamp made it.
    """

    name: str
    sha256: str
    recipe: Recipe | None = None


@dataclass(frozen=True)
class MadeBy:
    """Model, versions and device that made a take.

    Attributes:
        model: name or folder, as it was typed.
        model_sha256: of the model's files; see `vampcli.checkpoints.registry.model_hash`. Empty = no model ran.
        licence: of the model.
        version: of vamp.
        torch: version of PyTorch.
        device: cpu, cuda or mps.
        dtype: of the transformers: fp32, bf16, fp16.
        exact: every window was run alone, so that the take depends on nothing else.
        compile: `torch.compile` made the transformers' kernels.
    """

    model: str
    model_sha256: str
    licence: str
    version: str
    torch: str
    device: str
    dtype: str
    exact: bool = True
    compile: bool = False

    @classmethod
    def no_model(cls, model: str, version: str, torch: str) -> MadeBy:
        """Describe a take that no model made; `model` is that which other settings would need."""
        return cls(model, "", "", version, torch, "cpu", "fp32")


@dataclass(frozen=True)
class Recipe:
    """Everything that is needed to make a take again.

    Attributes:
        command: of the task.
        request: options of the task, as a table; see `vampcli.tasks.registry`.
        sampling: sampling options, without the model's temperature.
        stereo: mid or channels.
        seed: of the take.
        source: the input.
        made_by: model, versions, device.
        n_samples: length of the result.
        synthetic: sample ranges of the result that a model generated, in this edit or an earlier one.
        part: the part of the take that was written.
        subtype: sample format that was given by option.
        format: version of the recipe format.
        clip_mode: treatment of samples beyond full scale.
        rendering: version of the rules for levels and amounts; recipes that name none are older than version 2.

    Raises:
        UsageError: there is no sample, or a synthetic range is not within the result.
    """

    command: str
    request: dict[str, Any]
    sampling: SamplingConfig
    stereo: Stereo
    seed: int
    source: InputSource
    made_by: MadeBy
    n_samples: int
    synthetic: Ranges
    part: Part = "all"
    subtype: Subtype = ""
    format: int = FORMAT
    clip_mode: ClipMode = "clamp"
    rendering: Rendering = 1

    def __post_init__(self) -> None:
        if self.n_samples < 1:
            raise UsageError(f"n_samples is {self.n_samples}", "a result has 1 or more")
        for start, end in self.synthetic:
            if not 0 <= start < end <= self.n_samples:
                raise UsageError(
                    f"a synthetic span goes from {start} to {end}, of {self.n_samples} samples",
                    "spans are [first sample, one past the last]",
                )

    @property
    def earlier(self) -> list[Recipe]:
        """The recipes of the edits before, the latest first."""
        before = self.source.recipe
        return [before, *before.earlier] if before else []

    @property
    def licences(self) -> list[str]:
        """Licences of all models that were used, each once."""
        return list(dict.fromkeys(r.made_by.licence for r in (self, *self.earlier) if r.made_by.model_sha256))


def to_table(recipe: Recipe, most_text: int = MOST_TEXT) -> dict[str, Any]:
    """Return a recipe as a table that JSON can hold.

    Args:
        recipe: the recipe.
        most_text: characters of JSON, at most; the oldest edits are left out for that, down to the last alone.
    """
    for n_earlier in (MOST_EARLIER, 8, 4, 2, 1):
        table = asdict(_without_oldest(recipe, n_earlier))
        if len(json.dumps(table)) <= most_text:
            return table
    return asdict(_without_oldest(recipe, 0))


def _without_oldest(recipe: Recipe, n_earlier: int) -> Recipe:
    before = recipe.source.recipe
    kept = _without_oldest(before, n_earlier - 1) if before and n_earlier else None
    return replace(recipe, source=replace(recipe.source, recipe=kept))


def recipe_from_table(table: Any, where: str) -> Recipe:
    """Read a recipe from a table.

    Raises:
        InputError: it is of another format, or a value does not fit; the message names it.
    """
    if not isinstance(table, dict) or table.get("format") != FORMAT:
        raise InputError(f"{where} is of another format than {FORMAT}", "update vamp")
    with raising(InputError):
        return from_table(Recipe, with_new_names(table), where)


def to_text(recipe: Recipe, most_text: int = MOST_TEXT) -> str:
    """Write a recipe as one line of JSON with a SHA-256 checksum; see `to_table`."""
    table = to_table(recipe, most_text - 128)  # seal and mark have 105
    return json.dumps({_MARK: table, _SEAL: _seal(table)})


def from_text(text: str, where: str) -> Recipe | None:
    """Read the text that `to_text` has written.

    Args:
        text: a comment in a file; another program may have written it.
        where: name of the file in errors.

    Returns:
        None if it is no recipe.

    Raises:
        InputError: it is one, but damaged or changed by hand.
    """
    where = f"the recipe in {where}"
    if _MARK not in text:
        return None
    if len(text) > 2 * MOST_TEXT:
        raise InputError(f"{where} has {len(text)} characters, more than {2 * MOST_TEXT}", _CURE)
    start, end = text.find(f'{{"{_MARK}"'), text.rfind("}") + 1
    if 0 <= start < end:  # programs that know one comment join several: "mine;{...}"
        text = text[start:end]
    found = parse_json(text, where, cure=_CURE)
    if not isinstance(found, dict) or not isinstance(table := found.get(_MARK), dict):
        raise InputError(f"{where} is damaged: it holds no table", _CURE)
    recipe = recipe_from_table(table, where)
    if found.get(_SEAL) != _seal(table):
        raise InputError(
            f"{where} was changed by hand: its checksum does not fit",
            "undo that, and change a setting with `vamp replay --set`",
        )
    return _with_old_snapping(recipe)


def _with_old_snapping(recipe: Recipe) -> Recipe:
    """Name the older rule for edges at onsets: since the newer one, recipes hold the edges themselves."""
    places = recipe.request.get("at")
    if not isinstance(places, dict) or places.get("snap") != "onset":
        return recipe
    return replace(recipe, request={**recipe.request, "at": {**places, "snap": "before-onset"}})


def _seal(table: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(table, sort_keys=True).encode()).hexdigest()


def audio_hash(clip: Waveform) -> str:
    """Return the SHA-256 of rate, channels and samples; it is the same in every file format that keeps them exactly.

    Args:
        clip: float32 or float64 (n_channels, n_samples); equal values give equal hashes.
    """
    digest = hashlib.sha256(f"{clip.sample_rate} {clip.n_channels} {clip.n_samples}\n".encode())
    for channel in clip.samples:
        for start in range(0, clip.n_samples, _BLOCK):
            digest.update(channel[start : start + _BLOCK].astype("<f8").tobytes())
    return digest.hexdigest()
