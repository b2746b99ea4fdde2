"""Options that nobody typed: which source wins, what a source may say, and what is said of it."""

from __future__ import annotations

import itertools
import json
import os
import re
import shlex
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import typer

from conftest import Ran
from test_cli_flags import KEPT, NEEDED, REQUESTS, SHARED
from vampcli.cli import main
from vampcli.cli.command import command
from vampcli.cli.config import Configuration
from vampcli.cli.layers import Option, Setting
from vampcli.tokens.presets import PRESETS

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Vamp = Callable[..., Ran]
Asked = Callable[..., Any]


class SpanRequest:
    """Where values can be said without typing them."""

    def __init__(self, folder: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.files = {"folder": folder / "vamp.toml", "user": home / ".config/vamp/vamp.toml"}
        self.monkeypatch = monkeypatch
        for file in self.files.values():
            file.parent.mkdir(parents=True)

    def say(self, folder: str = "", user: str = "", **variables: str) -> None:
        """Make it so, and forget what was said before."""
        for name, text in (("folder", folder), ("user", user)):
            self.files[name].unlink(missing_ok=True)
            if text:
                self.files[name].write_text(text, encoding="utf-8")
        for variable in [name for name in os.environ if name.startswith("VAMP_") and name != "VAMP_HOME"]:
            self.monkeypatch.delenv(variable)
        for variable, value in variables.items():
            self.monkeypatch.setenv(f"VAMP_{variable}", value)


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SpanRequest:
    made = SpanRequest(tmp_path / "here", tmp_path / "home", monkeypatch)
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_CONFIG_HOME")
    return made


@pytest.fixture(scope="module")
def app() -> tuple[Any, list[Any]]:
    """The commands, but what is asked for is put into a list."""
    seen: list[Any] = []
    app = typer.Typer()

    def keep(workflow: Any, inputs: list[str]) -> None:
        assert inputs == ["a.wav"]
        workflow.common.sampling  # noqa: B018 (may refuse)
        seen.append(workflow)

    for verb in main.TASKS:
        app.command()(command(verb, keep))
    return typer.main.get_command(app), seen


@pytest.fixture
def asked(app: tuple[Any, list[Any]], places: SpanRequest) -> Asked:
    """The workflow that a command line ends in: `asked("vamp --period 3")`."""

    def workflow_of(typed: str) -> Any:
        name, *options = shlex.split(typed)
        app[0]([name, "a.wav", *options], standalone_mode=False)
        return app[1].pop()

    return workflow_of


@pytest.fixture
def cli(app: tuple[Any, list[Any]], places: SpanRequest, capsys: pytest.CaptureFixture[str]) -> Vamp:
    """What a command line prints: `cli("vamp --print-config")`."""

    def run(typed: str) -> Ran:
        capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            app[0](shlex.split(typed), prog_name="vamp")
        captured = capsys.readouterr()
        return Ran(int(stop.value.code or 0), captured.out, captured.err)

    return run


def in_words(workflow: Any) -> tuple[object, ...]:
    """All that was asked for, comparable."""
    return (workflow.common, workflow.named if workflow.command == "compress" else workflow.request())


# ---- which source wins


# From the strongest to the weakest: what it says, and where the number goes.
SOURCES = ("typed", "variable", "folder table", "folder", "user table", "user")


def say_numbers(places: SpanRequest, key: str, numbers: dict[str, int]) -> str:
    """Let each source give its number to an option of `vamp vamp`; what is left to type."""

    def file(name: str) -> str:
        top = f"{key} = {numbers[name]}\n" if name in numbers else ""
        table = f"[vamp]\n{key} = {numbers[f'{name} table']}\n" if f"{name} table" in numbers else ""
        return top + table + f"[compress]\n{'period' if key == 'width' else key} = 99\n"  # another command's

    variables = {key.upper(): str(numbers["variable"])} if "variable" in numbers else {}
    places.say(file("folder"), file("user"), **variables)
    return f"--{key} {numbers['typed']}" if "typed" in numbers else ""


def test_of_all_that_say_something_the_strongest_wins(asked: Asked, places: SpanRequest) -> None:
    for chosen in itertools.product((False, True), repeat=len(SOURCES)):
        numbers = {source: 10 + i for i, source in enumerate(SOURCES) if chosen[i]}
        typed = say_numbers(places, "steps", numbers)
        assert asked(f"vamp {typed}").common.n_steps == next(iter(numbers.values()), 36), numbers


def test_a_preset_is_weaker_than_all_of_them(asked: Asked, places: SpanRequest) -> None:
    for source, key in itertools.product((None, *SOURCES), ("period", "width")):
        typed = say_numbers(places, key, {source: 3} if source else {})
        prompt = asked(f"vamp --preset small-variation {typed}").request().prompt
        assert (prompt.period, prompt.width) == (
            3 if source and key == "period" else 5,
            3 if source and key == "width" else 1,
        )
        assert prompt.n_kept_codebooks == 4


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_can_be_named_anywhere(asked: Asked, places: SpanRequest, name: str) -> None:
    for said in ({"PRESET": name}, {"folder": f'preset = "{name}"'}, {"user": f'[vamp]\npreset = "{name}"'}):
        places.say(**said)
        assert asked("vamp").request().prompt == PRESETS[name]
        assert asked("vamp --no-beats").request().prompt == replace(PRESETS[name], beats=False, beat_width_ms=75)
    assert asked("inpaint --span 1-2")  # which has no presets


def test_of_two_presets_the_stronger_fills(asked: Asked, places: SpanRequest) -> None:
    places.say('preset = "unconditional"', PRESET="large-variation")
    assert asked("vamp").request().prompt == PRESETS["large-variation"]


SWITCHES = [typed for typed, _, value in SHARED if value is True and typed.startswith("--")]


@pytest.mark.parametrize("switch", SWITCHES)
def test_switches_go_on_and_off(asked: Asked, places: SpanRequest, switch: str) -> None:
    key = switch[2:]
    field = next(field for typed, field, _ in SHARED if typed == switch)

    def is_on(typed: str = "") -> bool:
        return bool(getattr(asked(f"loop {typed}").common, field))

    places.say(f"{key} = true")
    assert (is_on(), is_on(f"--no-{key}")) == (True, False)
    for text, on in (("0", False), ("no", False), ("False", False), ("", True), ("1", True)):
        places.say(f"{key} = true", **{key.replace("-", "_").upper(): text})
        assert is_on() is on
        places.say(
            f"{key} = {str(not on).lower()}" if text else f"{key} = true", **{key.replace("-", "_").upper(): text}
        )
        assert is_on() is on
    places.say(f"[loop]\n{key} = false", f"{key} = true")
    assert (is_on(), is_on(switch)) == (False, True)


@pytest.mark.parametrize("typed", ["--beats", "--downbeats-only", "--onsets"])
def test_switches_of_a_prompt_go_on_and_off(asked: Asked, places: SpanRequest, typed: str) -> None:
    field = typed[2:].replace("-", "_")
    places.say(f"beats = true\n{typed[2:]} = true".replace("beats = true\nbeats", "beats"))
    assert getattr(asked("vamp").request().prompt, field) is True
    assert getattr(asked(f"vamp --no-{typed[2:]}").request().prompt, field) is False


# ---- every option


def pairs(typed: str) -> list[tuple[str, str | None]]:
    """`--beats --pitch -2` -> [("beats", None), ("pitch", "-2")]."""
    found = re.findall(r"--(\S+)(?: (?!--)(\S+))?", typed)
    return [(key, value or None) for key, value in found]


def as_file(typed: str) -> str:
    """The same as a file."""

    def quoted(value: str | None) -> str:
        return "true" if value is None else value if re.fullmatch(r"-?\d+(\.\d+)?", value) else json.dumps(value)

    return "\n".join(f"{key} = {quoted(value)}" for key, value in pairs(typed))


def as_variables(typed: str) -> dict[str, str]:
    return {key.replace("-", "_").upper(): value or "1" for key, value in pairs(typed)}


LINES = [
    *(
        f"{name} {' '.join(NEEDED.get(name, ()))} {typed}"
        for name in NEEDED
        for typed, *_ in SHARED
        if typed[:2] == "--"
    ),
    *(typed for typed, _ in REQUESTS),
    *(f"compress {typed}" for typed, _ in KEPT),
]


@pytest.mark.parametrize("line", LINES)
def test_whatever_can_be_typed_can_be_said_elsewhere(asked: Asked, places: SpanRequest, line: str) -> None:
    name = line.split()[0]
    wanted = in_words(asked(line))
    for said in (as_file(line), as_file(line).replace("-codebooks", "_codebooks"), f"[{name}]\n{as_file(line)}"):
        places.say(said)
        assert in_words(asked(name)) == wanted
        places.say(user=said)
        assert in_words(asked(name)) == wanted
    places.say(**as_variables(line))
    assert in_words(asked(name)) == wanted


@pytest.mark.parametrize("line", [line for line in LINES if "--json" not in line])
def test_what_is_printed_asks_for_the_same_again(cli: Vamp, asked: Asked, places: SpanRequest, line: str) -> None:
    wanted, name = in_words(asked(line)), line.split()[0]
    printed = cli(f"{line} --print-config")
    assert (printed.code, printed.err) == (0, "")
    places.say(printed.out)
    assert in_words(asked(name)) == wanted
    again = cli(f"{name} --print-config")
    assert tomllib.loads(again.out) == tomllib.loads(printed.out)


def test_spans_in_files_and_variables(asked: Asked, places: SpanRequest) -> None:
    for said in ({"folder": 'span = ["1-2", "bars:5-8"]'}, {"SPAN": "1-2  bars:5-8"}):
        places.say(**said)
        assert in_words(asked("inpaint")) == in_words(asked("inpaint --span 1-2 --span bars:5-8"))
        assert in_words(asked("inpaint --span 3-4")) != in_words(asked("inpaint"))  # others go, none is added
        assert len(asked("inpaint --span 3-4").request().places.spans) == 1


def test_keys_of_other_commands_do_no_harm(asked: Asked, places: SpanRequest) -> None:
    places.say("after = 10\nrepeats = 4\nsteps = 5\n[loop]\nseam = 0.5\n[outpaint]\nsteps = 7")
    assert in_words(asked("vamp")) == in_words(asked("vamp --steps 5"))
    assert in_words(asked("outpaint")) == in_words(asked("outpaint --after 10 --steps 7"))
    assert in_words(asked("loop")) == in_words(asked("loop --repeats 4 --steps 5 --seam 0.5"))


def test_no_variable_of_an_option_means_something_else() -> None:
    keys = {flag for verb in typer.main.get_command(main.app).commands.values() for p in verb.params for flag in p.opts}  # type: ignore[attr-defined]
    assert "--home" not in keys


# ---- rivals

# Command, the stronger source's line, what a weaker one says beside it, and what of that is silenced.
RIVALS = [
    ("loop", "--overwrite", "--skip-existing", ""),
    ("loop", "--skip-existing", "--overwrite --steps 3", "--steps 3"),
    ("loop", "--int16", "--int24", ""),
    ("loop", "--int24", "--float32", ""),
    ("loop", "--float32", "--int16", ""),
    ("loop", "--only-generated", "--difference", ""),
    ("loop", "--difference", "--only-generated", ""),
    ("compress", "--bitrate 900", "--period 2 --keep-codebooks 3", ""),
    ("compress", "--period 2", "--bitrate 900", ""),
    ("compress", "--keep-codebooks 2", "--bitrate 900", ""),
    ("compress", "--period 2", "--keep-codebooks 3", "--keep-codebooks 3"),
    ("vamp", "--preset unconditional", "--amount 0.4", ""),
    ("vamp", "--amount 0.4", "--preset small-variation --pitch 2", "--pitch 2"),
    ("vamp", "--feedback 2", "--amount 0.4", "--amount 0.4"),
    ("inpaint", "--start 1 --end 2", "--span 3-4", "--span 3-4"),
    *(
        ("vamp", *sides, "")
        for typed, _ in REQUESTS
        if (line := typed.removeprefix("vamp ")) != typed
        and re.match("--(period|width|keep|beat|onset|intensity|dropout)", line)
        for sides in ((line, "--amount 0.4"), ("--amount 0.4", line))
    ),
]


@pytest.mark.parametrize(("name", "strong", "weak", "left"), RIVALS)
def test_a_stronger_source_silences_rivals(
    asked: Asked, places: SpanRequest, name: str, strong: str, weak: str, left: str
) -> None:
    wanted = in_words(asked(f"{name} {strong} {left}"))
    for said in ({"folder": as_file(weak)}, {"user": as_file(weak)}, as_variables(weak)):
        places.say(**said)
        assert in_words(asked(f"{name} {strong}")) == wanted
    places.say(as_file(weak), **as_variables(strong))
    assert in_words(asked(name)) == wanted
    places.say(f"{as_file(weak)}\n[{name}]\n{as_file(strong)}")
    assert in_words(asked(name)) == wanted


@pytest.mark.parametrize(("name", "strong", "weak", "left"), [case for case in RIVALS if not case[3]])
def test_one_source_must_not_contradict_itself(
    cli: Vamp, places: SpanRequest, name: str, strong: str, weak: str, left: str
) -> None:
    assert cli(f"{name} a.wav {strong} {weak}").code == 2
    places.say(as_file(f"{strong} {weak}"))
    ran = cli(f"{name} a.wav")
    assert ran.code == 2
    assert ran.err.rstrip().endswith("from vamp.toml)")
    places.say(**as_variables(f"{strong} {weak}"))
    assert cli(f"{name} a.wav").code == 2


def test_a_switch_that_is_off_silences_nobody(asked: Asked, places: SpanRequest) -> None:
    places.say("overwrite = true", "skip-existing = true\nint24 = true", INT16="0")
    common = asked("loop --no-overwrite").common
    assert (common.overwrite, common.skip_existing, common.int16, common.int24) == (False, True, False, True)


def test_a_switch_that_is_off_takes_along_what_means_nothing_without(
    asked: Asked, cli: Vamp, places: SpanRequest
) -> None:
    without = in_words(asked("vamp --onsets --onset-width 20"))
    places.say("beats = true\nbeat-width = 20\ndownbeats-only = true\nonsets = true\nonset-width = 20")
    assert in_words(asked("vamp --no-beats")) == without
    assert asked("vamp --no-onsets").request().prompt.onset_width_ms == 50
    assert cli("vamp a.wav --no-beats --beat-width 20").code == 2


def test_a_silenced_value_silences_nobody(asked: Asked, places: SpanRequest) -> None:
    places.say("amount = 0.4", "period = 3")
    assert asked("vamp --preset medium-variation").request().prompt.period == 3


# ---- what is refused


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("temprature = 1", ("unknown key 'temprature'", "near it: temperature")),
        ("keep_codebook = 1", ("unknown key 'keep_codebook'", "keep-codebooks")),
        ("xyzzy = 1", ("unknown key 'xyzzy'", "--print-config")),
        ('inputs = ["a.wav"]', ("unknown key 'inputs'",)),
        ("print-config = true", ("unknown key",)),
        ("help = true", ("unknown key",)),
        ("[inpaint]\nrepeats = 4", ("[inpaint]: unknown key 'repeats'",)),
        ("[loop]\nafter = 4", ("[loop]: unknown key 'after'",)),
        ("[train]\nsteps = 4", ("no command for [train]", "known: inpaint outpaint loop")),
        ("[temperature]\nx = 4", ("no command for [temperature]",)),
        ("vamp = 3", ("unknown key 'vamp'",)),
        ("[[vamp]]\nsteps = 3", ("unknown key 'vamp'",)),
        ("keep-codebooks = 3\nkeep_codebooks = 3", ("keep-codebooks stands there twice",)),
        ('temperature = "hot"', ('temperature is "hot"', "a number")),
        ("temperature = true", ("temperature is true", "a number")),
        ("temperature = [1]", ("temperature is [1]", "a number")),
        ("[vamp.temperature]\nx = 1", ("vamp.toml [vamp]: temperature is", "a number")),
        ("seed = 1.5", ("seed is 1.5", "a whole number")),
        ("seed = true", ("seed is true", "a whole number")),
        ('seed = "7"', ('seed is "7"', "a whole number")),
        ("overwrite = 1", ("overwrite is 1", "true or false")),
        ('overwrite = "yes"', ('overwrite is "yes"', "true or false")),
        ("[loop]\nmodel = true", ("[loop]: model is true", "text")),
        ("after = 1979-05-27", ("after is 1979-05-27", "text")),
        ("span = [4, 6]", ("span is [4, 6]", '["4-6"')),
        ("span = 4", ("span is 4", '["4-6"')),
        ("a = 1\nb == 2", ("vamp.toml is not TOML", "line 2")),
        ("seed = 1\nseed = 2", ("vamp.toml is not TOML", "line 2")),
    ],
)
def test_files_that_are_refused(cli: Vamp, places: SpanRequest, text: str, says: tuple[str, ...]) -> None:
    for said, shown in (({"folder": text}, "vamp.toml"), ({"user": text}, "~/.config/vamp/vamp.toml")):
        places.say(**said)
        for name in ("vamp", "compress"):  # all tables are checked by every command
            ran = cli(f"{name} a.wav")
            assert (ran.code, ran.out) == (2, "")
            assert ran.err.startswith(f"vamp: {shown}")
            assert len(ran.err.splitlines()) == 2
            for part in says:
                assert part in ran.err


