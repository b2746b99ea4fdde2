"""Options of all commands: they fill the dataclasses, agree between commands, and their help fits the screen."""

import dataclasses
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer

from vampcli import SamplingConfig
from vampcli.audio.waveform import Waveform
from vampcli.cli import main
from vampcli.cli.command import command
from vampcli.cli.jobs.places import PlacesWorkflow
from vampcli.cli.options import DERIVED, Common
from vampcli.config import MemoryConfig, MusicalSpan, PromptConfig, TempoConfig
from vampcli.tasks.inpaint import Inpaint
from vampcli.tasks.loop import Loop
from vampcli.tasks.outpaint import Outpaint
from vampcli.tasks.recording import Recording
from vampcli.tasks.spans import SpanRequest
from vampcli.tasks.vamp import Vamp as Vary
from vampcli.tokens import mask_file

pytestmark = pytest.mark.usefixtures("plain_mini")

_seen: list[Any] = []
_app = typer.Typer()
for task in main.TASKS:
    _app.command()(command(task, lambda workflow, inputs: _seen.append(workflow)))
APP = typer.main.get_command(_app)
"""The commands that make takes, without the takes."""


def workflow_of(line: str) -> Any:
    """The workflow of a command line: `workflow_of("vamp --period 3")`."""
    name, *options = shlex.split(line)
    APP([name, "a.wav", *options], standalone_mode=False)
    return _seen.pop()


# Options of all five commands -> the field of `Common`, and its value.
SHARED: list[tuple[str, str, object]] = [
    ("--sampling paper", "sampling_preset", "paper"),
    ("-r", "recursive", True),
    ("--recursive", "recursive", True),
    ("--fail-fast", "fail_fast", True),
    ("--include-made", "include_made", True),
    ("-o x.flac", "out", "x.flac"),
    ("--out x/", "out", "x/"),
    ("--name {n}.wav", "name", "{n}.wav"),
    ("--overwrite", "overwrite", True),
    ("--skip-existing", "skip_existing", True),
    ("--int16", "int16", True),
    ("--int24", "int24", True),
    ("--float32", "float32", True),
    ("--metadata", "metadata", True),
    ("--no-metadata", "metadata", False),
    ("--only-generated", "only_generated", True),
    ("--clip-mode rescale", "clip_mode", "rescale"),
    ("--difference", "difference", True),
    ("--json", "as_json", True),
    ("--dry-run", "dry_run", True),
    ("-q", "quiet", True),
    ("--quiet", "quiet", True),
    ("-v", "verbose", True),
    ("--verbose", "verbose", True),
    ("-m other", "model", "other"),
    ("--model other", "model", "other"),
    ("-d cpu", "device", "cpu"),
    ("--device cpu", "device", "cpu"),
    ("--dtype fp32", "dtype", "fp32"),
    ("--exact", "exact", True),
    ("--compile", "compile", True),
    ("--stereo channels", "stereo", "channels"),
    ("--nan zero", "nan", "zero"),
    ("-n 3", "takes", 3),
    ("--takes 3", "takes", 3),
    ("--keep 1", "keep", 1),
    ("--sidecar", "sidecar", True),
    ("--plot x.png", "plot", "x.png"),
    ("--page x.html", "page", "x.html"),
    ("--page-audio flac", "page_audio", "flac"),
    ("--labels x.txt", "labels", "x.txt"),
    ("--shard 3/16", "shard", "3/16"),
    ("--seed 8", "seed", 8),
]
SAMPLING: list[tuple[str, str, object]] = [
    ("--steps 5", "steps", 5),
    ("--fine-steps 5", "fine_steps", 5),
    ("--temperature 0.25", "temperature", 0.25),
    ("--mask-temperature 0.25", "mask_temperature", 0.25),
    ("--top-p 0.25", "top_p", 0.25),
    ("--typical-mass 0.25", "typical_mass", 0.25),
    ("--typical-min-tokens 5", "typical_min_tokens", 5),
    ("--sample-cutoff 0.25", "sample_cutoff", 0.25),
    ("--sampler halton", "sampler", "halton"),
    ("--refresh 4", "refresh", 4),
]
LABELS = Path(__file__).parent / "data/labels/one_span.txt"
SHORT = str(Path(__file__).parents[1] / "examples/short.wav")
RECORDING = Recording(Waveform(np.zeros((1, 80_000), np.float32), 8000))  # 10 s
SPAN = SpanRequest(((1, 2),))

