"""The options that commands share, each stated once."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from vampcli.cli.times import collect_spans, parse_time
from vampcli.config import SamplingConfig, TempoConfig
from vampcli.errors import UsageError
from vampcli.places import Places

if TYPE_CHECKING:
    from vampcli.plan import Margin
    from vampcli.takes import Stereo

_OUT, _MODEL, _HOW, WHERE = "Output", "Model", "Sampling", "Where"

# typer reads these annotations at run time, on Python 3.10 too, hence Optional.
Inputs = Annotated[
    list[str],
    typer.Argument(metavar="INPUT", help="Sound files, folders, patterns, @list.txt: wav, flac, ogg, mp3, aiff."),
]
Recursive = Annotated[bool, typer.Option("-r", "--recursive", help="Folders in folders, too; mirrored in -o.")]
FailFast = Annotated[bool, typer.Option("--fail-fast", help="Stop at the first recording that fails.")]
Out = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(
        "-o", "--out", help="A file for one take, else a folder.", show_default="beside the input", rich_help_panel=_OUT
    ),
]
Name = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(help="File names: {stem} {parent} {cmd} {seed} {n} {model} {ext}.", rich_help_panel=_OUT),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace outputs that exist.", rich_help_panel=_OUT)]
SkipExisting = Annotated[
    bool, typer.Option("--skip-existing", help="Leave out takes that exist.", rich_help_panel=_OUT)
]
Int16 = Annotated[bool, typer.Option("--int16", help="Write 16-bit samples.", rich_help_panel=_OUT)]
Int24 = Annotated[bool, typer.Option("--int24", help="Write 24-bit samples.", rich_help_panel=_OUT)]
Float32 = Annotated[bool, typer.Option("--float32", help="Write 32-bit floats.", rich_help_panel=_OUT)]
OnlyGenerated = Annotated[
    bool, typer.Option("--only-generated", help="Write the spans alone, one after another.", rich_help_panel=_OUT)
]
Difference = Annotated[
    bool, typer.Option("--difference", help="Write the result minus the input.", rich_help_panel=_OUT)
]
Json = Annotated[bool, typer.Option("--json", help="One JSON object a take on stdout.", rich_help_panel=_OUT)]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Say what would be done; load no weights.", rich_help_panel=_OUT)
]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="Errors only.", rich_help_panel=_OUT)]
Verbose = Annotated[bool, typer.Option("-v", "--verbose", help="Say more.", rich_help_panel=_OUT)]
ModelName = Annotated[
    str, typer.Option("-m", "--model", help="Name or folder; mini+NAME adds an adapter.", rich_help_panel=_MODEL)
]
Device = Annotated[str, typer.Option("-d", "--device", help="auto, cpu, cuda, cuda:N or mps.", rich_help_panel=_MODEL)]
Dtype = Annotated[str, typer.Option("--dtype", help="auto, fp32, bf16 or fp16.", rich_help_panel=_MODEL)]
StereoName = Annotated[
    str,
    typer.Option(
        "--stereo",
        help="mid: make the middle, in the stereo image around it; channels: make both.",
        rich_help_panel=_MODEL,
    ),
]
Takes = Annotated[int, typer.Option("-n", "--takes", help="How many results.", rich_help_panel=_HOW)]
Seed = Annotated[
    Optional[int],  # noqa: UP045
    typer.Option(
        help="Makes a take again; the next take has the next seed.",
        show_default="fresh, and said; 0 for several inputs",
        rich_help_panel=_HOW,
    ),
]
Steps = Annotated[int, typer.Option("--steps", help="Passes of the coarse model.", rich_help_panel=_HOW)]
FineSteps = Annotated[int, typer.Option("--fine-steps", help="Passes of the fine model.", rich_help_panel=_HOW)]
Temperature = Annotated[
    float,
    typer.Option(help="Below 1 safer, above 1 wilder, 1 suits the model, 0 is likeliest.", rich_help_panel=_HOW),
]
MaskTemperature = Annotated[float, typer.Option(help="Chance in what is drawn again.", rich_help_panel=_HOW)]
TopP = Annotated[float, typer.Option(help="Draw from the likeliest classes with this mass.", rich_help_panel=_HOW)]
TypicalMass = Annotated[
    float, typer.Option(help="Draw from the most typical classes with this mass.", rich_help_panel=_HOW)
]
TypicalMinTokens = Annotated[int, typer.Option(help="At least that many typical classes.", rich_help_panel=_HOW)]
SampleCutoff = Annotated[float, typer.Option(help="Draw up to this share of the steps.", rich_help_panel=_HOW)]

Start = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(help="Start of the span: seconds or mm:ss.mmm.", rich_help_panel=WHERE),
]
End = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(help="End of the span.", rich_help_panel=WHERE),
]
Spans = Annotated[
    Optional[list[str]],  # noqa: UP045
    typer.Option(
        "--span", help="A span: 4-6, 1:02.5-1:04, bars:5-8, beats:17-24; as often as you like.", rich_help_panel=WHERE
    ),
]
Bpm = Annotated[
    Optional[float],  # noqa: UP045
    typer.Option(help="Tempo in beats a minute.", show_default="tracked", rich_help_panel=WHERE),
]
Downbeat = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(help="Where bar 1 begins.", show_default="tracked; 0 with --bpm", rich_help_panel=WHERE),
]
BeatsPerBar = Annotated[int, typer.Option(help="Beats in a bar.", rich_help_panel=WHERE)]
SnapTo = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option("--snap", help="Move the span's edges to the nearest beat or onset.", rich_help_panel=WHERE),
]
MarginFrames = Annotated[
    str,
    typer.Option("--margin", help="Frames hidden around a span; auto = all that heard it.", rich_help_panel=WHERE),
]
Context = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(help="How much the models see on each side.", show_default="all they can", rich_help_panel=WHERE),
]


@dataclass(frozen=True)
class Common:
    """What every command takes beside its own options."""

    recursive: Recursive = False
    fail_fast: FailFast = False
    out: Out = None
    name: Name = None
    overwrite: Overwrite = False
    skip_existing: SkipExisting = False
    int16: Int16 = False
    int24: Int24 = False
    float32: Float32 = False
    only_generated: OnlyGenerated = False
    difference: Difference = False
    as_json: Json = False
    dry_run: DryRun = False
    quiet: Quiet = False
    verbose: Verbose = False
    model: ModelName = "mini"
    device: Device = "auto"
    dtype: Dtype = "auto"
    stereo: StereoName = "mid"
    takes: Takes = 1
    seed: Seed = None
    n_steps: Steps = 36
    n_fine_steps: FineSteps = 2
    temperature: Temperature = 1.0
    mask_temperature: MaskTemperature = 10.5
    top_p: TopP = 1.0
    typical_mass: TypicalMass = 1.0
    typical_min_tokens: TypicalMinTokens = 64
    sample_cutoff: SampleCutoff = 1.0

    def __post_init__(self) -> None:
        if self.takes < 1:
            raise UsageError(f"{self.takes} takes are asked for", "ask for one or more: -n 1")
        if self.overwrite and self.skip_existing:
            raise UsageError("--overwrite and --skip-existing contradict each other", "leave one of them out")
        if self.only_generated and self.difference:
            raise UsageError("--only-generated and --difference contradict each other", "leave one of them out")
        if len([wanted for wanted in (self.int16, self.int24, self.float32) if wanted]) > 1:
            raise UsageError("several sample formats are asked for", "give one of --int16 --int24 --float32")

    @property
    def sampling(self) -> SamplingConfig:
        """How to draw."""
        return SamplingConfig(**{f.name: getattr(self, f.name) for f in dataclasses.fields(SamplingConfig)})

    @property
    def subtype(self) -> str | None:
        """The sample format asked for, in libsndfile's words."""
        asked = (("PCM_16", self.int16), ("PCM_24", self.int24), ("FLOAT", self.float32))
        return next((subtype for subtype, wanted in asked if wanted), None)

    @property
    def channels(self) -> Stereo:
        """What is made of two channels."""
        if self.stereo == "mid":
            return "mid"
        if self.stereo == "channels":
            return "channels"
        raise UsageError(f"--stereo is {self.stereo!r}", "choose mid or channels")


