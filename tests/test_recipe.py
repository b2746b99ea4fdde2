"""Recipes: round trips through every file format, and refusal of changed ones."""

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conftest import Song, music, quiet
from recipes import recipe
from vampcli import Waveform, write
from vampcli.api import Model
from vampcli.audio.read import read, read_comment
from vampcli.config import MusicalSpan, PromptConfig, SamplingConfig, TempoConfig
from vampcli.errors import InputError
from vampcli.recipe.recipe import MOST_EARLIER, Recipe, audio_hash, from_text, to_text
from vampcli.tasks import registry
from vampcli.tasks.compress import Compress
from vampcli.tasks.inpaint import Inpaint
from vampcli.tasks.loop import Loop
from vampcli.tasks.outpaint import Outpaint
from vampcli.tasks.spans import SpanRequest
from vampcli.tasks.take import TakeOptions
from vampcli.tasks.vamp import Vamp
from vampcli.tokens.mask_file import MaskFile


def chained(n: int) -> Recipe:
    """A recipe with n edits before it."""
    made = recipe()
    for seed in range(n):
        made = recipe(seed=seed, source=replace(made.source, recipe=made))
    return made


def test_oldest_edits_are_dropped() -> None:
    made = from_text(to_text(chained(MOST_EARLIER + 3)), "a.wav")
    assert made is not None
    assert [r.seed for r in made.earlier] == list(range(MOST_EARLIER + 1, 1, -1))


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg", ".mp3", ".aiff"])
@pytest.mark.parametrize("n_earlier", [0, 3])
def test_round_trip_through_every_format(tmp_path: Path, suffix: str, n_earlier: int) -> None:
    made, path = chained(n_earlier), tmp_path / f"a{suffix}"
    assert len(made.earlier) == n_earlier
    write(path, quiet(2, 5000), comment=to_text(made))
    assert from_text(read_comment(path), str(path)) == made


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg", ".mp3", ".aiff"])
def test_long_recipe(tmp_path: Path, suffix: str) -> None:
    made = recipe(n_samples=40_000, synthetic=tuple((2 * i, 2 * i + 1) for i in range(20_000)))
    write(tmp_path / f"a{suffix}", quiet(), comment=to_text(made))
    assert from_text(read_comment(tmp_path / f"a{suffix}"), "a") == made
    assert np.array_equal(read(tmp_path / f"a{suffix}").samples.shape, quiet().samples.shape)


@pytest.mark.parametrize("subtype", ["PCM_16", "FLOAT"])
@pytest.mark.parametrize("length", [8_189, 8_190])
def test_longest_annotation_of_aiff(tmp_path: Path, subtype: str, length: int) -> None:
    text = '{"vamp_recipe": 1}'.ljust(length)
    write(tmp_path / "a.aiff", quiet(subtype=subtype), comment=text)
    assert read_comment(tmp_path / "a.aiff") == text
    assert read(tmp_path / "a.aiff").n_samples == quiet().n_samples


@pytest.mark.parametrize("joined", ["mine;{}", "{};mine", "a\n{}"])
def test_recipe_beside_another_comment(joined: str) -> None:
    assert from_text(joined.replace("{}", to_text(recipe())), "a.ogg") == recipe()


@pytest.mark.parametrize("most", [900, 1000, 2000, 5000, 50_000])
def test_length_limit(most: int) -> None:
    alone = len(to_text(recipe()))
    assert len(to_text(chained(16), most)) <= max(most, alone)


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".aiff"])
def test_comment_changes_no_sample(tmp_path: Path, suffix: str) -> None:
    samples = np.round(music(0.2, 44100, 2) * 32767) / 32768
    clip = Waveform(samples.astype(np.float32), 44100, "PCM_16")
    write(tmp_path / f"a{suffix}", clip, comment=to_text(recipe()), loop=(5, 50))
    assert np.array_equal(read(tmp_path / f"a{suffix}").samples, clip.samples)


@pytest.mark.parametrize("text", ["", "recorded in Paris", "{}", '{"a": 1}', "[1]"])
def test_foreign_comments(text: str) -> None:
    assert from_text(text, "a.wav") is None


REFUSED: list[tuple[str, Callable[[dict[str, Any]], Any]]] = [
    ("its checksum does not fit", lambda r: r.update(seed=5)),
    ("its checksum does not fit", lambda r: r["sampling"].update(temperature=0.9)),
    ("its checksum does not fit", lambda r: r.update(synthetic=[])),
    (r"\[sampling\]: temperature is -1", lambda r: r["sampling"].update(temperature=-1)),
    (r"\[sampling\]: temperature is 'hot'", lambda r: r["sampling"].update(temperature="hot")),
    (r"\[sampling\]: unknown key 'heat'", lambda r: r["sampling"].update(heat=1)),
    ("seed is 1.5", lambda r: r.update(seed=1.5)),
    ("stereo is 'left'", lambda r: r.update(stereo="left")),
    (r"\[source\]: 'sha256' is missing", lambda r: r["source"].pop("sha256")),
    (r"synthetic\[0\] is \[1\]", lambda r: r.update(synthetic=[[1]])),
    ("a synthetic span goes from 5 to 5", lambda r: r.update(synthetic=[[5, 5]])),
    ("another format than 1", lambda r: r.update(format=2)),
    ("another format than 1", lambda r: r.pop("format")),
]


@pytest.mark.parametrize(("says", "edit"), REFUSED)
def test_changed_recipe_is_refused(says: str, edit: Callable[[dict[str, Any]], Any]) -> None:
    whole = json.loads(to_text(recipe()))
    edit(whole["vamp_recipe"])
    with pytest.raises(InputError, match=says) as caught:
        from_text(json.dumps(whole), "a.wav")
    assert "a.wav" in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize("cut", [5, 40, 300, 600])
