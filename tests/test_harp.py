"""The routes of HARP, asked by a client that is written from its protocol alone."""

import json
import re
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf

from conftest import Vamp, music
from vampcli.audio.read import read
from vampcli.cli.jobs.job import ModelRequest
from vampcli.cli.jobs.orders import TypedOrders
from vampcli.errors import UsageError
from vampcli.recipe.embed import recipe_of

pytest.importorskip("starlette", reason="needs Starlette: pip install vampcli[ui]")
import uvicorn

from vampcli.ui import server, uploads
from vampcli.ui.harp import Harp
from vampcli.ui.harp_controls import CONTROLS, parse_request

QUICK = "--steps 2 --fine-steps=1"


class Client:
    """HARP as its source has it: multipart uploads, events line by line, files by their address."""

    def __init__(self, address: str) -> None:
        self.api = f"{address}/gradio_api/"

    def post(self, path: str, body: bytes, kind: str, **headers: str) -> Any:
        request = urllib.request.Request(self.api + path, body, {"content-type": kind, **headers})
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    def upload(self, name: str, content: bytes) -> str:
        head = f'--b\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\nContent-Type: audio/midi'
        body = head.encode() + b"\r\n\r\n" + content + b"\r\n--b--\r\n"
        return str(self.post("upload", body, "multipart/form-data; boundary=b")[0])

    def ask(self, name: str, data: Any = ()) -> str:
        return str(self.post(f"call/{name}", json.dumps({"data": list(data)}).encode(), "application/json")["event_id"])

    def events(self, name: str, event: str) -> Any:
        with urllib.request.urlopen(f"{self.api}call/{name}/{event}", timeout=60) as lines:
            for line in lines:
                if b"complete" in line.lower() or b"error" in line.lower():
                    return line.decode().strip(), json.loads(next(lines).decode().removeprefix("data:"))
        raise AssertionError("the stream ended")

    def call(self, name: str, data: Any = ()) -> Any:
        kind, content = self.events(name, self.ask(name, data))
        assert kind == "event: complete", content
        return content


def values(path: str, **changed: Any) -> list[Any]:
    """Values of all controls as HARP sends them: floats of 32 bits."""
    data = [changed.get(one.key, one.value) for one in CONTROLS]
    data = [float(np.float32(x)) if isinstance(x, float) else x for x in data]
    return [{"path": path, "meta": {"_type": "gradio.FileData"}}, *data[1:]]


@pytest.fixture
def song(tmp_path: Path) -> Path:
    sf.write(path := tmp_path / "söng 1.wav", music(2, 44100, 2).T, 44100, subtype="PCM_16")
    return path


