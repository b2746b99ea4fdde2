"""Option values from the environment, files and presets: precedence, refusals, and `--print-config`."""

import itertools
import json
import re
import shlex
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import typer

from clips import clip
from conftest import Ran, Song, Vamp
from test_cli_flags import APP, KEPT, LABELS, RECORDING, REQUESTS, SAMPLING, SHARED, SHORT, workflow_of
from vampcli import SamplingConfig, load
from vampcli.checkpoints.registry import locate, model_hash
from vampcli.cli import main
from vampcli.cli.config import to_toml
from vampcli.tokens.presets import PRESETS

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


pytestmark = pytest.mark.usefixtures("plain_mini")


class Sources:
    """The folder's file, the user's file and the environment."""

    def __init__(self, folder: Path, home: Path) -> None:
        self.files = {"folder": folder / "vamp.toml", "user": home / ".config/vamp/vamp.toml"}
        self.patch = pytest.MonkeyPatch()
        for file in self.files.values():
            file.parent.mkdir(parents=True)

    def write(self, folder: str = "", user: str = "", **variables: str) -> None:
        """Replace the content of all sources."""
        for name, text in (("folder", folder), ("user", user)):
            self.files[name].unlink(missing_ok=True)
            if text:
                self.files[name].write_text(text, encoding="utf-8")
        self.patch.undo()
        for variable, value in variables.items():
            self.patch.setenv(f"VAMP_{variable}", value)


@pytest.fixture
def sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    made = Sources(tmp_path / "here", tmp_path / "home")
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_CONFIG_HOME")
    yield made
    made.patch.undo()


@pytest.fixture
def cli(sources: Sources, capsys: pytest.CaptureFixture[str]) -> Vamp:
    """The output of a command line: `cli("vamp --print-config")`."""

    def run(typed: str) -> Ran:
        capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            APP(shlex.split(typed), prog_name="vamp")
        captured = capsys.readouterr()
        return Ran(int(stop.value.code or 0), captured.out, captured.err)

    return run


def request_of(line: str) -> tuple[object, ...]:
    """All that a command line asks for, comparable."""
    workflow = workflow_of(line)
    return (workflow.common, workflow.named if workflow.command == "compress" else workflow.request(RECORDING))


def as_toml(typed: str) -> str:
    """`--beats --pitch -2` -> `beats = true`, `pitch = -2`."""

    def quoted(value: str) -> str:
        return "true" if not value else value if re.fullmatch(r"-?\d+(\.\d+)?", value) else json.dumps(value)

    return "\n".join(f"{key} = {quoted(value)}" for key, value in re.findall(r"--(\S+)(?: (?!--)(\S+))?", typed))


def as_variables(typed: str) -> dict[str, str]:
    found = re.findall(r"--(\S+)(?: (?!--)(\S+))?", typed)
    return {key.replace("-", "_").upper(): value or "1" for key, value in found}


# ---- precedence

# From the strongest to the weakest.
SOURCES = ("typed", "variable", "folder table", "folder", "user table", "user")


def write_numbers(sources: Sources, key: str, numbers: dict[str, int]) -> str:
    """Let each source give its number to an option of `vamp vamp`; returns what is left to type."""

    def file(name: str) -> str:
        top = f"{key} = {numbers[name]}\n" if name in numbers else ""
        table = f"[vamp]\n{key} = {numbers[f'{name} table']}\n" if f"{name} table" in numbers else ""
        return top + table + f"[compress]\n{'period' if key == 'width' else key} = 99\n"  # another command's

    variables = {key.upper(): str(numbers["variable"])} if "variable" in numbers else {}
    sources.write(file("folder"), file("user"), **variables)
    return f"--{key} {numbers['typed']}" if "typed" in numbers else ""