@pytest.mark.parametrize(
    ("variable", "value", "wanted"),
    [
        ("TEMPERATURE", "hot", "a number"),
        ("SEED", "1.5", "a whole number"),
        ("OVERWRITE", "maybe", "true or false"),
    ],
)
def test_variables_that_are_refused(cli: Vamp, places: SpanRequest, variable: str, value: str, wanted: str) -> None:
    places.say(**{variable: value})
    ran = cli("vamp a.wav")
    assert (ran.code, ran.err.splitlines()[0]) == (2, f"vamp: VAMP_{variable} is {value!r}")
    assert wanted in ran.err.splitlines()[1]


def test_files_that_cannot_be_read(cli: Vamp, places: SpanRequest) -> None:
    places.files["folder"].write_bytes(b'name = "\xff"')
    assert cli("vamp a.wav").code == 2
    places.files["folder"].unlink()
    places.files["folder"].mkdir()
    ran = cli("vamp a.wav")
    assert ran.code == 3
    assert ran.err.startswith("vamp: cannot read vamp.toml: ")


def test_help_and_other_commands_read_nothing(vamp: Vamp, places: SpanRequest) -> None:
    places.say("no TOML", "no TOML", TEMPERATURE="hot")
    assert vamp("vamp", "--help").code == 0
    assert vamp("presets").code == 0
    assert vamp("vamp", "a.wav").code == 2


