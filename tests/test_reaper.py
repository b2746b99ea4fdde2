"""The script for REAPER: its functions, and a whole run with a REAPER that only takes notes."""

import json
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conftest import Song, Vamp
from vampcli.audio.read import read

LUA = shutil.which("lua5.4") or shutil.which("lua5.3") or shutil.which("lua")
SCRIPT = Path(__file__).parents[1] / "examples/reaper/vamp.lua"

pytestmark = pytest.mark.skipif(LUA is None, reason="needs Lua: apt-get install lua5.4")

# A REAPER with one item of a file: `called` holds what was done.
REAPER = """
local called, taken = {}, {D_POSITION = 10, D_LENGTH = 2, D_STARTOFFS = 0.25, D_PLAYRATE = 1}
local answers = {
  GetSelectedMediaItem = "item", GetActiveTake = "take", GetMediaItemTake_Source = "source",
  GetMediaSourceFileName = SOURCE, GetMediaSourceType = TYPE, GetProjectPath = PROJECT, GetOS = "Other",
  AddTakeToMediaItem = "new",
}
reaper = setmetatable({
  GetMediaItemInfo_Value = function(_, name) return taken[name] end,
  GetMediaItemTakeInfo_Value = function(_, name) return taken[name] or 0 end,
  GetSet_LoopTimeRange = function() return FIRST, LAST end,
  GetUserInputs = function() return true, TYPED end,
  PCM_Source_CreateFromFile = function(path) print("take " .. path); return path end,
  SetMediaItemTakeInfo_Value = function(take, name, value) print(take .. " " .. name .. " " .. value) end,
  ShowMessageBox = function(text) print("message " .. text) end,
}, {__index = function(_, name) return function() return answers[name] end end})
"""


def lua(code: str) -> str:
    assert LUA
    ran = subprocess.run([LUA, "-"], input=code, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def call(expression: str, show: str = "print(x)") -> list[str]:
    """Lines that Lua prints about a result x of the script's functions M."""
    code = f"local M = dofile({text(str(SCRIPT))})\nlocal x, problem = {expression}\n{show}"
    return lua(code).splitlines()


def text(value: str) -> str:
    """A string of Lua."""
    return "".join(["'", *(f"\\{byte:03}" for byte in value.encode()), "'"])


WORDS = ["plain", "two words", "it's", 'say "hi" now', "$HOME `ls` \\ *", "ü 水", "", "a\\", "--span=1-2"]


def test_command_line_of_a_shell() -> None:
    words = ", ".join(map(text, WORDS))
    (line,) = call(f"M.command_line({{{words}}}, false)")
    assert shlex.split(line) == [*WORDS, "2>&1"]
    program = "import sys, json; print(json.dumps(sys.argv[1:]))"
    words = ", ".join(map(text, [sys.executable, "-c", program, *WORDS]))
    assert json.loads(call(f"M.run(M.command_line({{{words}}}, false))")[0]) == WORDS


def test_command_line_of_windows() -> None:
    words = ["C:\\My Music\\vamp.exe", 'a "b" c', "ends with \\", 'both \\" of', "two \\\\ in"]
    (line,) = call(f"M.command_line({{{', '.join(map(text, words))}}}, true)")
    assert line == f'"{subprocess.list2cmdline(words)} 2>&1"'


def test_typed_options() -> None:
    show = "print(x.command, x.takes, #x.more, table.concat(x.more, '|'))"
    typed = ' inpaint , 3, --steps 4  --label "a, b" --edit=0.5'
    assert call(f"M.parse_inputs({text(typed)})", show) == ["inpaint\t3\t5\t--steps|4|--label|a, b|--edit=0.5"]
    assert call("M.parse_inputs('vamp,1,')", show) == ["vamp\t1\t0\t"]
    assert "changes the length" in call("M.parse_inputs('loop,1,')", "print(problem)")[0]
    assert "number of takes" in call("M.parse_inputs('inpaint,,')", "print(problem)")[0]


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        ((11, 11.5), "5.0 6.0"),  # twice the speed, from second 3 of the source
        ((0, 10.5), "3.0 4.0"),
        ((11.5, 99), "6.0 7.0"),
        ((0, 10), "The time selection does not lie on the item."),
        ((0, 0), "The time selection does not lie on the item."),
    ],
)
def test_selection_in_the_source(selection: tuple[float, float], expected: str) -> None:
    item = "{position = 10, length = 2, offset = 3, rate = 2}"
    first, last = selection
    show = "print(x and string.format('%.1f %.1f', x, problem) or problem)"
    assert call(f"M.source_span({item}, {first}, {last})", show) == [expected]


def run(source: Path, tmp_path: Path, vamp: Path, **changed: Any) -> list[str]:
    """Run the whole script; return what it did."""
    values = {"SOURCE": str(source), "TYPE": "WAVE", "PROJECT": f"{tmp_path}/my project", "FIRST": 10.25, "LAST": 10.55}
    values |= {"TYPED": "inpaint,2,--seed 3 --steps 2 --fine-steps 1", **changed}
    globals_ = "\n".join(f"{k} = {text(v) if isinstance(v, str) else v}" for k, v in values.items())
    copy = tmp_path / "copy.lua"
    copy.write_text(SCRIPT.read_text().replace('VAMP = "vamp"', f'VAMP = "{vamp}"'))
    return lua(f"{globals_}\n{REAPER}\ndofile({text(str(copy))})").splitlines()


def test_takes_are_the_commands(quick: Vamp, song: Song, tiny_folder: Path, tmp_path: Path) -> None:
    (command := tmp_path / "vamp").write_text(f'#!/bin/sh\nexec {sys.executable} -m vampcli "$@" -m {tiny_folder}\n')
    command.chmod(0o755)
    source = song("it's mine.wav", seconds=2)
    done = run(source, tmp_path, command)
    takes = [Path(line.removeprefix("take ")) for line in done if line.startswith("take ")]
    assert [take.name for take in takes] == ["it's mine.inpaint.3.wav", "it's mine.inpaint.4.wav"]
    assert {take.parent for take in takes} == {tmp_path / "my project/vamp"}
    assert done.count("new D_STARTOFFS 0.25") == 2
    assert quick("inpaint", source, "--span", "0.5-0.8", "-o", tmp_path / "own.wav").code == 0
    assert np.array_equal(read(takes[0]).samples, read(tmp_path / "own.wav").samples)
    failed = run(source, tmp_path, command, TYPED="inpaint,1,--seed 3 --steps 0")
    assert failed[0].startswith("message vamp: --steps is 0")


def test_messages(song: Song, tmp_path: Path) -> None:
    source, missing = song(seconds=1), tmp_path / "no vamp"
    assert run(source, tmp_path, missing, TYPE="SECTION")[0].endswith("glue it first.")
    assert "does not lie on the item" in run(source, tmp_path, missing, LAST=10)[0]
    assert "changes the length" in run(source, tmp_path, missing, TYPED="loop,1,")[0]
    assert "not found" in run(source, tmp_path, missing)[0]
