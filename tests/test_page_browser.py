"""Pages in a real browser, from the disk: sound, keys, loop, blind test, accessibility, requests, size and time."""

import hashlib
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vampcli import Waveform, read
from vampcli.page.render import Page, PageLink, index_html
from vampcli.page.tracks import Encoder, Version

playwright = pytest.importorskip("playwright.sync_api", reason="needs Playwright: pip install playwright")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium")

EXAMPLE = Path(__file__).parents[1] / "examples/island-dreams.wav"
SPAN_S = (4.0, 6.0)
N_TAKES = 4
WHOLE = """async function whole({chunks}, i) {
  const {samples, channels} = chunks.format;
  const all = new Float32Array(samples * channels);
  for (let k = 0; k < chunks.count; k++) {
    const {buffer, offset} = await chunks.load(i, k);
    const [start, end] = chunks.bounds(k);
    for (let c = 0; c < channels; c++)
      all.set(buffer.getChannelData(c).subarray(offset, offset + end - start), c * samples + start);
  }
  return all;
}"""
SHA256 = f"""async (i) => {{
  {WHOLE}
  const digest = await crypto.subtle.digest("SHA-256", await whole((globalThis.vampPage ?? vampUi).player, i));
  return Array.from(new Uint8Array(digest), (b) => b.toString(16).padStart(2, "0")).join("");
}}"""


def versions(subtype: str = "PCM_16") -> list[Waveform]:
    """The example, and takes in which the span is louder, quieter, delayed."""
    base = replace(read(EXAMPLE), subtype=subtype)
    start, end = (round(s * base.sample_rate) for s in SPAN_S)
    takes = []
    for i in range(1, N_TAKES + 1):
        samples = base.samples.copy()
        samples[:, start:end] = np.roll(samples[:, start:end], 4000 * i, axis=1) * (1 - 0.1 * i)
        scale = 2**15 if subtype == "PCM_16" else 2**23
        takes.append(replace(base, samples=np.round(samples * scale) / scale + 0.0))  # no -0
    return [base, *takes]


def html(audio: Any = "vorbis", subtype: str = "PCM_16") -> str:
    base, *takes = versions(subtype)
    encoder, span = Encoder(base, audio), tuple(round(s * base.sample_rate) for s in SPAN_S)
    tracks = [
        encoder.encode(Version(f"take.{i}.wav", (span,), {"total": 0.5}, None, f"vamp replay {i}"), take)  # type: ignore[arg-type]
        for i, take in enumerate(takes, 1)
    ]
    return Page("song.wav", encoder, encoder.encode_base("song.wav"), tracks, "4 takes", "vamp inpaint song.wav").html()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=CHROMIUM)
        yield started
        started.close()


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A page as Vorbis, and as FLAC of 16 and 24 bits; the index of one."""
    folder = tmp_path_factory.mktemp("pages")
    contents = {"vorbis": html(), "flac": html("flac"), "flac24": html("flac", "PCM_24")}
    contents["index"] = index_html("vamp inpaint", [PageLink(b"vorbis.html", "song.wav", "4 takes")], "vamp inpaint x")
    for name, content in contents.items():
        (folder / f"{name}.html").write_text(content, encoding="utf-8")
    return {name: folder / f"{name}.html" for name in contents}


@pytest.fixture
def load(browser: Any, pages: dict[str, Path]) -> Iterator[Callable[..., Any]]:
    """Open a page in a new window and wait until it can play; at the end, check that it had no request and no error."""
    requests: list[str] = []
    errors: list[str] = []
    contexts = []

    def open_page(name: str = "vorbis", **options: Any) -> Any:
        contexts.append(browser.new_context(**options))
        page = contexts[-1].new_page()
        page.on("request", lambda request: requests.append(request.url))
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(pages[name].as_uri())
        if name != "index":
            page.wait_for_selector("html[data-ready]")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert set(requests) <= {path.as_uri() for path in pages.values()}
    assert errors == []


def state(page: Any) -> dict[str, Any]:
    script = "(({position, gains, playing, loop}) => ({position, gains, playing, loop}))(vampPage.player)"
    return dict(page.evaluate(script))


def wait_until(page: Any, condition: str) -> None:
    """Wait for a condition; the policy of the page forbids Playwright's own way."""
    for _ in range(200):
        if page.evaluate(condition):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"never: {condition}")


