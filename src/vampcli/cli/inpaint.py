"""`vamp inpaint`: re-make spans of a recording."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from vampcli.cli import options as o
from vampcli.cli.console import Console, guarded
from vampcli.cli.outputs import check_outputs, make_folder, output_paths
from vampcli.cli.times import collect_spans
from vampcli.config import SamplingConfig
from vampcli.errors import UsageError

if TYPE_CHECKING:
    from vampcli.audio import Waveform
    from vampcli.engine import Stereo
    from vampcli.plan import Margin, Plan

_WHERE = "Where"


@guarded
def inpaint(
    source: o.InputFile,
    start: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="Start of the span: seconds or mm:ss.mmm.", rich_help_panel=_WHERE),
    ] = None,
    end: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="End of the span.", rich_help_panel=_WHERE),
    ] = None,
    span: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(help="A span, such as 4-6 or 1:02.5-1:04; as often as you like.", rich_help_panel=_WHERE),
    ] = None,
    margin: Annotated[
        str,
        typer.Option(help="Frames hidden around a span; auto = all that heard it.", rich_help_panel=_WHERE),
    ] = "1",
    stereo: Annotated[
        str,
        typer.Option(help="mid: one take, its image from around; channels: each.", rich_help_panel=_WHERE),
    ] = "mid",
    out: o.Out = None,
    name: o.Name = None,
    overwrite: o.Overwrite = False,
    skip_existing: o.SkipExisting = False,
    int16: o.Int16 = False,
    int24: o.Int24 = False,
    float32: o.Float32 = False,
    as_json: o.Json = False,
    dry_run: o.DryRun = False,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
    model: o.ModelName = "mini",
    device: o.Device = "auto",
    dtype: o.Dtype = "auto",
    takes: o.Takes = 1,
    seed: o.Seed = None,
    n_steps: o.Steps = 36,
    n_fine_steps: o.FineSteps = 2,
    temperature: o.Temperature = 1.0,
    mask_temperature: o.MaskTemperature = 10.5,
    top_p: o.TopP = 1.0,
    typical_mass: o.TypicalMass = 1.0,
    typical_min_tokens: o.TypicalMinTokens = 64,
    sample_cutoff: o.SampleCutoff = 1.0,
) -> None:
    """Re-make spans of a recording; every sample outside them stays as it is.

    Example: vamp inpaint song.wav --start 4 --end 6 -n 3
    """
    request = _Request(
        source=source,
        spans=collect_spans(start, end, span or []),
        margin=_margin(margin),
        stereo=_stereo(stereo),
        model=model,
        device=device,
        dtype=dtype,
        n_takes=takes,
        seed=seed,
        config=SamplingConfig(
            n_steps=n_steps,
            n_fine_steps=n_fine_steps,
            temperature=temperature,
            mask_temperature=mask_temperature,
            top_p=top_p,
            typical_mass=typical_mass,
            typical_min_tokens=typical_min_tokens,
            sample_cutoff=sample_cutoff,
        ),
        out=out,
        name=name,
        overwrite=overwrite,
        skip_existing=skip_existing,
        subtype=_subtype(int16, int24, float32),
    )
    _inpaint(Console(quiet, verbose), request, dry_run, as_json)


@dataclass(frozen=True)
class _Request:
    """All that was asked for, parsed."""

    source: Path
    spans: list[tuple[float, float]]
    margin: Margin
    stereo: Stereo
    model: str
    device: str
    dtype: str
    n_takes: int
    seed: int | None
    config: SamplingConfig
    out: str | None
    name: str | None
    overwrite: bool
    skip_existing: bool
    subtype: str | None

    def __post_init__(self) -> None:
        if self.n_takes < 1:
            raise UsageError(f"{self.n_takes} takes are asked for", "ask for one or more: -n 1")
        if self.overwrite and self.skip_existing:
            raise UsageError("--overwrite and --skip-existing contradict each other", "leave one of them out")


@dataclass(frozen=True)
class _Job:
    """All that is known before a weight is loaded."""

    request: _Request
    clip: Waveform
    plan: Plan
    paths: list[Path]
    seeds: list[int]
    licence: str


def _margin(text: str) -> Margin:
    if text == "auto":
        return "auto"
    if not text.isdecimal():
        raise UsageError(f"--margin is {text!r}", "give a number of frames, or auto")
    return int(text)


def _stereo(text: str) -> Stereo:
    if text == "mid":
        return "mid"
    if text == "channels":
        return "channels"
    raise UsageError(f"--stereo is {text!r}", "choose mid or channels")


def _subtype(int16: bool, int24: bool, float32: bool) -> str | None:
    asked = [s for s, wanted in (("PCM_16", int16), ("PCM_24", int24), ("FLOAT", float32)) if wanted]
    if len(asked) > 1:
        raise UsageError("several sample formats are asked for", "give one of --int16 --int24 --float32")
    return asked[0] if asked else None


def _inpaint(console: Console, request: _Request, dry_run: bool, as_json: bool) -> None:
    began = time.monotonic()
    job = _prepare(request)
    if dry_run:
        _describe(console, job, as_json)
    elif job.paths:
        _run(console, job, began, as_json)
    else:
        console.note("every take exists already: nothing to do")


def _prepare(request: _Request) -> _Job:
    """Find everything that can be wrong without loading a weight, the quick things first."""
    seed = request.seed
    if seed is None:
        seed = 0 if request.skip_existing else secrets.randbelow(10_000)
    seeds = [seed + i for i in range(request.n_takes)]
    paths = output_paths(request.source, request.out, request.name, "inpaint", request.model, seeds)

    from vampcli import audio, checkpoint, library
    from vampcli.devices import pick_device, pick_dtype
    from vampcli.plan import plan_inpaint

    clip = audio.read(request.source)
    outline = checkpoint.outline(library.find(request.model))
    plan = plan_inpaint(clip, request.spans, outline.codec, outline.context_frames, request.margin)
    pick_dtype(request.dtype, pick_device(request.device))
    for path in paths:
        audio.check_output(path, clip, request.subtype)
    if request.skip_existing:
        missing = [(p, s) for p, s in zip(paths, seeds, strict=True) if not p.exists()]
        paths, seeds = [p for p, _ in missing], [s for _, s in missing]
    check_outputs(paths, request.source, request.overwrite)
    return _Job(request, clip, plan, paths, seeds, outline.provenance.licence)


def _run(console: Console, job: _Job, began: float, as_json: bool) -> None:
    from vampcli import audio
    from vampcli.engine import load

    request = job.request
    model = load(request.model, request.device, request.dtype)
    with console.progress("re-making") as progress:
        made = model.takes(
            job.clip,
            request.spans,
            seeds=job.seeds,
            config=request.config,
            margin=request.margin,
            stereo=request.stereo,
            progress=progress,
        )
        for take, path in zip(made, job.paths, strict=True):
            make_folder(path)
            audio.write(path, take.audio, request.subtype, request.overwrite)
            console.result({"output": str(path), "seed": take.seed, **_facts(job)} if as_json else str(path))
    seconds = time.monotonic() - began
    frames = f"{job.plan.n_hidden_frames} frames re-made"
    seeds = f"seed {job.seeds[0]}" if len(job.seeds) == 1 else f"seeds {job.seeds[0]} to {job.seeds[-1]}"
    console.note(f"{frames} ({_spans(job)}) in {seconds:.1f} s, {seeds}")
    if "NC" in job.licence:
        console.note(f"made with {request.model}, whose licence is {job.licence}: not for commercial use")


def _facts(job: _Job) -> dict[str, Any]:
    rate = job.clip.sample_rate
    return {
        "input": str(job.request.source),
        "model": job.request.model,
        "licence": job.licence,
        "spans_s": [[start / rate, end / rate] for start, end in job.plan.spans],
        "n_frames": job.plan.n_hidden_frames,
    }


def _spans(job: _Job) -> str:
    rate = job.clip.sample_rate
    return ", ".join(f"{start / rate:.2f}-{end / rate:.2f} s" for start, end in job.plan.spans)


def _describe(console: Console, job: _Job, as_json: bool) -> None:
    for path, seed in zip(job.paths, job.seeds, strict=True):
        facts = {"output": str(path), "seed": seed, **_facts(job), "dry_run": True}
        console.result(facts if as_json else str(path))
    n = len(job.paths)
    console.note(
        f"would re-make {job.plan.n_hidden_frames} of {job.plan.n_frames} frames ({_spans(job)}) "
        f"with {job.request.model}: {n} take{'s' * (n != 1)}"
    )
