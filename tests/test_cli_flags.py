"""Every flag of the five commands reaches the dataclass it belongs to, and has that one's default."""

from __future__ import annotations

import dataclasses
import inspect
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer

from conftest import Ran
from vampcli import SamplingConfig
from vampcli.cli import main
from vampcli.cli.command import command
from vampcli.cli.jobs import job as workflow
from vampcli.cli.names import FIELDS
from vampcli.cli.options import Common, parse_margin
from vampcli.config import MusicalSpan, PromptConfig, TempoConfig
from vampcli.tasks.compress import Compress
from vampcli.tasks.inpaint import Inpaint
from vampcli.tasks.loop import Loop
from vampcli.tasks.outpaint import Outpaint
from vampcli.tasks.spans import SpanRequest
from vampcli.tasks.vamp import Vamp as Vary
from vampcli.tokens import mask_file

Vamp = Callable[..., Ran]
COMMANDS: dict[str, Callable[..., None]] = {
    name: getattr(main, name) for name in ("inpaint", "outpaint", "loop", "vamp", "compress")
}
NEEDED = {"inpaint": ("--span", "7-9"), "outpaint": ("--after", "7")}

# What is typed -> the field of `Common` it fills, and with what.
SHARED: list[tuple[str, str, object]] = [
    ("-r", "recursive", True),
    ("--recursive", "recursive", True),
    ("--fail-fast", "fail_fast", True),
    ("-o x.flac", "out", "x.flac"),
    ("--out x/", "out", "x/"),
    ("--name {n}.wav", "name", "{n}.wav"),
    ("--overwrite", "overwrite", True),
    ("--skip-existing", "skip_existing", True),
    ("--int16", "int16", True),
    ("--int24", "int24", True),
    ("--float32", "float32", True),
    ("--only-generated", "only_generated", True),
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
    ("--compile", "compiled", True),
    ("--stereo channels", "stereo", "channels"),
    ("-n 3", "takes", 3),
    ("--takes 3", "takes", 3),
    ("--keep 1", "keep", 1),
    ("--sidecar", "sidecar", True),
    ("--plot x.png", "plot", "x.png"),
    ("--seed 8", "seed", 8),
    ("--steps 5", "n_steps", 5),
    ("--fine-steps 5", "n_fine_steps", 5),
    ("--temperature 0.25", "temperature", 0.25),
    ("--mask-temperature 0.25", "mask_temperature", 0.25),
    ("--top-p 0.25", "top_p", 0.25),
    ("--typical-mass 0.25", "typical_mass", 0.25),
    ("--typical-min-tokens 5", "typical_min_tokens", 5),
    ("--sample-cutoff 0.25", "sample_cutoff", 0.25),
    ("--sampler halton", "sampler", "halton"),
]

LABELS = Path(__file__).parent / "data/labels/one_span.txt"