def test_strongest_source_wins(sources: Sources) -> None:
    for chosen in itertools.product((False, True), repeat=len(SOURCES)):
        numbers = {source: 10 + i for i, source in enumerate(SOURCES) if chosen[i]}
        typed = write_numbers(sources, "steps", numbers)
        assert workflow_of(f"vamp {typed}").common.sampling.steps == next(iter(numbers.values()), 36), numbers


@pytest.fixture
def recommending(tiny_folder: Path, tmp_path: Path) -> Path:
    """A model that recommends some options of the sampler."""
    folder = Path(shutil.copytree(tiny_folder, tmp_path / "model"))
    config = json.loads((folder / "config.json").read_text())
    recommended = {"steps": 7, "sampler": "halton", "temperature": 0.5, "refresh": 3}
    (folder / "config.json").write_text(json.dumps({**config, "sampling": recommended}))
    return folder


def test_models_recommend_options_of_the_sampler(sources: Sources, recommending: Path) -> None:
    sources.write("temperature = 0.6", STEPS="8")
    sampling = workflow_of(f"loop -m {recommending} --refresh 2").common.sampling
    assert sampling == SamplingConfig(steps=8, sampler="halton", temperature=0.6, refresh=2)
    assert workflow_of("loop").common.sampling == SamplingConfig(steps=8, temperature=0.6)
    assert workflow_of("loop -m missing").common.sampling == SamplingConfig(steps=8, temperature=0.6)


def test_paper_is_stronger_than_the_model(sources: Sources, recommending: Path) -> None:
    typed = f"loop -m {recommending} --sampling paper"
    assert workflow_of(typed).common.sampling == SamplingConfig()
    assert workflow_of(f"{typed} --refresh 2").common.sampling == SamplingConfig(refresh=2)
    sources.write('sampling = "paper"', STEPS="8")
    assert workflow_of(f"loop -m {recommending}").common.sampling == SamplingConfig(steps=8)
    assert workflow_of(f"loop -m {recommending} --sampling model").common.sampling.sampler == "halton"


def test_recommendations_are_no_other_model(recommending: Path, tiny_folder: Path) -> None:
    assert model_hash(locate(recommending)) == model_hash(locate(tiny_folder))


def test_python_takes_what_the_model_recommends(recommending: Path) -> None:
    model = load(recommending, device="cpu")
    [take] = model.inpaint(clip(1.0), [(0.3, 0.5)])
    assert take.recipe is not None
    assert take.recipe.sampling == SamplingConfig(steps=7, sampler="halton", temperature=0.5, refresh=3)
    [take] = model.inpaint(clip(1.0), [(0.3, 0.5)], sampling=SamplingConfig(steps=2))
    assert take.recipe is not None
    assert take.recipe.sampling == SamplingConfig(steps=2)


def test_presets_are_weakest(sources: Sources) -> None:
    for source, key in itertools.product((None, *SOURCES), ("period", "width")):
        typed = write_numbers(sources, key, {source: 3} if source else {})
        prompt = workflow_of(f"vamp --preset small-variation {typed}").request(RECORDING).prompt
        assert (prompt.period, prompt.width) == (
            3 if source and key == "period" else 5,
            3 if source and key == "width" else 1,
        )
        assert prompt.keep_codebooks == 4


def test_presets_from_any_source(sources: Sources) -> None:
    name, without = "medium-variation-on-beat", "vamp --no-beats"
    for said in ({"PRESET": name}, {"folder": f'preset = "{name}"'}, {"user": f'[vamp]\npreset = "{name}"'}):
        sources.write(**said)
        assert workflow_of("vamp").request(RECORDING).prompt == PRESETS[name]
        assert workflow_of(without).request(RECORDING).prompt == replace(PRESETS[name], beats=False, beat_width=75)
    assert workflow_of("inpaint --span 1-2")  # has no presets
    sources.write('preset = "unconditional"', PRESET=name)
    assert workflow_of("vamp").request(RECORDING).prompt == PRESETS[name]