def test_a_mark_of_utf8_at_the_beginning_is_none_of_ours(asked: Asked, places: SpanRequest) -> None:
    places.say("\ufeffsteps = 4")
    assert asked("loop").common.n_steps == 4


def test_an_unknown_preset_is_refused(cli: Vamp, places: SpanRequest) -> None:
    known = f"known: {' '.join(PRESETS)}"
    ran = cli("vamp a.wav --preset nobody")
    assert (ran.code, ran.err) == (2, f"vamp: there is no preset 'nobody'\n      {known}\n")
    places.say('preset = "nobody"')
    assert cli("vamp a.wav").err.endswith(f"{known} (preset is from vamp.toml)\n")


def test_refusals_name_sources(cli: Vamp, places: SpanRequest) -> None:
    places.say('start = "9"\ntakes = 2', 'device = "cpu"', SEED="1")
    missing = "give both --start and --end, or --span 4-6"
    assert cli("inpaint a.wav").err.splitlines()[1].strip() == f"{missing} (start is from vamp.toml)"
    wrong = cli("inpaint a.wav --span x").err.splitlines()[1]
    everything = (
        "start, takes are from vamp.toml; device is from ~/.config/vamp/vamp.toml; seed is from environment VAMP_SEED"
    )
    assert set(wrong.split(" (")[1].rstrip(")").split("; ")) == set(everything.split("; "))
    places.say(STEPS="0")
    assert "(steps is from environment VAMP_STEPS)" in cli("loop a.wav").err  # which calls it n_steps
    assert "from" not in cli("loop a.wav --steps 0").err