# What is typed after a command -> the request it makes.
PLACES: list[tuple[str, SpanRequest]] = [
    ("--start 1 --end 2", SpanRequest(((1, 2),))),
    ("--span 1-2", SpanRequest(((1, 2),))),
    ("--span bars:1-2", SpanRequest((MusicalSpan("bars", 1, 2),))),
    (f"--spans-from {LABELS}", SpanRequest(((1.5, 2.75),))),
    ("--span 1-2 --snap onset", SpanRequest(((1, 2),), snap="onset")),
    ("--span 1-2 --bpm 90", SpanRequest(((1, 2),), TempoConfig(bpm=90))),
    ("--span 1-2 --downbeat 0:01", SpanRequest(((1, 2),), TempoConfig(downbeat_s=1))),
    ("--span 1-2 --beats-per-bar 3", SpanRequest(((1, 2),), TempoConfig(beats_per_bar=3))),
]
PROMPTS: list[tuple[str, PromptConfig]] = [
    ("", PromptConfig()),
    ("--period 3", PromptConfig(period=3)),
    ("--width 2", PromptConfig(width=2)),
    ("--keep-codebooks 2", PromptConfig(n_kept_codebooks=2)),
    ("--beats", PromptConfig(beats=True)),
    ("--beats --beat-width 20", PromptConfig(beats=True, beat_width_ms=20)),
    ("--beats --downbeats-only", PromptConfig(beats=True, downbeats_only=True)),
    ("--onsets", PromptConfig(onsets=True)),
    ("--onsets --onset-width 20", PromptConfig(onsets=True, onset_width_ms=20)),
    ("--intensity 0.4", PromptConfig(intensity=0.4)),
    ("--dropout 0.4", PromptConfig(dropout=0.4)),
    ("--feedback 2", PromptConfig(n_passes=2)),
    ("--stretch 2", PromptConfig(stretch=2)),
    ("--pitch -2", PromptConfig(pitch=-2)),
    ("--preset large-variation", PromptConfig(period=13, n_kept_codebooks=4, dropout=0.2)),
    ("--preset large-variation --dropout 0 --pitch 1", PromptConfig(period=13, n_kept_codebooks=4, pitch=1)),
]
REQUESTS: list[tuple[str, object]] = [
    *((f"inpaint {typed}", Inpaint(places)) for typed, places in PLACES),
    ("inpaint --span 1-2 --margin auto", Inpaint(SpanRequest(((1, 2),)), "auto")),
    ("inpaint --span 1-2 --margin 3", Inpaint(SpanRequest(((1, 2),)), 3)),
    ("inpaint --span 1-2 --context 0:04", Inpaint(SpanRequest(((1, 2),)), context_s=4)),
    ("outpaint --after 1:00", Outpaint(60)),
    ("outpaint --before 3", Outpaint(0, 3)),
    ("outpaint --after 1 --margin auto", Outpaint(1, margin="auto")),
    ("outpaint --after 1 --context 4", Outpaint(1, context_s=4)),
    ("loop", Loop()),
    *((f"loop {typed}", Loop(places)) for typed, places in PLACES),
    ("loop --repeats 3", Loop(repeats=3)),
    ("loop --repeats 3 --variation 0.4", Loop(repeats=3, variation=0.4)),
    ("loop --seam 0.5", Loop(seam_s=0.5)),
    ("loop --margin 0", Loop(margin=0)),
    *((f"vamp {typed}", Vary(prompt)) for typed, prompt in PROMPTS),
    *((f"vamp {typed}", Vary(places=places)) for typed, places in PLACES),
    ("vamp --prefix 0:02", Vary(prefix_s=2)),
    ("vamp --suffix 2", Vary(suffix_s=2)),
    ("vamp --amount 0.4", Vary(amount=0.4)),
    (f"vamp --mask {LABELS}", Vary(own=mask_file.named(LABELS))),
    ("vamp --amount 0.4 --feedback 2", Vary(PromptConfig(n_passes=2), amount=0.4)),
]
KEPT: list[tuple[str, tuple[object, ...]]] = [
    ("", (None, None, None)),
    ("--keep-codebooks 2", (2, None, None)),
    ("--period 2", (None, 2, None)),
    ("--bitrate 900", (None, None, 900)),
]


@pytest.fixture
def asked() -> Callable[[str], Any]:
    """The workflow that a command line ends in, instead of what carries it out."""

    def workflow_of(typed: str) -> Any:
        name, *options = typed.split()
        seen: list[workflow.Workflow] = []
        app = typer.Typer()
        app.command()(command(COMMANDS[name], lambda workflow, _inputs: seen.append(workflow)))
        app(["a.wav", *options], standalone_mode=False)
        return seen[0]

    return workflow_of


