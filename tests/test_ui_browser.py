"""The editor in a real browser: spans, takes, keys, keep, replay, two tabs, a long file, a server that ends."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest
import soundfile as sf

from conftest import Vamp, music
from test_page_browser import CHROMIUM, SHA256, browser, playwright  # noqa: F401 (a fixture)
from vampcli.audio.read import read
from vampcli.cli.jobs.job import ModelRequest
from vampcli.cli.jobs.orders import TypedOrders

uvicorn = pytest.importorskip("uvicorn", reason="needs uvicorn: pip install vampcli[ui]")
from vampcli.ui import server  # noqa: E402

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium")

SECONDS = 4
OPTIONS = {"seed": "3", "steps": "2", "fine-steps": "1"}


class Editor:
    """A server with the tiny model, in a thread, and windows of a browser."""

    def __init__(self, folder: Path, model: Path, chromium: Any) -> None:
        (folder / "session").mkdir()
        orders = TypedOrders(ModelRequest(str(model), "auto", "auto", False, False))
        self.studio = server.Studio(orders, folder / "session", Path("song.wav"))
        self.browser, self.requests, self.errors, self.contexts = chromium, list[str](), list[str](), list[Any]()
        self.refusals: tuple[str, ...] = ()  # errors that a test causes: the browser logs them, perhaps late
        self.bound = server.bound(0)
        self.socket = self.bound.__enter__()
        self.host = f"127.0.0.1:{self.socket.getsockname()[1]}"
        app = server.create_app(self.studio, [self.host])
        config = uvicorn.Config(app, log_level="error", lifespan="off", timeout_graceful_shutdown=1, ws="none")
        self.server = uvicorn.Server(config)
        self.thread = Thread(target=self.server.run, args=([self.socket],), daemon=True)
        self.thread.start()

    def end(self) -> None:
        self.server.should_exit = self.server.force_exit = True
        self.thread.join()

    def open(self, **options: Any) -> Any:
        """Open a window and wait until it can play."""
        self.contexts.append(self.browser.new_context(**options))
        page = self.contexts[-1].new_page()
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("console", lambda message: self.errors.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.goto(f"http://{self.host}/{self.studio.token}/")
        wait_until(page, "document.documentElement.dataset.ready === 'recording 1'")
        return page


@pytest.fixture
def editor(tmp_path: Path, tiny_folder: Path, browser: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Editor]:  # noqa: F811
    monkeypatch.chdir(tmp_path)
    if not Path("song.wav").exists():
        sf.write("song.wav", music(SECONDS, 44100, 2).T, 44100, subtype="PCM_16")
    one = Editor(tmp_path, tiny_folder, browser)
    yield one
    for context in one.contexts:
        context.close()
    one.end()
    one.bound.__exit__(None, None, None)
    allowed = (f"http://{one.host}/", f"blob:http://{one.host}/", "data:")
    assert [url for url in one.requests if not url.startswith(allowed)] == []
    assert [error for error in one.errors if not any(map(error.__contains__, one.refusals))] == []


def wait_until(page: Any, condition: str, seconds: float = 20) -> None:
    """Wait for a condition; the policy of the page forbids Playwright's own way."""
    for _ in range(int(seconds * 20)):
        if page.evaluate(condition):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"never: {condition}; {page.inner_text('#problem')}{page.inner_text('#refused')}")


def spans(page: Any) -> list[list[float]]:
    return list(page.evaluate("vampUi.spans.times"))


def drag(page: Any, start_s: float, end_s: float, y: float = 100) -> None:
    """Drag over the waveform from one time to another."""
    box, width = page.locator("#view").bounding_box(), page.evaluate("vampUi.wave.zoom")
    left = page.evaluate("vampUi.wave.view.scrollLeft")
    page.mouse.move(box["x"] + start_s * width - left, box["y"] + y)
    page.mouse.down()
    page.mouse.move(box["x"] + (start_s + end_s) / 2 * width - left, box["y"] + y)
    page.mouse.move(box["x"] + end_s * width - left, box["y"] + y)
    page.mouse.up()


def fill(page: Any, **more: str) -> None:
    page.click("#form summary")
    for name, value in (OPTIONS | more).items():
        page.fill(f'[name="{name}"]', value)


def make(page: Any, n_takes: int, **more: str) -> None:
    """Make takes of the span from 1 to 1.5 s."""
    if not spans(page):
        drag(page, 1, 1.4)
        for i, value in enumerate(("1", "1.5")):
            page.fill(f"#spans input >> nth={i}", value)
    if not page.is_visible('[name="steps"]'):
        fill(page, takes=str(n_takes), **more)
    page.click("#make")
    wait_until(page, f"vampUi.tracks.length === {n_takes + 1}")