# ---- what is printed


def printed(ran: Ran) -> dict[str, str]:
    """Key -> source."""
    assert ran.code == 0, ran.err
    lines = [re.fullmatch(r"(?:# )?([a-z0-9-]+) =.*  # (.*)", line) for line in ran.out.splitlines()]
    return {line[1]: line[2] for line in lines if line}


def test_every_value_has_its_source(cli: Vamp, places: SpanRequest) -> None:
    places.say("temperature = 0.9\n[vamp]\nint16 = true", "top_p = 0.5", MODEL="other", PRESET="small-variation")
    ran = cli("vamp --print-config -n 3")
    lines = ran.out.splitlines()
    for line in (
        "temperature = 0.9  # vamp.toml",
        "int16 = true  # vamp.toml [vamp]",
        "top-p = 0.5  # ~/.config/vamp/vamp.toml",
        'model = "other"  # environment VAMP_MODEL',
        'preset = "small-variation"  # environment VAMP_PRESET',
        "period = 5  # preset small-variation",
        "keep-codebooks = 4  # preset small-variation",
        "takes = 3  # option",
        "steps = 36  # default",
        "# seed =  # default",
    ):
        assert line in lines
    flags = {flag[2:] for p in typer.main.get_command(main.app).commands["vamp"].params for flag in p.opts}  # type: ignore[attr-defined]
    assert {key for key in flags if key in printed(ran)} | {"print-config"} == {f for f in flags if len(f) > 1} - {
        "puts"
    }
    assert len(printed(ran)) == len(lines)