def heard(page: Any) -> list[int]:
    """Rows that are shown as the one that is heard."""
    pressed = page.eval_on_selector_all(".choose", "all => all.map((one) => one.ariaPressed)")
    return [i for i, one in enumerate(pressed) if one == "true"]


@pytest.mark.parametrize(("name", "subtype"), [("flac", "PCM_16"), ("flac24", "PCM_24")])
def test_samples_are_those_of_the_takes(load: Callable[..., Any], name: str, subtype: str) -> None:
    page = load(name)
    for i, version in enumerate(versions(subtype)):
        expected = hashlib.sha256(version.samples.astype("<f4").tobytes()).hexdigest()
        assert page.evaluate(SHA256, i) == expected


def test_vorbis_is_in_time(load: Callable[..., Any]) -> None:
    page = load()
    part = f"async (i) => {{ {WHOLE} return Array.from((await whole(vampPage.player, i)).slice(190000, 200000)) }}"
    for i, version in enumerate(versions()):
        got = np.array(page.evaluate(part, i))  # in the span
        assert np.corrcoef(got, version.samples[0, 190000:200000])[0, 1] > 0.98


RENDER = f"""async ([i, loop, n]) => {{
  {WHOLE}
  const {{player}} = vampPage, {{chunks}} = player, {{rate, channels, samples}} = chunks.format;
  Object.assign(chunks, {{length: 30011, held: new Map()}});
  const expected = await whole(player, i);
  const context = new OfflineAudioContext(channels, n + Math.ceil(0.02 * rate), rate);
  [TakePlayer.AHEAD_S, player.context, player.matched] = [n / rate + 1, context, false];
  player.setLoop(loop);
  player.select(i);
  player.playing = true;
  player.start();
  const heard = await context.startRendering();
  const [start, end] = (loop ?? [0, samples / rate]).map((t) => Math.round(t * rate));
  let worst = 0;
  for (let c = 0; c < channels; c++) {{
    const got = heard.getChannelData(c).subarray(Math.ceil(0.02 * rate));
    got.forEach((x, j) => (worst = Math.max(worst, Math.abs(x - expected[c * samples + start + (j % (end - start))]))));
  }}
  return worst;
}}"""


@pytest.mark.parametrize("loop", [None, [3.25, 6.1]])
def test_no_gap_between_chunks(load: Callable[..., Any], loop: Any) -> None:
    """What is heard is the take to the sample, across chunks and the jump of a loop."""
    page = load("flac")
    n = versions()[0].n_samples
    assert page.evaluate(RENDER, [2, loop, n]) == 0


def test_unchanged_chunks_are_shared(load: Callable[..., Any]) -> None:
    page = load("flac")
    shared = page.evaluate("""async () => {
      const {chunks} = vampPage.player;
      Object.assign(chunks, {length: 44100, held: new Map()});
      const found = [];
      for (let k = 0; k < 10; k++)
        found.push((await chunks.load(1, k)).buffer === (await chunks.load(0, k)).buffer);
      return found;
    }""")
    assert shared == [not 3 <= k < 7 for k in range(10)]


def test_keys_switch_and_play(load: Callable[..., Any]) -> None:
    page = load()
    assert (state(page)["playing"], heard(page)) == (False, [0])
    page.keyboard.press(" ")
    wait_until(page, "vampPage.player.position > 0.2")
    for key in (3, 1, 0, 4):
        before = state(page)["position"]
        page.keyboard.press(str(key))
        now = state(page)
        assert [i for i, gain in enumerate(now["gains"]) if gain > 0] == [key] == heard(page)
        assert now["playing"]
        assert before <= now["position"] < before + 1
        assert page.inner_text("#status").startswith(f"Hearing {key}")
    page.keyboard.press("9")  # there is no such take
    assert heard(page) == [4]
    page.keyboard.press(" ")
    assert not state(page)["playing"]


