"""The options that commands share, each stated once."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from vampcli.audio.markers import spans_from
from vampcli.cli.annotations import Rivals, flag
from vampcli.cli.parse import collect_spans, parse_time
from vampcli.config import SamplingConfig, TempoConfig
from vampcli.errors import UsageError
from vampcli.recipe.recipe import Subtype
from vampcli.tasks.spans import SpanRequest

if TYPE_CHECKING:
    from vampcli.tasks.plan import Margin
    from vampcli.tasks.take import Stereo

_OUT, _MODEL, _HOW, WHERE = "Output", "Model", "Sampling", "Where"

# typer reads these annotations at run time, on Python 3.10 too, hence Optional.
Inputs = Annotated[
    Optional[list[str]],  # noqa: UP045  (the command itself refuses to go without, unless it only prints)
    typer.Argument(
        metavar="INPUT", help="Sound: files, folders, patterns, @list.txt, - for stdin; wav, flac, ogg, mp3, aiff."
    ),
]
Recursive = Annotated[bool, flag("Folders in folders, too; mirrored in -o.", "-r", "--recursive/--no-recursive")]
FailFast = Annotated[bool, flag("Stop at the first recording that fails.")]
Out = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(
        "-o",
        "--out",
        help="A file for one take, - for stdout, else a folder.",
        show_default="beside the input",
        rich_help_panel=_OUT,
    ),
]
Name = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(help="File names: {stem} {parent} {cmd} {seed} {n} {model} {ext}.", rich_help_panel=_OUT),
]
Overwrite = Annotated[bool, flag("Replace outputs that exist.", panel=_OUT), Rivals("skip-existing")]
Sidecar = Annotated[bool, flag("Write how it was made as JSON beside it, too.", panel=_OUT)]
Plot = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(
        metavar="FILE.png", help="Draw before and after; a file for one take, else a folder.", rich_help_panel=_OUT
    ),
]
SkipExisting = Annotated[bool, flag("Leave out takes that exist.", panel=_OUT)]
Int16 = Annotated[bool, flag("Write 16-bit samples.", panel=_OUT), Rivals("int24", "float32")]
Int24 = Annotated[bool, flag("Write 24-bit samples.", panel=_OUT), Rivals("float32")]
Float32 = Annotated[bool, flag("Write 32-bit floats.", panel=_OUT)]
OnlyGenerated = Annotated[bool, flag("Write the spans alone, one after another.", panel=_OUT), Rivals("difference")]
Difference = Annotated[bool, flag("Write the result minus the input.", panel=_OUT)]
Json = Annotated[bool, flag("One JSON object a take on stdout.", "--json/--no-json", panel=_OUT)]
DryRun = Annotated[bool, flag("Say what would be done; load no weights.", panel=_OUT)]
PrintConfig = Annotated[
    bool,
    typer.Option(
        "--print-config",
        help="Show each value and its source: option, variable VAMP_OPTION, vamp.toml here or the user's, preset.",
        rich_help_panel=_OUT,
    ),
]
Quiet = Annotated[bool, flag("Errors only.", "-q", "--quiet/--no-quiet", panel=_OUT)]
Verbose = Annotated[bool, flag("Say more.", "-v", "--verbose/--no-verbose", panel=_OUT)]
ModelName = Annotated[
    str, typer.Option("-m", "--model", help="Name or folder; mini+NAME adds an adapter.", rich_help_panel=_MODEL)
]
Device = Annotated[str, typer.Option("-d", "--device", help="auto, cpu, cuda, cuda:N or mps.", rich_help_panel=_MODEL)]
Dtype = Annotated[str, typer.Option("--dtype", help="auto, fp32, bf16 or fp16.", rich_help_panel=_MODEL)]
Exact = Annotated[
    bool, flag("On a GPU, too, let a take depend on nothing but its seed; slower for many.", panel=_MODEL)
]
Compile = Annotated[
    bool,
    flag("Compile the model first (torch.compile): for long work on a GPU.", "--compile/--no-compile", panel=_MODEL),
]
StereoName = Annotated[
    str,
    typer.Option(
        "--stereo",
        help="mid: make the middle, in the stereo image around it; channels: make both.",
        rich_help_panel=_MODEL,
    ),
]
Takes = Annotated[int, typer.Option("-n", "--takes", help="How many results.", rich_help_panel=_HOW)]
Keep = Annotated[
    Optional[int],  # noqa: UP045
    typer.Option(help="Of these, the best so many alone, ranked.", show_default="all", rich_help_panel=_HOW),
]
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
SamplerName = Annotated[
    str,
    typer.Option(
        "--sampler",
        help="Order of making: confidence, the surest first; halton, evenly: 12 steps do, at --temperature 0.7.",
        rich_help_panel=_HOW,
    ),
]

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
SpansFrom = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(
        metavar="FILE",
        help="Spans of an Audacity label file, a REAPER region CSV or the cue points of a WAV file.",
        rich_help_panel=WHERE,
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
    typer.Option(
        help="How much the models see on each side, at most.", show_default="all they can", rich_help_panel=WHERE
    ),
]


@dataclass(frozen=True)
class Common:
    """What every command takes beside its own options."""

    recursive: Recursive = False
    fail_fast: FailFast = False
    out: Out = None
    name: Name = None
    overwrite: Overwrite = False
    sidecar: Sidecar = False
    plot: Plot = None
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
    exact: Exact = False
    compiled: Compile = False
    stereo: StereoName = "mid"
    takes: Takes = 1
    keep: Keep = None
    seed: Seed = None
    n_steps: Steps = 36
    n_fine_steps: FineSteps = 2
    temperature: Temperature = 1.0
    mask_temperature: MaskTemperature = 10.5
    top_p: TopP = 1.0
    typical_mass: TypicalMass = 1.0
    typical_min_tokens: TypicalMinTokens = 64
    sample_cutoff: SampleCutoff = 1.0
    sampler: SamplerName = "confidence"

    def __post_init__(self) -> None:
        if self.takes < 1:
            raise UsageError(f"{self.takes} takes are asked for", "ask for one or more: -n 1")
        if self.keep is not None and not 1 <= self.keep <= self.takes:
            raise UsageError(f"{self.keep} of {self.takes} takes are to be kept", "such as -n 16 --keep 3")
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
    def subtype(self) -> Subtype:
        """The sample format asked for, in libsndfile's words."""
        if self.int16:
            return "PCM_16"
        return "PCM_24" if self.int24 else "FLOAT" if self.float32 else ""

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
    spans_from: SpansFrom = None
    snap: SnapTo = None
    bpm: Bpm = None
    downbeat: Downbeat = None
    beats_per_bar: BeatsPerBar = 4

    @property
    def places(self) -> SpanRequest:
        """The same, understood.

        Raises:
            UsageError: a part of it cannot be.
            InputError: the file that spans come from is missing, or none.
        """
        if self.snap not in (None, "beat", "onset"):
            raise UsageError(f"--snap is {self.snap!r}", "choose beat or onset")
        downbeat_s = None if self.downbeat is None else parse_time(self.downbeat)
        spans = collect_spans(self.start, self.end, self.span or [])
        spans += spans_from(self.spans_from) if self.spans_from else ()
        return SpanRequest(tuple(spans), TempoConfig(self.bpm, downbeat_s, self.beats_per_bar), self.snap)  # type: ignore[arg-type]


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