def test_switches_turn_on_and_off(sources: Sources) -> None:
    def is_on(typed: str = "") -> bool:
        return bool(workflow_of(f"loop {typed}").common.fail_fast)

    sources.write("fail-fast = true")
    assert (is_on(), is_on("--no-fail-fast")) == (True, False)
    for text, on in (("0", False), ("no", False), ("False", False), ("1", True)):
        sources.write(f"fail-fast = {str(not on).lower()}", FAIL_FAST=text)
        assert is_on() is on
    sources.write("fail-fast = true", FAIL_FAST="")
    assert is_on()
    sources.write("[loop]\nfail-fast = false", "fail-fast = true")
    assert (is_on(), is_on("--fail-fast")) == (False, True)


# ---- every option

_ONCE = (
    "--skip-existing",
    "--int24",
    "--float32",
    "--difference",
    "--no-metadata",
    "--shard 3/16",
)  # each excludes another one of SHARED
_TOGETHER = " ".join(typed for typed, *_ in (*SHARED, *SAMPLING) if typed[:2] == "--" and typed not in _ONCE)
LINES = [
    f"loop {_TOGETHER.replace('--json', '')} --repeats 3 --variation 0.4 --seam 0.5 --margin 0",
    "loop --skip-existing --int24 --difference --shard 3/16",
    "loop --float32 --find",
    "inpaint --start 1 --end 2 --span bars:1-2 --snap onset --bpm 90 --downbeat 0:01 --beats-per-bar 3 --context 0:04",
    f"inpaint --spans-from {LABELS} --label chorus --margin auto",
    f"inpaint --span 1-2 --memory 0.5 --edit 0.2 --place 0:03.5 --memory-from {SHORT}",
    "outpaint --after 1:00 --before 3 --memory off",
    "vamp --period 3 --width 2 --keep-codebooks 2 --intensity 0.4 --dropout 0.4 --feedback 2 --stretch 2 --pitch -2",
    "vamp --beats --beat-width 20 --downbeats-only --onsets --onset-width 20 --prefix 0:02 --suffix 3",
    "vamp --preset large-variation --dropout 0 --pitch 1",
    "vamp --amount 0.4 --feedback 2",
    f"vamp --mask {LABELS}",
    *(line for line, _ in KEPT),
]


@pytest.mark.parametrize("line", LINES)
def test_other_sources_equal_the_command_line(sources: Sources, line: str) -> None:
    name, wanted = line.split()[0], request_of(line)
    for said in (as_toml(line), as_toml(line).replace("-codebooks", "_codebooks"), f"[{name}]\n{as_toml(line)}"):
        for content in ({"folder": said}, {"user": said}):
            sources.write(**content)
            assert request_of(name) == wanted
    sources.write(**as_variables(line))
    assert request_of(name) == wanted


@pytest.mark.parametrize("line", LINES)
def test_printed_configuration_is_a_file(cli: Vamp, sources: Sources, line: str) -> None:
    wanted, name = request_of(line), line.split()[0]
    printed = cli(f"{line} --print-config")
    assert (printed.code, printed.err) == (0, "")
    sources.write(printed.out)
    assert request_of(name) == wanted
    assert tomllib.loads(cli(f"{name} --print-config").out) == tomllib.loads(printed.out)


def test_lines_have_every_option() -> None:
    tested = {word for line in LINES for word in line.split()} | {"--json", "--no-metadata"}
    lines = (*(typed for typed, *_ in (*SHARED, *SAMPLING)), *(line for line, _ in REQUESTS))
    assert {word for line in lines for word in line.split() if word.startswith("--")} <= tested


OTHERS = "after = 10\nrepeats = 4\nsteps = 5\n[loop]\nseam = 0.5\n[outpaint]\nsteps = 7"  # for several commands


