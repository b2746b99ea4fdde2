"""The lines of `--json`, as dataclasses of which scripts/json_schemas.py makes schemas.

A field with a default may be missing in a line. Tests compare the schemas with lines that commands print.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from vampcli.checkpoints.listing import Entry
from vampcli.config import PromptConfig
from vampcli.recipe.recipe import Recipe
from vampcli.scoring.scores import Scores

Seconds = tuple[float, float]
"""Start and end."""


@dataclass
class SourceFacts:
    """A stretch of a result and the place that it is made from; times in seconds."""

    start_s: float
    end_s: float
    place_s: float
    score: float
    trust: float
    gain_db: float
    file: str


@dataclass
class CandidateFacts(SourceFacts):
    """A place of `--places`; `bar` that it lies in, if the tempo is known."""

    bar: int | None


@dataclass
class PlacesFacts:
    """The places for a stretch."""

    start_s: float
    end_s: float
    candidates: tuple[CandidateFacts, ...]


@dataclass
class JunctionFacts:
    """What is done at a junction of a loop, with click and attack figures before, and after in results."""

    method: str
    start_s: float
    end_s: float
    click_before: float | None
    attack_db_before: float
    allowed: float
    click: float | None = None
    attack_db: float = 0.0


@dataclass
class LoopFacts:
    """Loop points that `--find` found."""

    start_s: float
    end_s: float
    start: int
    end: int
    score: float
    waveform_score: float


@dataclass
class TakeLine:
    """A take of inpaint, outpaint, loop, vamp, compress or replay; with --dry-run, one that would be made.

    Attributes:
        output: path of the file; null if there is none.
        model: name or folder; null if none ran.
        spans_s: spans that are generated.
        n_frames: frames that are generated.
        identical: of a replay: the samples are those of the result.
    """

    output: str | None
    seed: int
    input: str
    command: str
    model: str | None
    licence: str | None
    spans_s: tuple[Seconds, ...] = ()
    n_frames: int = 0
    preview_s: tuple[Seconds, ...] = ()
    sources: tuple[SourceFacts, ...] = ()
    places: tuple[PlacesFacts, ...] = ()
    junction: JunctionFacts | None = None
    junctions: tuple[JunctionFacts, ...] = ()
    clicks: tuple[float, ...] | None = None
    found: tuple[LoopFacts, ...] = ()
    keep_codebooks: int = 0
    period: int = 0
    bits_per_second: float = 0.0
    n_bytes: int = 0
    file_bits_per_second: float = 0.0
    scores: Scores | None = None
    page: str = ""
    labels: str = ""
    identical: bool = False
    dry_run: bool = False


@dataclass
class FailureLine:
    """A recording that failed; `input` is missing if the error is about folders.

    Attributes:
        error: the fact.
        hint: the cure; may be empty.
        exit_code: of the command.
    """

    error: str
    hint: str
    exit_code: int
    input: str = ""


@dataclass
class PartFacts:
    """Windows and forward passes of a model."""

    n_windows: int
    n_forwards: int


@dataclass
class PassFacts:
    """A pass of `vamp mask`; `kept` is the share of kept tokens of each codebook."""

    name: str
    spans_s: tuple[Seconds, ...]
    n_frames: int
    kept: tuple[float, ...]
    n_tokens: int
    n_kept_tokens: int
    bits_per_second: float
    regions_s: tuple[Seconds, ...]
    coarse: PartFacts
    fine: PartFacts


@dataclass
class MaskLine:
    """A prompt of `vamp mask`, and what its takes cost; `seconds` is an estimate."""

    output: str | None
    seed: int
    input: str
    command: str
    model: str
    licence: str
    duration_s: float
    n_frames: int
    frame_rate: float
    n_coarse: int
    n_channels: int
    takes: int
    passes: tuple[PassFacts, ...]
    n_forwards: int
    seconds: float
    junction: JunctionFacts | None = None
    found: tuple[LoopFacts, ...] = ()


@dataclass
class InfoLine:
    """A file of `vamp info`; all but `file` and `recipe` may be missing."""

    file: str
    recipe: Recipe | None
    format: str = ""
    subtype: str = ""
    sample_rate: int = 0
    n_channels: int = 0
    n_samples: int = 0
    duration_s: float = 0.0
    length_from: Literal["header", "samples", "tokens"] = "header"
    loop_s: Seconds | None = None
    lufs: float | None = None
    peak_dbfs: float | None = None
    bpm: float | None = None
    bpm_confidence: float | None = None
    keep_codebooks: int = 0
    period: int = 0
    bits_per_second: float = 0.0
    n_bytes: int = 0
    file_bits_per_second: float = 0.0
    error: str = ""
    hint: str = ""


@dataclass(kw_only=True)
class PageLine:
    """A page of `vamp page`."""

    output: str
    takes: tuple[str, ...]
    input: str
    dry_run: bool = False


@dataclass(frozen=True, kw_only=True)
class PresetLine(PromptConfig):
    """A preset of `vamp presets`."""

    preset: str
    purpose: str


LINES = {
    "take": TakeLine,
    "failure": FailureLine,
    "mask": MaskLine,
    "info": InfoLine,
    "page": PageLine,
    "preset": PresetLine,
    "model": Entry,
}