def test_truncated_recipe(cut: int) -> None:
    text = to_text(recipe())
    with pytest.raises(InputError, match="is damaged") as caught:
        from_text(text[:-cut], "a.wav")
    assert caught.value.hint


def test_nan_is_no_number() -> None:
    text = to_text(recipe()).replace('"temperature": 0.8', '"temperature": NaN')
    with pytest.raises(InputError, match="temperature is nan"):
        from_text(text, "a.wav")


REQUESTS = [
    Inpaint(SpanRequest(((1.0, 2.5), MusicalSpan("bars", 1, 2)), TempoConfig(90.0, 0.5, 3), "beat"), "auto", 4.0),
    Outpaint(1.5, 0.25, 2),
    Loop(SpanRequest(((0.0, 1.0),)), 4, 0.5, 0.2),
    Vamp(PromptConfig(beats=True, beat_width=20.0, keep_codebooks=2), SpanRequest(), 0.5, 0.25),
    Vamp(amount=0.4),
    Vamp(at=SpanRequest(((0.5, 0.9),)), mask=MaskFile("own.npy", "0123")),
    Compress(3, 2),
]


@pytest.mark.parametrize("asked", REQUESTS, ids=lambda asked: asked.command)
def test_tasks_survive_json(asked: Any) -> None:
    table = json.loads(json.dumps(registry.to_table(asked)))
    assert registry.task_from_table(asked.command, table, "here") == asked


@pytest.mark.parametrize(("snap", "read"), [("onset", "before-onset"), ("beat", "beat"), (None, None)])
def test_older_recipes_snap_as_they_did(snap: Any, read: Any) -> None:
    request = registry.to_table(Inpaint(SpanRequest(((1.0, 2.5),), snap=snap)))
    again = from_text(to_text(recipe(request=request)), "a.wav")
    assert again is not None
    task = registry.task_from_table("inpaint", again.request, "here")
    assert task == Inpaint(SpanRequest(((1.0, 2.5),), snap=read))


def test_recipes_hold_snapped_edges(tiny: Model, song: Song) -> None:
    source, quick = song(seconds=2), SamplingConfig(steps=2, fine_steps=1)
    task = Inpaint(SpanRequest([(0.3, 1.2), MusicalSpan("beats", 1, 2)], TempoConfig(bpm=150), "beat"))
    (take,) = tiny.takes(source, task, TakeOptions([3], quick))
    assert take.recipe is not None
    assert take.recipe.request["at"]["span"] == [[0.4, 1.2], [0.0, 0.8]]
    assert take.recipe.request["at"]["snap"] is None


def test_bad_tasks_are_refused() -> None:
    with pytest.raises(InputError, match="here: there is no command 'sing'"):
        registry.task_from_table("sing", {}, "here")
    with pytest.raises(InputError, match=r"here \[request\]: repeats is 0|here \[request\]: 0 repeats"):
        registry.task_from_table("loop", {"repeats": 0}, "here")
    with pytest.raises(InputError, match=r"here \[request\] \[at\]: snap is 'bar'"):
        registry.task_from_table("inpaint", {"at": {"snap": "bar"}}, "here")


def test_hash_depends_on_samples_alone() -> None:
    clip = quiet(2)
    assert audio_hash(replace(clip, samples=clip.samples.astype(np.float64), subtype="DOUBLE")) == audio_hash(clip)
    nearly = clip.samples.copy()
    nearly[1, 7] = np.nextafter(nearly[1, 7], 1)
    others = [replace(clip, samples=nearly), replace(clip, sample_rate=48000), replace(clip, samples=clip.samples[:1])]
    others.append(replace(clip, samples=clip.samples.reshape(1, -1)))
    assert len({audio_hash(c) for c in (clip, *others)}) == 5


def test_licences_of_all_edits() -> None:
    first = recipe()
    licensed = replace(first, made_by=replace(first.made_by, licence="CC-BY-NC-SA-4.0"))
    assert recipe(source=replace(first.source, recipe=licensed)).licences == ["CC-BY-SA-4.0", "CC-BY-NC-SA-4.0"]


def test_all_sampling_options_are_stored() -> None:
    """Defaults may change later."""
    assert json.loads(to_text(recipe()))["vamp_recipe"]["sampling"].keys() == asdict(SamplingConfig()).keys()


# --- in Python


def test_takes_store_their_recipes(tiny: Model, song: Song, tmp_path: Path) -> None:
    quick = SamplingConfig(steps=2, fine_steps=1)
    one, two = tiny.inpaint(song(seconds=1), [(0.25, 0.5)], seed=4, takes=2, sampling=quick)
    assert one.recipe is not None
    assert two.recipe == replace(one.recipe, seed=5)
    assert (one.recipe.made_by.device, one.recipe.made_by.dtype, one.recipe.sampling) == ("cpu", "fp32", quick)
    two.write(tmp_path / "two.wav")
    (third,) = tiny.outpaint(tmp_path / "two.wav", after=0.5, sampling=quick)
    assert third.recipe is not None
    assert third.recipe.source.recipe == two.recipe
    assert third.recipe.synthetic == ((11025, 22050), (44100, 66150))
    asked = registry.task_from_table(third.recipe.command, json.loads(json.dumps(third.recipe.request)), "here")
    (again,) = tiny.takes(tmp_path / "two.wav", asked, TakeOptions([third.seed], third.recipe.sampling))
    assert np.array_equal(again.audio.samples, third.audio.samples)