@pytest.mark.parametrize(
    ("said", "typed", "equals"),
    [
        ({"folder": 'span = ["1-2", "bars:5-8"]'}, "inpaint", "inpaint --span 1-2 --span bars:5-8"),
        ({"SPAN": "1-2  bars:5-8"}, "inpaint", "inpaint --span 1-2 --span bars:5-8"),
        ({"SPAN": "1-2  bars:5-8"}, "inpaint --span 3-4", "inpaint --span 3-4"),
        ({"folder": "start = 1\nend = 2\nspan = '3-4'"}, "inpaint", "inpaint --start 1 --end 2 --span 3-4"),
        ({"folder": OTHERS}, "vamp", "vamp --steps 5"),
        ({"folder": OTHERS}, "outpaint", "outpaint --after 10 --steps 7"),
        ({"folder": OTHERS}, "loop", "loop --repeats 4 --steps 5 --seam 0.5"),
        ({"folder": "\ufeffsteps = 4"}, "loop", "loop --steps 4"),
        (
            {"folder": "overwrite = true", "user": "skip-existing = true\nint24 = true", "INT16": "0"},
            "loop --no-overwrite",
            "loop --skip-existing --int24",
        ),
        (
            {"folder": "amount = 0.4", "user": "period = 3"},
            "vamp --preset medium-variation",
            "vamp --preset medium-variation --period 3",
        ),
    ],
)
def test_files_equal_options(sources: Sources, said: dict[str, str], typed: str, equals: str) -> None:
    sources.write(**said)
    found = request_of(typed)
    sources.write()
    assert found == request_of(equals)


def test_no_option_takes_vamp_home() -> None:
    options: Any = typer.main.get_command(main.app)
    assert "--home" not in {flag for one in options.commands.values() for p in one.params for flag in p.opts}


# ---- conflicts

# Command, options, options that they exclude, and more options that they do not.
RIVALS = [
    ("loop", "--skip-existing", "--overwrite", "--steps 3"),
    ("loop", "--int16", "--int24", ""),
    ("loop", "--int24", "--float32", ""),
    ("loop", "--float32", "--int16", ""),
    ("loop", "--difference", "--only-generated", ""),
    ("compress", "--bitrate 900", "--period 2 --keep-codebooks 3", ""),
    ("compress", "--keep-codebooks 2", "--bitrate 900", "--period 2"),
    ("vamp", "--amount 0.4", "--preset small-variation", "--pitch 2"),
    ("vamp", "--amount 0", "--period 0", ""),
    *(
        ("vamp", sides, "--amount 0.4", "--feedback 2")
        for sides in ("--period 3", "--beats --beat-width 20 --downbeats-only", "--onsets --onset-width 20")
    ),
    ("vamp", "--amount 0.4", "--intensity 0.4 --dropout 0.4 --width 2 --keep-codebooks 2", ""),
    ("vamp", f"--mask {LABELS}", "--amount 0.4 --feedback 2 --stretch 2", "--pitch 2"),
]


@pytest.mark.parametrize(("name", "strong", "weak", "more"), RIVALS)
def test_stronger_source_hides_excluded_options(sources: Sources, name: str, strong: str, weak: str, more: str) -> None:
    wanted = request_of(f"{name} {strong} {more}")
    for said in ({"folder": as_toml(f"{weak} {more}")}, {"user": as_toml(f"{weak} {more}")}, as_variables(weak + more)):
        if said.keys() & {"folder", "user"} or not more:
            sources.write(**said)
            assert request_of(f"{name} {strong}") == wanted
    sources.write(as_toml(f"{weak} {more}"), **as_variables(strong))
    assert request_of(name) == wanted
    sources.write(f"{as_toml(f'{weak} {more}')}\n[{name}]\n{as_toml(strong)}")
    assert request_of(name) == wanted


@pytest.mark.parametrize(("name", "one", "other", "_more"), RIVALS)
def test_one_source_cannot_combine_them(
    cli: Vamp, sources: Sources, name: str, one: str, other: str, _more: str
) -> None:
    cli(f"{name} a.wav {one} {other}").refuses(2, "cannot be combined with --")
    sources.write(as_toml(f"{one} {other}"))
    ran = cli(f"{name} a.wav")
    assert ran.code == 2
    assert ran.err.rstrip().endswith("from vamp.toml)")
    sources.write(**as_variables(f"{one} {other}"))
    assert cli(f"{name} a.wav").code == 2