@pytest.mark.parametrize(("typed", "field", "value"), SHARED)
def test_shared_options_reach_common_in_every_command(
    asked: Callable[[str], Any], typed: str, field: str, value: object
) -> None:
    for name in COMMANDS:
        common = asked(" ".join((name, *NEEDED.get(name, ()), typed))).common
        assert common == dataclasses.replace(Common(), **{field: value})


def test_no_shared_option_is_left_out() -> None:
    assert {field for _, field, _ in SHARED} == {f.name for f in dataclasses.fields(Common)}


def test_common_reaches_the_sampler_and_its_defaults_are_the_samplers() -> None:
    assert Common().sampling == SamplingConfig()
    for i, field in enumerate(dataclasses.fields(SamplingConfig)):
        value = {"int": i + 2, "float": 0.5 + i / 100, "Sampler": "halton"}[str(field.type)]
        common = dataclasses.replace(Common(), **{field.name: value})
        assert common.sampling == dataclasses.replace(SamplingConfig(), **{field.name: value})
    assert [
        dataclasses.replace(Common(), **{name: True}).subtype for name in ("dry_run", "int16", "int24", "float32")
    ] == ["", "PCM_16", "PCM_24", "FLOAT"]


@pytest.mark.parametrize(("typed", "request_made"), REQUESTS)
def test_options_reach_the_request(asked: Callable[[str], Any], typed: str, request_made: object) -> None:
    assert asked(typed).request() == request_made


@pytest.mark.parametrize(("typed", "named"), KEPT)
def test_what_compress_keeps(asked: Callable[[str], Any], typed: str, named: tuple[object, ...]) -> None:
    assert asked(f"compress {typed}").named == named


def flags(name: str) -> set[str]:
    """All that can be typed after a command."""
    options = typer.main.get_command(main.app).commands[name].params  # type: ignore[attr-defined]
    options = [option for option in options if option.param_type_name == "option" and option.name != "print_config"]
    return {flag for option in options for flag in option.opts}


def test_no_flag_is_left_out_here() -> None:
    for name in COMMANDS:
        lines = [typed for typed, *_ in SHARED]
        lines += [typed for typed, _ in REQUESTS if typed.split()[0] == name]
        lines += [typed for typed, _ in KEPT if name == "compress"]
        tested = set(itertools.chain(*(line.split() for line in lines)))
        assert flags(name) <= tested, flags(name) - tested


def test_defaults_that_help_tells_are_those_of_compress() -> None:
    """Defaults of the other commands stand in `REQUESTS`: an option left out is a field left out."""
    parameters = inspect.signature(COMMANDS["compress"], eval_str=True).parameters
    told = [parameters[name].annotation.__metadata__[0].show_default for name in ("keep_codebooks", "period")]
    assert told == [str(Compress().n_kept_codebooks), str(Compress().period)]


def test_defaults_that_help_tells_are_those_of_a_prompt() -> None:
    told = {}
    for name, parameter in inspect.signature(COMMANDS["vamp"], eval_str=True).parameters.items():
        shown = getattr(getattr(parameter.annotation, "__metadata__", [None])[0], "show_default", None)
        if isinstance(shown, str) and shown.isdecimal():
            told[FIELDS.get(name, name)] = float(shown)
    fields = {f.name: f.default for f in dataclasses.fields(PromptConfig)}
    assert told == {name: float(value) for name, value in fields.items() if type(value) in (int, float)}
    assert PromptConfig().resolved_period == 7


def test_help_keeps_no_word_in_square_brackets() -> None:
    """Help takes `[all]` for a colour and shows nothing."""

    def walk(command: Any) -> list[Any]:
        return [*command.params, *itertools.chain(*map(walk, getattr(command, "commands", {}).values()))]

    helps = [p.help for p in walk(typer.main.get_command(main.app)) if getattr(p, "help", None)]
    assert len(helps) > 100
    assert [text for text in helps if "[" in text] == []


def test_margin_words() -> None:
    assert (parse_margin("auto"), parse_margin("0"), parse_margin("12")) == ("auto", 0, 12)
