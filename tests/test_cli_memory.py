"""Similar places on the command line: options, notes, tables, and replaying."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from conftest import Ran
from test_recall import song
from vampcli import Waveform, read, write
from vampcli.cli.jobs.places import clock, source_words
from vampcli.config import MOST_PLACES, Place, Source
from vampcli.recipe.embed import recipe_of

SPAN = ("--span", "6.2-7.1")
Vamp = Callable[..., Ran]


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Twelve seconds of a bar of three that repeats."""
    path = tmp_path / "song.wav"
    write(path, song())
    return path


def test_note_and_facts_name_the_place(quick: Vamp, clip: Path) -> None:
    ran = quick("inpaint", clip, *SPAN, "--json", "--seed", 0, "--overwrite")
    (facts,) = ran.facts
    (source,) = facts["sources"]
    assert source["place_s"] == pytest.approx(6.2 + round((source["place_s"] - 6.2) / 3) * 3, abs=1e-3)
    assert source["score"] > 0.7
    assert "song.inpaint.0.wav: 6.20-7.10 s from 0:0" in ran.err


def test_note_says_that_nothing_was_found(quick: Vamp, tmp_path: Path) -> None:
    path, note = tmp_path / "noise.wav", "noise.inpaint.3.wav: 2.00-3.00 s: no similar place, made by the model alone"
    write(path, Waveform(0.1 * np.random.default_rng(0).standard_normal((1, 11 * 44100)).astype(np.float32), 44100))
    assert note in quick("inpaint", path, "--span", "2-3").err
    assert note not in quick("inpaint", path, "--span", "2-3", "--memory", "off", "--overwrite").err


def test_places_are_listed_without_weights(vamp: Vamp, clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vampcli.api.load", None)
    ran = vamp("inpaint", clip, *SPAN, "--bpm", 80, "--places")
    assert ran.code == 0
    assert "6.20-7.10 s" in ran.out
    assert " 1   0:0" in ran.out
    assert "bar 2" in ran.out
    (facts,) = vamp("inpaint", clip, *SPAN, "--places", "--json").facts
    assert facts["places"][0]["candidates"][0]["bar"] is None
    assert sorted(clip.parent.iterdir()) == [clip]


@pytest.mark.parametrize("command", [("mask", "inpaint"), ("inpaint", "--dry-run")])
def test_previews_name_the_place(vamp: Vamp, clip: Path, command: tuple[str, ...]) -> None:
    ran = vamp(*command, clip, *SPAN, "--seed", 0)
    assert "6.20-7.10 s from 0:0" in ran.out + ran.err


@pytest.mark.parametrize(
    "options",
    [("inpaint", *SPAN), ("outpaint", "--after", 3), ("loop", "--span", "3-6", "--repeats", 3, "--variation", 0.5)],
    ids=lambda options: options[0],
)
def test_replay_gives_the_same_samples(quick: Vamp, vamp: Vamp, clip: Path, options: tuple[str, ...]) -> None:
    made = quick(*options[:1], clip, *options[1:]).path
    (again,) = vamp("replay", made, "--json").facts
    assert again["identical"]
    assert again["sources"]
    assert "edited copies (edit 0.5): " in vamp("info", made, "--quick").out
    other = vamp("replay", made, "--set", "edit=0", "-o", clip.parent / "other.wav").path
    assert (read(other).samples != read(made).samples).any()


def test_setting_of_the_seed_searches_again(quick: Vamp, vamp: Vamp, clip: Path) -> None:
    made = quick("inpaint", clip, *SPAN, "--seed", 0).path
    other = vamp("replay", made, "--set", "seed=1", "-o", clip.parent / "other.wav").path
    direct = quick("inpaint", clip, *SPAN, "--seed", 1).path
    np.testing.assert_array_equal(read(other).samples, read(direct).samples)
    off = vamp("replay", made, "--set", "memory=off", "-o", clip.parent / "off.wav").path
    recipe = recipe_of(off)
    assert recipe is not None
    assert not recipe.request["memory"]["sources"]


def test_note_on_a_named_place(quick: Vamp, clip: Path) -> None:
    assert "6.20-7.10 s from 0:03.20 (score 0.7" in quick("inpaint", clip, *SPAN, "--place", "3.2").err


def test_settings_search_again(quick: Vamp, vamp: Vamp, clip: Path) -> None:
    made = quick("inpaint", clip, "--span", "0-11.9").path  # no place is so long
    assert "made by the model alone" in vamp("replay", made).err
    other = vamp("replay", made, "--set", "spans=6.2-7.1", "-o", clip.parent / "other.wav")
    assert "6.20-7.10 s from" in other.err
    assert vamp("replay", made, "--set", "memory=none", "-o", clip.parent / "none.wav").code == 0


def test_info_names_the_place(quick: Vamp, vamp: Vamp, clip: Path) -> None:
    made = quick("inpaint", clip, *SPAN, "--seed", 0, "--edit", 0.25).path
    assert "edited copies (edit 0.25): 6.20-7.10 s from 0:0" in vamp("info", made, "--quick").out


def test_random_seed_gets_the_best_place(vamp: Vamp, clip: Path) -> None:
    (facts,) = vamp("inpaint", clip, *SPAN, "--dry-run", "--json").facts
    assert facts["seed"] % MOST_PLACES == 0


def test_varied_loop_says_where_copies_are_from(quick: Vamp, clip: Path) -> None:
    ran = quick("loop", clip, "--span", "3-6", "--repeats", 2, "--variation", 0.5)
    assert "3.00-6.00 s from 0:0" in ran.err


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (("--memory", "much"), 2, "auto, off, or a number"),
        (("--memory", "2"), 2, "from 0 to 1"),
        (("--memory", "off", "--places"), 2, "leave one of them out"),
        (("--memory", "off", "--place", "2"), 2, "leave one of them out"),
        (("--place", "11.5"), 3, "name one from 0 to 11.10 s"),
        (("--place", "6.5"), 3, "--places lists some"),
    ],
)
def test_contradictions_are_refused(vamp: Vamp, clip: Path, options: tuple[str, ...], code: int, words: str) -> None:
    vamp("inpaint", clip, *SPAN, *options).refuses(code, words)