def test_json_holds_the_same(cli: Vamp, places: SpanRequest) -> None:
    places.say('span = "1-2"\ntemperature = 0.9')
    ran = cli("inpaint --print-config --json")
    assert len(ran.out.splitlines()) == 1
    found = json.loads(ran.out)
    assert found["span"] == {"value": ["1-2"], "source": "vamp.toml"}
    assert found["seed"] == {"value": None, "source": "default"}
    assert found["json"] == {"value": True, "source": "option"}
    assert {key: said["source"] for key, said in found.items()} == {
        **printed(cli("inpaint --print-config")),
        "json": "option",
    }


def test_where_the_users_file_is(
    cli: Vamp, places: SpanRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    places.say(user="steps = 4")
    for elsewhere in ("", "config"):
        (tmp_path / elsewhere / "vamp").mkdir(parents=True)
        (tmp_path / elsewhere / "vamp/vamp.toml").write_text("steps = 5")
        monkeypatch.setenv("XDG_CONFIG_HOME", elsewhere and str(tmp_path / elsewhere))
        source = f"{tmp_path}/config/vamp/vamp.toml" if elsewhere else "~/.config/vamp/vamp.toml"
        assert printed(cli("loop --print-config"))["steps"] == source


@pytest.mark.parametrize("text", ['a "b" \\c', "ü 🎵", "x\x7f\n\ty\x01", "# no comment", "'''"])
def test_any_text_survives_being_printed(text: str) -> None:
    made = Configuration({"name": Option(None, str, ())}, {"name": Setting(text, "option")})
    assert tomllib.loads(made.as_toml()) == {"name": text}


def test_inputs_are_needed_for_all_but_printing(cli: Vamp, places: SpanRequest) -> None:
    ran = cli("loop")
    assert (ran.code, ran.out) == (2, "")
    assert "Missing argument 'INPUT'" in ran.err
    assert "Usage: vamp loop" in ran.err
    assert cli("loop --print-config").out == cli("loop a.wav --print-config").out


def test_a_token_file_contradicts_only_what_is_typed(
    vamp: Vamp, song: Callable[..., Path], places: SpanRequest, tiny_folder: Path
) -> None:
    source, model = song(seconds=0.5), ("-m", tiny_folder, "-d", "cpu", "--seed", 1)
    assert vamp("compress", source, *model, "-o", "song.vamp").code == 0
    assert vamp("compress", "song.vamp", *model, "-o", "plain.wav").code == 0
    places.say('stereo = "channels"\n[compress]\nbitrate = 900', TEMPERATURE="0.9")
    ran = vamp("compress", "song.vamp", *model, "-o", "configured.wav")
    assert ran.code == 0, ran.err
    assert Path("configured.wav").read_bytes() == Path("plain.wav").read_bytes()
    assert vamp("compress", "song.vamp", *model, "--temperature", 0.9, "-o", "typed.wav").code == 2


def test_masks_do_not_go_where_sound_does(
    vamp: Vamp, song: Callable[..., Path], places: SpanRequest, tiny_folder: Path
) -> None:
    places.say('out = "made"\n[vamp]\nname = "{n}.wav"')
    source, model = song(seconds=0.5), ("-m", tiny_folder, "-d", "cpu", "--json")
    assert json.loads(vamp("mask", "vamp", source, *model).out)["output"] is None
    assert json.loads(vamp("mask", "vamp", source, *model, "-o", "m.npy").out)["output"] == "m.npy"
    assert not Path("made").exists()
