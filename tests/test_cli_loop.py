"""`vamp loop`: what it says of junctions and loop points, and results that need no model."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from conftest import Song, Vamp
from vampcli import Waveform, read, write


def repeated(song: Song, path: Path, seconds: float, repeats: int, rate: int = 44100) -> Path:
    """Write a piece that repeats exactly."""
    clip = read(song(seconds=seconds, rate=rate))
    write(path, replace(clip, samples=np.tile(clip.samples, repeats)))
    return path


def test_clean_loop_needs_no_model(quick: Vamp, vamp: Vamp, song: Song, tmp_path: Path, no_model: None) -> None:
    path = repeated(song, tmp_path / "thrice.wav", 1, 3, 8000)
    ran = quick("loop", path, "--span", "1-2", "--repeats", 2, "--plot", tmp_path / "a.png", "--json")
    (facts,) = ran.facts
    assert np.array_equal(read(facts["output"]).samples, read(path).samples[:, :16000])
    assert (facts["n_frames"], facts["spans_s"], facts["model"], facts["licence"]) == (0, [], None, None)
    assert facts["junction"]["method"] == "copied"
    for one in facts["junctions"]:
        assert one["click"] == pytest.approx(one["click_before"])
        assert one["attack_db"] == pytest.approx(one["attack_db_before"])
    assert "not re-made: clean already" in ran.err
    assert "a loop without a model made in" in ran.err
    assert (tmp_path / "a.png").is_file()
    page = vamp("info", facts["output"], "--quick").out
    assert "none ran" in page
    assert "nothing" in page
    again = vamp("replay", facts["output"], "-o", tmp_path / "again.wav", "-d", "cpu", "--json")
    assert again.facts[0]["identical"]


def test_nothing_generated_cannot_be_written_alone(quick: Vamp, song: Song) -> None:
    quick("loop", song(seconds=1), "--seam", 0, "--only-generated").refuses(3, "nothing is generated")


@pytest.mark.parametrize(
    ("sound", "words"), [("tone", "crossfade of 4 ms"), ("jump", "0.12 s re-made around it"), ("cut", "raw cut")]
)
def test_report_says_what_was_done(quick: Vamp, vamp: Vamp, tmp_path: Path, sound: str, words: str) -> None:
    time_s, path = np.arange(44100) / 44100, tmp_path / "a.wav"
    mono = 0.3 * np.sin(2 * np.pi * 60.5 * time_s)
    if sound == "jump":
        mono = np.concatenate([mono, 0.3 * (2 * (223 * time_s % 1) - 1)])
    write(path, Waveform(mono[None].astype(np.float32), 44100))
    options = {"cut": ("--seam", 0), "tone": ("--span", "0.1-0.8")}.get(sound, ())
    assert f"junction: {words}" in quick("loop", path, *options, "--dry-run").err
    assert f"junction: {words}" in vamp("mask", "loop", path, *options).out
    ran = quick("loop", path, *options, "--json")
    assert ran.err.splitlines()[0].startswith("a.loop.3.wav: junctions at most ")
    assert ran.err.splitlines()[0].endswith(words)
    assert ("may click" in ran.err) == (sound == "cut")
    (one,) = ran.facts[0]["junctions"]
    assert one["click_before"] > 3
    assert (one["click"] <= 3) == (sound != "cut")


def test_points_found_are_printed_and_replayed(quick: Vamp, vamp: Vamp, song: Song, tmp_path: Path) -> None:
    path = repeated(song, tmp_path / "long.wav", 2, 4)
    ran = quick("loop", path, "--find", "--start", 1.1, "--end", 4.9, "--json")
    (facts,) = ran.facts
    best = facts["found"][0]
    assert best["end"] - best["start"] == 4 * 44100
    assert f"found {best['start_s']:.6f}-{best['end_s']:.6f} s (score " in ran.err
    again = vamp("replay", facts["output"], "-o", tmp_path / "again.wav", "-d", "cpu", "--json")
    assert again.facts[0]["identical"]
    assert "found" not in again.facts[0]  # nothing is searched
    moved = vamp("replay", facts["output"], "-o", tmp_path / "b.wav", "-d", "cpu", "--json", "--set", "spans=2.6-6.7")
    assert moved.facts[0]["found"][0]["start"] > best["start"]