@dataclass(frozen=True)
class Where:
    """Where in a recording, as it was typed."""

    start: Start = None
    end: End = None
    span: Spans = None
    snap: SnapTo = None
    bpm: Bpm = None
    downbeat: Downbeat = None
    beats_per_bar: BeatsPerBar = 4

    @property
    def places(self) -> Places:
        """The same, understood.

        Raises:
            UsageError: a part of it cannot be.
        """
        if self.snap not in (None, "beat", "onset"):
            raise UsageError(f"--snap is {self.snap!r}", "choose beat or onset")
        downbeat_s = None if self.downbeat is None else parse_time(self.downbeat)
        spans = tuple(collect_spans(self.start, self.end, self.span or []))
        return Places(spans, TempoConfig(self.bpm, downbeat_s, self.beats_per_bar), self.snap)  # type: ignore[arg-type]


def parse_margin(text: str) -> Margin:
    """A number of frames, or `auto`.

    Raises:
        UsageError: it is neither.
    """
    if text == "auto":
        return "auto"
    if not text.isdecimal():
        raise UsageError(f"--margin is {text!r}", "give a number of frames, or auto")
    return int(text)


def parse_context(text: str | None) -> float | None:
    """A time, or None for all that the models can see."""
    return None if text is None else parse_time(text)
