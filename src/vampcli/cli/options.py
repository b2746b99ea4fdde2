"""The options that commands share, each stated once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

_OUT, _MODEL, _HOW = "Output", "Model", "Sampling"

# typer reads these annotations at run time, on Python 3.10 too, hence Optional.
InputFile = Annotated[Path, typer.Argument(metavar="INPUT", help="Sound file: wav, flac, ogg, mp3, aiff.")]
Out = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option("-o", "--out", help="File for one take, else a folder. [beside the input]", rich_help_panel=_OUT),
]
Name = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(help="File names: {stem} {cmd} {seed} {n} {model} {ext}.", rich_help_panel=_OUT),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace outputs that exist.", rich_help_panel=_OUT)]
SkipExisting = Annotated[
    bool, typer.Option("--skip-existing", help="Leave out takes that exist.", rich_help_panel=_OUT)
]
Int16 = Annotated[bool, typer.Option("--int16", help="Write 16-bit samples.", rich_help_panel=_OUT)]
Int24 = Annotated[bool, typer.Option("--int24", help="Write 24-bit samples.", rich_help_panel=_OUT)]
Float32 = Annotated[bool, typer.Option("--float32", help="Write 32-bit floats.", rich_help_panel=_OUT)]
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
Takes = Annotated[int, typer.Option("-n", "--takes", help="How many results.", rich_help_panel=_HOW)]
Seed = Annotated[
    Optional[int],  # noqa: UP045
    typer.Option(help="Makes a take again; take i has seed + i. [fresh]", rich_help_panel=_HOW),
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