def test_switched_off_drops_its_details(cli: Vamp, sources: Sources) -> None:
    without = request_of("vamp --onsets --onset-width 20")
    sources.write("beats = true\nbeat-width = 20\ndownbeats-only = true\nonsets = true\nonset-width = 20")
    assert request_of("vamp --no-beats") == without
    assert workflow_of("vamp --no-onsets").request(RECORDING).prompt.onset_width == 50
    assert cli("vamp a.wav --no-beats --beat-width 20").code == 2


# ---- refusals


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("temprature = 1", ("unknown key 'temprature'", "near it: temperature")),
        ("xyzzy = 1", ("unknown key 'xyzzy'", "--print-config")),
        ('inputs = ["a.wav"]', ("unknown key 'inputs'",)),
        ("print-config = true", ("unknown key",)),
        ("[inpaint]\nrepeats = 4", ("[inpaint]: unknown key 'repeats'",)),
        ("[train]\nsteps = 4", ("no command for [train]", "known: inpaint outpaint loop")),
        ("[[vamp]]\nsteps = 3", ("unknown key 'vamp'",)),
        ("keep-codebooks = 3\nkeep_codebooks = 3", ("keep-codebooks is set twice",)),
        ('temperature = "hot"', ('temperature is "hot"', "a number")),
        ("temperature = true", ("temperature is true", "a number")),
        ("[vamp.temperature]\nx = 1", ("vamp.toml [vamp]: temperature is", "a number")),
        ("seed = 1.5", ("seed is 1.5", "a whole number")),
        ("seed = true", ("seed is true", "a whole number")),
        ("overwrite = 1", ("overwrite is 1", "true or false")),
        ("[loop]\nmodel = true", ("[loop]: model is true", "text")),
        ("after = 1979-05-27", ("after is 1979-05-27", "text")),
        ('sampler = "best"', ('sampler is "best"', "'halton'")),
        ("span = [4, 6]", ("span is [4, 6]", '["4-6"')),
        ("span = 4", ("span is 4", '["4-6"')),
        ("a = 1\nb == 2", ("vamp.toml is not TOML", "line 2")),
    ],
)
def test_bad_files(cli: Vamp, sources: Sources, text: str, says: tuple[str, ...]) -> None:
    for said, shown in (({"folder": text}, "vamp.toml"), ({"user": text}, "~/.config/vamp/vamp.toml")):
        sources.write(**said)
        for name in ("vamp", "compress"):  # every command checks all tables
            ran = cli(f"{name} a.wav")
            assert (ran.code, ran.out) == (2, "")
            assert ran.err.startswith(f"vamp: {shown}")
            assert len(ran.err.splitlines()) == 2
            for part in says:
                assert part in ran.err


@pytest.mark.parametrize(
    ("variable", "value", "reason"),
    [
        ("TEMPERATURE", "hot", "it takes a number"),
        ("SEED", "1.5", "it takes a whole number"),
        ("OVERWRITE", "maybe", "it takes 1 or 0, true or false, yes or no"),
        ("STEREO", "left", "'mid', 'channels'"),
    ],
)
def test_bad_variables(cli: Vamp, sources: Sources, variable: str, value: str, reason: str) -> None:
    sources.write(**{variable: value})
    ran = cli("vamp a.wav")
    assert (ran.code, ran.err.splitlines()[0]) == (2, f"vamp: VAMP_{variable} is {value!r}")
    assert reason in ran.err.splitlines()[1]


@pytest.mark.parametrize("option", ["--dtype", "--stereo", "--snap", "--sampler"])
def test_bad_choices_are_plain(vamp: Vamp, sources: Sources, option: str) -> None:
    ran = vamp("vamp", "a.wav", option, "foo")
    assert ran.code == 2
    words = " ".join(ran.err.replace("│", " ").split())
    assert f"Invalid value for '{option}': 'foo' is not one of '" in words


