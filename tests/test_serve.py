"""`vamp serve --stdio`: answers, bad requests, cancelling, the end; files equal those of commands."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from conftest import Song, Vamp
from schemas import validator
from vampcli.cli.jobs.job import ModelRequest
from vampcli.cli.jobs.protocol import MOST_LINE, Refused, read_request, split_lines
from vampcli.cli.jobs.serve import Server

Lines = list[dict[str, Any]]
Serve = Callable[..., Lines]
ANSWER, REQUEST = validator("answer"), validator("request")
STEPS = {"steps": 2, "fine-steps": 1, "seed": 3}


@pytest.fixture
def serve(tiny_folder: Path) -> Serve:
    """Answers to the input, without those of progress; `emit` is called with each."""

    def answers(chunks: Iterable[bytes], emit: Callable[[Any], None] = lambda _: None) -> Lines:
        lines: Lines = []
        coming = iter(chunks)

        def keep(line: dict[str, Any]) -> None:
            lines.append(json.loads(json.dumps(line)))
            ANSWER.validate(lines[-1])
            emit(line)

        server = Server(ModelRequest(str(tiny_folder), "cpu", "fp32", False, False), keep)
        server.serve(lambda: next(coming, b""))
        assert lines.pop(0)["event"] == "ready"
        return [line for line in lines if line["event"] != "progress"]

    return answers


def as_lines(*requests: dict[str, Any]) -> list[bytes]:
    return [json.dumps(one).encode() + b"\n" for one in requests]


def request(id: Any, command: str, *inputs: object, **options: Any) -> dict[str, Any]:
    """A request; the schema allows it if the server does."""
    return {"id": id, "command": command, "inputs": [str(one) for one in inputs], "options": {**STEPS, **options}}


def ends(lines: Lines) -> list[tuple[Any, int]]:
    """Id and exit code of the last line of each request."""
    return [(line["id"], line["exit_code"]) for line in lines if line["event"] == "done"]


def test_files_equal_those_of_commands(serve: Serve, quick: Vamp, song: Song, tmp_path: Path) -> None:
    path = song(seconds=1)
    by_command = quick("inpaint", path, "--span", "0.3-0.6", "--json").facts
    expected = Path(by_command[0]["output"]).read_bytes()
    made = Path(by_command[0]["output"]).rename(tmp_path / "kept.wav")
    again = {"id": "b", "command": "replay", "inputs": [str(made)], "options": {"out": str(tmp_path / "again.wav")}}
    lines = serve(as_lines(request("a", "inpaint", path, span=["0.3-0.6"]), again))
    assert ends(lines) == [("a", 0), ("b", 0)]
    first, second = (line for line in lines if line["event"] == "result")
    assert {**by_command[0], "event": "result", "id": "a"} == first
    assert Path(first["output"]).read_bytes() == expected
    assert second["identical"] is True


@pytest.mark.parametrize(
    ("line", "says", "hint"),
    [
        (b"[1]", "the request is [1]", "a request is one line"),
        (b"{", "is damaged", "a request is one line"),
        (b'{"id": "x", "id": "y"}', "is there twice", "one line"),
        (b'"\xff"', "not UTF-8", "send UTF-8"),
        (b"[" * 1000, "levels", "one line"),
        (b'"' + b"x" * MOST_LINE + b'"', f"more than {MOST_LINE} bytes", "@list.txt"),
        (b'{"id": "x", "version": 2, "command": "loop"}', "of version 2", "speaks version 1"),
        (b'{"id": "x", "command": "sing", "inputs": ["a"]}', "command is 'sing'", "'inpaint' or 'outpaint'"),
        (b'{"id": "x", "command": "loop", "inputs": ["a"], "option": {}}', "unknown key 'option'", "options"),
        (b'{"id": "x", "command": "loop", "inputs": []}', "inputs is []", "1 to 1000000 elements"),
        (b'{"id": "x", "command": "loop"}', "'inputs' is missing", "add it"),
        (b'{"id": [], "command": "loop", "inputs": ["a"]}', "id is []", "it takes text or a whole number or null"),
        (b'{"cancel": null}', "cancel is None", "text or a whole number"),
    ],
)
def test_lines_that_are_no_request_are_refused(line: bytes, says: str, hint: str) -> None:
    found = read_request(line)
    assert isinstance(found, Refused)
    assert says in found.error.message
    assert hint in found.error.hint
    assert found.id == ("x" if line.startswith(b'{"id": "x", "') and b'"y"' not in line else None)


def test_bad_requests_end_nothing(serve: Serve, song: Song) -> None:
    path = song(seconds=1)
    requests = as_lines(
        request(1, "inpaint", path, spin=["0.3-0.6"]),
        request(2, "inpaint", path, span=["0.3-0.6"], temperature="hot"),
        request(3, "inpaint", path, span=["0.3-0.6"], temperature=-1),
        request(4, "inpaint", path),
        request(5, "inpaint", path.with_name("none.wav"), span=["0.3-0.6"]),
        request(6, "loop", "-"),
        request(7, "inpaint", path, span=["0.3-0.6"], out="-"),
        request(8, "inpaint", path, span=["0.3-0.6"], json=True),
        request(9, "inpaint", path, span=["3-4"]),
        {"cancel": 1000},
        request(10, "inpaint", path, span=["0.3-0.6"], beats_per_bar=3, sidecar=False),
    )
    lines = serve([b"\n  \nnot json\n", *requests])
    assert ends(lines) == [
        (None, 2), (1, 2), (2, 2), (3, 2), (4, 2), (5, 3), (6, 2), (7, 2), (8, 2), (9, 3), (None, 2), (10, 0)
    ]  # fmt: skip
    errors = {line["id"]: line for line in lines if line["event"] == "error"}
    assert len(errors) == 10  # one a request, and both without an id
    assert "unknown key 'spin'" in errors[1]["error"]
    assert (errors[2]["error"], errors[2]["hint"]) == (
        'the request [options]: temperature is "hot"',
        "it takes a number",
    )
    assert errors[3]["error"].startswith("--temperature is -1")
    assert "stdin holds requests" in errors[6]["error"]
    assert all(line["hint"] for line in errors.values())


def test_several_recordings_fail_each_alone(serve: Serve, song: Song) -> None:
    good, short = song("a.wav", seconds=1), song("b.wav", seconds=0.2)
    lines = serve(as_lines(request("x", "inpaint", good, short, span=["0.3-0.6"])))
    assert ends(lines) == [("x", 3)]
    assert [(line["event"], line["input"]) for line in lines if line["event"] in ("result", "error")] == [
        ("result", str(good)),
        ("error", str(short)),
    ]


def test_requests_are_cancelled_by_id(serve: Serve, song: Song, tmp_path: Path) -> None:
    """The first while it runs, the second while it waits; the third is made."""
    path, running = song(seconds=1), Event()

    def chunks() -> Iterator[bytes]:
        many = request("a", "inpaint", path, span=["0.3-0.6"], takes=200)
        yield from as_lines(many, {**many, "id": "b"})
        assert running.wait(60)
        yield b'{"cancel": "b"}\n{"cancel": "a"}\n'
        yield from as_lines(request("c", "inpaint", path, span=["0.3-0.6"], out=str(tmp_path / "c.wav")))

    def emit(line: dict[str, Any]) -> None:
        if line["event"] == "result":
            running.set()

    lines = serve(chunks(), emit)
    assert ends(lines) == [("a", 130), ("b", 130), ("c", 0)]
    assert 1 <= len([line for line in lines if line["event"] == "result" and line["id"] == "a"]) < 200
    assert not [line for line in lines if line["event"] == "error"]


def test_lines_may_be_cut_anywhere_and_long() -> None:
    text = b'{"a": 1}\n\n  \n{"b": 2}\r\n' + b"x" * (MOST_LINE + 10) + b"yz\nlast"
    for size in (1_000_003, 2**22 + 5, len(text)):
        chunks = iter([text[i : i + size] for i in range(0, len(text), size)])
        lines = list(split_lines(lambda chunks=chunks: next(chunks, b"")))
        assert [lines[0], lines[1].strip(), lines[-1]] == [b'{"a": 1}', b'{"b": 2}', b"last"]
        assert len(lines) == 4
        assert len(lines[2]) > MOST_LINE


@pytest.mark.skipif(os.name == "nt", reason="no such signals there")
@pytest.mark.parametrize(("how", "code"), [("term", 143), ("reader", 141)])
def test_the_process_ends_cleanly(song: Song, tiny_folder: Path, tmp_path: Path, how: str, code: int) -> None:
    """By a signal, and without a reader."""
    pipe, made = subprocess.PIPE, tmp_path / "made"
    command = [sys.executable, "-m", "vampcli", "serve", "--stdio", "-m", tiny_folder]
    (line,) = as_lines(request("a", "inpaint", song(seconds=1), span=["0.3-0.6"], takes=300, out=f"{made}/"))
    with subprocess.Popen(command, bufsize=0, stdin=pipe, stdout=pipe, stderr=pipe) as process:
        assert process.stdin
        assert process.stdout
        assert process.stderr
        assert json.loads(process.stdout.readline())["event"] == "ready"
        process.stdin.write(line)
        while json.loads(process.stdout.readline())["event"] != "result":
            pass
        if how == "term":
            process.send_signal(signal.SIGTERM)
        else:
            process.stdout.close()
        assert process.wait(60) == code
        err = process.stderr.read()
    assert not [words for words in (b"Traceback", b"Fatal") if words in err]
    assert {one.suffix for one in made.iterdir()} == {".wav"}  # no half of a file


def test_a_way_to_talk_is_named(vamp: Vamp) -> None:
    vamp("serve").refuses(2, "vamp serve --stdio")