@pytest.fixture
def studio(tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> server.Studio:
    monkeypatch.chdir(tmp_path)
    (folder := tmp_path / "session").mkdir()
    return server.Studio(TypedOrders(ModelRequest(str(tiny_folder), "auto", "auto", False, False)), folder)


@pytest.fixture
def client(studio: server.Studio) -> Iterator[Client]:
    with server.bound(0) as listener:
        host = f"127.0.0.1:{listener.getsockname()[1]}"
        app = server.create_app(studio, [host], Harp(studio, "tiny").routes())
        running = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off", ws="none"))
        thread = threading.Thread(target=running.run, kwargs={"sockets": [listener]})
        thread.start()
        yield Client(f"http://{host}")
        running.should_exit = True
        thread.join()


def test_controls_are_of_five_types(client: Client) -> None:
    (found,) = client.call("controls")
    assert {one["type"] for one in found["inputs"]} == {"audio_track", "slider", "text_box", "dropdown", "toggle"}
    assert [one["type"] for one in found["outputs"]] == ["audio_track", "json"]
    assert found["card"]["name"] == "vamp (tiny)"
    for one in found["inputs"]:
        if one["type"] == "slider":
            assert one["minimum"] <= one["value"] <= one["maximum"]
        if one["type"] == "dropdown":
            assert [one["value"]] * 2 in one["choices"]


TAKES: list[tuple[dict[str, Any], list[str]]] = [
    ({"verb": "inpaint", "spans": "0.5 - 0.9, 1.2-1.4"}, ["inpaint", "--span=0.5-0.9", "--span=1.2-1.4"]),
    ({"verb": "outpaint", "after": "0.3"}, ["outpaint", "--after=0.3"]),
    (
        {"verb": "loop", "spans": "0.1-1.1", "repeats": 2.0, "variation": 0.4},
        ["loop", "--span=0.1-1.1", "--repeats=2", "--variation=0.4"],
    ),
    ({"verb": "vamp", "amount": 0.3}, ["vamp", "--amount=0.3"]),
    ({"verb": "vamp", "more": f"{QUICK} --period 3"}, ["vamp", "--period=3"]),
]


@pytest.mark.parametrize(("changed", "command"), TAKES)
def test_take_is_the_commands(
    client: Client, vamp: Vamp, song: Path, tiny_folder: Path, tmp_path: Path, changed: dict[str, Any], command: Any
) -> None:
    path = client.upload(song.name, song.read_bytes())
    take, labels = client.call("process", values(path, **{"more": QUICK, "seed": "3", **changed}))
    with urllib.request.urlopen(take["url"]) as answer:
        (fetched := tmp_path / "fetched.wav").write_bytes(answer.read())
    assert vamp(*command, song, "-m", tiny_folder, *QUICK.split(), "--seed=3", "-o", "own.wav").code == 0
    assert np.array_equal(read(fetched).samples, read(tmp_path / "own.wav").samples)
    assert fetched.read_bytes()[:4] == b"RIFF"
    recipe = recipe_of(tmp_path / "own.wav")
    assert recipe
    found = [(round(44100 * one["t"]), round(44100 * (one["t"] + one["duration"]))) for one in labels["labels"]]
    assert found == list(recipe.synthetic)
    assert {one["label"] for one in labels["labels"]} == {f"{command[0]} 3"}
    assert (take["meta"]["_type"], labels["meta"]["_type"]) == ("gradio.FileData", "pyharp.LabelList")


BAD: list[tuple[dict[str, Any], str]] = [
    ({"spans": "5-6"}, "the span starts at 5 s but the clip is 2.00 s long"),
    ({"spans": ""}, "no span is named"),
    ({"more": "--out=/tmp"}, "'--out=/tmp' is no option here"),
    ({"more": "--takes 3"}, "'--takes' is no option here"),
    ({"more": "--steps 0"}, "--steps is 0"),
    ({"more": "--steps"}, "--steps has no value"),
    ({"seed": "seven"}, "--seed.*valid integer"),
    ({"verb": "train"}, "Command is 'train'"),
    ({"repeats": 99.0}, "Repeats is 99.0"),
    ({"find": "yes"}, "Find loop points is 'yes'"),
]


@pytest.mark.parametrize(("changed", "says"), BAD)
def test_bad_values(client: Client, song: Path, changed: dict[str, Any], says: str) -> None:
    path = client.upload(song.name, song.read_bytes())
    event = client.ask("process", values(path, **{"spans": "0.5-0.9", **changed}))
    kind, message = client.events("process", event)
    assert kind == "event: error"
    assert re.search(says, message)


@pytest.mark.parametrize("path", ["/etc/passwd", "../song.wav", "", "söng 1.wav"])
def test_paths_that_were_not_uploaded(client: Client, song: Path, path: str) -> None:
    kind, message = client.events("process", client.ask("process", values(path, spans="0.5-0.9")))
    assert (kind, "no upload" in message) == ("event: error", True)


def test_no_sound(client: Client) -> None:
    path = client.upload("../../noise.wav", b"no sound" * 100)
    kind, message = client.events("process", client.ask("process", values(path, spans="0.5-0.9")))
    assert kind == "event: error"
    assert message.startswith("cannot read noise.wav")


def test_unknown_event(client: Client) -> None:
    event = client.ask("controls")
    client.events("controls", event)
    for name, one in (("controls", event), ("process", "nothing")):
        kind, message = client.events(name, one)
        assert (kind, f"no event {one}" in message) == ("event: error", True)


def refused(status: int, call: Any, *arguments: Any, **more: str) -> str:
    with pytest.raises(urllib.error.HTTPError) as failure:
        call(*arguments, **more)
    with failure.value as answer:
        assert answer.code == status
        return answer.read().decode()


def test_large_upload(client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "MOST_BYTES", 2**20)
    assert "2 MB are sent" in refused(413, client.upload, "song.wav", b"x" * 2**21)
    assert [path for path in (tmp_path / "session").rglob("*") if path.is_file()] == []


@pytest.mark.parametrize(
    ("headers", "says"), [({"host": "evil.example"}, "host"), ({"origin": "http://evil.example"}, "page of")]
)
def test_foreign_hosts_and_pages(client: Client, headers: dict[str, str], says: str) -> None:
    assert says in refused(403, client.post, "call/controls", b"{}", "application/json", **headers)


def test_malformed_requests(client: Client) -> None:
    assert "no file" in refused(422, client.post, "upload", b"--b--\r\n", "multipart/form-data; boundary=b")
    assert "boundary" in refused(422, client.post, "upload", b"x", "multipart/form-data")
    assert "list of data" in refused(422, client.post, "call/process", b'{"data": 1}', "application/json")
    assert "known: controls" in refused(404, client.post, "call/train", b"{}", "application/json")
    assert "no such take" in refused(404, urllib.request.urlopen, f"{client.api}file/x/song.wav")
    kind, message = client.events("process", client.ask("process", [1, 2]))
    assert (kind, "2 values are sent" in message) == ("event: error", True)


def test_editor_keeps_its_token_and_harp_is_off(studio: server.Studio) -> None:
    testclient = pytest.importorskip("starlette.testclient")
    host = "127.0.0.1:8000"
    for routes, status in (((), 403), (Harp(studio, "tiny").routes(), 200)):
        with testclient.TestClient(server.create_app(studio, [host], routes), base_url=f"http://{host}") as one:
            assert one.post("/gradio_api/call/controls", json={}).status_code == status
            assert one.get("/wrong/window1/state").status_code == 403


def test_cancel_ends_a_process(client: Client, song: Path, studio: server.Studio) -> None:
    path = client.upload(song.name, song.read_bytes())
    heard: list[Any] = []
    data = values(path, spans="0.1-1.9", more="--steps 5000")
    thread = threading.Thread(target=lambda: heard.append(client.events("process", client.ask("process", data))))
    thread.start()
    while not studio.worker._runs or studio.worker._runs[0].step < 1:
        time.sleep(0.01)
    assert client.call("cancel") == []
    thread.join(30)
    assert heard[0] == ("event: error", "the take was cancelled (process again)")


def test_cancel_while_planning(client: Client, song: Path, studio: server.Studio) -> None:
    path = client.upload(song.name, song.read_bytes())
    heard: list[Any] = []
    with studio.orders._planning:  # type: ignore[attr-defined]
        event = client.ask("process", values(path, spans="0.1-1.9", more=QUICK))
        thread = threading.Thread(target=lambda: heard.append(client.events("process", event)))
        thread.start()
        while not (studio.folder / "harp" / event).exists():
            time.sleep(0.01)
        client.call("cancel")
    thread.join(30)
    assert heard[0] == ("event: error", "the take was cancelled (process again)")
    assert not (studio.folder / "harp" / event).exists()


def test_client_that_goes_away_cancels(client: Client, song: Path, studio: server.Studio) -> None:
    path = client.upload(song.name, song.read_bytes())
    event = client.ask("process", values(path, spans="0.1-1.9", more="--steps 5000"))
    answer = urllib.request.urlopen(f"{client.api}call/process/{event}")
    while not studio.worker._runs or studio.worker._runs[0].step < 1:
        time.sleep(0.01)
    run = studio.worker._runs[0]
    answer.close()
    for _ in range(600):
        if run.state == "cancelled":
            return
        time.sleep(0.05)
    raise AssertionError(run.state)


def test_old_files_are_removed(client: Client, song: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vampcli.ui.harp._MOST_HELD", 2)
    path = client.upload("first.wav", song.read_bytes())
    assert client.upload("first.wav", song.read_bytes()) == path  # the same sound is kept once
    for i in range(3):
        client.upload(f"{i}.wav", bytes([i]))
    assert sorted(one.name for one in (tmp_path / "session").rglob("*.wav")) == ["1.wav", "2.wav"]


def test_controls_that_another_option_excludes() -> None:
    schema = TypedOrders(ModelRequest("mini", "auto", "auto", False, False)).schema()
    request = parse_request(values("a", verb="vamp", more="--preset gentle --seed=4"), schema)
    assert (request.values["preset"], request.values["seed"]) == ("gentle", "4")
    assert "amount" not in request.values
    with pytest.raises(UsageError, match="no option here"):
        parse_request(values("a", verb="vamp", more="steps 4"), schema)