def test_spans_are_dragged_resized_and_typed(editor: Editor) -> None:
    page = editor.open()
    drag(page, 1, 2)
    assert spans(page)[0] == pytest.approx([1, 2], abs=0.01)
    drag(page, 2, 2.5)  # its end
    assert spans(page)[0] == pytest.approx([1, 2.5], abs=0.02)
    drag(page, 1, 0.5)  # its start
    assert spans(page)[0] == pytest.approx([0.5, 2.5], abs=0.02)
    drag(page, 1.5, 2.5)  # all of it
    assert spans(page)[0] == pytest.approx([1.5, 3.5], abs=0.03)
    page.fill("#spans input >> nth=0", "1.25")
    page.fill("#spans input >> nth=1", "1.75")
    assert spans(page) == [[1.25, 1.75]]
    page.focus(".edge >> nth=1")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Shift+ArrowLeft")
    assert spans(page) == [[1.25, 1.66]]
    wait_until(page, "document.querySelector('#command').textContent.includes('--span=1.25-1.66')")
    drag(page, 2.5, 3)
    assert len(spans(page)) == 2
    page.click("#spans button >> nth=1")
    page.focus(".edge >> nth=0")
    page.keyboard.press("Delete")
    assert spans(page) == []


def test_times_are_typed_and_undone(editor: Editor) -> None:
    page = editor.open()
    drag(page, 1, 2)
    page.click("#form summary")
    page.fill('[name="bpm"]', "120")
    page.fill('[name="downbeat"]', "0")
    for i, text, expected in ((0, "25%", [1, 2]), (1, "4beats", [1, 3]), (0, "beats:4-7", [1.5, 3.5])):
        page.fill(f"#spans input >> nth={i}", text)
        page.press(f"#spans input >> nth={i}", "Enter")
        wait_until(page, f"JSON.stringify(vampUi.spans.times) === JSON.stringify([{expected}])")
    assert page.evaluate("vampUi.state.runs.length") == 0  # Enter makes no takes
    page.fill("#spans input >> nth=0", "noon")
    page.press("#spans input >> nth=0", "Tab")
    wait_until(page, "document.querySelector('#span-problem').textContent.startsWith('not a time')")
    page.fill("#spans input >> nth=1", "9")
    page.press("#spans input >> nth=1", "Tab")
    wait_until(page, "document.querySelector('#span-problem').textContent.startsWith('the span is outside')")
    editor.refusals = ("422",)
    page.click("#title")
    page.keyboard.press("Control+z")
    assert spans(page) == [[1, 3]]
    page.click("#undo")
    assert spans(page)[0] == pytest.approx([1, 2], abs=0.02)
    page.keyboard.press("Control+Shift+z")
    assert spans(page) == [[1, 3]]
    page.click("#undo")
    page.click("#undo")
    assert spans(page) == []


def test_recordings_of_the_folder_open(editor: Editor, tmp_path: Path) -> None:
    sf.write("other.wav", music(1, 44100).T, 44100)
    page = editor.open()
    page.click("#opener summary")
    wait_until(page, "document.querySelectorAll('#recordings option').length >= 1")
    page.fill("#path", "../song.wav")
    page.click("#open")
    wait_until(page, "document.querySelector('#problem').textContent.startsWith('../song.wav is outside')")
    editor.refusals = ("403",)
    page.fill("#path", "other.wav")
    page.press("#path", "Enter")
    wait_until(page, "document.title === 'other.wav' && document.querySelector('#problem').textContent === ''")


def test_takes_are_the_commands(editor: Editor, vamp: Vamp, tmp_path: Path) -> None:
    page = editor.open()
    make(page, 2)
    command = page.evaluate("vampUi.state.takes[0].command")
    assert page.inner_text("#command") == command
    assert vamp(*command.split()[1:]).code == 0
    for i, take in enumerate(page.evaluate("vampUi.state.takes")):
        written = Path(take["name"]).read_bytes()
        with page.expect_download() as download:
            page.click(f"#takes a >> nth={i}")
        assert Path(download.value.path()).read_bytes() == written
        samples = read(take["name"]).samples.astype("<f4")
        assert page.evaluate(SHA256, i + 1) == hashlib.sha256(samples.tobytes()).hexdigest()


def test_keys_keep_and_replay(editor: Editor, tmp_path: Path) -> None:
    page = editor.open()
    make(page, 2)
    page.click("#title")
    page.keyboard.press("2")
    wait_until(page, "vampUi.player.selected === 2")
    page.keyboard.press(" ")
    wait_until(page, "vampUi.player.position > 0.2")
    for key in (0, 1):
        page.keyboard.press(str(key))
        wait_until(page, f"vampUi.player.gains[{key}] > 0")
        assert page.evaluate("vampUi.player.playing && vampUi.player.gains.filter((one) => one > 0).length") == 1
    page.keyboard.press(" ")
    page.keyboard.press("k")
    wait_until(page, "document.querySelector('#status').textContent.startsWith('Kept: ')")
    assert Path("song.inpaint.3.wav").is_file()
    page.click("#takes >> text=Replay >> nth=0")
    wait_until(page, "vampUi.state.takes.length === 3 && vampUi.state.takes[2].identical === true")
    page.wait_for_selector("text=the same samples as before")