# A command line -> its request.
REQUESTS: list[tuple[str, object]] = [
    ("inpaint --start 1 --end 2", Inpaint(SPAN)),
    ("inpaint --span bars:1-2", Inpaint(SpanRequest((MusicalSpan("bars", 1, 2),)))),
    (f"inpaint --spans-from {LABELS}", Inpaint(SpanRequest(((1.5, 2.75),)))),
    ("inpaint --span 1-2 --snap onset", Inpaint(dataclasses.replace(SPAN, snap="onset"))),
    ("inpaint --span 1-2 --bpm 90", Inpaint(SpanRequest(((1, 2),), TempoConfig(bpm=90)))),
    ("inpaint --span 1-2 --downbeat 0:01", Inpaint(SpanRequest(((1, 2),), TempoConfig(downbeat=1)))),
    ("inpaint --span 1-2 --beats-per-bar 3", Inpaint(SpanRequest(((1, 2),), TempoConfig(beats_per_bar=3)))),
    ("inpaint --span 1-2 --downbeat 5%", Inpaint(SpanRequest(((1, 2),), TempoConfig(downbeat=0.5)))),
    (f"inpaint --spans-from {LABELS} --label CHORUS", Inpaint(SpanRequest(((1.5, 2.75),)))),
    ("inpaint --span 1-2 --margin auto", Inpaint(SPAN, "auto")),
    ("inpaint --span 1-2 --margin 3", Inpaint(SPAN, 3)),
    ("inpaint --span 1-2 --context 0:04", Inpaint(SPAN, context=4)),
    ("inpaint --span 1-2 --place 35%", Inpaint(SPAN, memory=MemoryConfig(place=3.5))),
    ("inpaint --span 1-2 --memory off", Inpaint(SPAN, memory=MemoryConfig(0.0))),
    ("inpaint --span 1-2 --memory 0.5 --edit 0.2", Inpaint(SPAN, memory=MemoryConfig(0.5, 0.2))),
    ("inpaint --span 1-2 --place 0:03.5", Inpaint(SPAN, memory=MemoryConfig(place=3.5))),
    (f"inpaint --span 1-2 --memory-from {SHORT}", Inpaint(SPAN, memory=MemoryConfig(memory_from=(SHORT,)))),
    ("outpaint --after 1 --memory off", Outpaint(1, memory=MemoryConfig(0.0))),
    ("loop --memory 1", Loop(memory=MemoryConfig(1.0))),
    ("outpaint --after 1:00", Outpaint(60)),
    ("outpaint --after 4bars --before 2beats --bpm 120", Outpaint(8, 1)),
    ("outpaint --after 2bars --bpm 120 --beats-per-bar 3 --context 50%", Outpaint(3, context=5)),
    ("outpaint --after 1 --downbeat 0.5", Outpaint(1)),
    ("outpaint --after 1 --margin 40ms", Outpaint(1, margin="40ms")),
    ("outpaint --before 3", Outpaint(0, 3)),
    ("outpaint --after 1 --margin auto", Outpaint(1, margin="auto")),
    ("outpaint --after 1 --context 4", Outpaint(1, context=4)),
    ("loop", Loop()),
    ("loop --span 1-2", Loop(SPAN)),
    ("loop --repeats 3 --variation 0.4", Loop(repeats=3, variation=0.4)),
    ("loop --seam 0.5", Loop(seam=0.5)),
    ("loop --seam 500ms", Loop(seam=0.5)),
    ("loop --seam 1beats --bpm 120", Loop(SpanRequest(tempo=TempoConfig(bpm=120)), seam=0.5)),
    ("loop --seam auto", Loop(seam=None)),
    ("loop --seam 0", Loop(seam=0.0)),
    ("loop --find", Loop(find=True)),
    ("loop --margin 0", Loop(margin=0)),
    ("vamp", Vary()),
    ("vamp --period 3", Vary(PromptConfig(period=3))),
    ("vamp --width 2", Vary(PromptConfig(width=2))),
    ("vamp --keep-codebooks 2", Vary(PromptConfig(keep_codebooks=2))),
    ("vamp --beats", Vary(PromptConfig(beats=True))),
    ("vamp --beats --beat-width 20", Vary(PromptConfig(beats=True, beat_width=20))),
    ("vamp --beats --downbeats-only", Vary(PromptConfig(beats=True, downbeats_only=True))),
    ("vamp --onsets", Vary(PromptConfig(onsets=True))),
    ("vamp --onsets --onset-width 20", Vary(PromptConfig(onsets=True, onset_width=20))),
    ("vamp --intensity 0.4", Vary(PromptConfig(intensity=0.4))),
    ("vamp --dropout 0.4", Vary(PromptConfig(dropout=0.4))),
    ("vamp --feedback 2", Vary(PromptConfig(feedback=2))),
    ("vamp --stretch 2", Vary(PromptConfig(stretch=2))),
    ("vamp --pitch -2", Vary(PromptConfig(pitch=-2))),
    ("vamp --preset large-variation", Vary(PromptConfig(period=13, keep_codebooks=4, dropout=0.2))),
    (
        "vamp --preset large-variation --dropout 0 --pitch 1",
        Vary(PromptConfig(period=13, keep_codebooks=4, pitch=1)),
    ),
    ("vamp --span 1-2", Vary(at=SPAN)),
    ("vamp --prefix 0:02 --suffix 3", Vary(prefix=2, suffix=3)),
    ("vamp --prefix 20% --suffix 250ms", Vary(prefix=2, suffix=0.25)),
    ("vamp --amount 0.4", Vary(amount=0.4)),
    (f"vamp --mask {LABELS}", Vary(mask=mask_file.pin(LABELS))),
    ("vamp --amount 0.4 --feedback 2", Vary(PromptConfig(feedback=2), amount=0.4)),
]
KEPT: list[tuple[str, tuple[object, ...]]] = [
    ("compress", (None, None, None)),
    ("compress --keep-codebooks 2 --period 3", (2, 3, None)),
    ("compress --bitrate 900", (None, None, 900)),
]


