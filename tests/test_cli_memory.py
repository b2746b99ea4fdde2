"""Similar places on the command line: options, notes, tables, and replaying."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from conftest import Ran
from test_recall import song
from vampcli import Waveform, read, write
from vampcli.config import MOST_PLACES
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
    path, note = tmp_path / "noise.wav", "noise.inpaint.3.wav: no similar place found: made by the model alone"
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
    again = vamp("replay", made)
    assert "the same samples" in again.err
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
        (("--memory", "off", "--edit", "0.2"), 2, "leave one of them out"),
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