def test_unreadable_files(cli: Vamp, sources: Sources) -> None:
    sources.files["folder"].write_bytes(b'name = "\xff"')
    ran = cli("vamp a.wav")
    assert (ran.code, ran.err.splitlines()[0]) == (3, "vamp: vamp.toml is not text in UTF-8: see byte 9")
    sources.files["folder"].unlink()
    sources.files["folder"].mkdir()
    ran = cli("vamp a.wav")
    assert ran.code == 3
    assert ran.err.startswith("vamp: cannot read vamp.toml: ")


def test_help_and_other_commands_read_nothing(vamp: Vamp, sources: Sources) -> None:
    sources.write("no TOML", "no TOML", TEMPERATURE="hot")
    assert vamp("vamp", "--help").code == 0
    assert vamp("presets").code == 0
    assert vamp("vamp", "a.wav").code == 2


def test_unknown_preset(cli: Vamp, sources: Sources) -> None:
    known = f"known: {' '.join(PRESETS)}"
    ran = cli("vamp a.wav --preset none-such")
    assert (ran.code, ran.err) == (2, f"vamp: there is no preset 'none-such'\n      {known}\n")
    sources.write('preset = "none-such"')
    assert cli("vamp a.wav").err.endswith(f"{known} (preset is from vamp.toml)\n")


def test_refusals_name_sources(cli: Vamp, sources: Sources) -> None:
    sources.write('start = "9"\ntakes = 2', 'device = "cpu"', SEED="1")
    missing = "give both --start and --end, or --span 4-6"
    assert cli("inpaint a.wav").err.splitlines()[1].strip() == f"{missing} (start is from vamp.toml)"
    wrong = cli("inpaint a.wav --span x").err.splitlines()[1]
    assert set(wrong.split(" (")[1].rstrip(")").split("; ")) == {
        "start, takes are from vamp.toml",
        "device is from ~/.config/vamp/vamp.toml",
        "seed is from environment VAMP_SEED",
    }
    sources.write(STEPS="0")
    fact, hint = cli("loop a.wav").err.splitlines()  # the dataclass says n_steps
    assert fact == "vamp: VAMP_STEPS is 0"
    assert hint.endswith("(steps is from environment VAMP_STEPS)")
    assert "is from" not in cli("loop a.wav --steps 0").err


# ---- what is printed


def printed(ran: Ran) -> dict[str, str]:
    """Key -> source."""
    assert ran.code == 0, ran.err
    lines = [re.fullmatch(r"(?:# )?([a-z0-9-]+) =.*  # (.*)", line) for line in ran.out.splitlines()]
    assert all(lines)
    return {line[1]: line[2] for line in lines if line}


def test_every_value_has_a_source(cli: Vamp, sources: Sources) -> None:
    sources.write("temperature = 0.9\n[vamp]\nint16 = true", "top_p = 0.5", MODEL="other", PRESET="small-variation")
    ran = cli("vamp --print-config -n 3")
    assert {
        "temperature = 0.9  # vamp.toml",
        "int16 = true  # vamp.toml [vamp]",
        "top-p = 0.5  # ~/.config/vamp/vamp.toml",
        'model = "other"  # environment VAMP_MODEL',
        'preset = "small-variation"  # environment VAMP_PRESET',
        "period = 5  # preset small-variation",
        "keep-codebooks = 4  # preset small-variation",
        "takes = 3  # option",
        "# steps = 36  # default",
        "# seed =  # default",
    } <= set(ran.out.splitlines())
    options: Any = APP
    flags = {flag[2:] for p in options.commands["vamp"].params for flag in p.opts if flag[:2] == "--"}
    assert printed(ran).keys() | {"print-config"} == flags