def test_shared_options_fill_common() -> None:
    for typed, field, value in SHARED:
        takes = {"takes": 3} if field == "keep" else {}
        made = workflow_of(f"loop {typed} {'-n 3' if takes else ''}").common
        assert made == dataclasses.replace(Common(), **{field: value}, **takes), typed
    assert {field for _, field, _ in SHARED} | {"sampling"} == {f.name for f in dataclasses.fields(Common)}


def test_sampling_options_fill_sampling() -> None:
    for typed, field, value in SAMPLING:
        assert workflow_of(f"loop {typed}").common.sampling == SamplingConfig(**{field: value})  # type: ignore[arg-type]
    assert {field for _, field, _ in SAMPLING} == DERIVED[SamplingConfig].keys()


@pytest.mark.parametrize(("line", "request_made"), REQUESTS)
def test_options_fill_requests(line: str, request_made: object) -> None:
    assert workflow_of(line).request(RECORDING) == request_made


def test_options_fill_what_compress_keeps() -> None:
    for line, named in KEPT:
        assert workflow_of(line).named == named


def test_sample_formats() -> None:
    names = ("dry_run", "int16", "int24", "float32")
    found = [dataclasses.replace(Common(), **{name: True}).subtype for name in names]
    assert found == ["", "PCM_16", "PCM_24", "FLOAT"]


@pytest.mark.parametrize("line", ["inpaint --span 1-2", "outpaint --after 1", "loop"])
def test_places_make_nothing(line: str) -> None:
    workflow = workflow_of(f"{line} --places")
    assert isinstance(workflow, PlacesWorkflow)
    assert workflow.other.request(RECORDING) == workflow_of(line).request(RECORDING)


# ---- all commands

ROOT: Any = typer.main.get_command(main.app)


def commands(command: Any = ROOT, path: str = "vamp") -> Iterator[tuple[str, Any]]:
    """All commands by their full names."""
    if hasattr(command, "commands"):
        for name, inner in command.commands.items():
            yield from commands(inner, f"{path} {name}")
    else:
        yield path, command


def test_every_task_option_is_tested() -> None:
    lines = [line for line, *_ in (*REQUESTS, *KEPT)]
    typed = {"--places", "--preview"} | {
        word for line in (*lines, *(typed for typed, *_ in (*SHARED, *SAMPLING))) for word in line.split()
    }
    for name in ("inpaint", "outpaint", "loop", "vamp", "compress"):
        options = [p for p in ROOT.commands[name].params if p.param_type_name == "option" and p.name != "print_config"]
        assert {flag for option in options for flag in option.opts} <= typed


# Options with a meaning of the command's own.
VARIOUS = {"out", "name", "seed", "steps", "temperature", "model", "dtype", "period", "keep-codebooks", "version"}
VARIOUS |= {"as", "split", "codec", "coarse", "fine", "audio", "source", "licence", "edit"}


def test_same_option_has_same_help_everywhere() -> None:
    found: dict[str, set[tuple[object, ...]]] = {}
    for _, one in commands():
        hints = {p.name: p for p in one.params}
        for p in hints.values():
            if p.param_type_name == "option":
                key = next(name for name in p.opts if name.startswith("--"))[2:]
                kind = (tuple(sorted(p.opts)), p.multiple, p.is_flag)
                found.setdefault(key, set()).add(kind if key in VARIOUS else (*kind, p.metavar, p.help))
    assert {key: kinds for key, kinds in found.items() if len(kinds) > 1} == {}
    assert len(found) > 80


def test_help_is_prose() -> None:
    """Square brackets are style tags in Typer's help."""
    for path, one in commands():
        for p in one.params:
            assert getattr(p, "hidden", False) or (p.help and p.help[-1] in ".}" and "[" not in p.help), (path, p.name)
            assert getattr(p, "hidden", False) or len(p.help.split()) > 1, (path, p.name)


def test_help_of_vamp_fits_two_screens(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setattr("typer.rich_utils.MAX_WIDTH", 100)
    with pytest.raises(SystemExit):
        ROOT(["vamp", "--help"], prog_name="vamp")
    lines = capsys.readouterr().out.strip().splitlines()
    assert len(lines) <= 95
    assert max(map(len, lines)) <= 100
