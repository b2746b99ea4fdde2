"""The server of `vamp ui` without a browser: takes, files, refusals, limits, two windows, a queue."""

import hashlib
import io
import re
import sys
import time
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

testclient = pytest.importorskip("starlette.testclient", reason="needs Starlette: pip install vampcli[ui]")
from vampcli.ui import server, uploads  # noqa: E402

HOST = "127.0.0.1:8000"
QUICK = {"steps": 2, "fine-steps": 1, "seed": 3}


@pytest.fixture
def song(tmp_path: Path) -> Path:
    """Two seconds in stereo."""
    sf.write(path := tmp_path / "song.wav", music(2, 44100, 2).T, 44100, subtype="PCM_16")
    return path


@pytest.fixture
def studio(tiny_folder: Path, song: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> server.Studio:
    monkeypatch.chdir(tmp_path)
    (folder := tmp_path / "session").mkdir()
    orders = TypedOrders(ModelRequest(str(tiny_folder), "auto", "auto", False, False))
    return server.Studio(orders, folder, Path(song.name))


class Window:
    """A window of a browser, without the browser."""

    def __init__(self, studio: server.Studio, client: Any) -> None:
        self.studio, self.client = studio, client
        first = client.get(f"/{studio.token}/")
        self.path = first.url.path
        self.wait(lambda state: state["sound"])

    def get(self, path: str, **more: Any) -> Any:
        return self.client.get(self.path + path, **more)

    def post(self, path: str, /, **content: Any) -> Any:
        return self.client.post(self.path + path, json=content)

    def ask(self, verb: str = "inpaint", spans: Any = ("0.5-0.9",), **values: Any) -> Any:
        return self.post("runs", verb=verb, values={**QUICK, **values}, spans=list(spans))

    def wait(self, holds: Any) -> dict[str, Any]:
        """Wait for a state."""
        for _ in range(600):
            state: dict[str, Any] = self.get("state").json()
            if holds(state):
                return state
            time.sleep(0.05)
        raise AssertionError(state)

    def made(self, n_runs: int = 1) -> dict[str, Any]:
        """Wait until so many runs have ended."""
        return self.wait(lambda s: sum(run["state"] not in ("queued", "running") for run in s["runs"]) == n_runs)


@pytest.fixture
def client(studio: server.Studio) -> Iterator[Any]:
    app = server.create_app(studio, [HOST])
    with testclient.TestClient(app, base_url=f"http://{HOST}") as one:
        yield one


@pytest.fixture
def window(studio: server.Studio, client: Any) -> Window:
    return Window(studio, client)


def content_hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


REQUESTS: list[tuple[str, list[str], dict[str, Any]]] = [
    ("inpaint", ["0.5-0.9"], {"takes": 2}),
    ("outpaint", [], {"after": "0.3", "before": "0.2"}),
    ("loop", ["0.1-1.1"], {"repeats": 2, "seam": "0.2"}),
    ("vamp", ["0.5-0.9"], {"beats": False, "period": 3}),
]


@pytest.mark.parametrize(("verb", "spans", "values"), REQUESTS)
def test_kept_takes_are_the_commands(
    window: Window, vamp: Vamp, verb: str, spans: list[str], values: dict[str, Any], tmp_path: Path
) -> None:
    asked = window.ask(verb, spans, **values)
    assert asked.status_code == 202, asked.text
    state = window.made()
    takes = state["takes"]
    assert [take["seed"] for take in takes] == [3, 4][: len(takes)]
    kept = [Path(window.post(f"takes/{take['id']}/keep").json()["path"]) for take in takes]
    hashes = [content_hash(path) for path in kept]
    assert [path.name for path in kept] == [f"song.{verb}.{take['seed']}.wav" for take in takes]
    for path in kept:
        path.rename(tmp_path / "session" / path.name)
    words = re.sub(r"^vamp ", "", asked.json()["command"]).split()
    assert vamp(*words).code == 0
    assert [content_hash(path) for path in kept] == hashes


def test_a_take_is_played_and_measured(window: Window, song: Path) -> None:
    window.ask()
    state = window.wait(lambda s: s["takes"] and s["takes"][0]["facts"])
    take = state["takes"][0]
    assert take["spans"] == [[22050, 39690]]
    assert {"lufs", "click", "total"} <= set(take["facts"])
    (whole := song.with_name("whole.flac")).write_bytes(window.get(f"audio/{take['id']}?start=0&end=88200").content)
    (part := song.with_name("part.flac")).write_bytes(window.get("audio/recording?start=100&end=1100").content)
    assert np.array_equal(read(part).samples, read(song).samples[:, 100:1100])
    file = window.get(f"file/{take['id']}")
    (song.with_name("file.wav")).write_bytes(file.content)
    assert np.array_equal(read(whole).samples, read(song.with_name("file.wav")).samples)
    assert 'filename="song.inpaint.3.wav"' in file.headers["content-disposition"]


def test_replay_and_history(window: Window, studio: server.Studio, client: Any) -> None:
    window.ask()
    take = window.made()["takes"][0]
    window.post(f"takes/{take['id']}/keep")
    assert window.post(f"takes/{take['id']}/replay").status_code == 202
    again = window.made(2)["takes"][1]
    assert again["identical"] is True
    another = Window(studio, client)
    assert [one["name"] for one in another.get("history").json()] == ["song.inpaint.3.wav"]
    loaded = another.post("history", name="song.inpaint.3.wav").json()
    assert (loaded["seed"], loaded["spans"]) == (3, take["spans"])
    assert another.get("history").json() == []
    assert another.post("history", name="../song.wav").status_code == 422


def test_two_windows_do_not_mix(window: Window, studio: server.Studio, client: Any) -> None:
    another = Window(studio, client)
    assert another.path != window.path
    window.ask()
    take = window.made()["takes"][0]
    assert another.get("state").json()["takes"] == []
    assert another.get(f"file/{take['id']}").status_code == 404


def test_closed_window_is_given_out_again(window: Window, studio: server.Studio, client: Any, monkeypatch: Any) -> None:
    window.ask()
    window.made()
    monkeypatch.setattr("vampcli.ui.session._CLAIMED_S", 0.0)
    assert Window(studio, client).get("state").json()["takes"] != []


def test_twenty_requests_at_once(window: Window) -> None:
    runs = [window.ask(seed=i).json()["run"] for i in range(20)]
    for name in runs[10:]:
        window.post(f"runs/{name}/cancel")
    state = window.made(20)
    states = [run["state"] for run in state["runs"]]
    assert states[:5] == ["done"] * 5
    assert set(states[10:]) <= {"done", "cancelled"}
    assert len(state["takes"]) == states.count("done")


BAD: list[tuple[str, dict[str, Any], str]] = [
    ("inpaint", {"spans": ["5-6"]}, "the span starts at 5 s but the clip is 2.00 s long"),
    ("inpaint", {"spans": ["1-0.5"]}, "reversed|before"),
    ("inpaint", {"spans": []}, "no span is named"),
    ("inpaint", {"steps": "0"}, "--steps is 0"),
    ("inpaint", {"steps": "many"}, "--steps.*valid integer"),
    ("inpaint", {"out": "/tmp"}, "no option --out"),
    ("vamp", {"mask": "/etc/passwd"}, "no option --mask"),
    ("train", {}, "no command 'train'"),
]


@pytest.mark.parametrize(("verb", "values", "says"), BAD)
def test_bad_requests(window: Window, verb: str, values: dict[str, Any], says: str) -> None:
    answer = window.ask(verb, **values)
    assert answer.status_code == 422
    assert re.search(says, answer.json()["error"])
    assert window.get("state").json()["runs"] == []


@pytest.mark.parametrize(
    ("headers", "says"),
    [
        ({"host": "evil.example"}, "host"),
        ({"host": "127.0.0.1:9999"}, "host"),
        ({"origin": "http://evil.example"}, "page of http://evil.example"),
        ({"origin": "null"}, "page of null"),
    ],
)
def test_foreign_hosts_and_pages(window: Window, headers: dict[str, str], says: str) -> None:
    answer = window.get("state", headers=headers)
    assert answer.status_code == 403
    assert says in answer.json()["error"]


@pytest.mark.parametrize("path", ["/", "/wrong/", "/wrong/window1/state", "/wrong/assets/ui.js", "//", "/%2e%2e/"])
def test_wrong_token(window: Window, path: str) -> None:
    answer = window.client.get(path, headers={"accept": "text/html"})
    assert answer.status_code == 403
    assert "token" in answer.text


def test_recordings_of_the_folder(window: Window, song: Path, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    for name in ("sub/deep.wav", ".hidden.wav", "notes.txt"):
        (tmp_path / name).write_bytes(song.read_bytes())
    (tmp_path / "link").symlink_to("/")
    found = window.get("recordings").json()
    assert (found["recordings"], found["more"]) == (["song.wav", "sub/deep.wav"], False)
    assert window.post("open", path="sub/deep.wav").status_code == 201
    assert window.get("state").json()["sound"]["name"] == "deep.wav"
    assert window.ask().json()["command"].startswith("vamp inpaint sub/deep.wav ")
    take = window.made()["takes"][0]
    assert Path(window.post(f"takes/{take['id']}/keep").json()["path"]).parent.name == "sub"


@pytest.mark.parametrize(
    ("path", "status", "says"),
    [
        ("../outside.wav", 403, "is outside"),
        ("/etc/passwd", 403, "is outside"),
        ("link.wav", 403, "is outside"),
        ("sub/../../outside.wav", 403, "is outside"),
        ("missing.wav", 422, "no file"),
        (".", 422, "no file"),
        ("a\0b", 422, "cannot open"),
        ("x" * 5000, 422, "cannot open"),
        ("notes.txt", 422, "cannot read"),
        ("", 422, "no path is named"),
        (3, 422, "no path is named"),
    ],
)
def test_paths_to_open(window: Window, song: Path, tmp_path: Path, path: Any, status: int, says: str) -> None:
    (outside := tmp_path.parent / "outside.wav").write_bytes(song.read_bytes())
    (tmp_path / "link.wav").symlink_to(outside)
    (tmp_path / "notes.txt").write_text("no sound")
    answer = window.post("open", path=path)
    assert (answer.status_code, says in answer.json()["error"]) == (status, True), answer.text
    assert window.get("state").json()["sound"]["name"] == "song.wav"


def test_too_long_recordings(window: Window, song: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vampcli.ui.sounds.MOST_SAMPLES", 100000)
    for answer in (window.post("open", path="song.wav"), upload(window, song.read_bytes())):
        assert answer.status_code == 422
        assert answer.json()["error"].endswith(".wav is too long: 2 s")
    assert window.get("audio/recording?start=0&end=88200").status_code == 200
    monkeypatch.setattr("vampcli.ui.sounds.LONGEST_WINDOW_S", 1)
    assert window.get("audio/recording?start=0&end=88200").status_code == 422


@pytest.mark.parametrize(
    ("text", "side", "expected"),
    [
        ("0:01.25", "start", [1.25, 1.75]),  # behind the end: the length stays
        ("250 ms", "start", [0.25, 1.0]),
        ("75%", "end", [0.5, 1.5]),
        ("bar:1", "start", [0, 1.0]),
        ("beat:4", "end", [0.5, 1.5]),
        ("2beats", "end", [0.5, 1.5]),
        ("beats:2-3", "start", [0.5, 1.5]),
        ("25%-1.5", "end", [0.5, 1.5]),
    ],
)
def test_typed_times(window: Window, text: str, side: str, expected: list[float]) -> None:
    """At 120 bpm, a beat is half a second."""
    values = {"bpm": "120", "downbeat": "0", "steps": "3"}
    answer = window.post("span", text=text, side=side, start=0.5, end=1.0, values=values)
    assert answer.status_code == 200, answer.text
    assert list(answer.json().values()) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("text", "side", "says"),
    [
        ("five", "start", "not a time"),
        ("1,5", "start", "not a time"),
        ("", "end", "not a time"),
        ("9", "start", "outside: 9 to"),
        ("9", "end", "outside: 0.5 to 9"),
        ("0.2", "end", "reversed"),
        ("bar:99", "start", "bar"),
        ("4bars", "start", "is a length"),
        ("--out=x", "start", "not a"),
    ],
)
def test_times_that_do_not_fit(window: Window, text: str, side: str, says: str) -> None:
    answer = window.post("span", text=text, side=side, start=0.5, end=1.0, values={"bpm": "120", "downbeat": "0"})
    assert (answer.status_code, says in answer.json()["error"]) == (422, True), answer.text


def test_spectrogram(window: Window, song: Path) -> None:
    """A picture of a range is that part of the picture of all, but for the frames of its columns."""
    from PIL import Image

    def picture(start: int, end: int, n: int) -> Any:
        content = window.get(f"spectrogram/recording?start={start}&end={end}&columns={n}").content
        return np.asarray(Image.open(io.BytesIO(content)))

    whole, part = picture(0, 88200, 400), picture(22050, 44100, 100)
    assert (whole.shape, part.shape) == ((128, 400), (128, 100))
    assert np.array_equal(whole[:, 100:200], part)
    assert whole.max() == 31  # the loudest
    assert window.get("spectrogram/recording?start=0&end=1&columns=0").status_code == 200
    for query in ("start=0&end=999999", "start=5&end=5", "start=x&end=5", "start=0&end=5&columns=x"):
        assert window.get(f"spectrogram/recording?{query}").status_code == 422
    assert window.get("spectrogram/take9?start=0&end=5").status_code == 404


@pytest.mark.parametrize("path", ["file/..%2f..%2fsong.wav", "file/song.wav", "audio/%2fetc%2fpasswd?start=0&end=1"])
def test_paths_outside(window: Window, path: str) -> None:
    assert window.get(path).status_code == 404


def upload(window: Window, content: Any, name: str = "other.wav", **headers: str) -> Any:
    return window.client.put(f"{window.path}sound", params={"name": name}, content=content, headers=headers)


def test_upload(window: Window, song: Path, tmp_path: Path) -> None:
    before = sorted(path.name for path in tmp_path.iterdir())
    assert upload(window, song.read_bytes(), "../../other.wav").status_code == 201
    assert window.get("state").json()["sound"]["name"] == "other.wav"
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    asked = window.ask()
    assert asked.json()["command"].startswith("vamp inpaint other.wav ")
    take = window.made()["takes"][0]
    kept = Path(window.post(f"takes/{take['id']}/keep").json()["path"])
    assert (tmp_path / kept).is_file()
    assert kept.name == "other.inpaint.3.wav"


def test_upload_that_is_no_sound(window: Window, tmp_path: Path) -> None:
    answer = upload(window, b"no sound" * 100)
    assert answer.status_code == 422
    assert answer.json()["error"].startswith("cannot read other.wav")
    assert [path for path in (tmp_path / "session").rglob("*") if path.is_file()] == []
    assert window.get("state").json()["sound"]["name"] == "song.wav"


def test_upload_too_large(window: Window, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = upload(window, b"", **{"content-length": str(2**31)})
    assert (answer.status_code, "2048 MB" in answer.json()["error"]) == (413, True)
    monkeypatch.setattr(uploads, "MOST_BYTES", 1000)
    assert upload(window, iter([b"x" * 600] * 3)).status_code == 413  # in chunks, without a length
    assert [path for path in (tmp_path / "session").rglob("*") if path.is_file()] == []


def test_keep_does_not_replace(window: Window, tmp_path: Path) -> None:
    (tmp_path / "song.inpaint.3.wav").write_text("mine")
    window.ask()
    take = window.made()["takes"][0]
    answer = window.post(f"takes/{take['id']}/keep")
    assert (answer.status_code, "exists" in answer.json()["error"]) == (422, True)
    assert (tmp_path / "song.inpaint.3.wav").read_text() == "mine"


def test_peaks(window: Window, song: Path) -> None:
    samples = read(song).samples
    top = np.abs(samples).max()
    for start, end, n in ((0, 88200, 40), (1000, 2000, 100), (44100, 88200, 7)):
        low, high = np.frombuffer(
            window.get(f"peaks/recording?start={start}&end={end}&columns={n}").content, np.int8
        ).reshape(2, n)
        assert high.max() == pytest.approx(127 * samples[:, start:end].max() / top, abs=4)
        assert low.min() == pytest.approx(127 * samples[:, start:end].min() / top, abs=4)
    assert window.get("peaks/recording?start=0&end=99999999").status_code == 422


def test_answers_load_nothing_else(window: Window) -> None:
    page = window.get("")
    assert page.headers["content-security-policy"].startswith("default-src 'none'")
    assert page.headers["referrer-policy"] == "no-referrer"
    assert not re.search(r"https?://", page.text)
    for name in re.findall(r"\.\./assets/([\w.]+)", page.text):
        assert window.client.get(f"/{window.studio.token}/assets/{name}").status_code == 200


def test_schema_is_that_of_the_commands(window: Window) -> None:
    schema = window.get("schema").json()
    assert list(schema) == ["inpaint", "outpaint", "loop", "vamp"]
    keys = {verb: {one["key"] for one in options} for verb, options in schema.items()}
    assert keys["inpaint"] >= {"takes", "seed", "steps", "temperature", "memory", "margin"}
    assert keys["outpaint"] >= {"after", "before"}
    assert keys["vamp"] >= {"amount", "preset", "period", "beats"}
    every = set().union(*keys.values())
    assert not every & {
        "out",
        "page",
        "plot",
        "name",
        "mask",
        "memory-from",
        "spans-from",
        "overwrite",
        "model",
        "preview",
    }


def test_help_names_the_extra(vamp: Vamp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "vampcli.ui.server", raising=False)
    monkeypatch.setitem(sys.modules, "starlette.applications", None)
    vamp("ui", "--no-browser").refuses(2, "vampcli[ui]")


def test_no_sound(vamp: Vamp, tmp_path: Path) -> None:
    (bad := tmp_path / "bad.wav").write_text("no sound")
    vamp("ui", bad, "--no-browser").refuses(3, "cannot read")