def test_json_has_the_same(cli: Vamp, sources: Sources) -> None:
    sources.write('span = "1-2"\ntemperature = 0.9')
    ran = cli("inpaint --print-config --json")
    assert len(ran.out.splitlines()) == 1
    found = json.loads(ran.out)
    assert found["span"] == {"value": ["1-2"], "source": "vamp.toml"}
    assert found["seed"] == {"value": None, "source": "default"}
    sources_of_all = {key: said["source"] for key, said in found.items()}
    assert sources_of_all == {**printed(cli("inpaint --print-config")), "json": "option"}


def test_folder_of_the_users_file(cli: Vamp, sources: Sources, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sources.write(user="steps = 4")
    (tmp_path / "config/vamp").mkdir(parents=True)
    (tmp_path / "config/vamp/vamp.toml").write_text("steps = 5")
    for folder, shown in (("", "~/.config"), (f"{tmp_path}/config", f"{tmp_path}/config")):
        monkeypatch.setenv("XDG_CONFIG_HOME", folder)
        assert printed(cli("loop --print-config"))["steps"] == f"{shown}/vamp/vamp.toml"


@pytest.mark.parametrize("text", ['a "b" \\c', "ü 🎵", "x\x7f\n\ty\x01", "# no comment", "'''"])
def test_text_as_toml(text: str) -> None:
    assert tomllib.loads(f"name = {to_toml(text)}") == {"name": text}


def test_only_printing_needs_no_input(cli: Vamp, sources: Sources) -> None:
    ran = cli("loop")
    assert (ran.code, ran.out) == (2, "")
    assert "Missing argument 'INPUT'" in ran.err
    assert "Usage: vamp loop" in ran.err
    assert cli("loop --print-config").out == cli("loop a.wav --print-config").out


# ---- whole commands


def test_configuration_does_not_contradict_token_files(
    vamp: Vamp, song: Song, sources: Sources, tiny_folder: Path
) -> None:
    source, model = song(seconds=0.5), ("-m", tiny_folder, "-d", "cpu", "--seed", 1)
    assert vamp("compress", source, *model, "-o", "song.vamp").code == 0
    assert vamp("compress", "song.vamp", *model, "-o", "plain.wav").code == 0
    sources.write('stereo = "channels"\n[compress]\nbitrate = 900', TEMPERATURE="0.9")
    ran = vamp("compress", "song.vamp", *model, "-o", "configured.wav")
    assert ran.code == 0, ran.err
    assert Path("configured.wav").read_bytes() == Path("plain.wav").read_bytes()
    assert vamp("compress", "song.vamp", *model, "--temperature", 0.9, "-o", "typed.wav").code == 2


def test_masks_ignore_configured_outputs(vamp: Vamp, song: Song, sources: Sources, tiny_folder: Path) -> None:
    sources.write('out = "made"\n[vamp]\nname = "{n}.wav"')
    source, model = song(seconds=0.5), ("-m", tiny_folder, "-d", "cpu", "--json")
    assert json.loads(vamp("mask", "vamp", source, *model).out)["output"] is None
    assert json.loads(vamp("mask", "vamp", source, *model, "-o", "m.npy").out)["output"] == "m.npy"
    assert not Path("made").exists()


def test_deciding_values_of_the_folder_are_noted(vamp: Vamp, song: Song, sources: Sources) -> None:
    line = ("inpaint", song(), "--span", "1-2", "--dry-run")
    sources.write(folder='overwrite = true\nseed = 3\n[inpaint]\nout = "made/"\nsidecar = false')
    assert 'vamp.toml in this folder sets out = "made/", overwrite = true' in vamp(*line).err.splitlines()
    assert "in this folder" not in vamp(*line, "-q").err
    assert "in this folder sets overwrite = true" in vamp(*line, "-o", "other/").err
    sources.write(user='overwrite = true\nout = "made/"', NAME="{seed}.wav")
    assert "in this folder" not in vamp(*line).err
