"""Pages to listen on: what they store, that they escape it, and the files that commands write."""

import base64
import io
import json
import re
import shlex
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
from PIL import Image

from conftest import REQUESTS, Song, Vamp, music, quiet
from vampcli import Waveform, read
from vampcli.audio.loudness import loudness
from vampcli.page.picture import HEIGHT, N_COLUMNS, decibels, outline, png
from vampcli.page.render import Page, PageLink, index_html
from vampcli.page.tracks import MOST_DB, Encoder, Track, Version, gains_db

RATE = 44100


def data_of(page: Path | str) -> dict[str, Any]:
    """What the player of a page gets."""
    text = page.read_text() if isinstance(page, Path) else page
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    assert found
    return dict(json.loads(found[1]))


def reassembled(data: dict[str, Any], i: int) -> np.ndarray:
    """The samples of a track, as the player pastes them: (n_samples, n_channels)."""
    sounds = [
        [(one["start"], sf.read(io.BytesIO(base64.b64decode(one["data"])), always_2d=True)[0]) for one in t["segments"]]
        for t in (data["tracks"][0], data["tracks"][i])
    ]
    ((_, samples),) = sounds[0]
    for start, piece in sounds[1]:
        samples[start : start + len(piece)] = piece
    return samples


class Elements(HTMLParser):
    """All elements of a page, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.parametrize(("n_samples", "n_columns"), [(5000, N_COLUMNS), (7, 7)])
def test_outline_goes_there_and_back(n_samples: int, n_columns: int) -> None:
    path = outline(quiet(n_samples=n_samples), 1.0)
    there, back = path.split("h1")
    assert there.count("l") == n_columns - 1 == back.count("l")
    start, *steps = map(int, re.findall(r"(?<=[ l] )-?\d+|(?<=M0 )\d+|(?<=l1 )-?\d+", there))
    assert 0 <= start + sum(steps) <= HEIGHT


def test_picture_is_the_spectrogram() -> None:
    levels = decibels(Waveform(music(2, RATE).astype(np.float32), RATE))
    image = np.asarray(Image.open(io.BytesIO(png(levels, float(levels.max())))))
    assert image.shape == levels.shape
    assert image[levels == levels.max()] == 31
    assert (np.diff(image[np.unravel_index(np.argsort(levels, axis=None), levels.shape)].astype(int)) >= 0).all()


@pytest.mark.parametrize(("audio", "worst"), [("flac", 0.0), ("vorbis", 0.1)])
@pytest.mark.parametrize("spans", [[(2.0, 2.5)], [(0.0, 0.1), (4.9, 5.0)], [(2.0, 2.1), (3.5, 3.6)], [(0.0, 5.0)], []])
def test_take_is_reassembled(audio: Any, worst: float, spans: list[tuple[float, float]]) -> None:
    samples = np.round(music(5, RATE, 2) * 2**15) / 2**15
    base = Waveform(samples.astype(np.float32), RATE, "PCM_16")
    changed = base.samples.copy()
    for a, b in spans:
        changed[:, round(a * RATE) : round(b * RATE)] *= 0.5
    take = replace(base, samples=np.round(changed * 2**15) / 2**15)
    encoder = Encoder(base, audio)
    track = encoder.encode(Version("take.wav"), take)
    data = data_of(Page("x", encoder, encoder.encode_base("x"), [track]).html())
    assert data["exact"] == (audio == "flac")
    assert np.abs(reassembled(data, 1).T - take.samples).max() <= worst
    stored = sum(one.n_samples for one in track.segments) / RATE
    assert stored <= sum(min(5, b + 1) - max(0, a - 1) for a, b in spans) + 1e-4


def test_sound_that_vorbis_cannot_hold_is_flac() -> None:
    encoder = Encoder(Waveform(music(1, 3000).astype(np.float32), 3000, "PCM_16"))
    assert encoder.encode_base("x").segments[0].data.startswith((b"fLaC", b"OggS"))


def test_levels_match_by_attenuation() -> None:
    samples = music(2, RATE).astype(np.float32)
    encoder = Encoder(Waveform(samples, RATE))
    takes = [encoder.encode(Version("t"), Waveform(factor * samples, RATE)) for factor in (0.5, 1.5)]
    gains = gains_db([encoder.encode_base("x"), *takes])
    matched = [loudness(f * 10 ** (gain / 20) * samples, RATE) for f, gain in zip((1, 0.5, 1.5), gains, strict=True)]
    assert max(gains) == 0.0
    np.testing.assert_allclose(matched, matched[1], atol=0.01)


def test_quiet_take_does_not_silence_others() -> None:
    tracks = [Track(Version(""), lufs, "", ()) for lufs in (-12.0, -60.0, None)]
    assert gains_db(tracks) == [-MOST_DB, 0.0, 0.0]


HOSTILE = "</script><script>alert(1)</script>\"'<b>&\udcff"


def test_names_are_escaped() -> None:
    encoder = Encoder(quiet(n_samples=RATE))
    take = encoder.encode(Version(HOSTILE, ((0, 9),), {HOSTILE: HOSTILE}, None, HOSTILE), quiet(n_samples=RATE))
    html = Page(HOSTILE, encoder, encoder.encode_base(HOSTILE), [take], HOSTILE, HOSTILE).html()
    html.encode()
    elements = Elements(html)
    assert [tag for tag, _ in elements.found].count("script") == 2
    assert "b" not in {tag for tag, _ in elements.found}
    assert data_of(html)["tracks"][1]["label"] == f"1, {HOSTILE}"
    index = Elements(index_html(HOSTILE, [PageLink(b"a b/</script>%.html", HOSTILE, HOSTILE)], HOSTILE))
    assert "script" not in {tag for tag, _ in index.found}
    assert {"href": "a%20b/%3C/script%3E%25.html"} in [attributes for _, attributes in index.found]


def test_page_names_nothing_outside() -> None:
    encoder = Encoder(quiet(n_samples=RATE))
    elements = Elements(Page("x", encoder, encoder.encode_base("x"), []).html())
    addresses = [a[name] or "" for _, a in elements.found for name in ("src", "href", "action", "data") if name in a]
    assert [address for address in addresses if not address.startswith(("data:", "#"))] == []
    policy = next(a["content"] or "" for tag, a in elements.found if a.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    assert not any("style" in a or any(name.startswith("on") for name in a) for _, a in elements.found)


def test_player_stands_alone() -> None:
    from vampcli.page.render import _asset

    script = _asset("player.js")  # the editor shares it
    assert not re.search(r"getElementById|querySelector|vampPage", script)


@pytest.mark.parametrize("command", REQUESTS)
def test_commands_write_pages(quick: Vamp, song: Song, tmp_path: Path, command: str) -> None:
    source, page = song(seconds=1), tmp_path / "pages/x.html"
    paged = ("--page", page, "--page-audio", "flac", "--json")
    ran = quick(command, source, *REQUESTS[command], "-n", 2, *paged, "-o", f"{tmp_path}/o/")
    assert ran.code == 0, ran.err
    assert f"{page}: a page to compare 2 takes" in ran.err
    assert {facts["page"] for facts in ran.facts} == {str(page)}
    data = data_of(page)
    for i, facts in enumerate(ran.facts, 1):
        np.testing.assert_array_equal(reassembled(data, i).T, read(facts["output"]).samples)
    text = Elements(page.read_text()).text
    assert shlex.join(["vamp", "replay", ran.facts[0]["output"]]) in text
    assert f"vamp {command}" in text


@pytest.mark.parametrize("command", REQUESTS)
def test_page_of_takes_made_earlier(quick: Vamp, vamp: Vamp, song: Song, tmp_path: Path, command: str) -> None:
    takes = quick(command, song(seconds=1), *REQUESTS[command], "-n", 2, "-o", f"{tmp_path}/o/").out.split()
    ran = vamp("page", *takes, "-o", tmp_path / "x.html", "--page-audio", "flac", "--json")
    assert ran.code == 0, ran.err
    assert ran.facts == [{"output": f"{tmp_path}/x.html", "takes": takes, "input": "song.wav"}]
    data = data_of(tmp_path / "x.html")
    for i, take in enumerate(takes, 1):
        np.testing.assert_array_equal(reassembled(data, i).T, read(take).samples)


def test_seed_that_was_drawn_is_in_the_command(vamp: Vamp, tiny_folder: Path, song: Song, tmp_path: Path) -> None:
    page = tmp_path / "x.html"
    ran = vamp("vamp", "-m", tiny_folder, "--steps", 1, song(seconds=1), "--page", page, "--json")
    assert f"--page {page} --json --seed {ran.facts[0]['seed']}" in Elements(page.read_text()).text


def test_without_metadata_there_is_no_recipe(quick: Vamp, song: Song, tmp_path: Path) -> None:
    for option, n in (("--metadata", 1), ("--no-metadata", 0)):
        quick("vamp", song(seconds=1), "--page", tmp_path / "x.html", option, "--overwrite")
        assert (tmp_path / "x.html").read_text().count("made_by") == n


def test_folder_has_an_index(quick: Vamp, song: Song, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    songs = [song(f"in/{name}.wav", seconds=0.5) for name in ("a b", "c")]
    ran = quick("vamp", tmp_path / "in", "--page", f"{tmp_path}/pages/", "-o", f"{tmp_path}/out/")
    assert ran.code == 0, ran.err
    index = tmp_path / "pages/index.html"
    links = [a["href"] for tag, a in Elements(index.read_text()).found if tag == "a"]
    assert links == ["a%20b.vamp.3.html", "c.vamp.3.html"]
    assert all((index.parent / f"{source.stem}.vamp.3.html").is_file() for source in songs)
    again = quick("vamp", tmp_path / "in", "--page", f"{tmp_path}/pages/", "-o", f"{tmp_path}/other/")
    again.refuses(3, f"{index} exists")


def test_takes_of_two_originals_have_an_index(quick: Vamp, vamp: Vamp, song: Song, tmp_path: Path) -> None:
    takes = [quick("vamp", song(f"{i}.wav", seconds=0.5, seed=i)).path for i in (1, 2)]
    vamp("page", *takes, "-o", tmp_path / "x.html").refuses(2, "of 2 originals", "name a folder")
    ran = vamp("page", *takes, "-o", f"{tmp_path}/pages/")
    assert ran.out.split() == [f"{tmp_path}/pages/{take.stem}.html" for take in takes]
    assert (tmp_path / "pages/index.html").is_file()


def test_nothing_is_written_when_a_page_cannot_be(quick: Vamp, song: Song, tmp_path: Path) -> None:
    source = song(seconds=0.5)
    page = tmp_path / "x.html"
    page.write_text("mine")
    quick("vamp", source, "--page", page).refuses(3, f"{page} exists")
    quick("vamp", source, "--page", tmp_path / "x.txt").refuses(2, "no name of a page")
    quick("vamp", source, "--page", page, "--skip-existing").refuses(2, "--page cannot be combined")
    quick("vamp", source, source, "--page", page).refuses(2, "may be several", "--page pages/")
    quick("compress", source, "--page", page, "-o", tmp_path / "x.vamp").refuses(2, "leave --page out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["song.wav", "x.html"]
    assert page.read_text() == "mine"
    ran = quick("vamp", source, "--page", tmp_path / "y.html", "--dry-run")
    assert (ran.code, (tmp_path / "y.html").exists()) == (0, False)


def test_page_refuses_what_is_no_take(quick: Vamp, vamp: Vamp, song: Song, tmp_path: Path) -> None:
    source, page = song(seconds=0.5), tmp_path / "x.html"
    take = quick("vamp", source).path
    vamp("page", source, "-o", page).refuses(3, "does not say how it was made")
    vamp("page", take, "-o", page, "--input", song("b.wav", seed=1)).refuses(3, "its sound is another")
    part = quick("vamp", source, "--difference", "-o", tmp_path / "part.wav").path
    vamp("page", part, "-o", page).refuses(3, "a part of a take")
    source.unlink()
    vamp("page", take, "-o", page).refuses(3, "is not there", "--input")
    assert not page.exists()
