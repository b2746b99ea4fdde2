"""The options that commands share, each stated once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import typer

from vampcli.audio.find import find
from vampcli.audio.formats import ClipMode, NaN, PageAudio
from vampcli.audio.markers import read_spans
from vampcli.cli import completion
from vampcli.cli.config import Rule
from vampcli.cli.parse import TypedSpans, collect_spans, parse_bpm, parse_trust
from vampcli.cli.recommended import paper_sampling, sampling_of
from vampcli.config import MemoryConfig, PromptConfig, RelativeTime, SamplingConfig, Stereo, TempoConfig, Time
from vampcli.errors import UsageError
from vampcli.recipe.recipe import Subtype
from vampcli.tasks.times import TempoRequest, parse_position

SPANS, MEMORY, PROMPT, OUTPUT, ADVANCED = "Spans", "Memory", "Prompt", "Output", "Advanced"  # panels of the help

_LARGEST_SEED = 10**18
BY_MODEL = "the model's"
"""The default of options that a model folder may recommend."""

INPUTS_HELP = "INPUT: sound files, folders, patterns such as 'takes/*.wav', @list.txt, or - for stdin."


def flag(help: str, *names: str, panel: str | None = None) -> Any:
    """A switch with its negative, which overrides a configuration file."""
    return typer.Option(*names, help=help, show_default=False, rich_help_panel=panel)


def value(help: str, *names: str, panel: str | None = None, metavar: str | None = "N", **more: Any) -> Any:
    """An option with a value, by default a number; without a metavar, the help shows its choices."""
    return typer.Option(*names, help=help, rich_help_panel=panel, metavar=metavar, **more)


Inputs = Annotated[list[str] | None, typer.Argument(metavar="INPUT", hidden=True)]  # in the help as INPUTS_HELP
PrintConfig = Annotated[
    bool, typer.Option("--print-config", help="Print every option with its source.", rich_help_panel=OUTPUT)
]
Json = Annotated[bool, flag("Print JSON objects on stdout.", "--json/--no-json", panel=OUTPUT)]
Quiet = Annotated[bool, flag("Print errors only.", "-q", "--quiet/--no-quiet")]
Verbose = Annotated[bool, flag("Print more.", "-v", "--verbose/--no-verbose")]
Recursive = Annotated[bool, flag("Search folders recursively.", "-r", "--recursive/--no-recursive")]
NaNs = Annotated[NaN, value("NaN samples: error, or zero for 0.", metavar="NAME")]
Overwrite = Annotated[bool, flag("Replace outputs that exist.", panel=OUTPUT), Rule(excludes=("skip-existing",))]
ModelName = Annotated[
    str,
    value("Name or folder; +NAME: an adapter.", "-m", "--model", metavar="NAME", autocompletion=completion.models),
    Rule(fills=sampling_of),
]
Device = Annotated[
    str, value("auto, cpu, cuda, cuda:N or mps.", "-d", "--device", metavar="NAME", autocompletion=completion.devices)
]
Dtype = Annotated[
    Literal["auto", "fp32", "bf16", "fp16"], value("auto, fp32, bf16 or fp16.", panel=ADVANCED, metavar="NAME")
]
PageAudioName = Annotated[PageAudio, value("Sound of --page: vorbis, or flac (exact).", panel=ADVANCED, metavar="NAME")]
MarginFrames = Annotated[
    str,
    value("Re-made around a span: frames, 40ms, or auto.", panel=SPANS, autocompletion=completion.one_of("auto")),
]
Context = Annotated[
    str | None,
    value("Longest context on each side.", panel=SPANS, metavar="TIME", show_default="all"),
]


@dataclass(frozen=True)
class OutputOptions:
    """Options of inputs, outputs and messages."""

    recursive: Recursive = False
    include_made: Annotated[bool, flag("Take results of vamp in folders, too.", panel=OUTPUT)] = False
    shard: Annotated[
        str | None,
        value("Do only share K of N of the inputs.", panel=ADVANCED, metavar="K/N", show_default="all"),
        Rule(excludes=("page",)),  # every shard would write its index
    ] = None
    fail_fast: Annotated[bool, flag("Stop at the first recording that fails.")] = False
    quiet: Quiet = False
    verbose: Verbose = False
    out: Annotated[str | None, value("File, folder, or - for stdout.", "-o", "--out", panel=OUTPUT, metavar="PATH")] = (
        None
    )
    name: Annotated[str | None, value("Template of names, as {stem}.{seed}.wav.", panel=OUTPUT, metavar="NAME")] = None
    overwrite: Overwrite = False
    skip_existing: Annotated[bool, flag("Skip takes that exist.", panel=OUTPUT)] = False
    sidecar: Annotated[bool, flag("Also write the recipe as a JSON file.", panel=OUTPUT)] = False
    metadata: Annotated[bool, flag("Store recipe and tags, or neither.", "--metadata/--no-metadata", panel=OUTPUT)] = (
        True
    )
    plot: Annotated[str | None, value("Draw before and after.", panel=OUTPUT, metavar="FILE.png")] = None
    page: Annotated[
        str | None,
        value("Write a page to listen and choose on.", panel=OUTPUT, metavar="FILE.html"),
        Rule(excludes=("skip-existing",)),
    ] = None
    page_audio: PageAudioName = "vorbis"
    labels: Annotated[
        str | None,
        value("Write labels of the re-made spans.", panel=OUTPUT, metavar="FILE.txt"),
        Rule(excludes=("skip-existing",)),
    ] = None
    as_json: Json = False
    dry_run: Annotated[bool, flag("Print what would be done.", panel=OUTPUT)] = False


@dataclass(frozen=True)
class FormatOptions:
    """Options of the written part and its sample format."""

    int16: Annotated[bool, flag("Write 16-bit samples.", panel=OUTPUT), Rule(excludes=("int24", "float32"))] = False
    int24: Annotated[bool, flag("Write 24-bit samples.", panel=OUTPUT), Rule(excludes=("float32",))] = False
    float32: Annotated[bool, flag("Write 32-bit floats.", panel=OUTPUT)] = False
    clip_mode: Annotated[
        ClipMode, value("Beyond full scale: clamp, rescale or error.", panel=ADVANCED, metavar="NAME")
    ] = "clamp"
    only_generated: Annotated[
        bool, flag("Write the re-made spans alone.", panel=OUTPUT), Rule(excludes=("difference",))
    ] = False
    difference: Annotated[bool, flag("Write the result minus the input.", panel=OUTPUT)] = False

    @property
    def subtype(self) -> Subtype:
        """The sample format as libsndfile names it; empty = that of the input."""
        if self.int16:
            return "PCM_16"
        return "PCM_24" if self.int24 else "FLOAT" if self.float32 else ""


@dataclass(frozen=True)
class ModelOptions:
    """The model, and how it runs."""

    sampling_preset: Annotated[  # before the model, whose recommendation is weaker
        Literal["model", "paper"],
        value("The model's sampling options, or the paper's.", "--sampling", panel=ADVANCED, metavar="NAME"),
        Rule(fills=paper_sampling),
    ] = "model"
    model: ModelName = "mini"
    device: Device = "auto"
    dtype: Dtype = "auto"
    exact: Annotated[bool, flag("Let a take depend on its seed alone; slower.")] = False
    compile: Annotated[bool, flag("Compile the models, for long work on a GPU.", "--compile/--no-compile")] = False
    stereo: Annotated[Stereo, value("mid, or channels to re-make both.", metavar="NAME")] = "mid"


@dataclass(frozen=True)
class Common(ModelOptions, FormatOptions, OutputOptions):  # fields of the last class come first
    """The options of every command that makes takes."""

    takes: Annotated[int, value("Number of takes.", "-n", "--takes")] = 1
    keep: Annotated[int | None, value("Keep only the N best takes (ranked).", metavar="N")] = None
    seed: Annotated[int | None, value("First seed; each take adds 1.", show_default="random")] = None
    nan: NaNs = "error"
    sampling: SamplingConfig = field(default_factory=SamplingConfig)

    def __post_init__(self) -> None:
        if self.takes < 1:
            raise UsageError(f"{self.takes} takes are asked for", "ask for one or more: -n 1")
        if self.seed is not None and abs(self.seed) >= _LARGEST_SEED:
            raise UsageError(f"the seed has {len(str(abs(self.seed)))} digits", "18 are allowed")
        if self.keep is not None and not 1 <= self.keep <= self.takes:
            raise UsageError(f"{self.keep} of {self.takes} takes are to be kept", "such as -n 16 --keep 3")


@dataclass(frozen=True)
class _NamedSpans:
    start: Annotated[str | None, value("Start: 4, 1:02.5, 50%, bar:5 or beat:17.", panel=SPANS, metavar="TIME")] = None
    end: Annotated[str | None, value("End of the span.", panel=SPANS, metavar="TIME")] = None
    span: Annotated[
        list[str] | None,
        value("4-6, 25%-50%, bar:5-bar:9 or bars:5-8; repeat for more.", panel=SPANS, metavar="SPAN"),
    ] = None
    spans_from: Annotated[
        str | None, value("Audacity labels, REAPER regions (CSV) or WAV cues.", panel=SPANS, metavar="FILE")
    ] = None
    label: Annotated[
        list[str] | None, value("Only labels with this text, or as 'take*'; repeat.", panel=SPANS, metavar="TEXT")
    ] = None
    snap: Annotated[
        Literal["beat", "onset"] | None, value("Move edges to the nearest beat or onset.", panel=SPANS, metavar=None)
    ] = None


@dataclass(frozen=True)
class TempoOptions:
    """Options by which bars and beats are counted, as typed."""

    bpm: Annotated[
        str | None,
        value(
            "Beats per minute, or track.",
            panel=SPANS,
            show_default="the file's",
            autocompletion=completion.one_of("track"),
        ),
    ] = None
    downbeat: Annotated[
        str | None,
        value("Start of bar 1.", panel=SPANS, metavar="TIME", show_default="tracked; 0 with --bpm"),
    ] = None
    beats_per_bar: Annotated[int, value("Beats per bar.", panel=SPANS)] = 4

    @property
    def tempo(self) -> TempoRequest:
        """The tempo, parsed.

        Raises:
            UsageError: an option is malformed.
        """
        downbeat = None if self.downbeat is None else parse_position(self.downbeat)
        config = TempoConfig(parse_bpm(self.bpm), beats_per_bar=self.beats_per_bar)
        return TempoRequest(config, downbeat, stored=self.bpm is None)


@dataclass(frozen=True)
class SpanOptions(TempoOptions, _NamedSpans):  # fields of the last class come first
    """Options that select spans, as typed."""

    def parse(self) -> TypedSpans:
        """Parse the spans; a file of spans is read.

        Raises:
            UsageError: a time or a span is malformed.
            InputError: the file of spans is missing, or has none.
        """
        if self.label and not self.spans_from:
            raise UsageError("--label chooses among labels, but no file is named", "name it with --spans-from")
        spans = collect_spans(self.start, self.end, self.span or [])
        marked = read_spans(self.spans_from, self.label or ()) if self.spans_from else ()
        return TypedSpans(tuple(spans), marked, self.tempo, self.snap)


@dataclass(frozen=True)
class MemoryOptions:
    """Options of similar places, as typed."""

    memory: Annotated[
        str,
        value(
            "Trust in similar places: auto, off, or 0 to 1.",
            panel=MEMORY,
            metavar="TRUST",
            autocompletion=completion.one_of("auto", "off"),
        ),
    ] = "auto"
    edit: Annotated[float, value("Share of the model's changes: 0 copies a place.", panel=MEMORY)] = 0.5
    places: Annotated[bool, flag("Print similar places, make nothing.", panel=MEMORY)] = False

    def config(self, place: Time | None = None, files: Sequence[str] | None = None) -> MemoryConfig:
        """The memory, parsed.

        Args:
            place: beginning of the place; one that depends on the recording is left out.
            files: other recordings to search, as typed.

        Raises:
            UsageError: a value is malformed, or options contradict each other.
            InputError: a recording to search does not exist.
        """
        trust = parse_trust(self.memory)
        if trust == 0 and self.places:
            raise UsageError("memory is off, but --places is given", "leave one of them out")
        found = find(files, recursive=True) if files else []
        place_s = None if isinstance(place, RelativeTime) else place
        return MemoryConfig(trust, self.edit, place_s, tuple(str(file.path) for file in found))


DERIVED: dict[Any, dict[str, tuple[Any, ...]]] = {
    SamplingConfig: {
        "steps": (value("Coarse sampling steps.", show_default=BY_MODEL),),
        "temperature": (value("High is wild, 0 greedy.", show_default=BY_MODEL),),
        "fine_steps": (value("Sampling steps of the fine model.", panel=ADVANCED),),
        "mask_temperature": (
            value("Randomness in choosing which tokens to re-mask.", panel=ADVANCED, show_default=False),
        ),
        "top_p": (value("Mass of likeliest classes to sample from.", panel=ADVANCED),),
        "typical_mass": (value("Mass of typical classes to sample from.", panel=ADVANCED),),
        "typical_min_tokens": (value("Smallest number of typical classes.", panel=ADVANCED),),
        "sample_cutoff": (value("Share of steps that sample; then greedy.", panel=ADVANCED),),
        "sampler": (
            value("Order: confidence or halton (evenly).", panel=ADVANCED, metavar="NAME", show_default=BY_MODEL),
        ),
        "refresh": (value("Steps from one whole pass to the next; 0: all.", panel=ADVANCED, show_default=False),),
    },
    PromptConfig: {
        "period": (value("Keep one frame in N; 0 none; 7 if alone.", panel=PROMPT),),
        "width": (value("Frames to keep in each period.", panel=PROMPT),),
        "keep_codebooks": (value("Keep only the first codebooks.", panel=PROMPT),),
        "beats": (flag("Keep what follows each beat.", panel=PROMPT), Rule(carries=("beat-width", "downbeats-only"))),
        "beat_width": (value("Length to keep, in ms.", panel=PROMPT),),
        "downbeats_only": (flag("Use only the first beat of each bar.", panel=PROMPT),),
        "onsets": (flag("Keep what follows each onset.", panel=PROMPT), Rule(carries=("onset-width",))),
        "onset_width": (value("Length to keep, in ms.", panel=PROMPT),),
        "intensity": (value("Chance to re-make a token.", panel=PROMPT),),
        "dropout": (value("Share of the prompt to drop.", panel=PROMPT),),
        "feedback": (value("Passes, each over the result.", panel=PROMPT),),
        "stretch": (value("Make it N times as long.", panel=PROMPT),),
        "pitch": (value("Shift the prompt by semitones.", panel=PROMPT),),
    },
}
"""Help of the options that have types and defaults of the fields of a dataclass."""