def test_levels_are_matched_by_attenuation(load: Callable[..., Any]) -> None:
    page = load()
    for key in range(N_TAKES + 1):
        page.keyboard.press(str(key))
        matched = state(page)["gains"][key]
        page.uncheck("#match")
        assert 0.25 < matched <= 1 == state(page)["gains"][key]
        page.check("#match")
    assert matched == 1  # the last take is the quietest


def test_click_gives_the_space_bar_back(load: Callable[..., Any]) -> None:
    page = load()
    page.click(".choose >> nth=2")
    page.keyboard.press(" ")
    assert (state(page)["playing"], heard(page)) == (True, [2])
    page.keyboard.press(" ")
    page.focus(".choose >> nth=1")  # reached by keys, a button keeps it
    page.keyboard.press(" ")
    assert (state(page)["playing"], heard(page)) == (False, [1])


def test_picture_seeks_and_span_loops(load: Callable[..., Any]) -> None:
    page = load()
    width = page.eval_on_selector("svg", "one => one.getBoundingClientRect().width")
    page.click("svg >> nth=1", position={"x": width * 0.69, "y": 20})
    assert state(page)["position"] == pytest.approx(6.9, abs=0.05)
    page.keyboard.press("l")
    assert state(page)["loop"] == [SPAN_S[0] - 1, SPAN_S[1] + 1]
    page.keyboard.press(" ")
    wait_until(page, "vampPage.player.position < 6 && vampPage.player.position > 3.1")
    page.keyboard.press("l")
    assert state(page)["loop"] is None


def test_blind_test_counts(load: Callable[..., Any]) -> None:
    page = load()
    page.keyboard.press("b")
    assert heard(page) == [1]
    page.keyboard.press("x")
    assert heard(page) == []
    gains = state(page)["gains"]
    assert [gain > 0 for gain in gains].index(True) == int(page.evaluate("vampPage.test.xIsB"))
    for right in (True, True, True, True, False, True):
        is_b = page.evaluate("vampPage.test.xIsB")
        page.click(f'[data-answer="{"b" if is_b == right else "a"}"]')
    assert page.inner_text("#abx-result").startswith("Right. 5 of 6 right")
    assert "0.11 (p)" in page.inner_text("#abx-result")  # (6 + 1) / 64
    page.click("#abx-reset")
    assert page.inner_text("#abx-result") == "No answer yet."


def test_chance_is_the_binomial(load: Callable[..., Any]) -> None:
    from scipy.stats import binom

    page = load()
    for right, n in ((0, 0), (9, 10), (5, 20), (60, 100)):
        got = page.evaluate("([r, n]) => Object.assign(new BlindTest(), {right: r, trials: n}).p", [right, n])
        assert got == pytest.approx(binom.sf(right - 1, n, 0.5))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["vorbis", "index"])
def test_nothing_serious_for_axe(load: Callable[..., Any], scheme: str, name: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe-playwright-python")
    page = load(name, color_scheme=scheme)
    for summary in page.query_selector_all("summary"):
        summary.click()
    found = axe.Axe().run(page).response["violations"]
    assert [(one["id"], one["impact"]) for one in found if one["impact"] in ("serious", "critical")] == []


def test_phone_needs_no_sideways_scrolling(load: Callable[..., Any]) -> None:
    page = load(viewport={"width": 340, "height": 700}, has_touch=True)
    assert page.evaluate("document.scrollingElement.scrollWidth <= innerWidth")
    page.tap("#play")
    wait_until(page, "vampPage.player.position > 0.1")


def test_page_is_small_and_soon_ready(load: Callable[..., Any], pages: dict[str, Path]) -> None:
    assert pages["vorbis"].stat().st_size <= 900_000
    ready_ms = min(float(load().get_attribute("html", "data-ready")) for _ in range(3))
    assert ready_ms <= 4500  # 1,500 on an idle machine
