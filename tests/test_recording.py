"""A recording is analysed once, whatever a command needs of it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clips import clip
from conftest import Song, Vamp
from recipes import recipe
from vampcli import Waveform, write
from vampcli.audio import beats
from vampcli.config import TempoConfig
from vampcli.errors import InputError
from vampcli.recipe.recipe import InputSource, audio_hash, to_text
from vampcli.tasks.recording import Recording

PULSE = beats.Pulse(tuple(i / 4 for i in range(12)), 0, 4, 240.0)
LOOP = ("loop", "--span", "bars:1-2", "--repeats", 2, "--variation", 0.4)
VAMP = ("vamp", "--beats", "--span", "bars:1-2", "-n", 2, "--keep", 1)


@pytest.fixture
def tracked(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """The calls of the beat tracker, which finds four beats a second."""
    calls: list[object] = []

    def track(*args: object) -> beats.Pulse:
        calls.append(args)
        return PULSE

    monkeypatch.setattr(beats, "track", track)
    return calls


@pytest.mark.parametrize("command", [LOOP, VAMP, ("mask", *LOOP), ("mask", *VAMP)], ids=lambda c: " ".join(c[:2]))
def test_beats_are_tracked_once(vamp: Vamp, song: Song, tiny_folder: Path, tracked: list[object], command: Any) -> None:
    verb, *options = command
    if verb == "mask":
        verb, *options = options
        ran = vamp("mask", verb, song(), *options, "-m", tiny_folder, "-d", "cpu")
    else:
        ran = vamp(verb, song(), *options, "-m", tiny_folder, "-d", "cpu", "--steps", 1)
    assert ran.code == 0, ran.err
    assert len(tracked) == 1


def test_replay_tracks_beats_once(
    vamp: Vamp, song: Song, tiny_folder: Path, tracked: list[object], tmp_path: Path
) -> None:
    assert vamp(*LOOP, song(), "-m", tiny_folder, "-d", "cpu", "--steps", 1, "-o", tmp_path / "a.wav").code == 0
    tracked.clear()
    ran = vamp("replay", tmp_path / "a.wav", "-o", tmp_path / "b.wav")
    assert (ran.code, "the same samples" in ran.err) == (0, True), ran.err
    assert len(tracked) == 1


def test_each_tempo_has_its_pulse(tracked: list[object]) -> None:
    recording, other = Recording(clip(1.0)), TempoConfig(beats_per_bar=3)
    for tempo in (TempoConfig(), other, TempoConfig(), other):
        assert recording.pulse(tempo) is PULSE
    assert len(tracked) == 2


def test_onsets_are_found_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[object] = []
    monkeypatch.setattr(beats, "onsets_s", lambda *args: (calls.append(args), (0.5,))[1])
    recording = Recording(clip(1.0))
    assert recording.onsets_s == recording.onsets_s == (0.5,)
    assert len(calls) == 1


@pytest.mark.parametrize(
    ("source", "lufs"),
    [
        (clip(1.0), True),
        (clip(0.3), False),
        (clip(1.0, n_channels=6), False),
        (Waveform(np.zeros((1, 44100), np.float32), 44100), False),
    ],
    ids=["music", "short", "six channels", "silence"],
)
def test_loudness_is_measured_where_it_can_be(source: Waveform, lufs: bool) -> None:
    assert (Recording(source).lufs is not None) == lufs


def test_recording_of_any_audio(tmp_path: Path) -> None:
    source, path = clip(0.1), tmp_path / "a.wav"
    write(path, source)
    read = Recording.of(path)
    assert np.array_equal(read.clip.samples, source.samples)
    assert read.source == InputSource(str(path), audio_hash(source))
    assert Recording.of(read) is read
    assert Recording.of(source).source == InputSource("", audio_hash(source))
    assert Recording(source, path, "-").source.name == "-"


def test_synthetic_ranges_of_stored_recipe(tmp_path: Path) -> None:
    source, path = clip(0.1), tmp_path / "a.wav"
    made = recipe(n_samples=source.n_samples, synthetic=((7, 11),))
    write(path, source, comment=to_text(made))
    recording = Recording.of(path)
    assert (recording.source.recipe, recording.synthetic) == (made, ((7, 11),))
    assert Recording(source).synthetic == ()
    cut = replace(source, samples=source.samples[:, 1:])
    assert Recording(cut).with_source(recording.source).synthetic == ((0, cut.n_samples),)


def test_a_damaged_recipe_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    write(path, clip(0.1), comment=to_text(recipe()).replace('"seed": -7', '"seed": 8'))
    with pytest.raises(InputError, match="changed by hand"):
        _ = Recording.of(path).source


def test_another_source_keeps_the_analysis(tracked: list[object]) -> None:
    recording = Recording(clip(0.1))
    recording.pulse(TempoConfig())
    other = recording.with_source(InputSource("b.wav", "hash"))
    assert (other.source.name, other.pulse(TempoConfig())) == ("b.wav", PULSE)
    assert (recording.source.name, len(tracked)) == ("", 1)
