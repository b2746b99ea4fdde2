"""What made a take: written into the result, shown by `vamp info`, made again by `vamp replay`."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from vampcli.config import SamplingConfig, Stereo
from vampcli.errors import InputError, UsageError
from vampcli.schema import from_table

if TYPE_CHECKING:
    from vampcli.audio.waveform import Waveform

FORMAT = 1
MOST_EARLIER = 16
"""So many edits before the last one are described; what they made stays counted as synthetic."""

MOST_TEXT = 2**22
"""Characters of a recipe with its history; spans by the ten thousand."""

_SEAL, _MARK = "sha256", "vamp_recipe"
_CURE = "make the file again, or strip its metadata: then a --sidecar beside it counts"
_BLOCK = 2**20  # samples hashed at once

Part = Literal["all", "generated", "difference"]
"""What of a take was written: all of it, its spans alone, or what was added to the input."""

Subtype = Literal["", "PCM_16", "PCM_24", "FLOAT"]
"""A sample format that can be asked for; empty = the input's."""

Ranges = tuple[tuple[int, int], ...]
"""Sample ranges [start, end)."""


@dataclass(frozen=True)
class InputSource:
    """The input of a take.

    Attributes:
        name: of the file, as it was typed; `-` for a pipe, empty for sound without a file.
        sha256: of its sound, see `audio_hash`; of a token file, of its bytes.
        recipe: how the input itself was made, if vamp made it.
    """

    name: str
    sha256: str
    recipe: Recipe | None = None


@dataclass(frozen=True)
class MadeBy:
    """What a take was made with.

    Attributes:
        model: its name or folder, as it was asked for.
        model_sha256: of its files; see `vampcli.checkpoints.registry.model_hash`.
        licence: of the model.
        version: of vamp.
        torch: its version.
        device: its kind: cpu, cuda, mps.
        dtype: of the transformers: fp32, bf16, fp16.
        exact: every window was run by itself, so that nothing else had a part in it.
        compiled: `torch.compile` had made the transformers' kernels.
    """

    model: str
    model_sha256: str
    licence: str
    version: str
    torch: str
    device: str
    dtype: str
    exact: bool = True
    compiled: bool = False


@dataclass(frozen=True)
class Recipe:
    """What made a take, and what of it is made.

    Attributes:
        command: the verb.
        request: its fields, as a table; see `vampcli.tasks.registry`.
        sampling: how tokens were drawn, without the model's own temperature.
        stereo: what was made of two channels.
        seed: of the take.
        source: the input.
        made_by: model, versions, device.
        n_samples: length of the result.
        synthetic: sample ranges of the result that a model has made, now or in an earlier edit.
        part: what of the take was written.
        subtype: sample format that was asked for.
        format: of recipes.

    Raises:
        UsageError: there is no sample, or a synthetic span is not within them.
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
        """Of all models that had a part in it, each once."""
        return list(dict.fromkeys(r.made_by.licence for r in (self, *self.earlier)))


def to_table(recipe: Recipe, most_text: int = MOST_TEXT) -> dict[str, Any]:
    """A recipe as a table that JSON can hold.

    Args:
        recipe: what to write.
        most_text: characters of JSON; the oldest edits are left out where it would be more, down to the last alone.
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
    """Read a recipe from a table; what is wrong with it is named.

    Raises:
        InputError: it is of a newer format, or a value is not what it should be.
    """
    if not isinstance(table, dict) or table.get("format") != FORMAT:
        raise InputError(f"{where} is of another format than {FORMAT}", "update vamp")
    try:
        return from_table(Recipe, table, where)
    except UsageError as error:
        raise InputError(error.message, error.hint) from error


def to_text(recipe: Recipe, most_text: int = MOST_TEXT) -> str:
    """One line of JSON, sealed by a SHA-256; see `to_table`."""
    table = to_table(recipe, most_text - 128)  # seal and mark have 105
    return json.dumps({_MARK: table, _SEAL: _seal(table)})


def from_text(text: str, where: str) -> Recipe | None:
    """Read what `to_text` has written.

    Args:
        text: as it was found in a file; may be of somebody else.
        where: names the file in errors.

    Returns:
        None if it is no recipe.

    Raises:
        InputError: it is one, but damaged or changed by hand; the message says what is wrong.
    """
    where = f"the recipe in {where}"
    if _MARK not in text:
        return None
    try:
        found = json.loads(text, parse_constant=_refused)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where} is damaged: {error}", _CURE) from error
    if not isinstance(found, dict) or not isinstance(table := found.get(_MARK), dict):
        raise InputError(f"{where} is damaged: it holds no table", _CURE)
    recipe = recipe_from_table(table, where)
    if found.get(_SEAL) != _seal(table):
        raise InputError(
            f"{where} was changed by hand: its checksum does not fit",
            "undo that, and change a setting with `vamp replay --set`",
        )
    return recipe


def _refused(constant: str) -> float:
    raise ValueError(f"{constant} is no number")


def _seal(table: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(table, sort_keys=True).encode()).hexdigest()


def audio_hash(clip: Waveform) -> str:
    """SHA-256 of sound: rate, channels and samples; the same in every container that keeps it exactly.

    Args:
        clip: float32 or float64 (n_channels, n_samples); both give the same hash for the same values.
    """
    digest = hashlib.sha256(f"{clip.sample_rate} {clip.n_channels} {clip.n_samples}\n".encode())
    for channel in clip.samples:
        for start in range(0, clip.n_samples, _BLOCK):
            digest.update(channel[start : start + _BLOCK].astype("<f8").tobytes())
    return digest.hexdigest()