def test_unreadable_recordings_are_named(quick: Vamp, clip: Path, tmp_path: Path) -> None:
    (tmp_path / "album").mkdir()
    (tmp_path / "album/broken.wav").write_text("no sound")
    write(tmp_path / "album/other.wav", song(11))
    ran = quick("inpaint", clip, *SPAN, "--memory-from", tmp_path / "album")
    assert ran.code == 0
    assert "broken.wav" in ran.err


@pytest.fixture
def dry(vamp: Vamp, tiny_folder: Path, no_model: None) -> Vamp:
    """A command with the tiny model, whose weights must not be loaded, and seed 0."""
    return lambda command, *args: vamp(command, "-m", tiny_folder, "--seed", 0, *args)


@pytest.mark.parametrize(
    "options", [("outpaint", "--after", 0.5), ("loop", "--span", "3-6", "--repeats", 3, "--variation", 0.5)]
)
def test_extensions_and_loops_list_places(dry: Vamp, clip: Path, options: tuple[str, ...]) -> None:
    command, *more = options
    (facts,) = dry(command, clip, *more, "--places", "--json").facts
    assert all(stretch["candidates"] for stretch in facts["places"])
    (planned,) = dry(command, clip, *more, "--dry-run", "--json").facts
    best = [stretch["candidates"][0]["place_s"] for stretch in facts["places"]]
    assert best == [source["place_s"] for source in planned["sources"]]
    assert best


def test_takes_use_one_place_after_the_other(dry: Vamp, clip: Path) -> None:
    (listed,) = dry("inpaint", clip, *SPAN, "--json", "--places").facts
    first, second = dry("inpaint", clip, *SPAN, "--json", "--dry-run", "-n", 2).facts
    candidates = [one["place_s"] for one in listed["places"][0]["candidates"]]
    assert [first["sources"][0]["place_s"], second["sources"][0]["place_s"]] == candidates[:2]


def test_named_place(dry: Vamp, clip: Path) -> None:
    (facts,) = dry("inpaint", clip, *SPAN, "--place", "0:08.5", "--dry-run", "--json").facts
    assert facts["sources"][0]["place_s"] == 8.5


def test_other_recordings_are_searched(dry: Vamp, clip: Path, tmp_path: Path) -> None:
    (tmp_path / "others").mkdir()
    write(tmp_path / "others/same.wav", song())
    (tmp_path / "others/broken.wav").write_bytes(b"no sound")
    write(tmp_path / "short.wav", song(6))
    options = ("--memory-from", tmp_path / "others", "--dry-run", "--json")
    ran = dry("inpaint", tmp_path / "short.wav", "--span", "3-4", *options)
    assert "broken.wav" in ran.err
    assert ran.facts[0]["sources"][0]["file"] == str(tmp_path / "others/same.wav")


@pytest.mark.parametrize("source", ["environment", "file"])
def test_configured_values(vamp: Vamp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str) -> None:
    monkeypatch.chdir(tmp_path)
    values = {"memory": "0.3", "place": "8", "edit": "1"}
    if source == "file":
        Path("vamp.toml").write_text("".join(f"{key} = {value}\n" for key, value in values.items()))
    for key, value in values.items() if source == "environment" else ():
        monkeypatch.setenv(f"VAMP_{key.upper()}", value)
    printed = json.loads(vamp("inpaint", "--print-config", "--json").out)
    assert {key: printed[key]["value"] for key in values} == {**values, "edit": 1}


def test_words_name_three_sources_and_count_the_others() -> None:
    places = [Place(8340, 0.812), Place(0, 1.0, 1.0, is_loop=True), *(Place(0, 0.5) for _ in range(3))]
    sources = [Source(100 * i, 100 * i + 100, place) for i, place in enumerate(places)]
    assert source_words(sources, 100) == (
        "0.00-1.00 s from 1:23.40 (score 0.81), 1.00-2.00 s from the loop itself, "
        "2.00-3.00 s from 0:02.00 (score 0.50) and 2 more"
    )


def test_clock() -> None:
    assert [clock(seconds) for seconds in (0, 59.996, 83.4)] == ["0:00.00", "1:00.00", "1:23.40"]