def test_nothing_is_lost_by_a_refresh_or_a_closed_tab(editor: Editor, monkeypatch: pytest.MonkeyPatch) -> None:
    page = editor.open()
    make(page, 1)
    page.reload()
    wait_until(page, "document.documentElement.dataset.ready === 'recording 2'")
    assert spans(page) == [[1, 1.5]]
    address = page.url
    editor.contexts[0].close()
    monkeypatch.setattr("vampcli.ui.session._CLAIMED_S", 0.0)
    page = editor.browser.new_page()
    page.wait_for_timeout(300)
    page.goto(f"http://{editor.host}/{editor.studio.token}/")
    assert page.url == address
    wait_until(page, "vampUi.state.takes.length === 1")
    page.close()


def test_two_tabs_do_not_mix(editor: Editor) -> None:
    one, other = editor.open(), editor.open()
    assert one.url != other.url
    make(one, 1)
    assert other.evaluate("vampUi.state.takes.length") == 0


def test_a_loop_has_its_own_time_line(editor: Editor) -> None:
    page = editor.open()
    drag(page, 1, 2)
    page.select_option("#verb", "loop")
    fill(page, repeats="2", seam="0.2")
    page.click("#make")
    wait_until(page, "vampUi.state.takes.length === 1")
    page.click("#takes .choose >> nth=1")
    wait_until(page, "document.documentElement.dataset.ready.endsWith(' 2') && vampUi.player.selected === 1")
    n = page.evaluate("vampUi.state.takes[0].n_samples")
    assert page.evaluate("vampUi.player.chunks.format.samples") == n
    assert page.evaluate("vampUi.player.chunks.load(1, 0).then((one) => one.buffer.length)") == n


def test_ten_minutes_scroll(editor: Editor, tmp_path: Path) -> None:
    long = np.tile(music(10, 22050), 60)
    sf.write("song.wav", long.T, 22050, subtype="PCM_16")
    page = editor.open()
    assert page.evaluate("vampUi.player.duration") == 600
    for _ in range(6):
        page.click("#zoom-in")
    median_ms = page.evaluate("""async () => {
      const { view } = vampUi.wave;
      const times = [];
      for (let i = 0; i < 60; i++) {
        const began = performance.now();
        vampUi.wave.view.scrollLeft += 200;
        vampUi.wave.paint();
        times.push(performance.now() - began);
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
      return times.sort((a, b) => a - b)[30];
    }""")
    assert median_ms < 16
    page.evaluate("vampUi.wave.view.scrollLeft = 500 * vampUi.wave.zoom")
    page.wait_for_timeout(100)
    drag(page, 502, 503)
    assert spans(page)[0] == pytest.approx([502, 503], abs=0.05)
    page.click("#view", position={"x": 10, "y": 150})
    wait_until(page, "!document.querySelector('#play').disabled && vampUi.player.position > 0")
    page.click("#play")
    page.evaluate("vampUi.playback.seek(9.5)")  # 0.5 s before the end of a chunk
    wait_until(page, "vampUi.player.position > 10.5 && vampUi.player.position < 60")
    ends = page.evaluate("vampUi.player.slots.map(({time, from, to}) => [time, time + (to - from) / 22050])")
    assert [start for start, _ in ends[1:]] == pytest.approx([end for _, end in ends[:-1]], abs=1e-9)
    assert page.evaluate("vampUi.player.chunks.held.size") <= 6  # of 60


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_serious_for_axe(editor: Editor, scheme: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe-playwright-python")
    page = editor.open(color_scheme=scheme)
    make(page, 1)
    found = axe.Axe().run(page).response["violations"]
    assert [(one["id"], one["impact"]) for one in found if one["impact"] in ("serious", "critical")] == []


def test_phone_needs_no_sideways_scrolling(editor: Editor) -> None:
    page = editor.open(viewport={"width": 340, "height": 700}, has_touch=True)
    page.tap("#add")
    assert len(spans(page)) == 1
    assert page.evaluate("document.scrollingElement.scrollWidth <= innerWidth")


def test_a_file_that_is_no_sound(editor: Editor, tmp_path: Path) -> None:
    page = editor.open()
    (bad := tmp_path / "bad.wav").write_text("no sound")
    page.set_input_files("#file", bad)
    wait_until(page, "document.querySelector('#problem').textContent.startsWith('cannot read bad.wav')")
    editor.refusals = ("422",)
    sf.write("other.wav", music(1, 44100).T, 44100)
    page.set_input_files("#file", "other.wav")
    wait_until(page, "document.title === 'other.wav' && document.querySelector('#problem').textContent === ''")


def test_a_span_outside_is_refused_on_the_page(editor: Editor) -> None:
    page = editor.open()
    drag(page, 1, 2)
    page.click("#form summary")
    page.fill('[name="steps"]', "0")
    page.click("#make")
    wait_until(page, "document.querySelector('#refused').textContent.startsWith('--steps is 0')")
    editor.refusals = ("422",)


def test_a_server_that_has_ended(editor: Editor) -> None:
    page = editor.open()
    wait_until(page, "vampUi.wave.tiles.size > 2 && [...vampUi.wave.tiles.values()].every((one) => one.content)")
    editor.end()
    wait_until(page, "document.querySelector('#problem').textContent.startsWith('The server does not answer')")
    editor.refusals = ("net::ERR", "500")
