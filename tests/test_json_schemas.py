"""The published JSON schemas: up to date, true of what commands print, and strict."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest

from conftest import REQUESTS, Song, Vamp
from schemas import ROOT, validator  # finds the scripts, too

import json_schemas  # isort: skip

from vampcli.errors import UsageError  # isort: skip
from vampcli.cli.jobs.protocol import Refused, read_request  # isort: skip
from vampcli.schema import Between, from_table  # isort: skip


def test_published_schemas_are_up_to_date() -> None:
    published = {path.name: path.read_text(encoding="utf-8") for path in json_schemas.FOLDER.glob("*.json")}
    made = {name: json_schemas.text(schema) for name, schema in json_schemas.schemas().items()}
    assert published == made, "run: python scripts/json_schemas.py"


@pytest.fixture
def lines(quick: Vamp, vamp: Vamp, song: Song, tiny_folder: Path, tmp_path: Path) -> list[dict[str, Any]]:
    """What commands print with `--json`; each of them prints something."""
    path, short = song(seconds=1), song("short.wav", seconds=0.2)
    runs = [quick(command, path, *options, "--json", "--sidecar") for command, options in REQUESTS.items()]
    made = runs[0].facts[0]["output"]
    runs += [
        quick("inpaint", path, short, "--span", "0.3-0.6", "-n", 2, "--keep", 1, "--seed", 9, "--json"),
        quick("inpaint", path, "--span", "0.3-0.6", "--places", "--json"),
        quick("loop", path, "--find", "--repeats", 2, "--variation", 0.5, "--json", "--dry-run"),
        quick("vamp", path, "--span", "0.2-0.8", "--page", tmp_path / "a.html", "--seed", 4, "--json"),
        quick("compress", path, "-o", tmp_path / "a.vamp", "--json"),
        vamp("replay", made, "--json"),
        vamp("mask", "loop", path, "-m", tiny_folder, "--json"),
        vamp("mask", "vamp", path, "-m", tiny_folder, "--json"),
        vamp("info", path, made, tmp_path / "a.vamp", f"{made}.json", "--json"),
        vamp("page", made, "-o", tmp_path / "b.html", "--json"),
        vamp("presets", "--json"),
        vamp("models", "list", "--json"),
    ]
    assert all(ran.facts for ran in runs), [ran.err for ran in runs if not ran.facts]
    return [fact for ran in runs for fact in ran.facts]


def test_lines_of_commands_fit(lines: list[dict[str, Any]], tmp_path: Path) -> None:
    for line in lines:
        validator("output").validate(line)
    sidecars = [json.loads(path.read_text()) for path in tmp_path.glob("*.wav.json")]
    assert len(sidecars) == len(REQUESTS)
    for sidecar in sidecars:
        validator("recipe").validate(sidecar)
        table = sidecar["vamp_recipe"]
        for change in ({"seed": "7"}, {"request": {**table["request"], "spin": 1}}, {"part": "some"}, {"extra": 0}):
            assert not validator("recipe").is_valid({**sidecar, "vamp_recipe": {**table, **change}}), change
    for line in lines:  # strict: another key fits no line
        assert not validator("output").is_valid({**line, "surplus": 1})


@dataclass
class Inner:
    n: Annotated[int, Between(1, 3)] = 1


@dataclass
class Outer:
    """A table."""

    word: Annotated[str, Between(1, 2)]
    kind: Literal["a", "b"] | None = None
    pair: tuple[int, str] = (0, "")
    many: Annotated[tuple[float, ...], Between(0, 2)] = ()
    inner: Inner | None = None
    free: dict[str, Any] | None = None


@pytest.mark.parametrize(
    "change",
    [
        {}, {"word": ""}, {"word": "abc"}, {"word": 1}, {"kind": "a"}, {"kind": "c"}, {"kind": None},
        {"pair": [1, "x"]}, {"pair": [1]}, {"pair": ["x", 1]}, {"many": [1, 2.5]}, {"many": [1, 2, 3]}, {"many": ["x"]},
        {"inner": {"n": 3}}, {"inner": {"n": 4}}, {"inner": {"m": 1}}, {"inner": None}, {"free": {"x": [1]}},
        {"free": 3}, {"more": 1},
    ],
)  # fmt: skip
def test_schemas_allow_what_tables_may_hold(change: dict[str, Any]) -> None:
    """The oracle is `from_table`, which reads requests and recipes."""
    import jsonschema

    defs: dict[str, Any] = {}
    schema = {**json_schemas.schema_of(Outer, defs), "$defs": defs}
    table = {"word": "ab", **change}
    try:
        from_table(Outer, table, "table")
        allowed = True
    except UsageError:
        allowed = False
    assert jsonschema.Draft202012Validator(schema).is_valid(table) == allowed


@pytest.mark.parametrize(
    ("options", "allowed"),
    [
        ({"span": ["4-6"]}, True),
        ({"span": "4-6", "beats_per_bar": 3, "beats-per-bar": 3}, True),
        ({"steps": 4, "temperature": 1, "start": 4.5, "sidecar": False, "sampler": "halton"}, True),
        ({"spin": 1}, False),
        ({"steps": "4"}, False),
        ({"sampler": "best"}, False),
        ({"json": True}, False),
        ({"keep-codebooks": 2}, False),  # of another command
    ],
)
def test_options_of_requests(options: dict[str, Any], allowed: bool) -> None:
    line = {"command": "inpaint", "inputs": ["song.wav"], "options": options}
    assert validator("request").is_valid(line) == allowed
    assert not isinstance(read_request(json.dumps(line).encode()), Refused)  # options are read with their command
    assert not validator("request").is_valid({**line, "inputs": []})
    assert validator("request").is_valid({"cancel": 4})
    assert (ROOT / "docs/reference/programs.md").is_file()
